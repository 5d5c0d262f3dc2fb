"""Faults on the way in: afterwards the tables equal an undisturbed load, and what happened was said."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from currents_files import CLICK, OPEN, Deliveries, currents_file, opens

from braze_platform.currents.bucket import BucketObject, FolderBucket
from braze_platform.currents.cursor import Cursor
from braze_platform.currents.loader import load
from braze_platform.currents.tick import run_tick
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse
from braze_platform.warehouse.interface import WarehouseBusy

DAY = date(2026, 11, 10)
KILLS = 25


def rows(warehouse: DuckDBWarehouse) -> list[tuple[Any, ...]]:
    with warehouse.session() as session:
        return session.fetch(
            "select id, _file, count(*) from currents_raw.users_messages_email_open group by all order by all"
        )


def fill(folder: Path, rows_a_file: int) -> Deliveries:
    """Six hours of two event types, three files each."""
    folder.mkdir(parents=True, exist_ok=True)
    deliveries = Deliveries(folder)
    for hour in range(6):
        for offset in range(3):
            for event_type in (OPEN, CLICK):
                deliveries.put(
                    currents_file(event_type, f"2026-11-10-0{hour}", offset=offset),
                    opens(*(f"{hour}-{offset}-{n}" for n in range(rows_a_file))),
                )
    return deliveries


@pytest.mark.full
def test_killed_at_random_points_a_load_can_be_run_again(made_tables: Path, tmp_path: Path) -> None:
    """Two buckets with other contents take turns, so that every load has all hours to replace."""
    fill(tmp_path / "small", 20)
    fill(tmp_path / "large", 300)
    script = Path(__file__).with_name("killed_loads.py")
    done = subprocess.run(
        [
            sys.executable,
            script,
            made_tables,
            tmp_path,
            tmp_path / "small",
            tmp_path / "large",
            str(KILLS),
            "7",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kills) == KILLS
    assert [kill for kill in kills if not kill["equal"]] == []
    assert sum(kill["was_under_way"] for kill in kills) > KILLS / 2


class DroppingBucket(FolderBucket):
    """A bucket whose network drops after so many listed objects or opened files."""

    def __init__(self, root: Path, *, listed: int = 10_000, opened: int = 10_000) -> None:
        super().__init__(root)
        self.listed = listed
        self.opened = opened

    def objects(self, prefix: str, *, start_offset: str = "", end_offset: str = "") -> Iterator[BucketObject]:
        for found in super().objects(prefix, start_offset=start_offset, end_offset=end_offset):
            self.listed -= 1
            if self.listed < 0:
                raise ConnectionResetError("the network dropped")
            yield found

    def open(self, *key: Any) -> BinaryIO:
        self.opened -= 1
        if self.opened < 0:
            raise ConnectionResetError("the network dropped")
        return super().open(*key)


@pytest.mark.parametrize("listed", [0, 1, 17, 35])
def test_a_listing_that_drops_changes_nothing(
    settings: Settings, bucket: FolderBucket, warehouse: DuckDBWarehouse, listed: int
) -> None:
    fill(settings.bucket_dir, 2)
    with pytest.raises(ConnectionResetError):
        load(
            warehouse, DroppingBucket(settings.bucket_dir, listed=listed), "currents", [OPEN, CLICK], DAY, DAY
        )
    assert rows(warehouse) == []
    load(warehouse, bucket, "currents", [OPEN, CLICK], DAY, DAY)
    assert len(rows(warehouse)) == 6 * 3 * 2


@pytest.mark.parametrize("opened", [0, 5, 20])
def test_files_that_cannot_be_fetched_fail_their_type_and_are_loaded_next_time(
    settings: Settings, bucket: FolderBucket, warehouse: DuckDBWarehouse, opened: int
) -> None:
    fill(settings.bucket_dir, 2)
    dropped = load(
        warehouse, DroppingBucket(settings.bucket_dir, opened=opened), "currents", [OPEN, CLICK], DAY, DAY
    )
    assert dropped.errors
    assert all("the network dropped" in error for error in dropped.errors.values())
    again = load(warehouse, bucket, "currents", [OPEN, CLICK], DAY, DAY)
    assert again.errors == {}
    assert len(rows(warehouse)) == 6 * 3 * 2


def test_a_tick_whose_listing_drops_leaves_the_cursor_as_it_was(settings: Settings) -> None:
    """Dagster keeps the cursor of a tick that failed; the next one asks for the same."""
    fill(settings.bucket_dir, 2)

    def tick(bucket: FolderBucket) -> Any:
        now = datetime(2026, 11, 11, tzinfo=timezone.utc)
        return run_tick(
            Cursor(),
            bucket,
            "currents",
            date(2026, 11, 1),
            now=now.timestamp(),
            today=now.date(),
            run_state_of=lambda _: "not_created",
            loaded_by=lambda _: {},
        )

    with pytest.raises(ConnectionResetError):
        tick(DroppingBucket(settings.bucket_dir, listed=20))
    assert tick(FolderBucket(settings.bucket_dir)).request.scope.event_types == (CLICK, OPEN)


_LOAD = textwrap.dedent(
    """
    import resource, sys
    from datetime import date
    from pathlib import Path
    from braze_platform.currents.bucket import FolderBucket
    from braze_platform.currents.loader import load
    from braze_platform.warehouse.duckdb import DuckDBWarehouse
    from braze_platform.warehouse.interface import WarehouseError

    path, bucket, day = Path(sys.argv[1]), FolderBucket(Path(sys.argv[2])), date(2026, 11, 10)
    if sys.argv[3] != "0":
        limit = path.stat().st_size + int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        report = load(
            DuckDBWarehouse(path, threads=1), bucket, "currents",
            ["users.messages.email.Open", "users.messages.email.Click"], day, day,
        )
    except WarehouseError as error:
        print(f"failed: {error}")
        sys.exit(2)
    print(f"failed: {report.errors}" if report.errors else f"rows {report.rows_loaded}")
    sys.exit(2 if report.errors else 0)
    """
)


def start(settings: Settings, *, bytes_left: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _LOAD, settings.duckdb_path, settings.bucket_dir, str(bytes_left)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


@pytest.mark.full
def test_two_runs_for_one_hour_at_once_double_nothing(settings: Settings, warehouse: DuckDBWarehouse) -> None:
    """The second waits for the file, and then finds that all is loaded."""
    fill(settings.bucket_dir, 50)
    both = [start(settings), start(settings)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate()[0].strip() for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said == ["rows 0", f"rows {2 * 6 * 3 * 50}"]
    assert all(count == 1 for _, _, count in rows(warehouse))
    assert len(rows(warehouse)) == 6 * 3 * 50


def test_a_run_that_waits_too_long_says_for_what(settings: Settings, bucket: FolderBucket) -> None:
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
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        assert holder.stdout.readline() == b"held\n"
        impatient = DuckDBWarehouse(settings.duckdb_path, threads=1, patience_seconds=0.1)
        with pytest.raises(WarehouseBusy, match="stayed locked by another process"):
            load(impatient, bucket, "currents", [OPEN], DAY, DAY)
    finally:
        holder.communicate()


@pytest.mark.parametrize(
    "bytes_left", [50_000, *(pytest.param(left, marks=pytest.mark.full) for left in (1, 400_000))]
)
def test_a_full_disk_fails_clearly_and_loses_nothing(
    settings: Settings, bucket: FolderBucket, warehouse: DuckDBWarehouse, bytes_left: int
) -> None:
    """A limit on the size of files stands for the full disk: the file cannot grow beyond it."""
    fill(settings.bucket_dir, 4_000)
    with warehouse.session():
        pass
    full = start(settings, bytes_left=bytes_left)
    told, errors = full.communicate("go\n")
    assert full.returncode == 2, errors
    assert "failed: " in told
    again = load(warehouse, bucket, "currents", [OPEN, CLICK], DAY, DAY)
    assert again.errors == {}
    found = rows(warehouse)
    assert len(found) == 6 * 3 * 4_000
    assert all(count == 1 for _, _, count in found)


class RewritingBucket(FolderBucket):
    """A bucket in which an object is rewritten right after it was looked at."""

    def __init__(self, deliveries: Deliveries, key: str, ids: tuple[str, ...]) -> None:
        super().__init__(deliveries.folder)
        self.deliveries = deliveries
        self.key = key
        self.ids = ids

    def open(self, key: str, *more: Any) -> BinaryIO:
        stream = super().open(key, *more)
        if key == self.key and self.ids:
            ids, self.ids = self.ids, ()
            (self.root / key).unlink()  # the open stream goes on with the old content
            self.deliveries.put(currents_file(), opens(*ids))
        return stream


@pytest.mark.parametrize("ids", [("c", "d"), ("c",), ("c", "d", "e", "f")], ids=["as many", "fewer", "more"])
def test_an_object_that_is_overwritten_while_it_is_read(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse, ids: tuple[str, ...]
) -> None:
    """However the first load ends, the next one makes the hour and the ledger what the bucket is."""
    key = deliveries.put(currents_file(), opens("a", "b"))
    deliveries.put(currents_file(offset=1), opens("z"))
    load(warehouse, RewritingBucket(deliveries, key, ids), "currents", [OPEN], DAY, DAY)
    load(warehouse, bucket, "currents", [OPEN], DAY, DAY)
    assert [name for name, _, _ in rows(warehouse)] == sorted([*ids, "z"])
    with warehouse.session() as session:
        [(generation,)] = session.fetch(
            "select generation from currents_ledger.files where object_key = $key", {"key": key}
        )
        [(open_quarantine,)] = session.fetch(
            "select count(*) from currents_ledger.quarantine where resolved_at is null"
        )
    assert generation == next(found.generation for found in bucket.objects(key))
    assert open_quarantine == 0
    assert load(warehouse, bucket, "currents", [OPEN], DAY, DAY).rows_loaded == 0
