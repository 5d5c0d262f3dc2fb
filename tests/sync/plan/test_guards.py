"""Plans that wait for a person, and approvals that are for one plan and one time."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from braze_platform.cli import main
from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.guards import guard_violations
from braze_platform.sync.values.data_points import data_points


def test_clearing_more_than_its_share_waits(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_cleared_share=0.1))
    room.users(100)
    assert room.run().report.complete
    room.users(100, score="case when i < 10 then null else i % 101 end")
    assert room.run().plan.limit_violations == []
    room.users(100, score="case when i < 30 then null else i % 101 end")
    run = room.run()
    assert run.report is None
    (reason,) = run.plan.limit_violations
    assert reason.startswith("score: 22.2% of its 90") and "max_cleared_share" in reason
    assert sum("score" in profile for profile in braze.profiles.values()) == 90


def test_a_shrunken_model_waits(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_row_fall=0.2), when_row_disappears="clear")
    room.users(100)
    assert room.run().report.complete
    room.users(81)
    assert room.run().report.complete
    room.users(60)
    run = room.run()
    assert run.report is None and "25.9% fewer than the 81" in run.plan.limit_violations[0]
    assert len([profile for profile in braze.profiles.values() if profile]) == 81


@pytest.mark.parametrize("disappears", ["clear", "keep"])
def test_a_model_without_users_waits_whatever_its_limits(room: Any, braze: Any, disappears: Any) -> None:
    everything = PlanLimits(max_changed_share=1.0, max_cleared_share=1.0, max_row_fall=1.0)
    room.declare(limits=everything, when_row_disappears=disappears)
    room.users(20)
    assert room.run().report.complete
    room.users(0)
    run = room.run()
    assert run.report is None and run.plan.limit_violations == ["the model has no users, the ledger has 20"]
    assert all(braze.profiles.values())


def test_an_attribute_without_a_value_left_waits_whatever_its_limits(room: Any) -> None:
    room.declare(limits=PlanLimits(max_cleared_share=1.0))
    room.users(20)
    assert room.run().report.complete
    room.users(20, score="null")
    run = room.run()
    assert run.report is None and "score: the model has no value of it left" in run.plan.limit_violations[0]
    room.users(20, score="case when i = 0 then 7 end")
    assert room.run().report.complete


def test_without_limits_clearing_and_falling_are_held_and_daily_changes_are_not(room: Any) -> None:
    room.declare(limits=PlanLimits(max_first_users=2_000), when_row_disappears="clear")
    room.users(1_000)
    assert room.run().report.complete
    room.users(1_000, score="case when i >= 100 then i % 101 end")
    assert room.run().report.complete
    room.users(1_000, score="case when i >= 250 then i % 101 end")
    assert "max_cleared_share 10.0%" in room.plan().limit_violations[0]
    room.users(790, score="case when i >= 100 then i % 101 end")
    assert any("max_row_fall 20.0%" in reason for reason in room.plan().limit_violations)


def test_a_first_plan_over_many_users_waits(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits())
    room.users(201)
    run = room.run()
    assert run.report is None and "201 users, more than max_first_users 200" in run.plan.limit_violations[0]
    assert braze.received == []
    room.users(200)
    assert room.run().report.complete
    room.users(300)
    assert room.run().report.complete
    room.sql("delete from braze_sync.ledger_braze_customers", "select 1")
    assert "max_first_users" in room.plan().limit_violations[0]


def test_a_stale_model_waits(room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room.declare(limits=PlanLimits(fresh_column="seen_at", max_age_hours=24))
    room.users(3)
    plan = room.plan()
    assert len(plan.limit_violations) == 1 and "newest seen_at" in plan.limit_violations[0]
    with room.warehouse.session() as session:
        for age, is_held in ((24, False), (24.1, True)):
            now = datetime(2026, 11, 1, 8, 0, 2) + timedelta(hours=age)
            monkeypatch.setattr("braze_platform.sync.plan.guards.now_utc", lambda now=now: now)
            assert bool(guard_violations(SyncStore(session, room.sync), plan)) == is_held
    monkeypatch.undo()
    room.model("select 'u' as external_id, 1 as score, 'x' as channel, null::timestamp as seen_at limit 0")
    assert "has no seen_at" in room.plan().limit_violations[0]


@pytest.fixture
def invoke(room: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in room.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    columns = {name: {"name": name} for name in ("external_id", "score", "channel", "seen_at")}
    for name, kind, nulls in (("score", "integer", "clear"), ("channel", "string", "clear")):
        columns[name] = {"name": name, "meta": {"braze_attribute": {"type": kind, "nulls": nulls}}}  # type: ignore[dict-item]
    node = {
        "resource_type": "model",
        "name": "braze_customers",
        "schema": "attributes",
        "fqn": ["p", "attributes", "braze_customers"],
        "config": {
            "meta": {
                "braze_sync": {
                    "identifier": "external_id",
                    "existing_only": False,
                    "limits": {"max_objects": 5},
                }
            }
        },
        "columns": columns,
    }
    room.settings.dbt_target_dir.mkdir(parents=True)
    (room.settings.dbt_target_dir / "manifest.json").write_text(json.dumps({"nodes": {"model.p.m": node}}))
    room.declare(limits=PlanLimits(max_objects=5), attributes=room.only("score", "channel"))
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_an_approval_is_for_that_plan_and_for_one_time(room: Any, braze: Any, invoke: Any) -> None:
    room.users(20)
    assert room.run().report is None
    plan = room.plan().plan_id
    shown = invoke("plan").output
    assert f"braze-platform approve {plan}" in shown
    approved = invoke("approve", plan)
    assert approved.exit_code == 0, approved.output
    assert braze.received == []
    assert room.run().report.complete and len(braze.profiles) == 20
    room.sql("update braze_sync.ledger_braze_customers set score = null, channel = null", "select 1")
    assert room.plan().plan_id == plan
    assert room.run().report is None


def test_an_approval_expires_when_the_model_changes(room: Any, braze: Any, invoke: Any) -> None:
    room.users(20)
    plan = room.plan().plan_id
    assert invoke("approve", plan).exit_code == 0
    room.users(20, score="i + 1")
    assert room.run().report is None
    room.users(20)
    assert room.plan().plan_id == plan
    assert room.run().report is None
    assert braze.received == []


def test_a_plan_that_is_no_more_cannot_be_approved(room: Any, invoke: Any) -> None:
    room.users(20)
    refused = invoke("approve", "0123456789abcdef")
    assert refused.exit_code == 1
    assert "has changed since" in refused.output and room.plan().plan_id in refused.output


@pytest.mark.parametrize(
    ("kind", "value", "points"),
    [
        ("string", "x", 1),
        ("string", None, 1),
        ("array", ["a", "b"], 1),
        ("object", {"a": 1, "b": {"c": 1, "d": {"$time": "2026-11-24"}}}, 3),
        ("object", None, 1),
        ("array_of_objects", [{"a": 1, "b": 2}, {"a": 3}], 3),
        ("email", "a@example.com", 1),
        ("subscription_groups", [{}], 0),
        ("subscription_state", "opted_in", 0),
    ],
)
def test_data_points(kind: Any, value: Any, points: int) -> None:
    assert data_points(AttributeSpec("a", kind), value) == points
