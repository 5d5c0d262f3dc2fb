"""One budget of requests for all syncs of a workspace on this machine, kept in a small SQLite file.

Braze's windows lie on the clock (https://www.braze.com/docs/api/api_limits): 3 seconds, for some contracts an hour.
Whoever sends takes requests from the windows first, so that processes that know nothing of each other keep the limit
together. What Braze's headers say of the hour holds over our own count.

While somebody of a higher priority sends, others take what is left in the last second of a window; of an hour they
leave a tenth to whoever had a higher priority that day.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from braze_platform.braze_api.pacing import until_reset

BURST_SECONDS = 3
HOUR_SECONDS = 3600
#: The first part of a short window, which belongs to the highest priority that is sending.
_FIRST_SECONDS = 2
#: Somebody who took requests within this time is still sending.
_ACTIVE_SECONDS = 6.0
_REMEMBERED_SECONDS = 86_400
#: Of the hour's requests, what a lower priority leaves to a higher one.
_LEFT_SHARE = 0.1
_SCHEMA = """
create table if not exists windows (
    endpoint text, seconds integer, starts integer, used integer not null, primary key (endpoint, seconds));
create table if not exists senders (
    endpoint text, sender text, priority integer, active_until real, seen real, primary key (endpoint, sender));
create table if not exists told (endpoint text primary key, starts integer, hour_limit integer, used integer);
"""


@dataclass(frozen=True)
class Grant:
    """So many requests may be sent now; with none, so many seconds must pass first."""

    requests: int
    wait_seconds: float = 0.0


class SharedBudget:
    """The windows of one endpoint. `per_hour` None: no hourly limit is known, unless Braze's headers tell one.

    A lower `priority` comes first: 0 high, 1 normal, 2 low.
    """

    def __init__(
        self,
        path: Path,
        endpoint: str,
        *,
        per_burst: int,
        per_hour: int | None = None,
        priority: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._endpoint = endpoint
        self._per_burst = per_burst
        self._per_hour = per_hour
        self._priority = priority
        self._sender = uuid.uuid4().hex
        self._clock = clock
        self._left = 0
        self._left_until = 0.0
        self._told: tuple[int, int] | None = None

    def take(self) -> Grant:
        """Take one request. Blocks are taken from the file, so that not every request costs a transaction."""
        now = self._clock()
        if self._left and now < self._left_until:
            self._left -= 1
            return Grant(1)
        unused, self._left = self._left, 0
        with self._transaction() as connection:
            grant = self._take_block(connection, now, unused)
        if grant.requests:
            self._left, self._left_until = grant.requests - 1, _start(BURST_SECONDS, now) + BURST_SECONDS
            return Grant(1)
        return grant

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take note of what an answer says of the hour: its limit, and what is left of it for everybody."""
        lowered = {name.lower(): value for name, value in headers.items()}
        limit, remaining = (_whole(lowered.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining"))
        reset = until_reset(lowered.get("x-ratelimit-reset"), self._clock())
        # A window of seconds is none of the hour: the pause that its end asks for is kept elsewhere.
        if limit is not None and remaining is not None and reset is not None and reset > BURST_SECONDS:
            self._told = (limit, limit - remaining)

    def give_back(self) -> None:
        """Return what was taken and not sent, at the end of sending, and let others go on."""
        unused, self._left = self._left, 0
        with self._transaction() as connection:
            now = self._clock()
            self._return(connection, now, unused)
            connection.execute(
                "update senders set active_until = ? where endpoint = ? and sender = ?",
                (now, self._endpoint, self._sender),
            )

    def _take_block(self, connection: sqlite3.Connection, now: float, unused: int) -> Grant:
        self._return(connection, now, unused)
        hour_limit, hour_used = self._hour(connection, now)
        active, remembered = self._higher(connection, now)
        if remembered and hour_limit is not None:
            hour_limit -= int(hour_limit * _LEFT_SHARE)
        first_part = _start(BURST_SECONDS, now) + _FIRST_SECONDS - now
        if active and first_part > 0:
            return Grant(0, first_part)
        left = [(HOUR_SECONDS, hour_limit - hour_used)] if hour_limit is not None else []
        left.append((BURST_SECONDS, self._per_burst - self._used(connection, BURST_SECONDS, now)))
        for seconds, remaining in left:
            if remaining <= 0:
                return Grant(0, _start(seconds, now) + seconds - now)
        block = min(max(1, self._per_burst // 20), *(remaining for _, remaining in left))
        for seconds in (BURST_SECONDS, HOUR_SECONDS):
            self._set(connection, seconds, now, self._used(connection, seconds, now) + block)
        return Grant(block)

    def _higher(self, connection: sqlite3.Connection, now: float) -> tuple[bool, bool]:
        """Whether somebody of a higher priority is sending, and whether one did within a day; notes ourselves."""
        connection.execute(
            "insert or replace into senders values (?, ?, ?, ?, ?)",
            (self._endpoint, self._sender, self._priority, now + _ACTIVE_SECONDS, now),
        )
        connection.execute("delete from senders where seen < ?", (now - _REMEMBERED_SECONDS,))
        latest = connection.execute(
            "select max(active_until) from senders where endpoint = ? and priority < ?",
            (self._endpoint, self._priority),
        ).fetchone()[0]
        return latest is not None and latest > now, latest is not None

    def _return(self, connection: sqlite3.Connection, now: float, unused: int) -> None:
        if unused:
            self._set(
                connection, HOUR_SECONDS, now, max(0, self._used(connection, HOUR_SECONDS, now) - unused)
            )
        if self._told is not None:
            limit, used = self._told
            self._told = None
            connection.execute(
                "insert or replace into told values (?, ?, ?, ?)",
                (self._endpoint, _start(HOUR_SECONDS, now), limit, used),
            )
            # Others outside this machine use the same key: what the server counted is the least that is used.
            self._set(connection, HOUR_SECONDS, now, max(used, self._used(connection, HOUR_SECONDS, now)))

    def _hour(self, connection: sqlite3.Connection, now: float) -> tuple[int | None, int]:
        told = connection.execute(
            "select hour_limit from told where endpoint = ? and starts = ?",
            (self._endpoint, _start(HOUR_SECONDS, now)),
        ).fetchone()
        return int(told[0]) if told else self._per_hour, self._used(connection, HOUR_SECONDS, now)

    def _used(self, connection: sqlite3.Connection, seconds: int, now: float) -> int:
        found = connection.execute(
            "select used from windows where endpoint = ? and seconds = ? and starts = ?",
            (self._endpoint, seconds, _start(seconds, now)),
        ).fetchone()
        return int(found[0]) if found else 0

    def _set(self, connection: sqlite3.Connection, seconds: int, now: float, used: int) -> None:
        connection.execute(
            "insert or replace into windows values (?, ?, ?, ?)",
            (self._endpoint, seconds, _start(seconds, now), used),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        try:
            # Losing the count in a crash of the machine costs at most one window.
            connection.execute("pragma synchronous=off")
            connection.executescript(_SCHEMA)
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")
        finally:
            connection.close()


def _start(seconds: int, now: float) -> int:
    return int(now) // seconds * seconds


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
