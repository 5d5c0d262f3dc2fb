"""One renderer of data set names: applied once, injective, and the only reader of the prefix."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import braze_platform
from braze_platform.marts.dbt_environment import dbt_environment
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.dataset_names import (
    COMPANY_DATASETS,
    ENVIRONMENT_VARIABLE,
    PLATFORM_DATASETS,
    DatasetNames,
    dataset_names,
    logical_schema,
)
from braze_platform.warehouse.sql import BigQuerySql

PACKAGE = Path(braze_platform.__file__).parent
PROJECT = Settings().dbt_project_dir
LOGICAL = (*PLATFORM_DATASETS, *COMPANY_DATASETS)
#: Prefixes that are prefixes of names, and whole names.
PREFIXES = ("", "s", "m", "currents_", "braze_", "marts", "marts_", "staging", "prod_")

names = st.sampled_from(LOGICAL) | st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
prefixes = st.sampled_from(PREFIXES) | st.from_regex(r"([A-Za-z0-9][A-Za-z0-9_]{0,12})?", fullmatch=True)


@given(prefixes, names)
def test_a_prefix_is_put_before_a_name_once_whatever_the_name_begins_with(prefix: str, name: str) -> None:
    physical = DatasetNames(prefix).physical(name)
    assert physical == prefix + name
    assert BigQuerySql(DatasetNames(prefix)).table(name, "t") == f"`{physical}`.`t`"


@given(prefixes, names, names)
def test_two_names_are_never_one(prefix: str, one: str, other: str) -> None:
    rendered = DatasetNames(prefix)
    assert (rendered.physical(one) == rendered.physical(other)) is (one == other)


@given(prefixes, prefixes)
def test_installations_with_different_prefixes_share_no_data_set(one: str, other: str) -> None:
    def rendered(prefix: str) -> set[str]:
        return {DatasetNames(prefix).physical(name) for name in LOGICAL}

    assert one == other or rendered(one).isdisjoint(rendered(other))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_dbt_is_given_what_python_asks(prefix: str, tmp_path: Path) -> None:
    settings = Settings(target="bigquery", bigquery_dataset_prefix=prefix, state_dir=tmp_path)
    given_to_dbt = json.loads(dbt_environment(settings)[ENVIRONMENT_VARIABLE])
    assert set(LOGICAL) <= set(given_to_dbt)
    sql = BigQuerySql(dataset_names(settings))
    assert given_to_dbt == {name: sql.dataset(name) for name in given_to_dbt}


def test_on_the_local_target_names_stand_as_they_are(tmp_path: Path) -> None:
    settings = Settings(bigquery_dataset_prefix="braze_", state_dir=tmp_path)
    given_to_dbt = json.loads(dbt_environment(settings)[ENVIRONMENT_VARIABLE])
    assert given_to_dbt == {name: name for name in given_to_dbt}


def test_schemas_that_a_project_adds_are_rendered_too() -> None:
    project = {
        "models": {"+schema": "one", "ours": {"finance": {"+schema": " two "}, "old": {"schema": "three"}}},
        "seeds": {"ours": {"+schema": "four"}},
    }
    [text] = DatasetNames("s").as_environment(project).values()
    assert {name: json.loads(text)[name] for name in ("one", "two", "three", "four")} == {
        "one": "sone",
        "two": "stwo",
        "three": "sthree",
        "four": "sfour",
    }


def test_every_source_of_the_project_asks_for_its_own_name() -> None:
    for file in sorted((PROJECT / "models" / "sources").glob("*.yml")):
        for source in yaml.safe_load(file.read_text(encoding="utf-8"))["sources"]:
            logical = {"currents": "currents_raw"}.get(source["name"], source["name"])
            assert logical in LOGICAL
            assert source["schema"] == (
                f"{{{{ fromjson(env_var('{ENVIRONMENT_VARIABLE}', '{{}}')).get('{logical}', '{logical}') }}}}"
            ), file.name


def test_a_model_s_schema_is_its_logical_one() -> None:
    assert logical_schema({"schema": "martsmarts", "config": {"schema": "marts"}}) == "marts"
    assert logical_schema({"schema": "marts"}) == "marts"


def _readers(word: str) -> set[str]:
    """The modules in whose code (texts of messages apart) a name occurs."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = {
                getattr(node, "attr", None),
                getattr(node, "id", None),
                getattr(node, "arg", None),
                node.value if isinstance(node, ast.Constant) else None,
            }
            if word in named:
                found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_nothing_else_sees_the_prefix() -> None:
    assert _readers("bigquery_dataset_prefix") == {"settings.py", "warehouse/dataset_names.py"}
    assert _readers("BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX") == set(), (
        "made of the name of the settings' field"
    )
    seen_by_dbt = [
        path.relative_to(PROJECT).as_posix()
        for path in PROJECT.rglob("*")
        if path.suffix in (".sql", ".yml") and "DATASET_PREFIX" in path.read_text(encoding="utf-8")
    ]
    assert seen_by_dbt == []


@pytest.mark.parametrize("prefix", ["a-b", "a.b", "a b", "ä", "prod-", "_hidden", "`", "a\nb", "x" * 501])
def test_what_no_name_can_begin_with_is_refused_when_settings_are_read(prefix: str) -> None:
    with pytest.raises(SettingsError, match="BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX"):
        Settings.from_environment({"BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX": prefix})


@given(prefixes)
def test_all_others_are_taken(prefix: str) -> None:
    read = Settings.from_environment({"BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX": prefix})
    assert read.bigquery_dataset_prefix == prefix
