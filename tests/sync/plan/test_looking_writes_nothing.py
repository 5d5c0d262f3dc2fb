"""A plan that is only looked at is made of reading statements, whatever a run would do first."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from contended_sync import PEOPLE, Room, everything

from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.planning import make_plan

_READING = ("select", "with")


class Recorded:
    """A session that keeps every statement, and the names of its methods that write in other ways."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.statements: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("create_schema", "attached", "transaction"):
            self.statements.append(name)
        return getattr(self._session, name)

    def execute(self, sql: str, parameters: Any = None) -> None:
        self.statements.append(sql)
        self._session.execute(sql, parameters)

    def fetch(self, sql: str, parameters: Any = None) -> Any:
        self.statements.append(sql)
        return self._session.fetch(sql, parameters)

    def fetch_batches(self, sql: str, parameters: Any = None, *, rows: int = 50_000) -> Any:
        self.statements.append(sql)
        return self._session.fetch_batches(sql, parameters, rows=rows)


def test_looking_at_users_of_whom_nobody_knows_writes_nothing(sending: Room) -> None:
    inner = sending.inner
    limits = dataclasses.replace(inner.sync.limits, max_lookups=0)
    inner.declare(existing_only=True, limits=limits)
    sending.run()
    sending.model(1)
    tables = everything(sending)
    assert tables["existence"][1] == [(PEOPLE,)]
    with sending.warehouse.session() as session:
        recorded = Recorded(session)
        plan = make_plan(SyncStore(recorded, inner.sync))  # type: ignore[arg-type]
        assert [s for s in recorded.statements if not s.lstrip().lower().startswith(_READING)] == []
    assert everything(sending) == tables
    assert (plan.users_unconfirmed, plan.objects) == (PEOPLE, PEOPLE)


@pytest.mark.parametrize("state", ["nothing was ever sent", "a merged user", "another type and a new one"])
def test_looking_writes_nothing(sending: Room, state: str) -> None:
    inner = sending.inner
    merged = sending.users[0]
    if state != "nothing was ever sent":
        sending.run()
        with sending.warehouse.session() as session:
            session.create_schema("intermediate", "Tests")
            session.execute(
                f"create table {session.sql.table('intermediate', 'int_external_identity')} as "
                f"select '{merged}' as external_id, 'survivor' as surviving_external_id, "
                "true as is_seen_in_currents, false as is_deleted"
            )
        sending.users.remove(merged)
        sending.model(1)
        sending.run()
        inner.execute(f"insert into braze_sync.ledger_braze_customers (_user, score) values ('{merged}', 3)")
    if state == "another type and a new one":
        specs = inner.sync.attributes
        inner.declare(
            attributes=(
                dataclasses.replace(specs[0], type="string"),
                specs[1],
                dataclasses.replace(specs[1], name="added"),
            )
        )
        inner.model(
            "select external_id, cast(score as string) as score, channel, channel as added "
            "from attributes.braze_customers"
        )
    tables = everything(sending)
    with sending.warehouse.session() as session:
        recorded = Recorded(session)
        plan = make_plan(SyncStore(recorded, inner.sync))  # type: ignore[arg-type]
        assert recorded.statements
        assert [s for s in recorded.statements if not s.lstrip().lower().startswith(_READING)] == []
    assert everything(sending) == tables
    assert plan.users_in_ledger == (0 if state == "nothing was ever sent" else PEOPLE - 1)
    if state == "a merged user":
        assert plan.objects == 0
        assert plan.first == ["forget 1 users whose profiles were merged into others"]
    if state == "another type and a new one":
        assert [first.split(";")[0] for first in plan.first] == [
            "bring the acknowledged values of score to the type string",
            "forget 1 users whose profiles were merged into others",
        ]
        assert plan.attributes["added"].new == PEOPLE - 1
