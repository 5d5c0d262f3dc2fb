"""What the tests of this room share: a model in a real DuckDB file, its sync, and one-line runs of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fake_braze import KEY
from installation import Installation

from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec, Identifier, PlanLimits, Sync
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.run import RunOptions, SyncRun, run_sync

CUSTOMERS = Sync(
    name="braze_customers",
    schema="attributes",
    table="braze_customers",
    file="models/attributes/customers.yml",
    folder="attributes",
    transport="track",
    identifier=Identifier("external_id", ("external_id",)),
    attributes=(
        AttributeSpec("score", "integer", "clear"),
        AttributeSpec("channel", "string", "clear"),
        AttributeSpec("seen_at", "timestamp", "skip"),
    ),
    # The fake Braze creates whom it does not have; who must exist already has tests of its own.
    existing_only=False,
    # First plans of any size run by themselves; their limit has tests of its own.
    limits=PlanLimits(max_first_users=10_000_000),
)


class SyncRoom(Installation):
    """An installation with a model and its sync."""

    #: Shorter, for the many statements of this room.
    sql = Installation.fetch

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        braze = Settings(state_dir=folder, braze_rest_url=url, braze_api_key=KEY, braze_concurrency=4)
        super().__init__(braze.replace(duckdb_threads=1, duckdb_memory_limit="500MB"))
        self.sync = CUSTOMERS

    def declare(self, **changes: Any) -> None:
        self.sync = dataclasses.replace(self.sync, **changes)

    def model(self, select: str) -> None:
        with self.warehouse.session() as session:
            session.create_schema("attributes", "Tests")
        self.execute(f"create or replace table attributes.braze_customers as {select}")

    def users(self, count: int, score: str = "i % 101") -> None:
        self.model(
            f"select 'user-' || i as external_id, cast({score} as bigint) as score, "
            "case when i % 10 = 0 then null else 'email' end as channel, "
            f"timestamp '2026-11-01 08:00:00' + interval (i) second as seen_at from range({count}) t(i)"
        )

    def plan(self, **options: Any) -> Plan:
        with self.warehouse.session() as session:
            return make_plan(SyncStore(session, self.sync), **options)

    def run(self, run_id: str = "run", **options: Any) -> SyncRun:
        """One run, before which `approved_plan` is approved as the command does it."""
        if approved := options.pop("approved_plan", None):
            self.approve(approved)
        with self.warehouse.session() as session:
            return run_sync(session, self.sync, self.settings, run_id, RunOptions(**options))

    def approve(self, plan_id: str) -> None:
        with self.warehouse.session() as session:
            SyncStore(session, self.sync).approve(plan_id)

    def only(self, *names: str) -> tuple[AttributeSpec, ...]:
        return self.sync.only(set(names))
