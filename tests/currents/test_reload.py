"""Reloading and verifying: forced, resumed, exact about every object."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from currents_files import CLICK, OPEN, Deliveries, avro_bytes, currents_file, opens

from braze_platform.cli import main
from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.loader import LoadOptions, load
from braze_platform.currents.reload import ChunkResult, Reload, begin, run_reload
from braze_platform.currents.verify import verify
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 20)
TABLE = "currents_raw.users_messages_email_open"
Command = Callable[..., Result]


@pytest.fixture
def command(settings: Settings, warehouse: DuckDBWarehouse) -> Command:
    def run(*arguments: str) -> Result:
        return CliRunner(env=settings.as_environment()).invoke(main, ["currents", *arguments])

    return run


@pytest.fixture
def loaded(deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse) -> Deliveries:
    """Three hours of two types, loaded."""
    for hour in ("2026-11-10-05", "2026-11-10-06", "2026-11-12-05"):
        for event_type in (OPEN, CLICK):
            deliveries.put(currents_file(event_type, hour), opens(f"{hour}-a", f"{hour}-b"))
    load(warehouse, bucket, "currents", [OPEN, CLICK], FIRST, LAST)
    return deliveries


def fetch(warehouse: DuckDBWarehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.session() as session:
        return session.fetch(sql)


def test_reloads_what_the_ledger_calls_unchanged(
    loaded: Deliveries, warehouse: DuckDBWarehouse, command: Command
) -> None:
    with warehouse.session() as session:
        session.execute(f"delete from {TABLE} where _hour = '2026-11-10 05:00'")
        session.execute(f"insert into {TABLE} select * from {TABLE} where _hour = '2026-11-10 06:00'")
    told = command(
        "verify", "--types", "users.messages.email.*", "--from", "2026-11-01", "--to", "2026-11-20"
    )
    assert told.exit_code == 1
    assert "2 differences: 1 rows extra, 1 rows missing" in told.output
    done = command("reload", "--types", OPEN, "--from", "2026-11-10", "--to", "2026-11-12", "--verify")
    assert done.exit_code == 0, done.output
    assert f"[1/1] {OPEN} 2026-11-10..2026-11-12: 6 rows of 3 files in 3 hours loaded" in done.output
    assert "No difference." in done.output
    assert fetch(warehouse, f"select count(*) from {TABLE}") == [(6,)]


def test_single_hours_leave_the_others_alone(
    loaded: Deliveries, warehouse: DuckDBWarehouse, command: Command
) -> None:
    done = command("reload", "--types", f"{OPEN},{CLICK}", "--hours", "2026-11-10-06,2026-11-12-05")
    assert done.exit_code == 0, done.output
    assert "Loaded 8 rows of 4 files." in done.output
    assert fetch(
        warehouse, "select hour, load_id > 2, count(*) from currents_ledger.files group by all order by all"
    ) == [
        (datetime(2026, 11, 10, 5), False, 2),
        (datetime(2026, 11, 10, 6), True, 2),
        (datetime(2026, 11, 12, 5), True, 2),
    ]


class Stopped(Exception):
    pass


def test_a_stopped_reload_goes_on_where_it_was(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse
) -> None:
    wanted = Reload((OPEN,), date(2025, 12, 1), date(2026, 11, 20))
    for month in range(1, 11):
        deliveries.put(currents_file(OPEN, f"2026-{month:02d}-15-05"), opens(f"{month}"))
    load(warehouse, bucket, "currents", [OPEN], wanted.first_day, wanted.last_day)
    assert len(list(wanted.chunks())) == 12
    since, goes_on = begin(warehouse, wanted)
    assert not goes_on
    parts: list[ChunkResult] = []

    def stop_after_four(part: ChunkResult) -> None:
        parts.append(part)
        if len(parts) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run_reload(
            warehouse, bucket, "currents", wanted, since, options=LoadOptions(), on_chunk=stop_after_four
        )
    again, goes_on = begin(warehouse, wanted)
    assert (again, goes_on) == (since, True)
    rest = run_reload(warehouse, bucket, "currents", wanted, again, options=LoadOptions())
    assert sum(part.hours for part in parts) + sum(part.hours for part in rest) == 10
    assert sum(part.hours_done_before for part in rest) == sum(part.hours for part in parts) > 0
    assert not begin(warehouse, wanted)[1], "a finished reload is not resumed"
    assert not begin(warehouse, wanted, restart=True)[1]
    assert fetch(warehouse, f"select count(*) from {TABLE}") == [(10,)]


def test_a_part_that_fails_leaves_the_reload_unfinished(
    loaded: Deliveries, warehouse: DuckDBWarehouse, command: Command
) -> None:
    with warehouse.session() as session:
        session.execute("alter table currents_raw.users_messages_email_click rename to hidden")
        session.execute("create view currents_raw.users_messages_email_click as from currents_raw.hidden")
    choices = ("--types", f"{OPEN},{CLICK}", "--from", "2026-11-10", "--to", "2026-11-12")
    failed = command("reload", *choices)
    assert failed.exit_code == 1
    assert "1 of 2 chunks failed" in failed.output
    with warehouse.session() as session:
        session.execute("drop view currents_raw.users_messages_email_click")
        session.execute("alter table currents_raw.hidden rename to users_messages_email_click")
    done = command("reload", *choices)
    assert done.exit_code == 0, done.output
    assert "Resuming the reload" in done.output
    assert "3 hours done before" in done.output
    assert "Loaded 6 rows of 3 files." in done.output


def test_known_bad_files_are_tried_again(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse, command: Command
) -> None:
    deliveries.put_bytes(currents_file().key, avro_bytes(opens("a"))[:-3])
    load(warehouse, bucket, "currents", [OPEN], FIRST, LAST)
    done = command("reload", "--types", OPEN, "--from", "2026-11-10", "--verify")
    assert done.exit_code == 0, done.output
    assert "1 files in quarantine" in done.output
    assert "1 objects in quarantine" in done.output


def test_verify_names_every_kind_of_difference(
    loaded: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse, command: Command
) -> None:
    missing = loaded.put(currents_file(OPEN, "2026-11-11-05"), opens("new"))
    changed = loaded.put(currents_file(OPEN, "2026-11-10-05"), opens("other"))
    extra = currents_file(OPEN, "2026-11-12-05").key
    loaded.remove(extra)
    with warehouse.session() as session:
        session.execute(f"insert into {TABLE} (_hour, _file) values ('2026-11-13', 'x/event_type={OPEN}/y')")
    result = verify(warehouse, bucket, "currents", [OPEN], FIRST, LAST)
    assert {(found.kind, found.object_key) for found in result.differences} == {
        ("missing", missing),
        ("changed", changed),
        ("extra", extra),
        ("rows extra", f"x/event_type={OPEN}/y"),
    }
    told = command("verify", "--types", OPEN, "--from", FIRST.isoformat(), "--to", LAST.isoformat(), "--json")
    assert told.exit_code == 1
    assert len(json.loads(told.output)["differences"]) == 4
    one_hour = verify(warehouse, bucket, "currents", [OPEN], FIRST, LAST, {datetime(2026, 11, 10, 6)})
    assert (one_hour.differences, one_hour.rows_in_tables) == ([], 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--types", "users.messages.email.Opne", "--from", "2026-11-10"), f"Did you mean {OPEN}"),
        (("--types", OPEN), "Give --from"),
        (("--types", OPEN, "--from", "2026-11-10", "--hours", "2026-11-10-05"), "not both"),
        (("--types", OPEN, "--from", "10.11.2026"), "write it as YYYY-MM-DD"),
        (("--types", OPEN, "--hours", "2026-11-10T05"), "write it as in the keys"),
        (("--types", OPEN, "--from", "2026-11-10", "--to", "2026-11-09"), "lies before"),
    ],
)
def test_wrong_choices_are_explained(
    command: Command, deliveries: Deliveries, arguments: tuple[str, ...], said: str
) -> None:
    told = command("reload", *arguments)
    assert told.exit_code == 2
    assert said in " ".join(told.output.split())


def test_a_file_that_another_process_holds_is_explained(
    command: Command, settings: Settings, deliveries: Deliveries
) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()",
            str(settings.duckdb_path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        told = command("reload", "--types", OPEN, "--from", "2026-11-10", "--wait", "0.1")
        assert told.exit_code == 1
        assert "stayed locked by another process" in told.output
        assert "`--wait 600` waits ten minutes" in told.output
    finally:
        holder.communicate()
