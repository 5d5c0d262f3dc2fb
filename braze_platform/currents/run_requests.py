"""What to ask a run for: a rectangle of event types and days, newest first, with little in it that is not pending."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

#: At least this share of a run's (event type, day) pairs must be pending; the rest costs a materialisation each.
_MIN_PENDING_SHARE = 0.5
#: How many (event type, day) pairs a run over a longer period than usual may have.
MAX_PAIRS = 3_000


@dataclass(frozen=True, order=True)
class Period:
    """Some whole days in a row, both ends included: one day, or what is old of a month or of a year."""

    first_day: date
    last_day: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last_day - self.first_day).days + 1

    def __contains__(self, day: date) -> bool:
        return self.first_day <= day <= self.last_day

    def __str__(self) -> str:
        """Its days for a log."""
        return str(self.first_day) if self.days == 1 else f"{self.first_day}..{self.last_day}"


@dataclass(frozen=True)
class RunScope:
    """One run: these event types over all of these days."""

    event_types: tuple[str, ...]
    first_day: date
    last_day: date

    @property
    def period(self) -> Period:
        """Its days."""
        return Period(self.first_day, self.last_day)


def period_of(day: date, start_day: date, detail_from: date) -> Period:
    """The period in which a day is remembered.

    That is the day itself from `detail_from` on; before, its month as far as that lies before `detail_from`; and
    beyond twelve months before, its year as far as that lies before those. No period reaches across `start_day`,
    the first day that can be loaded.

    >>> str(period_of(date(2026, 3, 5), date(2026, 3, 2), date(2026, 3, 20)))
    '2026-03-02..2026-03-19'
    >>> str(period_of(date(2025, 1, 5), date(2024, 1, 1), date(2026, 3, 20)))
    '2025-01-01..2025-02-28'
    """
    if day >= detail_from:
        return Period(day, day)
    months_from = detail_from.replace(year=detail_from.year - 1, day=1)
    if day >= months_from:
        first = day.replace(day=1)
        last = min((first + timedelta(days=31)).replace(day=1), detail_from) - timedelta(days=1)
    else:
        first = day.replace(month=1, day=1)
        last = min(first.replace(year=first.year + 1), months_from) - timedelta(days=1)
    if day < start_day:
        return Period(first, min(last, start_day - timedelta(days=1)))
    return Period(max(first, start_day), last)


def next_run_scope(pending: Mapping[str, Collection[Period]], *, max_days: int = 31) -> RunScope | None:
    """The next run for what is pending by event type; `None` when nothing is.

    It ends at the newest pending day, so that a backlog does not hold up what is new, and reaches back as far, at
    most `max_days`, as no more than half of its (event type, day) pairs would be loaded for nothing. A period that
    is longer than that by itself is a run for as many event types as make `MAX_PAIRS` such pairs, one at least.
    """
    periods = [(period, event_type) for event_type, of_type in pending.items() for period in of_type]
    if not periods:
        return None
    last_day = max(period.last_day for period, _ in periods)
    starts = {period.first_day for period, _ in periods if (last_day - period.first_day).days < max_days}
    if not starts:
        newest = max(
            (period for period, _ in periods), key=lambda period: (period.last_day, period.first_day)
        )
        event_types = sorted({event_type for period, event_type in periods if period == newest})
        chosen = event_types[: max(MAX_PAIRS // newest.days, 1)]
        return RunScope(tuple(chosen), newest.first_day, newest.last_day)
    best: RunScope | None = None
    for first_day in sorted(starts, reverse=True):
        inside = [(period, event_type) for period, event_type in periods if period.first_day >= first_day]
        inside_types = tuple(sorted({event_type for _, event_type in inside}))
        rectangle = len(inside_types) * ((last_day - first_day).days + 1)
        asked_for = sum(period.days for period, _ in inside)
        if best is None or asked_for >= _MIN_PENDING_SHARE * rectangle:
            best = RunScope(inside_types, first_day, last_day)
    return best
