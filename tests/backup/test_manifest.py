"""Garbage is no backup: each kind is refused, by name, and nothing of the warehouse is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup_room import warehouse

from braze_platform.backup.making import make_backup
from braze_platform.backup.manifest import BackupError, read_manifest
from braze_platform.backup.restoring import restore
from braze_platform.settings import Settings
from braze_platform.warehouse.lost_file import MANIFEST
from braze_platform.warehouse.registry import TOMBSTONES
from braze_platform.warehouse.tables import ensure, now_utc

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    settings = Settings(state_dir=tmp_path)
    with warehouse(settings).session() as session:
        ensure(session, TOMBSTONES)
        TOMBSTONES.append(session, [("erased:t", "h", "email", now_utc(), now_utc())])
    return make_backup(settings).folder


GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"\x00\xff{",
    "cut off": b'{"format": 1, "release": "0.2.0", "made_at": "2026-11-',
    "another thing": b"[1, 2]",
    "nothing in it": b"{}",
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_a_manifest_of_garbage_is_refused(backup: Path, text: bytes) -> None:
    (backup / MANIFEST).write_bytes(text)
    refused(backup, rf"{MANIFEST} is damaged .* Choose another backup")


CHANGES: dict[str, tuple[Change, str]] = {
    "another format": (lambda m: m.update(format=2), "is damaged"),
    "a key too many": (lambda m: m.update(more=1), "is damaged"),
    "fewer rows than it says": (lambda m: m["tables"][0].update(rows=5), "has 1 rows and not the 5"),
    "rows below zero": (lambda m: m["tables"][0].update(rows=-1), "is damaged"),
    "a file elsewhere": (lambda m: m["tables"][0].update(file="../../x.parquet"), "is damaged"),
    "a file that is not there": (
        lambda m: m["tables"][0].update(file="0009.parquet"),
        "is missing or is not",
    ),
    "another hash": (lambda m: m["tables"][0].update(sha256="0" * 64), "is missing or is not"),
    "no columns": (lambda m: m["tables"][0].update(columns={}), "is damaged"),
    "a column that is not there": (
        lambda m: m["tables"][0]["columns"].update(x="VARCHAR"),
        "cannot be brought back, and nothing was changed",
    ),
    "a type that is none": (
        lambda m: m["tables"][0]["columns"].update(person="NOTHING"),
        "cannot be brought back, and nothing was changed",
    ),
    "a table twice": (lambda m: m["tables"].append(m["tables"][0]), "names a table twice"),
    "a table of nobody": (
        lambda m: m["tables"][0].update(name="mine"),
        "does not know the tables privacy.mine",
    ),
    "a table that is rebuilt": (lambda m: m["tables"][0].update(name="progress"), "privacy.progress"),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_a_manifest_that_says_what_is_not_so_is_refused(backup: Path, change: Change, reason: str) -> None:
    read = json.loads((backup / MANIFEST).read_text())
    change(read)
    (backup / MANIFEST).write_text(json.dumps(read))
    refused(backup, reason)


def test_a_file_that_is_not_as_it_was_written_is_refused(backup: Path) -> None:
    file = backup / read_manifest(backup).tables[0].file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    refused(backup, r"0001\.parquet, with privacy\.tombstones, is missing or is not as it was written")


def refused(backup: Path, reason: str) -> None:
    """In place of a file that is lost, and over one that is there."""
    settings = Settings(state_dir=backup.parent.parent)
    before = settings.duckdb_path.read_bytes()
    settings.duckdb_path.unlink()
    with pytest.raises(BackupError, match=reason):
        restore(settings, backup.name)
    assert not settings.duckdb_path.exists()
    settings.duckdb_path.write_bytes(before)
    with warehouse(settings).session() as session:
        session.execute("delete from privacy.tombstones")
    with pytest.raises(BackupError, match=reason):
        restore(settings, backup.name)
    with warehouse(settings).session() as session:
        assert session.fetch("select * from privacy.tombstones") == []
