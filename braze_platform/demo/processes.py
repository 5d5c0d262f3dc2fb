"""Child processes of the demo: started in a group of their own, logged to files, never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from braze_platform.settings import PROJECT_ROOT


class ProcessDied(RuntimeError):
    """A process that should run for long ended; the message holds the end of its log."""


class ChildProcess:
    """One long-running process and all that it starts in turn."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def check(self) -> None:
        """Raise `ProcessDied` when it no longer runs."""
        code = self._process.poll()
        if code is not None:
            raise ProcessDied(f"{self.name} ended with code {code}. The end of {self.log}:\n{self.log_end()}")

    def log_end(self, lines: int = 25) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self, patience_seconds: float = 20.0) -> None:
        """Ask the whole group to end, and end it when it does not."""
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience_seconds / 4)
        # run workers may outlive their parent: nothing of the group is left running
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


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
