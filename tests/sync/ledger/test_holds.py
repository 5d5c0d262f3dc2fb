"""A ledger that was lost, emptied or restored is noticed before anything is sent, on both warehouses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sandbox_room

from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.ledger.holds import HOLD_ROW, LOST, RESTORED, hold, hold_of
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.store import SyncStore, held_store
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.seeding.rebuild import rebuild

LEDGER = "ledger_braze_customers"
CHANNEL = AttributeSpec("channel", "string")
#: So that nothing but a hold can hold a plan.
UNLIMITED = PlanLimits(max_first_users=10_000, max_changed_share=1.0, max_cleared_share=1.0)


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.emulated)])
def customers(request: Any, room: Any) -> Any:
    """A room, on either warehouse, whose sync sent its three users."""
    room.declare(limits=UNLIMITED, attributes=room.only("score"))
    room = room if request.param == "duckdb" else request.getfixturevalue("google_room")
    scores(room, 1)
    assert room.run().report.complete
    return room


def scores(room: Any, score: int) -> None:
    users = " union all ".join(f"select 'u{i}' as external_id, {score} as score" for i in range(3))
    change(room, "create or replace table {model} as " + users)


def change(room: Any, *statements: str) -> None:
    with room.warehouse.session() as session:
        if session.dialect == "duckdb":
            session.create_schema("attributes", "Tests")
        sql = session.sql
        for statement in statements:
            session.execute(
                statement.format(
                    model=sql.table("attributes", "braze_customers"),
                    ledger=sql.table("braze_sync", LEDGER),
                    deliveries=sql.table("braze_sync", "deliveries"),
                )
            )


def reasons(room: Any) -> list[str]:
    """Why the plan waits, as it is looked at and as a run makes it, which are the same."""
    with room.warehouse.session() as session:
        looked_at = make_plan(SyncStore(session, room.sync)).limit_violations
    run = room.run()
    assert (run.report is None) == bool(run.plan.limit_violations)
    assert run.plan.limit_violations == looked_at
    return list(looked_at)


def held(room: Any) -> str:
    with room.warehouse.session() as session:
        return hold_of(session, room.sync.name)


LOSSES = {
    "dropped": ("drop table {ledger}",),
    "emptied": ("delete from {ledger} where true",),
    "dropped long after": ("drop table {ledger}", "delete from {deliveries} where true"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_ledger_waits_until_its_plan_is_approved(customers: Any, braze: Any, loss: str) -> None:
    sent = len(braze.received)
    change(customers, *LOSSES[loss])
    for _ in range(2):
        [reason] = reasons(customers)
        assert f"braze_sync.{LEDGER} was lost or emptied" in reason
        assert "restore" in reason and "ledger rebuild braze_customers" in reason and "approve" in reason
    assert len(braze.received) == sent
    plan = customers.run().plan.plan_id
    assert customers.run(approved_plan=plan).report.complete
    assert (held(customers), reasons(customers), len(braze.received)) == ("", [], sent + 1)


def test_a_restored_ledger_waits_also_where_nothing_differs(customers: Any) -> None:
    """Braze may hold what was sent since the backup, though the model is back at what the backup has."""
    with customers.warehouse.session() as session:
        hold(session, customers.sync.name, f"{RESTORED}2026-11-20 10:00:00 UTC")
    [reason] = reasons(customers)
    assert "restored from the backup of 2026-11-20" in reason and "--restart" in reason
    customers.declare(attributes=(*customers.sync.attributes, CHANNEL))
    change(
        customers, "create or replace table {model} as select 'u1' as external_id, 1 as score, 'x' as channel"
    )
    some = customers.only("score")
    customers.run(attributes=some, approved_plan=customers.run(attributes=some).plan.plan_id)
    assert held(customers), "a plan of some attributes says nothing of the others"
    customers.run(approved_plan=customers.run().plan.plan_id)
    assert (held(customers), reasons(customers)) == ("", [])


def test_a_ledger_that_never_got_a_value_is_not_lost(room: Any) -> None:
    """As a run leaves it that was killed before Braze answered."""
    room.declare(limits=UNLIMITED)
    room.users(3)
    with (
        room.warehouse.session() as session,
        held_store(session, room.sync, "a test", wait_seconds=0) as store,
    ):
        prepare_tables(store)
        store.record_applied("a plan", "killed", users=3, objects=3)
    assert room.plan().limit_violations == [] and held(room) == ""
    assert room.run().report.complete


def test_users_who_were_erased_do_not_make_a_ledger_lost(customers: Any) -> None:
    change(
        customers,
        "delete from {ledger} where true",
        "update {deliveries} set _user = concat('erased:', _user) where true",
    )
    assert reasons(customers) == []


def test_a_hold_follows_the_name_of_the_sync(room: Any) -> None:
    room.declare(limits=UNLIMITED)
    room.users(3)
    assert room.run().report.complete
    room.sql("drop table braze_sync.ledger_braze_customers", "select 1")
    assert room.run().report is None and held(room) == LOST
    room.declare(name="renamed", formerly="braze_customers")
    assert room.run().report is None and held(room) == LOST
    rows = room.sql(f"select sync from braze_sync.declarations where attribute = '{HOLD_ROW}'")
    assert rows == [("renamed",)]


def test_reading_the_ledger_from_braze_ends_a_hold_once_nobody_is_left(tmp_path: Any) -> None:
    with sandbox_room.serve(tmp_path, 30) as room:
        objects = [{"external_id": f"x{i}", "score": i} for i in range(30)]
        room.request("POST", "/users/track", {"attributes": objects})
        room.declare(
            attributes=room.only("score"),
            existing_only=False,
            limits=dataclasses.replace(UNLIMITED, max_objects=None),
        )
        room.model("select 'x' || i as external_id, i + 1 as score from range(30) t(i)")
        assert room.run().report.complete
        room.model("select 'x' || i as external_id, i + 2 as score from range(30) t(i)")
        with room.warehouse.session() as session:
            hold(session, room.sync.name, f"{RESTORED}2026-11-20 10:00:00 UTC")
        assert read(room, 100) == 0
        assert "restored" in room.run().plan.limit_violations[0], "users in the ledger were not asked for"
        assert read(room, 10, restart=True) == 20
        assert "users are left" in room.run().plan.limit_violations[0]
        assert read(room, 10) == 10
        assert room.run().report is None
        assert read(room, 10) == 0
        run = room.run()
        assert run.report.complete and run.plan.attributes["score"].changed == 30
        room.sql(f"delete from braze_sync.{LEDGER}", "select 1")
        assert read(room, 10) == 20
        assert "users are left" in room.plan().limit_violations[0]
        assert read(room, 100) == 0 and room.run().plan.objects == 0


def read(room: Any, most: int, *, restart: bool = False) -> int:
    with room.warehouse.session() as session:
        return rebuild(session, room.sync, room.settings, max_users=most, restart=restart).left
