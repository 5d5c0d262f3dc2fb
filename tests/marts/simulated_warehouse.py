"""All models, built by dbt on what a small sandbox delivered, and beside them the records of its Avro files.

The sandbox's people get the attributes that fit them after a history of broadcasts; two days follow in which half of
the campaigns choose by these attributes. The deliveries are those that a sync would have written at that midnight.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
from dbt_runs import dbt
from simulated_sandbox import UNTIL, Bucket, give_attributes, read_bucket, right_attributes, simulate

from braze_platform.company.exports import COMPANY_TABLES, load_export
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.loader import load
from braze_platform.currents.targets import bucket_of
from braze_platform.sandbox.world.people import People
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.ledger.actions import Action, delivery_values
from braze_platform.warehouse.registry import DELIVERIES
from braze_platform.warehouse.sql import DuckDBSql
from braze_platform.warehouse.targets import warehouse_of

Record: TypeAlias = "dict[str, Any]"
USERS, HISTORY_DAYS, DAYS_AFTER = 1_500, 6, 2
SYNC = "fitting_attributes"
#: The moment of the deliveries: the midnight after the history.
DELIVERED_AT = datetime.combine(UNTIL, time())
_SPECS = [
    AttributeSpec("favourite_category", "string"),
    AttributeSpec("preferred_channel", "string"),
    AttributeSpec("best_send_hour", "integer"),
    AttributeSpec("fatigue_level", "string"),
    AttributeSpec("value_segment", "string"),
]


@dataclass(frozen=True)
class SimulatedWarehouse:
    """A finished build, the truth that the sandbox tells of its campaigns, and what its files hold."""

    settings: Settings
    truth: dict[str, Any]
    bucket: Bucket

    def rows(self, sql: str) -> list[Record]:
        """The rows of a query, each by column name."""
        with duckdb.connect(str(self.settings.duckdb_path), read_only=True) as connection:
            found = connection.execute(sql)
            names = [column[0] for column in found.description or []]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def records(self, event_type: str) -> list[Record]:
        """Each event of a type once, without the dashboard's test events: those know no user of the sandbox."""
        return [record for record in self.bucket.distinct(event_type) if record["user_id"] in self.users]

    @cached_property
    def users(self) -> set[str]:
        """Braze ids of everybody in the sandbox."""
        return {
            row["braze_user_id"] for row in self.rows("select braze_user_id from marts.dim_user_identity")
        }

    @cached_property
    def merged_into(self) -> dict[str, tuple[str, int]]:
        """By a merged profile, the survivor and the second of the merge."""
        return {
            record["user_id"]: (record["orphaned_by_id"], record["time"])
            for record in self.bucket.distinct("users.UserOrphan")
        }

    def person(self, braze_user_id: str) -> str:
        """The profile in which a profile's history lives now."""
        while braze_user_id in self.merged_into:
            braze_user_id = self.merged_into[braze_user_id][0]
        return braze_user_id

    def people(self, records: list[Record]) -> set[str]:
        """The people of some records."""
        return {self.person(record["user_id"]) for record in records}


def make(folder: Path) -> None:
    """Simulate, load and build into a folder; `opened` finds it again."""
    settings = Settings(state_dir=folder)
    simulation = simulate(settings, users=USERS, days=HISTORY_DAYS)
    give_attributes(simulation.store, simulation.people)
    simulation.run(simulation.ask_advance(DAYS_AFTER))
    warehouse = warehouse_of(settings)
    load(
        warehouse,
        bucket_of(settings),
        settings.currents_prefix,
        list(catalogue()),
        date(2026, 9, 1),
        date(2026, 9, 30),
    )
    for table in COMPANY_TABLES:
        load_export(warehouse, table, settings.company_exports_dir)
    _write_deliveries(settings, simulation.people)
    dbt(settings, "build", "--exclude-resource-type", "unit_test")
    (folder / "truth.pickle").write_bytes(pickle.dumps(simulation.truth()))
    simulation.close()


def opened(folder: Path) -> SimulatedWarehouse:
    """What `make` left in a folder."""
    settings = Settings(state_dir=folder)
    truth = pickle.loads((folder / "truth.pickle").read_bytes())
    return SimulatedWarehouse(settings, truth, read_bucket(settings))


def _write_deliveries(settings: Settings, people: People) -> None:
    specs, actions = _SPECS, Action.CHANGED * len(_SPECS)
    carried = []
    for person in range(len(people.external_ids)):
        values = right_attributes(people, person)
        changes = [(position, None, values[spec.name]) for position, spec in enumerate(specs)]
        carried.append(delivery_values(specs, actions, changes, is_operator=False, with_values=True))
    rows = pa.table(
        {"_user": pa.array(people.external_ids, pa.string()), "carried": pa.array(carried, pa.string())}
    )
    with duckdb.connect(str(settings.duckdb_path)) as connection:
        connection.register("carried", rows)
        connection.execute("create schema if not exists braze_sync")
        connection.execute(DuckDBSql().create_table(DELIVERIES))
        connection.execute(
            "insert into braze_sync.deliveries select ?, 'run', 1, _user, '', carried, 'delivered', 201, 1, '', ? "
            "from carried",
            [SYNC, DELIVERED_AT],
        )
