"""A sync that several clients of one warehouse want to write at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sandbox_room import SandboxRoom

from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.sandbox.world.people import make_people
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.seeding.rebuild import rebuild
from braze_platform.warehouse.duckdb import DuckDBSession
from braze_platform.warehouse.leases import hold_lease

PEOPLE = 60
#: Never waited for: the emulator of BigQuery is slow on a busy machine.
WAIT_SECONDS = 1_200.0
PERSONAL = PersonalColumns(
    fields=frozenset({"external_user_id"}),
    models={"braze_customers": frozenset({"external_id"})},
    schemas={"braze_customers": "attributes"},
)
ACTIONS = ("plan", "approve", "second run", "rebuild", "erasure", "cdi run")


class SharedDuckDB:
    """One DuckDB database to which any number of threads of this process have connections at once."""

    dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        self.connection = duckdb.connect(str(path))

    @contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        cursor = self.connection.cursor()
        try:
            cursor.execute("set timezone = 'UTC'")
            yield DuckDBSession(cursor)
        finally:
            cursor.close()

    def rewrite(self) -> None:
        """Other threads have the file open: their connections would go on with the old one."""


class Room:
    """A sync over people of the sandbox, on either target."""

    def __init__(self, inner: SandboxRoom) -> None:
        self.inner = inner
        self.settings = inner.settings
        self.warehouse = inner.warehouse
        self.users = list(make_people(7, PEOPLE).external_ids)
        with self.warehouse.session() as session:
            for schema in ("attributes", "currents_raw", "currents_ledger"):
                session.create_schema(schema, "Tests")
        inner.execute(
            "create table currents_raw.users_user_delete_request "
            "(user_id string, external_user_id string, _hour timestamp)"
        )
        self.model(0)

    def model(self, score: int) -> None:
        """Everybody's value of the model; a statement that replaces the whole table, as dbt does."""
        rows = " union all ".join(
            f"select '{user}' as external_id, {score + i} as score, 'email' as channel"
            for i, user in enumerate(self.users)
        )
        self.inner.execute(
            "create or replace table attributes.braze_customers as "
            f"select external_id, cast(score as bigint) as score, channel from ({rows}) as people"
        )
        self.wanted = {user: {"score": score + i, "channel": "email"} for i, user in enumerate(self.users)}

    def run(self, run_id: str = "run") -> Any:
        return self.inner.run(run_id)

    def act(self, action: str, wait_seconds: float) -> None:
        """What another client does to the sync."""
        inner = self.inner
        if action == "plan":
            inner.plan()
        elif action == "approve":
            with self.warehouse.session() as session:
                plan = make_plan(SyncStore(session, inner.sync))
                with hold_lease(session, inner.sync.name, "approve", wait_seconds=wait_seconds) as leased:
                    SyncStore(leased, inner.sync).approve(plan.plan_id)
        elif action == "rebuild":
            with self.warehouse.session() as session:
                rebuild(session, inner.sync, self.settings, max_users=1_000)
        elif action == "erasure":
            erase(self.warehouse, PERSONAL, limit=0, wait_seconds=wait_seconds)
        else:
            transport = "cdi" if action == "cdi run" else "track"
            sync = dataclasses.replace(inner.sync, transport=transport)
            other = type(inner).__new__(type(inner))
            other.__dict__.update(inner.__dict__ | {"sync": sync})
            other.run(action)

    def request_deletion(self, user: str) -> None:
        """Currents shows of a deleted user, who leaves the model, too."""
        self.users.remove(user)
        self.inner.execute(
            "insert into currents_raw.users_user_delete_request "
            f"values ('b-{user}', '{user}', timestamp '2026-11-01 08:00:00')"
        )

    def ledger(self) -> dict[str, dict[str, Any]]:
        rows = self.inner.fetch("select _user, score, channel from braze_sync.ledger_braze_customers")
        assert len({row[0] for row in rows}) == len(rows)
        return {user: {"score": score, "channel": channel} for user, score, channel in rows}


def everything(sending: Room) -> dict[str, Any]:
    """All tables of the syncs, but plans of runs, with their columns and numbers of rows."""
    with sending.warehouse.session() as session:
        return {
            name: (
                session.columns("braze_sync", name),
                session.fetch(f"select count(*) from {session.sql.table('braze_sync', name)}"),
            )
            for name in session.table_names("braze_sync")
            if not name.startswith("plan_")
        }
