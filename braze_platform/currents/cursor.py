"""The cursor of the hours sensor: what it remembers between ticks.

If the cursor is lost, the next tick lists the whole bucket and reloads nothing. Per event type and period it keeps one
fingerprint of the processed objects, not their names or times: a late, rewritten or deleted object changes the
fingerprint, and equal time stamps cannot hide it. The days of the
look-back are kept one by one, older ones by the month and by the year, so that the size is bounded by event types.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from braze_platform.currents.fingerprints import BYTES, combined
from braze_platform.currents.run_requests import Period, RunScope, period_of
from braze_platform.currents.walk import Seen, UnrecognisedKeys, Walk

_VERSION = 3

SeenByType = dict[str, dict[Period, Seen]]


@dataclass(frozen=True)
class Request:
    """A run that was requested and is not processed."""

    id: str
    #: Event types and days to load; `None` when only the unrecognised objects are requested.
    scope: RunScope | None
    #: What was pending and is processed when the run succeeds.
    seen: Mapping[str, Mapping[Period, Seen]]
    #: Fingerprint of the unrecognised keys, when they are requested, alone or along with event types.
    unrecognised: int | None = None
    attempt: int = 1
    #: Unix seconds: when the run was requested, or before which it is not retried.
    at: float = 0.0
    #: Unix seconds at which its first run failed; 0 when none did.
    failing_since: float = 0.0


@dataclass
class Cursor:
    """Everything the sensor remembers."""

    #: First day with Currents by the settings, and first day that is remembered by itself.
    start_day: date = date.min
    detail_from: date = date.min
    #: What runs have processed.
    known: SeenByType = field(default_factory=dict)
    #: What a walk saw that differed from it.
    found: SeenByType = field(default_factory=dict)
    #: Fingerprint of the unrecognised keys that runs have processed.
    unrecognised: int = 0
    #: Unrecognised keys inside the look-back, and all others, as the last finished walks found them.
    recent_unrecognised: UnrecognisedKeys = field(default_factory=UnrecognisedKeys)
    older_unrecognised: UnrecognisedKeys = field(default_factory=UnrecognisedKeys)
    #: Walks that are not finished.
    recent: Walk | None = None
    full: Walk | None = None
    #: Day at which the full walk ends.
    full_until: date = date.min
    #: Unix seconds at which the last finished full walk began, 0 when there was none, and the unfinished one.
    reconciled_at: float = 0.0
    full_began_at: float = 0.0
    #: When the newest object was written, in Unix seconds by the bucket's clock.
    newest: float = 0.0
    #: Since when a run has been held back because files were still arriving, in Unix seconds; 0 when none is.
    holding_since: float = 0.0
    #: The request whose run is in progress.
    running: Request | None = None
    #: Requests whose runs failed and that are retried later.
    failed: list[Request] = field(default_factory=list)
    #: Unix seconds at which the bucket was last compared with the file registry.
    checked_at: float = 0.0
    #: What the check of files that are not loaded said last (`tick_messages.not_loaded_rows`).
    told_not_loaded: list[list[str]] = field(default_factory=list)

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """Read what `write` wrote; anything else counts as lost and gives an empty cursor."""
        if not text:
            return cls()
        try:
            stored = json.loads(zlib.decompress(base64.b85decode(text)))
            return cls._from(stored) if stored["version"] == _VERSION else cls()
        except (ValueError, LookupError, TypeError, zlib.error):
            return cls()

    @classmethod
    def _from(cls, stored: dict[str, Any]) -> Cursor:
        del stored["version"]
        return cls(
            **{
                **stored,
                "start_day": date.fromisoformat(stored["start_day"]),
                "detail_from": date.fromisoformat(stored["detail_from"]),
                "full_until": date.fromisoformat(stored["full_until"]),
                "known": _read_seen(stored["known"]),
                "found": _read_seen(stored["found"]),
                "recent_unrecognised": UnrecognisedKeys(**stored["recent_unrecognised"]),
                "older_unrecognised": UnrecognisedKeys(**stored["older_unrecognised"]),
                "recent": _read_walk(stored["recent"]) if stored["recent"] else None,
                "full": _read_walk(stored["full"]) if stored["full"] else None,
                "running": _read_request(stored["running"]) if stored["running"] else None,
                "failed": [_read_request(request) for request in stored["failed"]],
            }
        )

    def write(self) -> str:
        """This cursor as text."""
        stored = {
            "version": _VERSION,
            **vars(self),
            "start_day": self.start_day.isoformat(),
            "detail_from": self.detail_from.isoformat(),
            "full_until": self.full_until.isoformat(),
            "known": _write_seen(self.known),
            "found": _write_seen(self.found),
            "recent_unrecognised": vars(self.recent_unrecognised),
            "older_unrecognised": vars(self.older_unrecognised),
            "recent": _write_walk(self.recent) if self.recent else None,
            "full": _write_walk(self.full) if self.full else None,
            "running": _write_request(self.running) if self.running else None,
            "failed": [_write_request(request) for request in self.failed],
        }
        return base64.b85encode(zlib.compress(json.dumps(stored, separators=(",", ":")).encode(), 9)).decode()


def folded(seen: Mapping[str, Mapping[Period, Seen]], start_day: date, detail_from: date) -> SeenByType:
    """The same knowledge with the days before `detail_from` folded into their months and years."""
    result: SeenByType = {}
    for event_type, periods in seen.items():
        gathered: dict[Period, list[Seen]] = {}
        for period, of_period in periods.items():
            gathered.setdefault(period_of(period.first_day, start_day, detail_from), []).append(of_period)
        result[event_type] = {
            period: Seen(combined(part.fingerprint for part in parts), sum(part.files for part in parts))
            for period, parts in gathered.items()
        }
    return result


def _write_seen(seen: Mapping[str, Mapping[Period, Seen]]) -> dict[str, Any]:
    return {event_type: _write_periods(periods) for event_type, periods in seen.items() if periods}


def _write_periods(periods: Mapping[Period, Seen]) -> list[Any]:
    """Columns, because equal things side by side compress best: distances between first days, lengths, files, marks."""
    ordered = sorted(periods.items())
    firsts = [period.first_day.toordinal() for period, _ in ordered]
    return [
        [first - before for before, first in zip([0, *firsts], firsts, strict=False)],
        [period.days for period, _ in ordered],
        [of_period.files for _, of_period in ordered],
        base64.b85encode(
            b"".join(of_period.fingerprint.to_bytes(BYTES, "big") for _, of_period in ordered)
        ).decode(),
    ]


def _read_seen(stored: Mapping[str, Any]) -> SeenByType:
    return {event_type: _read_periods(columns) for event_type, columns in stored.items()}


def _read_periods(columns: list[Any]) -> dict[Period, Seen]:
    distances, lengths, files, marks = columns
    packed = base64.b85decode(marks)
    periods: dict[Period, Seen] = {}
    first = 0
    for at, (distance, days, count) in enumerate(zip(distances, lengths, files, strict=True)):
        first += distance
        period = Period(date.fromordinal(first), date.fromordinal(first + days - 1))
        periods[period] = Seen(int.from_bytes(packed[at * BYTES : (at + 1) * BYTES], "big"), count)
    return periods


def _write_walk(walk: Walk) -> dict[str, Any]:
    return {
        **vars(walk),
        "seen": _write_periods(walk.seen),
        "unrecognised_keys": vars(walk.unrecognised_keys),
    }


def _read_walk(stored: Mapping[str, Any]) -> Walk:
    return Walk(
        **{
            **stored,
            "seen": _read_periods(stored["seen"]),
            "unrecognised_keys": UnrecognisedKeys(**stored["unrecognised_keys"]),
        }
    )


def _write_request(request: Request) -> dict[str, Any]:
    scope = request.scope
    return {
        **vars(request),
        "scope": [scope.event_types, scope.first_day.isoformat(), scope.last_day.isoformat()]
        if scope
        else None,
        "seen": _write_seen(request.seen),
    }


def _read_request(stored: Mapping[str, Any]) -> Request:
    scope = stored["scope"]
    return Request(
        **{
            **stored,
            "scope": RunScope(tuple(scope[0]), date.fromisoformat(scope[1]), date.fromisoformat(scope[2]))
            if scope
            else None,
            "seen": _read_seen(stored["seen"]),
        }
    )
