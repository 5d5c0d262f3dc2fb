"""What the operating system says of processes: command line and parent."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def command_of(pid: int) -> str:
    """A process's command line, its words parted by blanks; empty when there is no such process."""
    if _has_proc():
        with suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ").strip()
        return ""
    return _ps(pid, "command=")


def ancestors_of(pid: int) -> Iterator[int]:
    """A process, the one that started it, and so on up to the first that the system shows."""
    while pid > 0:
        yield pid
        pid = _parent_of(pid)


def _parent_of(pid: int) -> int:
    """The process that started it, 0 when there is none."""
    if _has_proc():
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name stands in brackets and may hold anything (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            return int(stat.rpartition(")")[2].split()[1])
        return 0
    return int(_ps(pid, "ppid=") or 0)


def _has_proc() -> bool:
    """Small Linux images have no `ps`, macOS has no `/proc`."""
    return Path("/proc/self").exists()


def _ps(pid: int, column: str) -> str:
    answer = subprocess.run(
        ["ps", "-ww", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()
