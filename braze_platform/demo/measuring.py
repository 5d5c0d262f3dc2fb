"""What one round of the loop did, read from the warehouse, from Dagster's event log and from the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster import AssetKey, AssetRecordsFilter, DagsterInstance, DagsterRunStatus, RunsFilter

from braze_platform.currents.catalogue import catalogue
from braze_platform.demo.local_loop import LocalLoop
from braze_platform.settings import Settings
from braze_platform.warehouse import raw_tables
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import FILES, QUARANTINE
from braze_platform.warehouse.targets import warehouse_of

#: What an attribute's materialisation counts, in the order of the summary.
ATTRIBUTE_COUNTS = ("new", "changed", "cleared", "unchanged", "delivered", "rejected", "due")


@dataclass(frozen=True)
class WarehouseCounts:
    """Totals of the way in, over everything loaded so far."""

    event_types: int
    files: int
    rows: int
    duplicates: int
    quarantined: int
    unknown_event_types: tuple[str, ...]


@dataclass(frozen=True)
class Round:
    """One round of the loop; the warehouse's and the sandbox's counts are totals at its end."""

    number: int
    warehouse: WarehouseCounts
    sandbox: Mapping[str, Any]
    #: Attribute name to its counts (see `ATTRIBUTE_COUNTS`), summed over the round's materialisations.
    attributes: Mapping[str, Mapping[str, int]]
    #: Requests that the sandbox accepted since it was started.
    requests: int
    #: Dagster runs of the round by status.
    runs: Mapping[str, int]

    @property
    def values_delivered(self) -> int:
        """Attribute values that Braze acknowledged in the round."""
        return sum(counts["delivered"] for counts in self.attributes.values())


def measure_round(loop: LocalLoop, number: int, *, since: float) -> Round:
    """Measure a round that began at `since` (epoch seconds) and has come to rest."""
    if loop.instance is None:
        raise RuntimeError("Dagster is not started, so there is no round to measure.")
    sandbox = loop.sandbox_get("/sandbox/state")
    return Round(
        number=number,
        warehouse=warehouse_counts(loop.settings),
        sandbox=sandbox,
        attributes=attribute_counts(loop.instance, since),
        requests=int(sandbox["requests"]["accepted"]),
        runs=run_counts(loop.instance, since),
    )


def warehouse_counts(settings: Settings) -> WarehouseCounts:
    """Totals of the raw tables, the file registry and the quarantine."""
    with warehouse_of(settings).session() as session:
        files_table = FILES.ref(session.sql)
        quarantine_table = QUARANTINE.ref(session.sql)
        rows = duplicates = 0
        for table in session.table_names(raw_tables.SCHEMA):
            delivered, distinct = session.fetch(
                f"select count(*), count(distinct id) from {session.sql.table(raw_tables.SCHEMA, table)}"
            )[0]
            rows += delivered
            duplicates += delivered - distinct
        files, event_types = session.fetch(
            f"select count(*), count(distinct event_type) from {files_table} where object_key <> ''"
        )[0]
        return WarehouseCounts(
            event_types=event_types,
            files=files,
            rows=rows,
            duplicates=duplicates,
            quarantined=session.fetch(f"select count(*) from {quarantine_table} where resolved_at is null")[
                0
            ][0],
            unknown_event_types=_unknown_event_types(session, files_table),
        )


def _unknown_event_types(session: Session, files_table: str) -> tuple[str, ...]:
    loaded = {name for (name,) in session.fetch(f"select distinct event_type from {files_table}")}
    return tuple(sorted(loaded - set(catalogue())))


def attribute_counts(instance: DagsterInstance, since: float) -> dict[str, dict[str, int]]:
    """Counts per attribute, summed over what was materialised after `since`."""
    counts: dict[str, dict[str, int]] = {}
    for key in instance.all_asset_keys():
        if list(key.path[:2]) == ["braze", "user_attributes"]:
            counts[key.path[2]] = _summed(instance, key, since)
    return counts


def _summed(instance: DagsterInstance, key: AssetKey, since: float) -> dict[str, int]:
    records = instance.fetch_materializations(
        AssetRecordsFilter(key, after_timestamp=since), limit=100
    ).records
    totals = dict.fromkeys(ATTRIBUTE_COUNTS, 0)
    for record in records:
        materialisation = record.asset_materialization
        if materialisation is None:
            continue
        for name in ATTRIBUTE_COUNTS:
            value = materialisation.metadata.get(name)
            totals[name] += int(str(value.value)) if value is not None else 0
    return totals


def run_counts(instance: DagsterInstance, since: float) -> dict[str, int]:
    """Runs made after `since` by status; a failed run that was started again counts as `retried`."""
    counts: dict[str, int] = {}
    records = [r for r in instance.get_run_records(RunsFilter()) if r.create_timestamp.timestamp() >= since]
    retried = {r.dagster_run.parent_run_id for r in records if r.dagster_run.parent_run_id}
    for record in records:
        run = record.dagster_run
        again = run.status is DagsterRunStatus.FAILURE and run.run_id in retried
        name = "retried" if again else run.status.value.lower()
        counts[name] = counts.get(name, 0) + 1
    return counts
