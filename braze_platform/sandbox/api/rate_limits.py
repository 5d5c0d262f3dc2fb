"""Braze's rate limits: requests in an hour of the clock and in a short burst, and the headers that tell of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class RateLimit:
    """The limits of one endpoint. Windows lie on the clock, as Braze's do: they reset, they do not roll."""

    per_hour: int = 250_000
    burst: int = 3_000
    burst_seconds: int = 3
    #: What `X-RateLimit-Reset` holds: both meanings are documented.
    reset_as: Literal["epoch", "seconds_left"] = "epoch"
    clock: Callable[[], float] = time.time
    _used: dict[int, tuple[int, int]] = field(default_factory=dict)

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count a request: whether it may pass, and the headers of its answer.

        A refused request does not use up anything. Its headers are those of the newer contracts: none of the
        three, but how many seconds to wait.
        """
        now = self.clock()
        waits = [
            self._ends(seconds, now) - now
            for seconds, limit in ((3600, self.per_hour), (self.burst_seconds, self.burst))
            if self._count(seconds, now) >= limit
        ]
        if waits:
            return False, {"X-Ratelimit-Retry-After": str(max(1, math.ceil(max(waits))))}
        for seconds in {3600, self.burst_seconds}:
            self._used[seconds] = (self._ends(seconds, now), self._count(seconds, now) + 1)
        ends = self._ends(3600, now)
        reset = ends if self.reset_as == "epoch" else math.ceil(ends - now)
        return True, {
            "X-RateLimit-Limit": str(self.per_hour),
            "X-RateLimit-Remaining": str(self.per_hour - self._count(3600, now)),
            "X-RateLimit-Reset": str(reset),
        }

    def _ends(self, seconds: int, now: float) -> int:
        return (int(now) // seconds + 1) * seconds

    def _count(self, seconds: int, now: float) -> int:
        ends, used = self._used.get(seconds, (0, 0))
        return used if ends == self._ends(seconds, now) else 0
