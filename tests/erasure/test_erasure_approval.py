"""More people than may go unasked wait for somebody who looks; what looks writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from braze_platform.erasure.command import command
from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.erasure.search import Found
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.targets import warehouse_of

NOBODY = PersonalColumns(frozenset(), {}, {})


@pytest.fixture
def warehouse(settings_of_either: Settings, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    settings = settings_of_either.replace(max_erased_people=2)
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    made = warehouse_of(settings)
    with made.session() as session:
        session.create_schema("currents_raw", "A test's.")
        for table, columns in (
            ("users_user_delete_request", "id string, user_id string, _hour timestamp"),
            ("opens", "id string, user_id string, external_user_id string, _hour timestamp"),
        ):
            session.execute(f"create table {session.sql.table('currents_raw', table)} ({columns})")
        delete(session, "b-gone-1", "b-gone-2")
    return made


def delete(session: Session, *braze_ids: str) -> None:
    requests, opens = (
        session.sql.table("currents_raw", table) for table in ("users_user_delete_request", "opens")
    )
    for braze_id in braze_ids:
        hour = "timestamp '2026-11-10 01:00:00'"
        session.execute(f"insert into {requests} values ('d', '{braze_id}', {hour})")
        session.execute(f"insert into {opens} values ('o', '{braze_id}', 'shop-of-{braze_id}', {hour})")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def found(warehouse: Warehouse) -> list[Any]:
    with warehouse.session() as session:
        return session.fetch(
            f"select distinct user_id from {session.sql.table('currents_raw', 'opens')} "
            "where user_id like 'b-gone%' order by 1"
        )


def test_a_few_go_unasked(warehouse: Warehouse) -> None:
    done = erase(warehouse, NOBODY, limit=2)
    assert (done.people, done.waiting, done.left) == (2, 0, Found())
    assert found(warehouse) == []
    assert invoke("plan").output == "Nobody is to be erased.\n"


def test_many_wait_until_they_are_approved(warehouse: Warehouse) -> None:
    with warehouse.session() as session:
        delete(session, "b-gone-3")
    done = erase(warehouse, NOBODY, limit=2)
    assert (done.people, done.waiting) == (0, 3)
    assert len(found(warehouse)) == 3
    plan = json.loads(invoke("plan", "--json").output)
    assert plan == {
        "people": 3,
        "waiting": 3,
        "identities": {"braze_id": 3, "external_id": 3},
        "rows": {"currents_raw.opens": 3, "currents_raw.users_user_delete_request": 3},
    }
    assert "erasure approve --people 3" in invoke("plan").output
    refused = invoke("approve", "--people", "2")
    assert refused.exit_code == 1
    assert "3 people would be erased, not 2" in refused.output
    assert invoke("approve", "--people", "3").exit_code == 0
    with warehouse.session() as session:
        delete(session, "b-gone-4")
    # those who come after the approval are counted by themselves
    done = erase(warehouse, NOBODY, limit=2)
    assert (done.people, done.waiting, done.left) == (4, 0, Found())
    assert found(warehouse) == []


def test_whose_erasure_has_begun_wait_for_nothing(warehouse: Warehouse) -> None:
    """Somebody of whom a trace is left is counted no more, and goes on while others wait."""
    with warehouse.session() as session:
        session.execute(f"create table {session.sql.table('currents_raw', 'notes')} (note string)")
        session.execute(
            f"insert into {session.sql.table('currents_raw', 'notes')} values ('to shop-of-b-gone-1')"
        )
    assert erase(warehouse, NOBODY, limit=2).left == Found(traces={"currents_raw.notes": 1})
    with warehouse.session() as session:
        delete(session, "b-gone-3", "b-gone-4")
    assert json.loads(invoke("plan", "--json").output)["waiting"] == 0
    with warehouse.session() as session:
        delete(session, "b-gone-5")
        session.execute(f"delete from {session.sql.table('currents_raw', 'notes')} where true")
    done = erase(warehouse, NOBODY, limit=2)
    assert (done.people, done.waiting, done.left) == (2, 3, Found())
    assert found(warehouse) == [("b-gone-3",), ("b-gone-4",), ("b-gone-5",)]


def test_a_look_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(state_dir=tmp_path)
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert invoke("plan").output == "Nobody is to be erased.\n"
    with warehouse_of(settings).session() as session:
        assert session.fetch("select table_name from information_schema.tables") == []
