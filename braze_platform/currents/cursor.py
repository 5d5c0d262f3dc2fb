"""What the hours sensor remembers between ticks, as a small text that it can lose without harm.

For each event type and day it keeps one fingerprint of the objects that were dealt with, not their names or times: a
late, rewritten or vanished object changes the fingerprint, equal time stamps cannot hide it, and the size is bounded
by event types and days. Older days are folded into months.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from braze_platform.currents.fingerprints import combined
from braze_platform.currents.run_planning import Period, RunPlan, period_of

_VERSION = 1


@dataclass(frozen=True)
class Seen:
    """What is known of one event type's objects in one period."""

    fingerprint: int
    files: int
    hours: int


SeenByType = dict[str, dict[Period, Seen]]


@dataclass(frozen=True)
class Request:
    """A run that was asked for and is not dealt with."""

    id: str
    #: `None` asks for the objects whose keys fit no layout.
    plan: RunPlan | None
    #: What was pending and is dealt with when the run succeeds.
    seen: Mapping[str, Mapping[Period, Seen]]
    #: Fingerprint of the unrecognised keys, when they are what it asks for.
    unrecognised: int = 0
    attempt: int = 1
    #: Unix seconds: when the run was asked for, or before which it is not asked for again.
    at: float = 0.0


@dataclass
class Sweep:
    """One listing of the whole bucket, which may take several ticks."""

    #: Days from here on are looked at one by one, those before by the month.
    detail_from: date
    #: Key of the last object listed.
    position: str = ""
    objects: int = 0
    seen: SeenByType = field(default_factory=dict)
    #: Hour of the object at `position`, so that its hour is counted once.
    last_hour: str = ""
    unrecognised: int = 0
    unrecognised_keys: int = 0
    unrecognised_examples: list[str] = field(default_factory=list)


@dataclass
class Cursor:
    """Everything the sensor remembers."""

    #: What runs have dealt with.
    known: SeenByType = field(default_factory=dict)
    unrecognised: int = 0
    #: The sweep that is not finished.
    sweep: Sweep | None = None
    #: The request whose run is under way.
    running: Request | None = None
    #: Requests whose runs failed and that are asked for again later.
    failed: list[Request] = field(default_factory=list)

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """Read what `write` wrote; anything else is a lost cursor, and a lost cursor is an empty one."""
        if not text:
            return cls()
        try:
            stored = json.loads(zlib.decompress(base64.b85decode(text)))
        except (ValueError, zlib.error):
            return cls()
        if not isinstance(stored, dict) or stored.get("version") != _VERSION:
            return cls()
        return cls(
            known=_read_seen(stored["known"]),
            unrecognised=stored["unrecognised"],
            sweep=_read_sweep(stored["sweep"]) if stored["sweep"] else None,
            running=_read_request(stored["running"]) if stored["running"] else None,
            failed=[_read_request(request) for request in stored["failed"]],
        )

    def write(self) -> str:
        """This cursor as text."""
        stored = {
            "version": _VERSION,
            "known": _write_seen(self.known),
            "unrecognised": self.unrecognised,
            "sweep": _write_sweep(self.sweep) if self.sweep else None,
            "running": _write_request(self.running) if self.running else None,
            "failed": [_write_request(request) for request in self.failed],
        }
        return base64.b85encode(zlib.compress(json.dumps(stored, separators=(",", ":")).encode(), 9)).decode()


def folded(seen: Mapping[str, Mapping[Period, Seen]], start_day: date, detail_from: date) -> SeenByType:
    """The same knowledge with the days before `detail_from` folded into their months."""
    result: SeenByType = {}
    for event_type, periods in seen.items():
        gathered: dict[Period, list[Seen]] = {}
        for period, of_period in periods.items():
            gathered.setdefault(period_of(period.first_day, start_day, detail_from), []).append(of_period)
        result[event_type] = {
            period: Seen(
                combined(part.fingerprint for part in parts),
                sum(part.files for part in parts),
                sum(part.hours for part in parts),
            )
            for period, parts in gathered.items()
        }
    return result


def with_attempt_after(request: Request, at: float) -> Request:
    """The request for another attempt, not before `at` (Unix seconds)."""
    return replace(request, attempt=request.attempt + 1, at=at)


def _write_seen(seen: Mapping[str, Mapping[Period, Seen]]) -> dict[str, Any]:
    return {
        event_type: [
            [
                period.first_day.toordinal(),
                period.days,
                of_period.fingerprint,
                of_period.files,
                of_period.hours,
            ]
            for period, of_period in sorted(periods.items())
        ]
        for event_type, periods in seen.items()
    }


def _read_seen(stored: Mapping[str, Any]) -> SeenByType:
    return {
        event_type: {
            Period(date.fromordinal(first), date.fromordinal(first + days - 1)): Seen(mark, files, hours)
            for first, days, mark, files, hours in periods
        }
        for event_type, periods in stored.items()
    }


def _write_sweep(sweep: Sweep) -> dict[str, Any]:
    return {**vars(sweep), "detail_from": sweep.detail_from.isoformat(), "seen": _write_seen(sweep.seen)}


def _read_sweep(stored: Mapping[str, Any]) -> Sweep:
    return Sweep(
        **{
            **stored,
            "detail_from": date.fromisoformat(stored["detail_from"]),
            "seen": _read_seen(stored["seen"]),
        }
    )


def _write_request(request: Request) -> dict[str, Any]:
    plan = request.plan
    return {
        **vars(request),
        "plan": [plan.event_types, plan.first_day.isoformat(), plan.last_day.isoformat()] if plan else None,
        "seen": _write_seen(request.seen),
    }


def _read_request(stored: Mapping[str, Any]) -> Request:
    plan = stored["plan"]
    return Request(
        **{
            **stored,
            "plan": RunPlan(tuple(plan[0]), date.fromisoformat(plan[1]), date.fromisoformat(plan[2]))
            if plan
            else None,
            "seen": _read_seen(stored["seen"]),
        }
    )
