"""How many requests this room takes of the hour's, which the whole workspace shares. Pure.

250,000 requests per hour are shared by most endpoints, sends included; 1,000 an hour by `/custom_attributes` and the
events' lists (https://www.braze.com/docs/api/api_limits). Windows are hours of the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class HourlyBudget:
    """Counts requests in the hour of the clock, and stops before sends would run short of them."""

    per_hour: int
    #: Share of the hour's requests that this room may use.
    own_share: float = 0.2
    #: Share that it leaves to others, by what Braze's headers say remains.
    reserve: float = 0.25
    _hour: int = field(default=-1, repr=False)
    _used: int = field(default=0, repr=False)
    _remaining: float | None = field(default=None, repr=False)

    def take(self, now: float) -> bool:
        """Count one more request at `now` (epoch seconds), or say that the hour's share is used up."""
        self._turn_to(now)
        if self._used >= self.per_hour * self.own_share:
            return False
        if self._remaining is not None and self._remaining <= self.per_hour * self.reserve:
            return False
        self._used += 1
        return True

    def observe_rate_limit_headers(self, headers: Mapping[str, str], now: float) -> None:
        """Hear what Braze's answer says of the limit and of what remains of it for everybody."""
        self._turn_to(now)
        lowered = {name.lower(): value.strip() for name, value in headers.items()}
        limit, remaining = lowered.get("x-ratelimit-limit", ""), lowered.get("x-ratelimit-remaining", "")
        if limit.isascii() and limit.isdigit() and int(limit) > 0:
            self.per_hour = int(limit)
        if remaining.isascii() and remaining.isdigit():
            self._remaining = int(remaining)

    def _turn_to(self, now: float) -> None:
        hour = int(now // 3600)
        if hour != self._hour:
            self._hour, self._used, self._remaining = hour, 0, None
