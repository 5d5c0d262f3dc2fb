"""A sync killed at any point loses nothing and repeats at most what was not yet flushed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

USERS = 3000
FLUSH_OBJECTS = 300
CONCURRENCY = 4

_RUN = f"""
import sys
from pathlib import Path
from sync_room import SyncRoom
from braze_platform.sync import run as deliver

deliver.FLUSH_OBJECTS = {FLUSH_OBJECTS}
room = SyncRoom(Path(sys.argv[1]), sys.argv[2])
room.configure(braze_concurrency={CONCURRENCY})
room.run()
"""


def start(room: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(room.folder), room.settings.braze_rest_url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def acknowledged(room: Any) -> int:
    tables = room.sql("select table_name from duckdb_tables() where table_name = 'ledger_braze_customers'")
    return int(room.sql("select count(*) from braze_sync.ledger_braze_customers")[0][0]) if tables else 0


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 4))])
def test_killed_at_any_point_and_run_again(room: Any, braze: Any, seed: int) -> None:
    braze.delay = 0.01
    room.users(USERS)
    at_request = random.Random(seed).randrange(1, USERS // 75)
    process = start(room)
    try:
        while len(braze.received) < at_request and process.poll() is None:
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    received = braze.objects_received
    known = acknowledged(room)
    # What Braze holds and the ledger does not know of: a flush in progress, what was gathered meanwhile (each exceeded
    # by a request of every worker at most), and what was in flight.
    assert 0 <= received - known <= 2 * FLUSH_OBJECTS + 4 * CONCURRENCY * 75
    run = room.run()
    assert run.report.complete
    assert run.plan.objects == USERS - known
    expected = {
        f"user-{i}": {"score": i % 101, "seen_at": f"2026-11-01T08:{i // 60:02d}:{i % 60:02d}Z"}
        | ({} if i % 10 == 0 else {"channel": "email"})
        for i in range(USERS)
    }
    assert braze.profiles == expected
    assert room.run().plan.objects == 0


@pytest.mark.full
def test_killed_twenty_five_times_in_a_row(room: Any, braze: Any) -> None:
    """At random moments of starting, planning, sending and writing, each run going on from the last."""
    chance = random.Random(25)
    braze.delay = 0.005
    room.users(USERS)
    for _ in range(25):
        at_request = len(braze.received) + chance.randrange(0, 6)
        process = start(room)
        try:
            deadline = time.monotonic() + chance.choice([2.0, 60.0])
            while len(braze.received) < at_request and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(chance.random() * 0.1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        known = acknowledged(room)
        assert known <= len(braze.profiles) <= USERS
    known = acknowledged(room)
    run = room.run()
    assert run.report.complete and run.plan.objects == USERS - known
    assert {user: profile["score"] for user, profile in braze.profiles.items()} == {
        f"user-{i}": i % 101 for i in range(USERS)
    }
    assert room.run().plan.objects == 0
