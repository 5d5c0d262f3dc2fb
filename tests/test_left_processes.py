"""A run of tests that is killed leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from google_emulators import ROOT
from left_processes import processes_with

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="watching needs pidfd_open(2)")
_SECONDS = 60

A_TEST = """
import os, pathlib, signal, subprocess, sys, time

def test_that_starts_processes(tmp_path_factory):
    here = pathlib.Path(__file__).parent
    # One that left its session, and one whose parent ends at once.
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 &"], start_new_session=True, check=True)
    (here / "started").touch()
    if {kills_itself}:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("way", "workers"),
    [
        (signal.SIGKILL, ("-n", "1")),
        pytest.param(signal.SIGTERM, ("-n", "1"), marks=pytest.mark.full),
        pytest.param(signal.SIGINT, (), marks=pytest.mark.full),
        pytest.param(signal.SIGKILL, (), marks=pytest.mark.full),
        pytest.param(None, ("-n", "1", "--max-worker-restart", "0"), marks=pytest.mark.full),
    ],
    ids=["controller killed", "controller terminated", "ctrl-c", "killed", "worker killed"],
)
def test_no_process_is_left(tmp_path: Path, way: signal.Signals | None, workers: tuple[str, ...]) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(A_TEST.format(kills_itself=way is None))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    mark = uuid.uuid4().hex
    run = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *workers,
            f"--basetemp={tmp_path / 'base'}",
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
            "PYTEST_ADDOPTS": "",
            "MARK": mark,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C, and so would this run.
        preexec_fn=_heed_signals,
    )
    try:
        assert _comes(lambda: (tmp_path / "started").exists())
        if way is not None:
            assert len(processes_with("MARK", mark)) >= 4, (
                "the run, its watcher, and two that its test started"
            )
            run.send_signal(way)
        run.wait(_SECONDS)
        assert _comes(lambda: not processes_with("MARK", mark)), processes_with("MARK", mark)
    finally:
        for process in processes_with("MARK", mark):
            os.kill(process, signal.SIGKILL)
        run.wait()


def _heed_signals() -> None:
    for way in (signal.SIGINT, signal.SIGTERM):
        signal.signal(way, signal.SIG_DFL)


def _comes(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.05)
    return False
