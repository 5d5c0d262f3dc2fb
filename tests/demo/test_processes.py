"""Child processes are watched, and nothing of them is left behind."""

import sys
import time
from pathlib import Path

import pytest

from braze_platform.demo.processes import ChildProcess, ProcessDied, free_port, port_is_free

SPAWNS_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_stopping_ends_the_grandchildren_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = ChildProcess("parent", [sys.executable, "-c", SPAWNS_A_CHILD], environment={}, log=log)
    while not log.read_text().strip():
        child.check()
        time.sleep(0.05)
    grandchild = int(log.read_text())
    child.stop()
    deadline = time.monotonic() + 10
    while _runs(grandchild) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(grandchild)


def test_a_process_that_ended_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]
    child = ChildProcess("server", command, environment={}, log=tmp_path / "log")
    child._process.wait()
    with pytest.raises(ProcessDied, match=r"(?s)server ended with code 3.*no such port"):
        child.check()
    child.stop()


def test_a_free_port_is_free() -> None:
    assert port_is_free(free_port())


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
