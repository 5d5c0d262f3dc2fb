"""One run of a sync: plan, send, acknowledge, report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from braze_platform.attributes.ledger import (
    SyncTables,
    acknowledge,
    has_open_rejections,
    record_rejections,
    resolve_vanished,
)
from braze_platform.attributes.outcomes import REJECTION_COLUMNS, Outcomes
from braze_platform.attributes.plan import FOLLOWS, LEFT_OUT, NOTHING, REJECTED, Plan
from braze_platform.attributes.planning import BATCH_ROWS, drop_plan, make_plan
from braze_platform.attributes.requests import Request, RequestLimits, RequestSize
from braze_platform.attributes.sending import RetryLimits, Sender, Work
from braze_platform.attributes.sync import AttributeSpec, Sync
from braze_platform.attributes.track import TrackTransport
from braze_platform.attributes.verdicts import shown_reason
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session

FLUSH_SECONDS = 2.0
FLUSH_OBJECTS = 50_000
_ONLY_SENT = str.maketrans(dict.fromkeys((FOLLOWS, REJECTED, LEFT_OUT), NOTHING))


@dataclass(frozen=True)
class Progress:
    """How far sending is: objects delivered of all, objects a second, seconds left (None: unknown)."""

    delivered: int
    total: int
    per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class DeliveryReport:
    """What became of a plan. Counts are users by attribute; `reasons` have personal data masked."""

    delivered: dict[str, int]
    rejected: dict[str, int]
    due: dict[str, int]
    requests: int
    objects_delivered: int
    seconds: float
    stopped: str = ""
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is left due."""
        return not any(self.due.values())


@dataclass(frozen=True)
class SyncRun:
    """A plan and, if it might be applied, what became of it."""

    plan: Plan
    report: DeliveryReport | None


def run_sync(
    session: Session,
    sync: Sync,
    settings: Settings,
    *,
    attributes: Sequence[AttributeSpec] | None = None,
    approved_plan: str | None = None,
    run_id: str,
    limits: RequestLimits | None = None,
    retry: RetryLimits | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    record_values: bool = False,
) -> SyncRun:
    """Plan a sync and apply the plan, unless it is beyond its limits and is not the approved one.

    With nothing to send no connection is made. `record_values` keeps the sent objects in `deliveries`, not only
    their hashes. Raises `OutwardCallsOff` before anything is sent where sending is not allowed.
    """
    specs = tuple(sync.attributes if attributes is None else attributes)
    limits = limits or RequestLimits()
    plan = make_plan(session, sync, attributes=specs, limits=limits)
    if on_plan is not None:
        on_plan(plan)
    if not plan.may_apply(approved_plan):
        return SyncRun(plan, None)
    transport = TrackTransport(settings, limits) if plan.objects else None
    _settle_unsent(session, SyncTables(sync), specs, run_id)
    if transport is None:
        drop_plan(session, sync)
        nothing = {spec.name: 0 for spec in specs}
        rejected = {name: counts.rejected for name, counts in plan.attributes.items()}
        reasons = {shown_reason(reason): count for reason, count in plan.reasons.items()}
        return SyncRun(plan, DeliveryReport(nothing, rejected, dict(nothing), 0, 0, 0.0, reasons=reasons))
    report = asyncio.run(
        _send_plan(
            session,
            sync,
            specs,
            plan,
            transport,
            run_id,
            retry or RetryLimits(),
            on_progress,
            record_values=record_values,
        )
    )
    if report.complete:
        drop_plan(session, sync)
    return SyncRun(plan, report)


def _settle_unsent(session: Session, tables: SyncTables, specs: Sequence[AttributeSpec], run_id: str) -> None:
    """Do what a plan asks for without sending: the ledger follows, refused values are listed."""
    letters = " || ".join(
        f"case when substr(_actions, {i + 1}, 1) = '{FOLLOWS}' then '{FOLLOWS}' else '-' end"
        for i in range(len(specs))
    )
    follows = f"(select _row, {letters} as _mask from {tables.objects} where _actions like '%{FOLLOWS}%')"
    if session.fetch(f"select 1 from {tables.objects} where _actions like '%{FOLLOWS}%' limit 1"):
        with session.transaction():
            acknowledge(session, tables, specs, follows)
    if has_open_rejections(session, tables.sync):
        with session.transaction():
            resolve_vanished(session, tables, specs)
    query = f"select _row, _rejections from {tables.objects} where _rejections is not null order by _row"
    for batch in session.fetch_batches(query, rows=BATCH_ROWS):
        rows = [
            (row, specs[position].name, hashed, reason, "value", run_id)
            for row, text in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
            for position, reason, hashed in json.loads(text)
        ]
        refused = pa.table(
            {name: [row[i] for row in rows] for i, name in enumerate(REJECTION_COLUMNS.names)},
            schema=REJECTION_COLUMNS,
        )
        with session.attached("_refused", refused), session.transaction():
            record_rejections(session, tables, "_refused")


async def _send_plan(
    session: Session,
    sync: Sync,
    specs: Sequence[AttributeSpec],
    plan: Plan,
    transport: TrackTransport,
    run_id: str,
    retry: RetryLimits,
    on_progress: Callable[[Progress], None] | None,
    *,
    record_values: bool,
) -> DeliveryReport:
    started = time.monotonic()
    tables = SyncTables(sync)
    outcomes = Outcomes(
        session,
        tables,
        specs,
        run_id,
        record_values=record_values,
        resolve=has_open_rejections(session, sync),
    )
    async with transport:
        sender = Sender(transport, outcomes, specs, retry)
        sending = asyncio.create_task(sender.run(_planned_work(session, tables, transport.limits)))
        try:
            flushed = time.monotonic()
            while not sending.done():
                await asyncio.wait({sending}, timeout=0.05)
                if len(outcomes) >= FLUSH_OBJECTS or time.monotonic() - flushed >= FLUSH_SECONDS:
                    await asyncio.to_thread(outcomes.flush)
                    flushed = time.monotonic()
                    if on_progress is not None:
                        on_progress(_progress(outcomes.objects_settled, plan.objects, flushed - started))
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            # Also on the way out of an interruption: what Braze acknowledged is written.
            outcomes.flush()
    delivered, refused = outcomes.delivered, outcomes.rejected
    due = {name: counts.sent - delivered[name] - refused[name] for name, counts in plan.attributes.items()}
    reasons = dict(outcomes.reasons)
    for reason, count in plan.reasons.items():
        reasons[shown_reason(reason)] = reasons.get(shown_reason(reason), 0) + count
    return DeliveryReport(
        delivered=delivered,
        rejected={name: refused[name] + counts.rejected for name, counts in plan.attributes.items()},
        due=due,
        requests=sender.requests,
        objects_delivered=outcomes.objects_settled,
        seconds=time.monotonic() - started,
        stopped=shown_reason(sender.stopped),
        reasons=reasons,
    )


def _progress(delivered: int, total: int, seconds: float) -> Progress:
    rate = delivered / seconds if seconds > 0 else 0.0
    return Progress(delivered, total, rate, (total - delivered) / rate if rate else None)


async def _planned_work(session: Session, tables: SyncTables, limits: RequestLimits) -> AsyncIterator[Work]:
    """The plan's objects as requests, in the plan's order; one batch of rows is in memory at a time."""
    query = f"select _row, _actions, _object from {tables.objects} where _object is not null order by _row"
    batches: Iterator[pa.RecordBatch] = session.fetch_batches(query, rows=BATCH_ROWS)
    size = RequestSize(limits)
    rows: list[int] = []
    masks: list[str] = []
    parts: list[bytes] = []
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        for row, actions, text in zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True):
            part = text.encode("utf-8")
            if not size.fits(len(part)):
                if rows:
                    yield Work(Request(tuple(parts)), rows, masks)
                    rows, masks, parts = [], [], []
                    size.restart()
                if not size.fits_alone(len(part)):
                    yield Work(Request((part,), oversized=True), [row], [actions.translate(_ONLY_SENT)])
                    continue
            rows.append(row)
            masks.append(actions.translate(_ONLY_SENT))
            parts.append(part)
            size.add(len(part))
    if rows:
        yield Work(Request(tuple(parts)), rows, masks)
