"""Deleted users are never sent; attributes that the workspace would not take as declared stop, alone."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from braze_platform.sync.asset_keys import attribute_key
from braze_platform.sync.assets import sync_assets
from braze_platform.sync.declaration.sync import Identifier


def workspace(room: Any, *attributes: tuple[str, str, str]) -> None:
    rows = ", ".join(f"('{name}', '{kind}', '{status}')" for name, kind, status in attributes)
    room.sql(
        "create schema if not exists braze_workspace",
        "create or replace table braze_workspace.custom_attributes as select *, null::timestamp as valid_to "
        f"from (values {rows}) t(attribute_name, data_type, status)",
        "select 1",
    )


def delete(room: Any, *users: str) -> None:
    listed = ", ".join(f"('{user}', true)" for user in users)
    room.sql(
        "create schema if not exists intermediate",
        "create or replace table intermediate.int_external_identity as "
        "select *, external_id as surviving_external_id, true as is_seen_in_currents "
        f"from (values {listed}, ('user-0', false)) t(external_id, is_deleted)",
        "select 1",
    )


@pytest.mark.parametrize("disappear", ["keep", "clear"])
def test_a_deleted_user_is_never_sent(room: Any, braze: Any, disappear: str) -> None:
    room.declare(when_row_disappears=disappear)
    room.users(10)
    delete(room, "user-3")
    run = room.run()
    assert run.report.complete and run.plan.objects == 9
    delete(room, "user-3", "user-4", "user-5")
    room.users(5, score="i + 1")
    run = room.run()
    sent = {entry["external_id"] for objects in braze.received[1:] for entry in objects}
    assert not sent & {"user-3", "user-4", "user-5"}
    assert "user-1" in sent and ("user-6" in sent) == (disappear == "clear")
    assert room.run().plan.objects == 0


def test_a_merged_user_leaves_the_ledger_and_is_sent_anew_when_made_again(room: Any, braze: Any) -> None:
    room.users(3)
    delete(room, "nobody")
    assert room.run().plan.objects == 3
    room.sql(
        "insert into intermediate.int_external_identity values ('user-1', false, 'user-2', true)", "select 1"
    )
    room.users(1)  # the model follows the survivor
    assert room.run().plan.objects == 0
    assert room.sql("select _user from braze_sync.ledger_braze_customers order by 1") == [
        ("user-0",),
        ("user-2",),
    ]
    room.sql("update intermediate.int_external_identity set surviving_external_id = external_id", "select 1")
    room.users(3)
    sent_before = len(braze.received)
    assert room.run().plan.objects == 1
    assert [entry["external_id"] for objects in braze.received[sent_before:] for entry in objects] == [
        "user-1"
    ]


def test_an_identifier_that_currents_does_not_name_is_sent_as_it_is(room: Any) -> None:
    room.declare(identifier=Identifier("user_alias", ("external_id", "channel")))
    room.model("select 'user-' || i as external_id, 'crm' as channel, i as score from range(3) t(i)")
    room.declare(attributes=room.only("score"))
    delete(room, "user-1")
    assert room.plan().objects == 3


def test_attributes_of_another_type_or_on_the_blocklist_stop_alone(room: Any, braze: Any) -> None:
    workspace(
        room,
        ("score", "String (Automatically Detected)", "Active"),
        ("seen_at", "Date", "Blocklisted"),
        ("channel", "String (Automatically Detected)", "Active"),
    )
    room.users(20)
    run = room.run()
    assert run.report.complete
    assert set(run.stopped) == {"score", "seen_at"}
    assert "String" in run.stopped["score"] and "blocklist" in run.stopped["seen_at"]
    assert braze.profiles["user-1"] == {"channel": "email"}
    workspace(room, ("score", "Number", "Active"), ("seen_at", "", "Active"), ("channel", "String", "Active"))
    assert room.run().stopped == {}
    assert braze.profiles["user-1"]["score"] == 1


def test_a_stopped_attribute_fails_its_check_and_the_run(room: Any, braze: Any) -> None:
    workspace(room, ("score", "String", "Active"))
    room.users(5)
    result = dg.materialize(
        [sync_assets(room.sync, room.settings)],
        instance=dg.DagsterInstance.ephemeral(),
        resources=room.resources,
        raise_on_error=False,
    )
    assert not result.success
    checks = {(c.asset_key, c.check_name): c.passed for c in result.get_asset_check_evaluations()}
    assert checks[attribute_key("score"), "type_matches_braze"] is False
    assert checks[attribute_key("channel"), "type_matches_braze"] is True
    materialised = {e.asset_key for e in result.get_asset_materialization_events()}
    assert attribute_key("channel") in materialised and attribute_key("score") not in materialised
    assert len(braze.profiles) == 5


def test_a_sync_whose_attributes_all_stop_sends_nothing(room: Any, braze: Any) -> None:
    workspace(
        room, ("score", "String", "Active"), ("seen_at", "Number", "Active"), ("channel", "Number", "Active")
    )
    room.users(5)
    run = room.run()
    assert len(run.stopped) == 3 and run.plan.objects == 0 and run.report.complete
    assert braze.received == []
