"""Users who disappear while others appear with their values may have been renamed: nobody clears them unseen."""

from __future__ import annotations

from typing import Any

import pytest

from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.planning import make_plan


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.full)])
def known(request: Any, braze: Any) -> Any:
    """Five users at Braze, who are cleared when they disappear."""
    room = request.getfixturevalue("room" if request.param == "duckdb" else "google_room")
    room.declare(
        attributes=(AttributeSpec("score", "integer"), AttributeSpec("channel", "string")),
        when_row_disappears="clear",
        limits=PlanLimits(max_cleared_share=1.0, max_row_fall=1.0),
    )
    users(room, [(f"u{i}", i, "email" if i else None) for i in range(5)])
    room.run("first")
    return room


def users(room: Any, rows: list[tuple[str, int | None, str | None]]) -> None:
    selects = (
        f"select '{user}' as external_id, cast({'null' if score is None else score} as bigint) as score, "
        f"{'cast(null as string)' if channel is None else repr(channel)} as channel"
        for user, score, channel in rows
    )
    room.model(" union all ".join(selects))


def test_users_who_may_have_been_renamed_wait_for_a_person(known: Any, braze: Any) -> None:
    renamed = [("u2", 2, "email"), ("new-0", 0, None), ("new-3", 3, "email"), ("u4", 4, "email")]
    users(known, renamed)
    sent = len(braze.received)
    plan = known.run("held").plan
    assert len(plan.limit_violations) == 1 and plan.limit_violations[0].startswith(
        "2 users disappeared and would be cleared while users"
    )
    assert "renamed external ids?" in plan.limit_violations[0] and len(braze.received) == sent
    with known.warehouse.session() as session:
        looked_at = make_plan(SyncStore(session, known.sync))
        assert (looked_at.limit_violations, looked_at.plan_id) == (plan.limit_violations, plan.plan_id)
        SyncStore(session, known.sync).approve(looked_at.plan_id)
    known.run("approved")
    assert braze.profiles["new-3"] == {"score": 3, "channel": "email"} and not any(
        braze.profiles["u3"].values()
    )


@pytest.mark.parametrize(
    "new",
    [
        [("new", 77, "email")],  # another value
        [("new", 3, None)],  # one value of two
        [("new", None, None)],  # no value
        [],
    ],
)
def test_users_who_only_disappear_are_cleared(known: Any, new: list[tuple[str, Any, Any]]) -> None:
    kept: list[tuple[str, Any, Any]] = [(f"u{i}", i, "email" if i else None) for i in (0, 1, 2, 4)]
    users(known, [*kept, *new])
    plan = known.run("cleared").plan
    assert plan.limit_violations == [] and plan.attributes["score"].cleared == 1


def test_a_sync_may_say_how_many_it_takes_for_chance(known: Any) -> None:
    limits = PlanLimits(max_cleared_share=1.0, max_row_fall=1.0, max_renamed_users=1)
    known.declare(limits=limits)
    users(known, [("u0", 0, None), *((f"u{i}", i, "email") for i in (1, 2, 4)), ("new", 3, "email")])
    assert known.run("cleared").plan.limit_violations == []


def test_users_who_are_not_cleared_do_not_wait(known: Any) -> None:
    known.declare(when_row_disappears="keep")
    users(known, [(f"new-{i}", i, "email") for i in range(5)])
    assert known.run("kept").plan.limit_violations == []
