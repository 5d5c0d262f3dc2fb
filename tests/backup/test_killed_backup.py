"""Backups and restores that are killed at random: what is taken for a backup is whole, and so is the warehouse."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from backup_room import contents, fill, warehouse

from braze_platform.backup.making import make_backup
from braze_platform.backup.manifest import complete_backups, read_manifest
from braze_platform.backup.restoring import restore
from braze_platform.settings import Settings

#: Says when it is about to begin, so that kills fall into what it does and not into its imports.
_CALL = """
import sys
from pathlib import Path
from braze_platform.backup.making import make_backup
from braze_platform.backup.restoring import restore
from braze_platform.settings import Settings

settings = Settings(state_dir=Path(sys.argv[1]), backups_kept=2)
print("ready", flush=True)
if sys.argv[2] == "backup":
    make_backup(settings)
else:
    restore(settings, sys.argv[3], replacing=sys.argv[2] == "replace")
"""


def killed(settings: Settings, seconds: float, *arguments: str) -> bool:
    """Call it and kill it after some time; whether it was under way still."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CALL, str(settings.state_dir), *arguments],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    status = process.wait()
    process.stdout.close()
    return status == -signal.SIGKILL


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(state_dir=tmp_path, backups_kept=2)
    fill(settings, 5, rows=40)
    with warehouse(settings).session() as session:
        # a restore ends those that are open, each at its own time
        session.execute("update braze_sync.approvals set ended_at = timestamp '2026-11-01 10:00:00'")
    return settings


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.full)])
def test_a_killed_backup_is_never_taken_for_one(settings: Settings, kills: int) -> None:
    chance = random.Random(kills)
    began = time.monotonic()
    make_backup(settings)
    seconds = time.monotonic() - began
    tables = {
        table.full_name: table.rows
        for table in read_manifest(complete_backups(settings.backups_dir)[0]).tables
    }
    under_way = 0
    for _ in range(kills):
        under_way += killed(settings, chance.uniform(0, seconds), "backup")
        complete = complete_backups(settings.backups_dir)
        assert 1 <= len(complete) <= 3
        for folder in complete:
            assert {table.full_name: table.rows for table in read_manifest(folder).tables} == tables
    assert under_way
    last = make_backup(settings).folder
    assert (
        len(list(settings.backups_dir.iterdir())) == 2 and last == complete_backups(settings.backups_dir)[-1]
    )


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.full)])
def test_a_killed_restore_leaves_a_lost_file_lost(settings: Settings, kills: int) -> None:
    """Or it was done: a file of that name is whole."""
    chance = random.Random(kills)
    name = make_backup(settings).folder.name
    settings.duckdb_path.unlink()
    began = time.monotonic()
    restore(settings, name)
    seconds, expected = time.monotonic() - began, contents(settings)
    under_way = 0
    for _ in range(kills):
        settings.duckdb_path.unlink(missing_ok=True)
        under_way += killed(settings, chance.uniform(0, seconds), "restore", name)
        assert not settings.duckdb_path.exists() or contents(settings) == expected
    assert under_way
    settings.duckdb_path.unlink(missing_ok=True)
    restore(settings, name)
    assert contents(settings) == expected
    left = {path.name for path in settings.state_dir.iterdir()}
    assert left == {"warehouse.duckdb", "backups"}


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.full)])
def test_a_killed_replacement_changes_all_or_nothing(settings: Settings, kills: int) -> None:
    chance = random.Random(kills)
    name = make_backup(settings).folder.name
    with warehouse(settings).session() as session:
        session.execute("delete from braze_sync.deliveries where true")
        session.execute("create table braze_sync.ledger_of_now as select 'u' as _user")
    before, file = contents(settings), settings.duckdb_path.read_bytes()
    began = time.monotonic()
    restore(settings, name, replacing=True)
    seconds, after = time.monotonic() - began, contents(settings)
    assert before != after
    under_way = 0
    for _ in range(kills):
        for log in settings.state_dir.glob("*.wal"):
            log.unlink()
        settings.duckdb_path.write_bytes(file)
        under_way += killed(settings, chance.uniform(0, seconds), "replace", name)
        assert contents(settings) in (before, after)
    assert under_way
    restore(settings, name, replacing=True)
    assert contents(settings) == after
