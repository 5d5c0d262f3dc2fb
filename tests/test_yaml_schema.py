"""The schema that editors complete YAML with: it is as committed, takes what the platform takes and finds typos."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
import yaml
from documentation_examples import DOCS, example, examples
from jsonschema import Draft7Validator

from braze_platform.settings import PROJECT_ROOT
from docs.reference.generate import settings_page
from docs.reference.yaml_schema import schema, schema_text

FILES = sorted((PROJECT_ROOT / "dbt_project" / "models").rglob("*.yml"))
ATTRIBUTES = PROJECT_ROOT / "dbt_project" / "models" / "attributes"
#: A right declaration, by the places where the platform reads one.
RIGHT: dict[str, Any] = {
    "models": [
        {
            "name": "braze_value",
            "description": "dbt's own keys are dbt's",
            "config": {
                "materialized": "table",
                "meta": {
                    "braze_sync": {
                        "transport": "bulk",
                        "identifier": {"user_alias": {"name": "alias", "label": "label"}},
                        "limits": {"max_objects": 5, "fresh": {"column": "loaded_at", "max_hours": 1.5}},
                    },
                    "team": "crm",
                },
            },
            "columns": [
                {"name": "alias"},
                {"name": "score", "config": {"meta": {"braze_attribute": {"type": "integer"}}}},
                {"name": "mail", "meta": {"braze_attribute": {"profile_field": "email"}}},
            ],
        }
    ]
}


def faults(document: Any) -> list[str]:
    """What an editor would underline."""
    return [error.json_path for error in Draft7Validator(schema()).iter_errors(document)]


def test_the_settings_and_the_schema_are_as_committed() -> None:
    remedy = "generate it again with `make reference`"
    assert (DOCS / "reference" / "settings.md").read_text(encoding="utf-8") == settings_page(), remedy
    assert (DOCS / "reference" / "braze_sync.schema.json").read_text(encoding="utf-8") == schema_text(), (
        remedy
    )


def test_the_schema_is_one_and_describes_every_key() -> None:
    Draft7Validator.check_schema(schema())
    for name, definition in schema()["definitions"].items():
        for key, said in definition["properties"].items():
            assert said.get("description") or "$ref" in said, f"{name}.{key}"
            assert {"type": "null"} not in said.get("anyOf", ()), f"{name}.{key}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_the_project_s_own_files_are_right(path: Any) -> None:
    assert faults(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_the_project_s_declarations_are_seen() -> None:
    """A file is right because it is, not because the schema looks elsewhere."""
    [path] = [path for path in ATTRIBUTES.glob("*.yml") if "braze_sync" in path.read_text(encoding="utf-8")]
    text = path.read_text(encoding="utf-8")
    for key in ("identifier:", "braze_sync:", "braze_attribute:", "type:"):
        assert key in text, key
        assert faults(yaml.safe_load(text.replace(key, f"{key[:-2]}x:"))), key


def test_the_documentation_s_declarations_are_right() -> None:
    for one in examples("yaml sync"):
        sync = {"identifier": "external_id"} | yaml.safe_load(one.text)
        assert faults({"models": [{"config": {"meta": {"braze_sync": sync}}}]}) == [], one.page
    for one in examples("yaml attributes"):
        assert faults({"models": [{"columns": yaml.safe_load(one.text)}]}) == [], one.page


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("config", "meta", "braze_sync", "trasport"), "track"),
        (("config", "meta", "braze_sync", "transport"), "pigeon"),
        (("config", "meta", "braze_sync", "identifier"), 3),
        (("config", "meta", "braze_sync", "identifier", "cookie"), "alias"),
        (("config", "meta", "braze_sync", "existing_only"), "yes"),
        (("config", "meta", "braze_sync", "limits", "max_changed_share"), 50),
        (("config", "meta", "braze_sync", "limits", "max_object"), 5),
        (("config", "meta", "braze_sync", "limits", "fresh", "max_hours"), 0),
        (("config", "meta", "braze_sinc"), {"identifier": "alias"}),
        (("meta", "braze_sinc"), {"identifier": "alias"}),
        (("columns", 1, "config", "meta", "braze_attribute", "type"), "int"),
        (("columns", 1, "config", "meta", "braze_attribute", "profile_field"), "email"),
        (("columns", 1, "config", "meta", "braze_attribute", "nul"), "skip"),
        (("columns", 1, "config", "meta", "braze_atribute"), {"type": "integer"}),
        (("columns", 2, "meta", "braze_attribute", "profile_field"), "e-mail"),
        (("columns", 2, "meta", "braze_attribute", "decimals"), 39),
    ],
)
def test_a_typo_is_found(path: tuple[str | int, ...], value: object) -> None:
    assert faults(RIGHT) == []
    document = deepcopy(RIGHT)
    *parents, key = path
    node: Any = document["models"][0]
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else node[parent]
    node[key] = value
    assert faults(document)


def test_the_editor_s_settings_name_what_is_there() -> None:
    [(found, pattern)] = json.loads(example("json editor").text)["yaml.schemas"].items()
    assert (PROJECT_ROOT / found).is_file()
    assert any("braze_sync" in path.read_text(encoding="utf-8") for path in PROJECT_ROOT.glob(pattern))
    page = (DOCS / "how-to" / "complete-yaml-in-your-editor.md").read_text(encoding="utf-8")
    relative = page.partition("$schema=")[2].partition("`")[0]
    assert (ATTRIBUTES / relative).resolve() == PROJECT_ROOT / found
