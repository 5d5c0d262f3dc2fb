"""Opening a DuckDB file that another process may have open: wait a while, and say for whom.

One process that writes, or several that only read, can have a file open (https://duckdb.org/docs/stable/connect/concurrency).
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from braze_platform.warehouse.interface import PATIENCE_SECONDS

#: Waits shorter than this are the platform's own turns and not worth a word; then every so often.
_SAY_AFTER, _SAY_EVERY = 5.0, 60.0
_LOCKED = "Could not set lock on file"
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_LOG = logging.getLogger(__name__)


class FileLocked(RuntimeError):
    """A DuckDB file stayed open in another process; the message names that and the remedy."""


def connect_waiting(
    path: Path,
    config: dict[str, Any],
    patience_seconds: float = PATIENCE_SECONDS,
    say: Callable[[str], None] = _LOG.warning,
) -> duckdb.DuckDBPyConnection:
    """Open a file to write; while another process has it open, wait, and tell `say` which one.

    Raises `FileLocked` after `patience_seconds`, and DuckDB's own errors at once.
    """
    started = time.monotonic()
    next_word = started + _SAY_AFTER
    while True:
        try:
            return duckdb.connect(str(path), config=config)
        except duckdb.IOException as error:
            if _LOCKED not in str(error):
                raise
            now = time.monotonic()
            if now - started > patience_seconds:
                raise FileLocked(
                    f"{path} stayed locked by another process for {patience_seconds:.0f} s: {holder(error)} has it "
                    "open. Close it there (a program that only looks opens a copy of the file), or wait for the run "
                    "to end."
                ) from error
            if now >= next_word:
                say(f"Waiting for {path}: {holder(error)} has it open.")
                next_word = now + _SAY_EVERY
            time.sleep(random.uniform(0.05, 0.25))


def holder(error: duckdb.Error) -> str:
    """The process that has the file open, as DuckDB names it.

    >>> holder(duckdb.IOException("... Conflicting lock is held in /opt/dbeaver/dbeaver (PID 41). See also ..."))
    'dbeaver (process 41)'
    """
    found = _HOLDER.search(str(error))
    return f"{Path(found['program']).name} (process {found['pid']})" if found else "another program"
