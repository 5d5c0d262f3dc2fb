"""An incremental build gives exactly what a whole build gives, for every model of the project, whatever hours changed.

Two warehouses get the same random events. One is built as a whole. The other is built on a first part, then gets the
rest: hours that follow, files that come late into old hours, an old hour that had none, an hour that is loaded again;
it is built incrementally, with the changed hours as the platform hands them over.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from random_events import DAY, HOUR, RandomWorkspace, RawEvent, hours_of, write_raw

from braze_platform.attributes.ledger import DELIVERY_COLUMNS
from braze_platform.marts.dbt_environment import dbt_environment
from braze_platform.settings import Settings

LAST_HOUR = datetime(2026, 11, 14, 23)
DUPLICATES_LOOK_BACK = 7 * DAY


def _moment(hour: datetime) -> str:
    return hour.strftime("%Y-%m-%d %H:%M:%S")


def _redo(changed: Iterable[datetime]) -> list[list[str]]:
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


def _dbt_build(settings: Settings, redo: dict[str, Any]) -> None:
    environment = {
        "PATH": os.defpath,
        "HOME": str(settings.state_dir),
        **dbt_environment(settings),
        "BRAZE_PLATFORM_REDO": json.dumps(redo),
    }
    command = ["build", "--quiet", "--exclude-resource-type", "unit_test"]
    result = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), *command],
        cwd=settings.dbt_project_dir,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-5_000:]


def _write_customers(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "create schema service; "
        "create table service.users as select 'x' || i as user_id, 'mail' as email, 'GB' as country, "
        "timestamp '2026-01-01' as signed_up_at, true as marketing_consent from range(240) t(i); "
        "create table service.orders as select 'o' || i as order_id, 'x' || (i % 200) as user_id, "
        "timestamp '2026-09-01' + to_days(cast(i % 60 as integer)) as ordered_at, 'toys' as category, "
        "'EUR' as currency, 10.5 + i as amount, 'completed' as status from range(400) t(i)"
    )


def _write_deliveries(connection: duckdb.DuckDBPyConnection, *, second_part: bool) -> None:
    """Attribute values sent to users: two rounds at first; then one that was committed late, and a third round."""
    columns = ", ".join(f"{name} {kind}" for name, kind in DELIVERY_COLUMNS.items())
    connection.execute("create schema if not exists braze_sync")
    connection.execute(f"create table if not exists braze_sync.deliveries ({columns})")
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
    """The two finished warehouses, and the project's models with the SQL that the incremental build ran."""

    whole: duckdb.DuckDBPyConnection
    increments: duckdb.DuckDBPyConnection
    models: dict[str, dict[str, Any]]
    compiled: dict[str, str]

    def rows(self, warehouse: duckdb.DuckDBPyConnection, model: dict[str, Any]) -> Counter[str]:
        """A model's rows as texts, floats rounded; of daily snapshots those of the latest day.

        A snapshot of an earlier day cannot be made anew: a whole build has the latest one only.
        """
        relation = f"{model['schema']}.{model['name']}"
        described = warehouse.execute(f"describe {relation}").fetchall()
        columns = [
            f'round("{name}", 6) as "{name}"' if kind == "DOUBLE" else f'"{name}"'
            for name, kind, *_ in described
        ]
        day = model["config"]["meta"].get("redo", {}).get("snapshot")
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


def _prepare(folder: Path, name: str) -> Settings:
    settings = Settings(state_dir=folder / name)
    settings.state_dir.mkdir()
    return settings


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(settings.duckdb_path))


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Warehouses]:
    folder = tmp_path_factory.mktemp("incremental")
    events = RandomWorkspace(seed=7, last_hour=LAST_HOUR).events
    change = _split(events)

    whole = _prepare(folder, "whole")
    with _connect(whole) as connection:
        _write_customers(connection)
        _write_deliveries(connection, second_part=False)
        _write_deliveries(connection, second_part=True)
        write_raw(connection, events)
    _dbt_build(whole, {})
    manifest = json.loads((whole.dbt_target_dir / "manifest.json").read_text(encoding="utf-8"))
    models = {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    }
    incremental = [name for name, node in models.items() if node["config"]["materialized"] == "incremental"]

    increments = _prepare(folder, "increments")
    with _connect(increments) as connection:
        _write_customers(connection)
        _write_deliveries(connection, second_part=False)
        write_raw(connection, change.at_first)
    _dbt_build(increments, {})
    again = [event for event in change.at_first if event.hour == change.loaded_again]
    with _connect(increments) as connection:
        for table in {event.event_type.table for event in again}:
            connection.execute(f"delete from currents_raw.{table} where _hour = ?", [change.loaded_again])
        _write_deliveries(connection, second_part=True)
        write_raw(connection, [*again, *change.afterwards])
    ranges = _redo(change.changed_hours)
    _dbt_build(
        increments,
        {"latest_hour": _moment(LAST_HOUR), "models": dict.fromkeys(incremental, ranges)},
    )
    results = json.loads((increments.dbt_target_dir / "run_results.json").read_text(encoding="utf-8"))
    compiled = {
        result["unique_id"].split(".")[-1]: result["compiled_code"] or ""
        for result in results["results"]
        if result["unique_id"].startswith("model.")
    }
    with _connect(whole) as one, _connect(increments) as other:
        yield Warehouses(one, other, models, compiled)


def test_every_model_is_equal_to_a_whole_build(warehouses: Warehouses) -> None:
    assert [line for model in warehouses.models.values() for line in warehouses.differences(model)] == []


def test_the_comparison_is_of_rows_that_are_there(warehouses: Warehouses) -> None:
    """Empty tables would be equal, too."""
    empty = [
        name for name, model in warehouses.models.items() if not warehouses.rows(warehouses.whole, model)
    ]
    assert [name for name in empty if not name.startswith("stg_braze_workspace")] == []


def test_the_second_build_was_incremental(warehouses: Warehouses) -> None:
    """Each model that works by hours read the changed ones by constants, and earlier rows were left as they were."""
    by_hours = [
        name
        for name, model in warehouses.models.items()
        if model["config"]["materialized"] == "incremental" and "redone(" in model["raw_code"]
    ]
    assert len(by_hours) > 5
    without = [name for name in by_hours if "between timestamp '2026-" not in warehouses.compiled[name]]
    assert [name for name in without if "between date '2026-" not in warehouses.compiled[name]] == []


def test_hours_are_handed_over_with_the_days_in_which_copies_may_lie() -> None:
    hours = [LAST_HOUR - 30 * DAY, LAST_HOUR - 27 * DAY, LAST_HOUR - 2 * HOUR]
    assert _redo(hours) == [
        ["2026-10-15 23:00:00", "2026-10-25 23:00:00"],
        ["2026-11-14 21:00:00", "2026-11-14 23:00:00"],
    ]
