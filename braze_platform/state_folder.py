"""The state folder: it holds personal data, and it serves one Dagster at a time."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from filelock import FileLock

from braze_platform.process_table import ancestors_of, command_of

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
#: Command lines that have sensors look and runs start; a webserver alone does neither.
_SERVICES = (
    "dagster dev",
    "dg dev",
    "dagster-daemon run",
    "dagster._daemon run",
    "braze_platform.demo.dagster_services",
)
_OWNER = "dagster_process"
_LOG = logging.getLogger(__name__)


class StateInUse(RuntimeError):
    """Another process runs on the same state folder; the message names it and the remedy."""


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter; one that others may enter is closed to them, which is logged.

    A folder of another user, such as a mounted volume, stays as it is, and the log says so.
    """
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not mode & _OTHERS:
        return
    try:
        folder.chmod(mode & ~_OTHERS)
    except PermissionError:
        _LOG.warning(
            f"{folder} holds personal data and is open to other users (mode {mode:o}); it belongs to another user, who "
            "has to call chmod 700 on it, or set BRAZE_PLATFORM_STATE_DIR to a folder of your own."
        )
        return
    _LOG.warning(
        f"{folder} holds personal data and was open to other users (mode {mode:o}): it is closed to them now. Data for "
        "others belongs elsewhere."
    )


def claim(folder: Path) -> None:
    """Take the folder for the Dagster that started this process, unless it has it; raise `StateInUse` if another does.

    All that one `dagster dev` starts has it as its ancestor: code servers that take turns, and runs. What nobody of
    that kind started, a command or a webserver alone, neither takes the folder nor is refused.
    """
    service = _service_of(os.getpid())
    if service is None:
        return
    make_private(folder)
    with FileLock(folder / f"{_OWNER}.lock"):
        refuse_another(folder)
        (folder / _OWNER).write_text(f"{service}\n{command_of(service)}\n", encoding="utf-8")


def refuse_another(folder: Path) -> None:
    """Raise `StateInUse` when a Dagster that did not start this process has the folder."""
    record = folder / _OWNER
    if not record.exists():
        return
    pid, _, command = record.read_text(encoding="utf-8").strip().partition("\n")
    # By its id and its command line together, since ids are used again.
    if command and command_of(int(pid)) == command and int(pid) not in ancestors_of(os.getpid()):
        raise StateInUse(
            f"Another Dagster runs on {folder}: process {pid}, {command}. Two would load and send the same things. "
            "Stop it (Ctrl-C in its terminal), or set BRAZE_PLATFORM_STATE_DIR to another folder."
        )


def _service_of(pid: int) -> int | None:
    """The topmost ancestor of a process that has sensors look, None where there is none."""
    found = None
    for ancestor in ancestors_of(pid):
        words = [Path(word).name for word in command_of(ancestor).split(" ")]
        # A shell's own command line holds those of all that it starts.
        if "-c" not in words and any(f" {service} " in f" {' '.join(words)} " for service in _SERVICES):
            found = ancestor
    return found
