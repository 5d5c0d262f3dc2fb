"""Laws of loading: history does not matter, readers see whole hours, and a killed load leaves whole hours."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from currents_files import OPEN, Deliveries, avro_bytes, currents_file, opens
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.loader import LoadLimits, load
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBSession, DuckDBWarehouse

DAY = date(2026, 11, 10)
TABLE = "currents_raw.users_messages_email_open"
_WHOLE = avro_bytes(opens("t1", "t2"))
_CONTENTS = {
    "one": avro_bytes(opens("a")),
    "two": avro_bytes(opens("a", "b")),
    "other schema": avro_bytes([{"id": "n", "novel": 3}], fields=[("novel", "long"), ("id", "string")]),
    "truncated": _WHOLE[:-9],
    "text": b"not avro",
}
_steps = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.sampled_from([*_CONTENTS, "remove"])),
        st.just("load"),
    ),
    max_size=10,
)


def contents(session: DuckDBSession) -> tuple[Any, ...]:
    """All that must not depend on history; columns that only history brought are empty and left out."""
    rows = session.fetch(f"select * exclude (_loaded_at) from {TABLE} order by all")
    names = [
        name for name in session.columns("currents_raw", "users_messages_email_open") if name != "_loaded_at"
    ]
    return (
        sorted(str({n: v for n, v in zip(names, row, strict=True) if v is not None}) for row in rows),
        session.fetch(
            "select object_key, generation, row_count from currents_ledger.files where object_key <> '' order by all"
        ),
        session.fetch(
            "select object_key, generation, reason from currents_ledger.quarantine "
            "where resolved_at is null order by all"
        ),
    )


@pytest.mark.full
@given(_steps)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_ends_in_what_one_load_of_the_bucket_gives(made_tables: Path, steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "bucket")
        root.mkdir()
        deliveries, bucket = Deliveries(root), FolderBucket(root)

        def fresh(name: str) -> DuckDBWarehouse:
            shutil.copyfile(made_tables, Path(folder, name))
            return DuckDBWarehouse(Path(folder, name), threads=1)

        travelled = fresh("travelled.duckdb")
        for step in [*steps, "load"]:
            if step == "load":
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("braze_platform.currents.loader.LIMITS", LoadLimits(files=2))
                    load(travelled, bucket, "currents", [OPEN], DAY, DAY)
                continue
            number, content = step
            key = currents_file(hour=f"2026-11-10-0{number % 2}", offset=number).key
            if content != "remove":
                deliveries.put_bytes(key, _CONTENTS[content])
            elif (root / key).exists():
                deliveries.remove(key)
        direct = fresh("direct.duckdb")
        load(direct, bucket, "currents", [OPEN], DAY, DAY)
        with travelled.session() as one, direct.session() as other:
            assert contents(one) == contents(other)


def test_a_reader_never_sees_half_an_hour(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse
) -> None:
    """An hour of ten files is replaced again and again while another connection counts its rows."""
    seen: set[tuple[int, int]] = set()
    ended = threading.Event()
    started = threading.Event()

    with warehouse.session() as kept:
        reader = kept.connection.cursor()

        def read() -> None:
            while not ended.is_set():
                [row] = reader.execute(
                    f"select count(*), count(distinct _file) from {TABLE} where _hour = '2026-11-10 05:00'"
                ).fetchall()
                seen.add(row)
                started.set()

        thread = threading.Thread(target=read)
        thread.start()
        started.wait()
        try:
            for round_ in range(4):
                for offset in range(10):
                    deliveries.put(currents_file(offset=offset), opens(*(f"{i}" for i in range(round_ + 1))))
                load(warehouse, bucket, "currents", [OPEN], DAY, DAY)
        finally:
            ended.set()
            thread.join()
            reader.close()
    assert seen <= {(0, 0), (10, 10), (20, 10), (30, 10), (40, 10)}
    assert len(seen) > 1


_LOAD_FOR_EVER = textwrap.dedent(
    """
    import sys
    from datetime import date
    from pathlib import Path
    from braze_platform.currents.bucket import FolderBucket
    from braze_platform.currents.loader import LoadLimits, load
    from braze_platform.warehouse.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse(Path(sys.argv[1]), threads=1)
    day = date(2026, 11, 10)
    buckets = [FolderBucket(Path(argument)) for argument in sys.argv[2:]]
    print("ready", flush=True)
    while True:
        for bucket in buckets:
            load(warehouse, bucket, "currents", ["users.messages.email.Open"], day, day, limits=LoadLimits(hours=2))
    """
)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in (2, 3))])
def test_a_killed_load_leaves_each_hour_as_it_was_or_as_it_will_be(
    warehouse: DuckDBWarehouse, settings: Settings, tmp_path: Path, seed: int
) -> None:
    """Two buckets with other contents take turns in one warehouse until the process is killed."""
    for name, rows in (("small", 5), ("large", 400)):
        (tmp_path / name).mkdir()
        deliveries = Deliveries(tmp_path / name)
        for hour in range(6):
            for offset in range(3):
                deliveries.put(
                    currents_file(hour=f"2026-11-10-0{hour}", offset=offset), opens(*map(str, range(rows)))
                )
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _LOAD_FOR_EVER,
            str(settings.duckdb_path),
            tmp_path / "small",
            tmp_path / "large",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(random.Random(seed).uniform(0.3, 1.5))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with warehouse.session() as session:
        by_file = session.fetch(f"select _hour, _file, count(*) from {TABLE} group by all order by all")
        by_ledger = session.fetch(
            "select hour, object_key, row_count from currents_ledger.files order by all"
        )
    assert by_file == by_ledger
    for hour in {hour for hour, _, _ in by_file}:
        counts = [rows for of_hour, _, rows in by_file if of_hour == hour]
        assert counts in ([5] * 3, [400] * 3)
    final = load(warehouse, FolderBucket(tmp_path / "large"), "currents", [OPEN], DAY, DAY)
    assert final.event_types[OPEN].rows_held == 6 * 3 * 400
