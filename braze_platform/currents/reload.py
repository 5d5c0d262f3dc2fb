"""Reloading ranges of days, or single hours, in resumable chunks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from braze_platform.currents import file_registry
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.loader import LoadOptions, load
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.raw_tables import error_context
from braze_platform.warehouse.registry import RELOADS
from braze_platform.warehouse.tables import now_utc

#: Days of one event type per chunk: between chunks the warehouse is free for others.
DAYS_PER_CHUNK = 31


@dataclass(frozen=True)
class Reload:
    """What to reload: event types over days (both included), or over some hours (naive UTC) of them."""

    event_types: tuple[str, ...]
    first_day: date
    last_day: date
    hours: tuple[datetime, ...] | None = None

    def as_text(self) -> str:
        """These choices as text, by which an unfinished reload is resumed."""
        return json.dumps(
            {
                "event_types": sorted(self.event_types),
                "first_day": self.first_day.isoformat(),
                "last_day": self.last_day.isoformat(),
                "hours": sorted(hour.isoformat() for hour in self.hours) if self.hours is not None else None,
            },
            sort_keys=True,
        )

    def chunks(self) -> Iterator[tuple[str, date, date]]:
        """Event types and days of each chunk, in the order in which they are loaded."""
        for event_type in self.event_types:
            first = self.first_day
            while first <= self.last_day:
                last = min(first + timedelta(days=DAYS_PER_CHUNK - 1), self.last_day)
                yield event_type, first, last
                first = last + timedelta(days=1)


@dataclass(frozen=True)
class ChunkResult:
    """The result of one chunk of a reload."""

    number: int
    chunks: int
    event_type: str
    first_day: date
    last_day: date
    rows: int
    files: int
    hours: int
    #: Hours that this reload had loaded before it was stopped.
    hours_done_before: int
    quarantined: int
    error: str | None

    def __str__(self) -> str:
        """One line for a terminal."""
        before = f", {self.hours_done_before:,} hours done before" if self.hours_done_before else ""
        bad = f", {self.quarantined:,} files in quarantine" if self.quarantined else ""
        failed = f"; FAILED: {self.error}" if self.error else ""
        return (
            f"[{self.number}/{self.chunks}] {self.event_type} {self.first_day}..{self.last_day}: {self.rows:,} rows of "
            f"{self.files:,} files in {self.hours:,} hours loaded{before}{bad}{failed}"
        )


def begin(warehouse: Warehouse, wanted: Reload, *, restart: bool = False) -> tuple[datetime, bool]:
    """The time (naive UTC) at which this reload started, and whether it resumes an unfinished one.

    `restart` forgets an unfinished reload of the same choices.
    """
    now = now_utc()
    with warehouse.session() as session, error_context(session, "beginning a reload"):
        ensure_raw_tables(session, ())
        unfinished = session.fetch(
            f"select max(started_at) from {RELOADS.ref(session.sql)} where choices = $choices and finished_at is null",
            {"choices": wanted.as_text()},
        )[0][0]
        if unfinished is not None and not restart:
            return unfinished, True
        with session.transaction():
            _finish(session, wanted, now)
            RELOADS.append(session, [(wanted.as_text(), now, None)])
    return now, False


def run_reload(
    warehouse: Warehouse,
    bucket: Bucket,
    prefix: str,
    wanted: Reload,
    since: datetime,
    *,
    options: LoadOptions,
    on_chunk: Callable[[ChunkResult], None] = lambda _: None,
) -> list[ChunkResult]:
    """Load all chunks whose hours were not loaded since `since` (see `begin`), even if the file registry has them.

    An event type that fails does not stop the others; its chunk carries the error, and the reload stays unfinished.
    """
    chunks = list(wanted.chunks())
    done: list[ChunkResult] = []
    for number, (event_type, first, last) in enumerate(chunks, 1):
        with warehouse.session() as session:
            before = file_registry.hours_loaded_since(session, event_type, first, last, since)
        chosen = before if wanted.hours is None else before & set(wanted.hours)
        report = load(
            warehouse,
            bucket,
            prefix,
            [event_type],
            first,
            last,
            only_hours=frozenset(wanted.hours) if wanted.hours is not None else None,
            is_forced=_all_but(before),
            options=options,
        )
        loaded = report.event_types[event_type]
        chunk = ChunkResult(
            number,
            len(chunks),
            event_type,
            first,
            last,
            loaded.rows_loaded,
            loaded.files_loaded,
            loaded.hours_loaded,
            len(chosen),
            len(loaded.quarantined),
            loaded.error,
        )
        done.append(chunk)
        on_chunk(chunk)
    if not any(chunk.error for chunk in done):
        with warehouse.session() as session, session.transaction():
            _finish(session, wanted, now_utc())
    return done


def _all_but(hours: Collection[datetime]) -> Callable[[str, datetime], bool]:
    return lambda _event_type, hour: hour not in hours


def days_of_hours(hours: Sequence[datetime]) -> tuple[date, date]:
    """First and last day of some hours."""
    return min(hours).date(), max(hours).date()


def _finish(session: Session, wanted: Reload, at: datetime) -> None:
    session.execute(
        f"update {RELOADS.ref(session.sql)} set finished_at = $at where choices = $choices and finished_at is null",
        {"choices": wanted.as_text(), "at": at},
    )
