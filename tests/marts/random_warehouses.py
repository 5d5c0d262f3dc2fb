"""Two warehouses with the same random events, one built as a whole and one by increments.

The second is built on a first part, then gets the rest: hours that follow, files that come late into old hours, an old
hour that had none, an hour that is loaded again; it is built incrementally, with the changed hours as the platform
hands them over.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from dbt_runs import run_dbt
from random_events import DAY, HOUR, RandomWorkspace, RawEvent, hours_of, write_raw

from braze_platform.marts.late_hours import (
    hours_that_follow,
    hours_with_copies,
    note_late_hours,
    raw_tables_by_type,
)
from braze_platform.marts.rebuild_window import ChangedHour, RebuildWindow, hour_ranges, models_of
from braze_platform.settings import Settings
from braze_platform.warehouse.registry import DELIVERIES
from braze_platform.warehouse.sql import DuckDBSql
from braze_platform.warehouse.targets import warehouse_of

LAST_HOUR = datetime(2026, 11, 14, 23)
DUPLICATES_LOOK_BACK = 7 * DAY
_UNKNOWN_PRICES = "values_are_known_fct_purchases_v1_price__currency"


def _moment(hour: datetime) -> str:
    return hour.strftime("%Y-%m-%d %H:%M:%S")


def rebuild_ranges(changed: Iterable[datetime]) -> list[list[str]]:
    """Changed hours as the platform hands them over: each with the days after it in which copies may lie."""
    ranges: list[list[datetime]] = []
    for hour in sorted(changed):
        last = min(hour + DUPLICATES_LOOK_BACK, LAST_HOUR)
        if ranges and hour <= ranges[-1][1] + HOUR:
            ranges[-1][1] = max(ranges[-1][1], last)
        else:
            ranges.append([hour, last])
    return [[_moment(first), _moment(last)] for first, last in ranges]


@dataclass(frozen=True)
class Change:
    """What the incremental warehouse has at first, and what it gets afterwards."""

    at_first: list[RawEvent]
    afterwards: list[RawEvent]
    loaded_again: datetime
    changed_hours: list[datetime]


def _split(events: list[RawEvent]) -> Change:
    """Three days follow; half of what three hours had comes late; one hour comes late as a whole; one comes again.

    One of the late hours is very old, the others lie in the last two weeks: in between there is history that the second
    build must leave alone, and must not have to look at.
    """
    choice = random.Random(11)
    follow_from = LAST_HOUR - 3 * DAY
    old = [hour for hour in hours_of(events) if hour <= follow_from]
    recent = [hour for hour in old if hour > LAST_HOUR - 9 * DAY]
    late = {*choice.sample(recent, 2), choice.choice(old[:40])}
    whole = choice.choice([hour for hour in recent if hour not in late])
    again = choice.choice([hour for hour in recent if hour not in late | {whole}])
    afterwards = [
        event
        for event in events
        if event.hour > follow_from or event.hour == whole or (event.hour in late and choice.random() < 0.5)
    ]
    held_back = {id(event) for event in afterwards}
    return Change(
        at_first=[event for event in events if id(event) not in held_back],
        afterwards=afterwards,
        loaded_again=again,
        changed_hours=[*hours_of(afterwards), again],
    )


def _dbt_build(settings: Settings, window: RebuildWindow | None = None) -> None:
    result = run_dbt(settings, "build", "--quiet", "--exclude-resource-type", "unit_test", window=window)
    # Some purchases are in currencies without a rate; a test that fails keeps no model from being built.
    bad = [
        one["unique_id"]
        for one in _target(settings, "run_results.json")["results"]
        if one["status"] not in ("success", "pass", "warn", "no-op")
    ]
    assert [one.split(".")[2] for one in bad] == [_UNKNOWN_PRICES], (
        result.stdout[-20_000:] + result.stderr[-5_000:]
    )


def _write_customers(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "create schema company; "
        "create table company.users as select 'x' || i as user_id, 'mail' as email, 'GB' as country, "
        "timestamp '2026-01-01' as signed_up_at, true as marketing_consent from range(240) t(i); "
        "create table company.orders as select 'o' || i as order_id, 'x' || (i % 200) as user_id, "
        "timestamp '2026-09-01' + to_days(cast(i % 60 as integer)) as ordered_at, 'toys' as category, "
        "'EUR' as currency, 10.5 + i as amount, 'completed' as status from range(400) t(i)"
    )


def _write_deliveries(connection: duckdb.DuckDBPyConnection, *, second_part: bool) -> None:
    """Attribute values sent to users: two rounds at first; then one that was committed late, and a third round."""
    connection.execute("create schema if not exists braze_sync")
    connection.execute(DuckDBSql().create_table(DELIVERIES))
    rounds = [(20, 0, 200), (30, 0, 200)] if not second_part else [(30, 200, 220), (40, 0, 240)]
    for day, first, last in rounds:
        connection.execute(
            "insert into braze_sync.deliveries select 'a_sync', 'run', 1, 'x' || i, '', "
            '\'[{"attribute":"segment","hash":"h","value":"\' || (i * $day % 7 % 2) || \'"},'
            '{"attribute":"score","hash":"h","value":\' || (i * $day % 90) || \'}]\', '
            "case when i % 11 = 0 then 'rejected' else 'delivered' end, 201, 1, '', "
            "timestamp '2026-09-20' + to_days($day) - to_hours($late) from range($first, $last) t(i)",
            {"day": day, "first": first, "last": last, "late": 5 if first else 0},
        )


@dataclass(frozen=True)
class Warehouses:
    """The two finished warehouses in a folder, and the project's models with the SQL that the incremental build ran."""

    folder: Path

    @cached_property
    def events(self) -> list[RawEvent]:
        """All events that both of them hold."""
        return random_workspace().events

    @cached_property
    def whole(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(_settings(self.folder, "whole").duckdb_path), read_only=True)

    @cached_property
    def increments(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(_settings(self.folder, "increments").duckdb_path), read_only=True)

    @cached_property
    def models(self) -> dict[str, dict[str, Any]]:
        """The project's models by name, as dbt's manifest describes them."""
        return _models(_settings(self.folder, "whole"))

    @cached_property
    def compiled(self) -> dict[str, str]:
        """By model, the SQL of the incremental build."""
        results = _target(_settings(self.folder, "increments"), "run_results.json")
        return {
            result["unique_id"].split(".")[2]: result["compiled_code"] or ""
            for result in results["results"]
            if result["unique_id"].startswith("model.")
        }

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query in the warehouse that was built as a whole."""
        return self.whole.execute(sql).fetchall()

    def rows(self, warehouse: duckdb.DuckDBPyConnection, model: dict[str, Any]) -> Counter[str]:
        """A model's rows as texts, floats rounded; of daily snapshots those of the latest day.

        A snapshot of an earlier day cannot be recreated: a whole build has the latest one only.
        """
        relation = f"{model['schema']}.{model['name']}"
        described = warehouse.execute(f"describe {relation}").fetchall()
        columns = [
            f'round("{name}", 6) as "{name}"' if kind == "DOUBLE" else f'"{name}"'
            for name, kind, *_ in described
        ]
        day = model["config"]["meta"].get("rebuild", {}).get("snapshot")
        where = f" where {day} = (select max({day}) from {relation})" if day else ""
        return Counter(
            map(repr, warehouse.execute(f"select {', '.join(columns)} from {relation}{where}").fetchall())
        )

    def differences(self, model: dict[str, Any]) -> list[str]:
        """Rows that only one of the two has, some of them, as text."""
        whole, increments = self.rows(self.whole, model), self.rows(self.increments, model)
        sides = (("only whole", whole - increments), ("only increments", increments - whole))
        return [
            f"{model['name']}: {len(rows)} of {len(whole)} rows {title}, e.g. {sorted(rows)[:3]}"
            for title, rows in sides
            if rows
        ]


def random_workspace() -> RandomWorkspace:
    return RandomWorkspace(seed=7, last_hour=LAST_HOUR)


def _settings(folder: Path, name: str) -> Settings:
    return Settings(state_dir=folder / name)


def _target(settings: Settings, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((settings.dbt_target_dir / name).read_text(encoding="utf-8"))
    return found


def _models(settings: Settings) -> dict[str, dict[str, Any]]:
    return {
        node["name"]: node
        for node in _target(settings, "manifest.json")["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    }


def _prepare(folder: Path, name: str) -> Settings:
    settings = _settings(folder, name)
    settings.state_dir.mkdir()
    return settings


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(settings.duckdb_path))


def _window(settings: Settings, incremental: list[str], change: Change) -> RebuildWindow:
    """What the platform passes: hours in which copies of late events lie are reprocessed, or looked at, too."""
    manifest = _target(settings, "manifest.json")
    tables = raw_tables_by_type(manifest["sources"].values())
    models = models_of(manifest, {})
    changes = [ChangedHour(name, hour, 1) for name in tables for hour in change.changed_hours]
    with warehouse_of(settings).session() as session:
        note_late_hours(session, tables, None, DUPLICATES_LOOK_BACK)
        followers = hours_that_follow(session, changes, DUPLICATES_LOOK_BACK)
        ranges = {}
        for name in incremental:
            hours = {one.hour for one in [*changes, *followers] if one.event_type in models[name].event_types}
            ranges[name] = hour_ranges(hours, DUPLICATES_LOOK_BACK, LAST_HOUR)
        reads = {name: models[name].reads for name in incremental}
        copies = hours_with_copies(session, reads, ranges, DUPLICATES_LOOK_BACK)
    return RebuildWindow(ranges, {}, LAST_HOUR, copies=copies)


def build_warehouses(folder: Path) -> None:
    """Both warehouses, in an empty folder; dbt runs three times."""
    events = random_workspace().events
    change = _split(events)

    whole = _prepare(folder, "whole")
    with _connect(whole) as connection:
        _write_customers(connection)
        _write_deliveries(connection, second_part=False)
        _write_deliveries(connection, second_part=True)
        write_raw(connection, events)
    _dbt_build(whole)
    incremental = [
        name for name, node in _models(whole).items() if node["config"]["materialized"] == "incremental"
    ]

    increments = _prepare(folder, "increments")
    with _connect(increments) as connection:
        _write_customers(connection)
        _write_deliveries(connection, second_part=False)
        write_raw(connection, change.at_first)
    _dbt_build(increments)
    again = [event for event in change.at_first if event.hour == change.loaded_again]
    with _connect(increments) as connection:
        for table in {event.event_type.table for event in again}:
            connection.execute(f"delete from currents_raw.{table} where _hour = ?", [change.loaded_again])
        _write_deliveries(connection, second_part=True)
        write_raw(connection, [*again, *change.afterwards])
    _dbt_build(increments, _window(increments, incremental, change))
