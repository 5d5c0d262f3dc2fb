"""What the catalogue tells dbt: committed files are as it would write them now, and one entry is a whole event type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from documentation_examples import example

from braze_platform.currents.catalogue import catalogue, read_event_type
from docs.reference import dbt_files

NAME = "users.behaviors.Sneeze"
FIELDS = ["id", "user_id", "external_user_id?", "time", "platform?", "duration:float?", "device_id?"]


def entry(**staging: Any) -> dict[str, Any]:
    return {"description": "A user sneezed", "fields": FIELDS, "staging": staging}


def made_of(name: str, entry: dict[str, Any]) -> dict[str, str]:
    """The files that differ from today's when the catalogue has one more entry."""
    today = dbt_files.files()
    made = dbt_files.files([*catalogue().values(), read_event_type(name, entry)])
    assert today.keys() <= made.keys()
    return {path: text for path, text in made.items() if text != today.get(path)}


def test_the_committed_files_are_as_generated() -> None:
    committed, generated = dbt_files.committed(), dbt_files.files()
    differing = {path for path in {*committed, *generated} if committed.get(path) != generated.get(path)}
    assert differing == set(), "generate them again with `make reference`"
    assert len(generated) > 90


def test_writing_takes_away_what_is_staged_no_longer_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / dbt_files.STAGING).mkdir(parents=True)
    (tmp_path / dbt_files.STAGING / "stg_currents__users_fax_send.sql").write_text("select 1")
    by_hand = tmp_path / "models" / "staging" / "stg_company__orders.sql"
    by_hand.write_text("select 1")
    dbt_files.write(tmp_path)
    assert dbt_files.committed(tmp_path) == dbt_files.files()
    assert by_hand.is_file()


def test_an_entry_is_a_source_a_model_and_a_line_of_the_list() -> None:
    said = json.loads(f"{{{example('json event type').text}}}")
    [(name, entry)] = said.items()
    made = made_of(name, entry)
    model = "stg_currents__users_messages_line_bounce"
    assert made.keys() == {
        dbt_files.SOURCES,
        dbt_files.TYPES,
        f"{dbt_files.STAGING}/currents.yml",
        f"{dbt_files.STAGING}/{model}.sql",
    }
    facts = {
        "name": name,
        "table": "users_messages_line_bounce",
        "shape": ["timezone"],
        "has_external_id": True,
        "has_workspace": False,
        "channel": "line",
        "action": "bounce",
    }
    assert f"{json.dumps(facts)}," in made[dbt_files.TYPES]
    *_, declared = yaml.safe_load(made[f"{dbt_files.STAGING}/currents.yml"])["models"]
    assert declared["name"] == model
    columns = {column["name"]: column for column in declared["columns"]}
    assert columns["event_id"]["data_tests"] == ["is_key"]
    assert columns["external_id"]["config"] == {"meta": {"personal": True}}
    assert columns["send_id"]["description"].startswith("Always null")
    assert not columns["dispatch_id"]["description"].startswith("Always null")
    assert made[f"{dbt_files.STAGING}/{model}.sql"] == (
        "{{\n"
        "    staged_message(\n"
        '        source("currents", "users_messages_line_bounce"),\n'
        '        absent=["campaign_name", "message_variation_id", "message_variation_name", "canvas_id", '
        '"canvas_name", "canvas_variation_id", "canvas_step_id", "canvas_step_name", "send_id", "app_id"],\n'
        '        failure_code="error",\n'
        "    )\n"
        "}}\n"
    )


def test_what_is_computed_calls_macros_and_is_described() -> None:
    sql = "coalesce({{ blank_to_null('platform') }}, 'none')"
    loudness = {"sql": sql, "description": "How loud it was", "personal": True}
    made = made_of(NAME, entry(fields=["device_id"], computed={"loudness": loudness}))
    assert made[f"{dbt_files.STAGING}/stg_currents__users_behaviors_sneeze.sql"] == (
        "{{\n"
        "    staged_event(\n"
        '        source("currents", "users_behaviors_sneeze"),\n'
        '        fields=["device_id"],\n'
        '        computed={"loudness": "coalesce(" ~ blank_to_null("platform") ~ ", \'none\')"},\n'
        '        shape=["platform"],\n'
        "    )\n"
        "}}\n"
    )
    *_, declared = yaml.safe_load(made[f"{dbt_files.STAGING}/currents.yml"])["models"]
    columns = {column["name"]: column for column in declared["columns"]}
    assert list(columns)[-3:] == ["device_id", "loudness", "source_file"]
    assert columns["loudness"]["description"] == "How loud it was."
    assert all(columns[name]["config"]["meta"]["personal"] for name in ("device_id", "loudness"))
    *_, source = yaml.safe_load(made[dbt_files.SOURCES])["sources"][0]["tables"]
    types = {column["name"]: column["data_type"] for column in source["columns"]}
    assert (types["duration"], types["time"], types["_hour"]) == ("number", "integer", "timestamp")


@pytest.mark.parametrize(
    ("staging", "error", "named"),
    [
        ({"feilds": ["platform"]}, TypeError, "feilds"),
        ({"fields": ["plattform"]}, KeyError, "plattform"),
        ({"computed": {"loudness": {"sql": "1"}}}, TypeError, "description"),
        ({"action": "sneeze", "fields": ["platform"]}, ValueError, NAME),
        ({"failure_code": "platform"}, ValueError, NAME),
    ],
)
def test_what_an_entry_cannot_say_is_refused(
    staging: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        made_of(NAME, entry(**staging))
