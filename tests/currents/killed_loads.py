"""Run by a test in a process of its own: loads that are killed at random points, each followed by one that is not.

Imports once and forks a child for each load, before anything has opened a warehouse. Prints a line for each kill: how
far it came, and whether what the next load left is what an undisturbed load gives.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from braze_platform.currents import loader
from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.loader import LoadLimits, load
from braze_platform.warehouse.duckdb import DuckDBWarehouse

EVENT_TYPES = ["users.messages.email.Open"]
DAY = date(2026, 11, 10)


def load_all(warehouse: Path, bucket: Path) -> None:
    report = load(
        DuckDBWarehouse(warehouse, threads=1),
        FolderBucket(bucket),
        "currents",
        EVENT_TYPES,
        DAY,
        DAY,
    )
    if report.errors:
        raise SystemExit(str(report.errors))


def contents(warehouse: Path) -> Any:
    """All that must be as after an undisturbed load, and that no table is left beside."""
    with DuckDBWarehouse(warehouse, threads=1).session() as session:
        tables = session.fetch("select schema_name, table_name from duckdb_tables() order by all")
        rows = session.fetch(
            "select id, _hour, _file, _version, count(*) from currents_raw.users_messages_email_open "
            "group by all order by all"
        )
        ledger = session.fetch(
            "select event_type, hour, object_key, generation, row_count from currents_ledger.files "
            "where object_key <> '' order by all"
        )
        schemas = session.fetch(
            "select event_type, hour, object_key, fingerprint from currents_ledger.file_schemas order by all"
        )
    return json.loads(json.dumps([tables, rows, ledger, schemas], default=str))


def in_child(work: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def loaded_contents(warehouse: Path, bucket: Path, scratch: Path) -> Any:
    """Load without being killed, and give what is there then."""

    def work() -> None:
        load_all(warehouse, bucket)
        scratch.write_text(json.dumps(contents(warehouse)))

    _, status = os.waitpid(in_child(work), 0)
    if status != 0:
        raise SystemExit(f"a load that nobody killed ended with {status}")
    return json.loads(scratch.read_text())


def main(made: Path, folder: Path, buckets: list[Path], kills: int, seed: int) -> None:
    loader.LIMITS = LoadLimits(hours=2)
    chance = random.Random(seed)
    scratch = folder / "contents.json"
    expected: list[Any] = []
    seconds = 0.0
    for number, bucket in enumerate(buckets):
        undisturbed = folder / f"undisturbed{number}.duckdb"
        shutil.copyfile(made, undisturbed)
        started = time.monotonic()
        expected.append(loaded_contents(undisturbed, bucket, scratch))
        seconds = time.monotonic() - started
    disturbed = folder / "disturbed.duckdb"
    shutil.copyfile(made, disturbed)
    for number in range(kills):
        turn = number % len(buckets)
        pid = in_child(partial(load_all, disturbed, buckets[turn]))
        time.sleep(chance.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        equal = loaded_contents(disturbed, buckets[turn], scratch) == expected[turn]
        print(json.dumps({"kill": number, "was_under_way": status != 0, "equal": equal}), flush=True)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        [Path(argument) for argument in sys.argv[3:5]],
        int(sys.argv[5]),
        int(sys.argv[6]),
    )
