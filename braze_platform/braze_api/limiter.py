"""How many requests one endpoint gets, and when: a steady rate, windows of 3 seconds, the hour.

Braze's windows lie on the clock (https://www.braze.com/docs/api/api_limits). Where one process sends at a time (the
pool `braze_api` sees to it), memory and Braze's own headers are enough; what must last, the hour's use, is handed on by
`use_of_hour` and `resume`. Braze's headers take precedence over our own count.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from braze_platform.braze_api.pacing import until_reset

BURST_SECONDS = 3
HOUR_SECONDS = 3600
#: How much of unused rate may be made up for at once, in seconds.
_CATCH_UP_SECONDS = 0.25


class NoTurn(Exception):
    """No request may be sent: sending stopped (`wait_seconds` None), or so many seconds would have to pass first."""

    def __init__(self, wait_seconds: float | None = None) -> None:
        super().__init__("stopped" if wait_seconds is None else f"no request for {wait_seconds:.0f} seconds")
        self.wait_seconds = wait_seconds


class Limiter:
    """The requests of one process to one endpoint (or to several that share a limit).

    `per_hour` None: no hourly limit is known, unless Braze's headers tell one. `share` is the part of the hour's limit
    that this process may use itself, `reserve` the part that it leaves to others by what Braze says remains.
    """

    def __init__(
        self,
        *,
        per_second: float,
        per_hour: int | None = None,
        share: float = 1.0,
        reserve: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._interval = 1 / per_second
        self._per_burst = max(1, int(per_second * BURST_SECONDS))
        self.per_hour = per_hour
        self._share = share
        self._reserve = reserve
        self._clock = clock
        self._next = 0.0
        self._not_before = 0.0
        self._burst = (0, 0)
        #: The hour (epoch seconds of its beginning), requests of this process in it, and of all by Braze's count.
        self._hour, self._own, self._used = 0, 0, 0
        #: The hour's limit by Braze's headers.
        self._observed: int | None = None

    def use_of_hour(self) -> tuple[int, int]:
        """The beginning of the present hour (epoch seconds), and how many of its requests are used up."""
        self._turn_to(self._clock())
        return self._hour, max(self._own, self._used)

    def resume(self, hour: int, used: int) -> None:
        """Count what another process used of an hour; nothing when that hour is over."""
        self._turn_to(self._clock())
        if hour == self._hour:
            self._own, self._used = self._own + used, max(self._used, used)

    def take(self) -> float:
        """Take one request (0.0), or say how many seconds of a window must pass first."""
        now = self._clock()
        self._turn_to(now)
        limit = self.per_hour if self._observed is None else self._observed
        if limit is not None and (
            self._own >= limit * self._share or self._used >= limit * (1 - self._reserve)
        ):
            return self._hour + HOUR_SECONDS - now
        start, used = self._burst
        window = int(now) // BURST_SECONDS * BURST_SECONDS
        if start == window and used >= self._per_burst:
            return window + BURST_SECONDS - now
        self._burst = (window, used + 1 if start == window else 1)
        self._own += 1
        self._used += 1
        return 0.0

    async def turn(self, stop: asyncio.Event | None = None, *, max_wait_seconds: float = math.inf) -> None:
        """Wait until one more request may be sent, and count it.

        Raises `NoTurn` when `stop` was set first, or when a window lasts longer than `max_wait_seconds`.
        """
        self._next = max(self._next, time.monotonic() - _CATCH_UP_SECONDS) + self._interval
        turn_at = self._next
        while stop is None or not stop.is_set():
            wait = max(turn_at, self._not_before) - time.monotonic()
            if wait <= 0:
                wait = self.take()
                if wait <= 0:
                    return
                if wait > max_wait_seconds:
                    raise NoTurn(wait)
            # In slices, so that a stop is noticed during a long wait.
            await asyncio.sleep(min(wait, 0.25))
        raise NoTurn

    def hold(self, seconds: float) -> None:
        """Let no request start for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def observe_rate_limit_headers(self, headers: Mapping[str, str]) -> None:
        """Take note of what an answer says of the hour: its limit, and what is left of it for everybody."""
        lowered = {name.lower(): value.strip() for name, value in headers.items()}
        limit, remaining = (_whole(lowered.get(f"x-ratelimit-{name}", "")) for name in ("limit", "remaining"))
        now = self._clock()
        reset = until_reset(lowered.get("x-ratelimit-reset"), now)
        # A window of seconds is none of the hour: the pause that its end asks for is kept elsewhere.
        if limit and remaining is not None and reset is not None and reset > BURST_SECONDS:
            self._turn_to(now)
            self._observed = limit
            # Others use the same key: what the server counted is the least that is used.
            self._used = max(self._used, limit - remaining)

    def _turn_to(self, now: float) -> None:
        hour = int(now) // HOUR_SECONDS * HOUR_SECONDS
        if hour != self._hour:
            self._hour, self._own, self._used, self._observed = hour, 0, 0, None


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
