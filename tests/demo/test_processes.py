"""Child processes are watched, and nothing of them is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from braze_platform.demo.processes import (
    ChildProcess,
    ProcessDied,
    end_leftovers,
    free_port,
    interruptible,
    port_is_free,
)

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
    _wait_until_ended(grandchild)


def test_what_a_killed_parent_left_behind_is_ended(tmp_path: Path) -> None:
    starts = (
        "import sys; from pathlib import Path; from braze_platform.demo.processes import ChildProcess\n"
        f"child = ChildProcess('server', [sys.executable, '-c', 'import time; time.sleep(600)'], environment={{}}, "
        f"log=Path({str(tmp_path / 'server.log')!r}))\n"
        "print(child.pid, flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run([sys.executable, "-c", starts], capture_output=True, text=True, check=False)
    left_behind = int(parent.stdout)
    assert _runs(left_behind)
    assert end_leftovers(tmp_path) == ["server"]
    _wait_until_ended(left_behind)
    assert end_leftovers(tmp_path) == []


def test_an_id_that_is_used_again_is_left_alone(tmp_path: Path) -> None:
    child = ChildProcess(
        "server",
        [sys.executable, "-c", "import time; time.sleep(600)"],
        environment={},
        log=tmp_path / "a.log",
    )
    (tmp_path / "old.pid").write_text(f"{child.pid}\nsome other command\n")
    (tmp_path / "a.pid").unlink()
    assert end_leftovers(tmp_path) == []
    child.check()
    child.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_request_to_end_is_an_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        _ask_to_end(number)
    assert signal.getsignal(number) is before


def test_a_process_that_ended_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]
    child = ChildProcess("server", command, environment={}, log=tmp_path / "log")
    child._process.wait()
    with pytest.raises(ProcessDied, match=r"(?s)server ended with code 3.*no such port"):
        child.check()
    child.stop()


def test_a_free_port_is_free() -> None:
    assert port_is_free(free_port())


def _ask_to_end(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


def _wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
