from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from braze_platform.sync.plan_command import command


@pytest.fixture
def invoke(room: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in room.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(command, list(arguments))


def write_manifest(room: Any, *, unbuilt: bool = False, **limits: int) -> None:
    attribute = {"config": {"meta": {"braze_attribute": {"type": "string"}}}}
    node = {
        "resource_type": "model",
        "name": "braze_customers",
        "schema": "attributes",
        "fqn": ["p", "attributes", "braze_customers"],
        "config": {"meta": {"braze_sync": {"identifier": "external_id", "limits": limits}}},
        "columns": {"external_id": {"name": "external_id"}, "channel": {"name": "channel", **attribute}},
    }
    room.settings.dbt_target_dir.mkdir(parents=True)
    later = node | {"name": "braze_unbuilt", "fqn": ["p", "attributes", "braze_unbuilt"]}
    later["columns"] = {"external_id": {"name": "external_id"}, "other": {"name": "other", **attribute}}
    nodes = {"model.p.l": later, "model.p.m": node} if unbuilt else {"model.p.m": node}
    (room.settings.dbt_target_dir / "manifest.json").write_text(json.dumps({"nodes": nodes}))


def test_a_plan_is_shown_without_sending(room: Any, braze: Any, invoke: Any) -> None:
    write_manifest(room, max_objects=5)
    room.users(20)
    shown = invoke()
    assert shown.exit_code == 0, shown.output
    assert "18 of 20 users" in shown.output and "braze-platform approve " in shown.output
    assert "user-1" not in shown.output and "email" not in shown.output
    (plan,) = json.loads(invoke("braze_customers", "--json").output)
    assert plan["plan_id"] in shown.output
    assert plan["attributes"]["channel"]["new"] == 18 and plan["within_limits"] is False
    assert braze.received == []


def test_what_is_missing_is_said(room: Any, invoke: Any) -> None:
    assert "no dbt manifest" in invoke().output
    write_manifest(room)
    assert "Declared syncs: braze_customers" in invoke("other").output
    missing = invoke()
    assert missing.exit_code == 1 and "Build it first" in missing.output


def test_a_model_that_is_not_built_stops_no_other_plan(room: Any, invoke: Any) -> None:
    write_manifest(room, unbuilt=True)
    room.users(20)
    shown = invoke()
    assert shown.exit_code == 1
    assert "18 of 20 users" in shown.output
    assert "No plan of braze_unbuilt" in shown.output and "Build it first" in shown.output
