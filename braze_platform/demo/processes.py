"""Child processes of the demo: started in a group of their own, logged to files, never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from braze_platform.process_table import command_of
from braze_platform.project_files import working_folder

#: How long a process may take to end when it is asked to.
_STOP_SECONDS = 20.0


class ProcessDied(RuntimeError):
    """A process that should run for long ended; the message holds the end of its log."""


class ChildProcess:
    """One long-running process and all that it starts in turn."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._record = log.with_suffix(".pid")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=working_folder(),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._record.write_text(f"{self.pid}\n{self._own_command()}\n", encoding="utf-8")

    def _own_command(self) -> str:
        """Its command line, for which the system needs a moment after the start; empty when it has ended."""
        while self._process.poll() is None:
            command = command_of(self.pid)
            if command:
                return command
            time.sleep(0.01)
        return ""

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def check(self) -> None:
        """Raise `ProcessDied` when it no longer runs."""
        code = self._process.poll()
        if code is not None:
            raise ProcessDied(f"{self.name} ended with code {code}. The end of {self.log}:\n{self.log_end()}")

    def log_end(self) -> str:
        """The last 25 lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])

    def stop(self) -> None:
        """Ask the whole group to end, and end it when it does not."""
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS / 4)
        # run workers may outlive their parent: nothing of the group is left running
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._record.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        _signal_group(self.pid, number)


def end_leftovers(folder: Path) -> list[str]:
    """End processes whose logs are in `folder` and whose parent was killed before it could stop them: their names.

    A process is known by its id and its command line together, since ids are used again.
    """
    ended = []
    for record in sorted(folder.glob("*.pid")):
        pid, _, command = record.read_text(encoding="utf-8").partition("\n")
        if command.strip() and command_of(int(pid)) == command.strip():
            _signal_group(int(pid), signal.SIGKILL)
            while command_of(int(pid)) == command.strip():
                time.sleep(0.01)
            ended.append(record.stem)
        record.unlink()
    return ended


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn a request to end (Ctrl-C, `kill`, a closed terminal) into `KeyboardInterrupt`, so that all is stopped."""

    def interrupt(*_: int | FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether nothing listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
