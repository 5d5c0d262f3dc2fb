"""Too many rejections stop a run and none of them is permanent; rejections that stand can be listed and reopened."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.responses import JSONResponse

from braze_platform.cli import main
from braze_platform.sync.declaration.rejection_limit import MIN_REJECTED, RejectionLimit
from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.ledger.rejections import RejectionFilter, list_rejections, reopen_rejections
from braze_platform.sync.ledger.store import SyncStore

OPEN = "select count(*) from braze_sync.rejections where resolved_at is null"


def reopen(room: Any, **wanted: Any) -> int:
    with room.warehouse.session() as session:
        return sum(
            found.count
            for found in reopen_rejections(SyncStore(session, room.sync), RejectionFilter(**wanted))
        )


def listed(room: Any, **wanted: Any) -> list[tuple[str, str, int]]:
    with room.warehouse.session() as session:
        found = list_rejections(SyncStore(session, room.sync), RejectionFilter(**wanted))
    return sorted((entry.attribute, entry.reason, entry.count) for entry in found)


def refuse(entry: dict[str, Any]) -> str | None:
    return "BAD_SCORE of 'Ann B'" if "score" in entry and int(entry["external_id"][5:]) % 2 else None


def test_a_limit_counts_above_a_floor() -> None:
    limit = RejectionLimit(0.1)
    for _ in range(MIN_REJECTED):
        limit.note_rejected()
    assert not limit.violation
    limit.note_delivered(10 * MIN_REJECTED)
    limit.note_rejected()
    assert not limit.violation
    for _ in range(20):
        limit.note_rejected()
    assert "max_rejected_share 10.0%" in limit.violation and limit.is_exceeded


def test_mass_rejections_stop_the_run_and_all_are_due(room: Any, braze: Any) -> None:
    room.declare(attributes=room.only("score", "channel"))
    braze.rejects = refuse
    room.users(2000)
    run = room.run()
    assert "max_rejected_share" in run.report.stopped and "declaration" in run.report.stopped
    assert run.report.rejected == {"score": 0, "channel": 0}
    assert run.report.due["score"] == 2000 - run.report.delivered["score"] >= 1000
    assert room.sql(OPEN) == [(0,)]
    braze.rejects = lambda entry: None
    assert room.run().report.complete
    assert all(profile["score"] == int(user[5:]) % 101 for user, profile in braze.profiles.items())


def test_a_higher_limit_and_a_small_sync_go_on(room: Any, braze: Any) -> None:
    room.declare(attributes=room.only("score"))
    braze.rejects = refuse
    room.users(180)
    assert room.run().report.rejected == {"score": 90}
    room.declare(limits=PlanLimits(max_rejected_share=0.6))
    room.users(1000)
    assert room.run().report.complete and room.sql(OPEN) == [(500,)]


def test_operators_stop_alike_and_the_ledger_moves_back(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer", "skip", operator="inc"),))
    braze.rejects = refuse
    room.users(1000, score="1")
    run = room.run()
    assert "max_rejected_share" in run.report.stopped and room.sql(OPEN) == [(0,)]
    braze.rejects = lambda entry: None
    assert room.run().report.complete
    assert room.sql("select count(score) from braze_sync.ledger_braze_customers") == [(1000,)]


def check_reopening(room: Any, braze: Any) -> None:
    room.declare(attributes=room.only("score"))
    braze.rejects = refuse
    room.users(20)
    room.run()
    assert listed(room) == [("score", "BAD_SCORE of …", 10)]
    tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=1)
    assert listed(room, reason="elsewhere") == listed(room, since=tomorrow) == []
    assert reopen(room, reason="elsewhere") == reopen(room, since=tomorrow) == 0
    assert room.run().plan.objects == 0
    braze.rejects = lambda entry: None
    today = tomorrow - datetime.timedelta(days=2)
    assert reopen(room, reason="bad_score", since=today) == 10
    assert listed(room) == [] and reopen(room) == 0
    run = room.run()
    assert run.report.delivered == {"score": 10} and run.report.complete


def test_reopened_values_are_due(room: Any, braze: Any) -> None:
    check_reopening(room, braze)


@pytest.mark.full
def test_reopened_values_are_due_on_bigquery(google_room: Any, braze: Any) -> None:
    google_room.users = lambda count: google_room.model(
        "select concat('user-', cast(i as string)) as external_id, i as score "
        f"from unnest(generate_array(0, {count - 1})) i",
    )
    check_reopening(google_room, braze)


def test_reopened_operators_send_the_whole_value(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer", "skip", operator="inc"),))
    braze.fault = lambda number, objects: JSONResponse({}, 504)
    room.users(5, score="7")
    room.run()
    assert room.sql("select distinct refused_by from braze_sync.rejections") == [("unclear",)]
    braze.fault = None
    assert room.run().plan.objects == 0
    assert reopen(room) == 5
    assert room.run().report.delivered == {"score": 5}
    assert {profile["score"] for profile in braze.profiles.values()} == {7}
    assert room.run().plan.objects == 0


def test_the_commands_show_counts_and_no_values(room: Any, braze: Any, monkeypatch: Any) -> None:
    for name, value in room.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    columns = {
        "external_id": {"name": "external_id"},
        "score": {"name": "score", "config": {"meta": {"braze_attribute": {"type": "integer"}}}},
    }
    node = {
        "resource_type": "model",
        "name": "braze_customers",
        "schema": "attributes",
        "fqn": ["p", "attributes", "braze_customers"],
        "config": {"meta": {"braze_sync": {"identifier": "external_id"}}},
        "columns": columns,
    }
    room.settings.dbt_target_dir.mkdir(parents=True)
    (room.settings.dbt_target_dir / "manifest.json").write_text(json.dumps({"nodes": {"model.p.m": node}}))
    nothing = CliRunner().invoke(main, ["rejections", "list"])
    assert nothing.exit_code == 0 and "0 values are rejected" in nothing.output
    room.declare(attributes=room.only("score"))
    braze.rejects = refuse
    room.users(20)
    room.run()
    shown = CliRunner().invoke(main, ["rejections", "list", "braze_customers"])
    assert "braze_customers  score  braze  10  BAD_SCORE of …" in shown.output
    assert "Ann" not in shown.output and "user-" not in shown.output
    assert "10 values are rejected" in CliRunner().invoke(main, ["rejections", "list"]).output
    reopened = CliRunner().invoke(main, ["rejections", "reopen", "--reason", "BAD"])
    assert reopened.exit_code == 0 and "10 values were reopened" in reopened.output
    assert room.plan().objects == 10
