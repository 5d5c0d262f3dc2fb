"""Ends what a run of tests leaves behind, however the run ends: a watcher outlives it by a moment.

Every process that a run starts inherits a token in its environment, whatever session or parent it has. When the run's
process is gone, by itself or by SIGKILL, the watcher ends all that carry the token, workers of pytest-xdist among them.
Linux only (pidfd_open(2), proc(5)); elsewhere nothing is watched.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

TOKEN = "BRAZE_PLATFORM_TEST_RUN"
#: Rounds of looking without a find before nothing is believed to be left: a process may be starting another.
_QUIET_ROUNDS = 3


def watch_this_process() -> None:
    """Give this process's children from now on a token, and end those that are left when it has ended."""
    if sys.platform != "linux":
        return
    os.environ[TOKEN] = uuid.uuid4().hex
    subprocess.Popen(
        [sys.executable, __file__, str(os.getpid()), os.environ[TOKEN]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C in the terminal is for the run, not for its watcher.
        start_new_session=True,
        close_fds=True,
    )


def processes_with(name: str, value: str) -> list[int]:
    """The processes that were started with a variable in their environment, this one left out."""
    wanted = f"{name}={value}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended, or is another user's
            if wanted in variables:
                found.append(int(folder.name))
    return found


def _watch(run: int, token: str) -> None:
    try:
        descriptor = os.pidfd_open(run)
    except ProcessLookupError:
        descriptor = None
    if descriptor is not None:
        select.select([descriptor], [], [])
    quiet = 0
    while quiet < _QUIET_ROUNDS:
        left = processes_with(TOKEN, token)
        quiet = 0 if left else quiet + 1
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


if __name__ == "__main__":
    _watch(int(sys.argv[1]), sys.argv[2])
