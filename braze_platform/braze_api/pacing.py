"""How long Braze's headers ask to wait. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

#: A reset given as a number above this is an epoch, below it the seconds left in the window: both meanings
#: are documented (https://www.braze.com/docs/api/api_limits, .../post_user_track), and no window of an hour
#: reaches this.
_EPOCH_THRESHOLD = 1_000_000_000
_DEFAULT_WAIT_SECONDS = 5.0
#: No window of Braze's is longer; an answer that asks for more is not Braze, or its clock is wrong.
_LONGEST_WAIT_SECONDS = 3_600.0


def wait_after(status: int | None, headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the next request may be sent, or None when nothing asks for a wait.

    On a 429: `X-Ratelimit-Retry-After`, then `Retry-After` (seconds or a date), then `X-RateLimit-Reset` (epoch
    or seconds left), then a default. On any other answer: until the reset when no request remains.
    `now` is the epoch in seconds.
    """
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    reset = until_reset(lowered.get("x-ratelimit-reset"), now)
    if status == 429:
        for name in ("x-ratelimit-retry-after", "retry-after"):
            wait = _seconds(lowered.get(name), now)
            if wait is not None:
                return wait
        return _DEFAULT_WAIT_SECONDS if reset is None else reset
    if _number(lowered.get("x-ratelimit-remaining")) == 0 and reset is not None:
        return reset
    return None


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def until_reset(text: str | None, now: float) -> float | None:
    """Seconds until a window ends, from `X-RateLimit-Reset`; None when it says nothing that can be read."""
    number = _number(text)
    if number is None:
        return None
    return _clamped(number - now if number >= _EPOCH_THRESHOLD else number)


def _seconds(text: str | None, now: float) -> float | None:
    if text is None:
        return None
    number = _number(text)
    if number is not None:
        return _clamped(number)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return _clamped((moment - datetime.fromtimestamp(now, timezone.utc)).total_seconds())


def _clamped(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_WAIT_SECONDS)
