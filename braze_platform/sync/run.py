"""One run of a sync: plan, send, acknowledge, report."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.settings import Settings
from braze_platform.sync.confirmation.existence import (
    Existence,
    count_unproven,
    note_unsure,
    settle_existence,
)
from braze_platform.sync.confirmation.proof import Proof, observe, proofs
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.delivery.operations import prepare_operations, send_operations
from braze_platform.sync.delivery.outcomes import REJECTED, Outcomes
from braze_platform.sync.delivery.request_usage import kept_usage
from braze_platform.sync.delivery.requests import Packer, RequestLimits, limits_of
from braze_platform.sync.delivery.sending import Sender
from braze_platform.sync.delivery.work import PackedObject, Work, work_of
from braze_platform.sync.ledger.actions import Action, Actions, only_sql
from braze_platform.sync.ledger.former_name import follow_former_name
from braze_platform.sync.ledger.holds import release
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.store import (
    SyncStore,
    held_store,
)
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.plan.planning import BATCH_ROWS, drop_plan, make_plan
from braze_platform.sync.plan.preflight import fitting_attributes
from braze_platform.sync.report import DeliveryReport, report_of, report_of_nothing
from braze_platform.sync.transports.cdi.delivery import ingest_and_acknowledge
from braze_platform.sync.transports.cdi.integration import settle_interrupted
from braze_platform.sync.transports.cdi.table import CdiTable
from braze_platform.sync.transports.track import BulkTransport, TrackTransport
from braze_platform.sync.workspace import bind, raise_if_other
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import RUN_WAIT_SECONDS
from braze_platform.warehouse.registry import REJECTIONS

#: How long a request is tried again.
RETRY = RetryLimits()
#: When acknowledged objects are written to the ledger, whichever comes first. What was sent since then is sent again by
#: the run after a killed one; on the other hand each writing looks through the whole plan and ledger.
FLUSH_SECONDS = 2.0
FLUSH_OBJECTS = 100_000
#: How many seconds a look-up of users may fail before Currents alone shows who exists.
MAX_LOOKUP_PATIENCE = 20.0


@dataclass(frozen=True)
class Progress:
    """How far sending is: objects delivered of all, objects a second, seconds left (None: unknown)."""

    delivered: int
    total: int
    per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class SyncRun:
    """A plan and, if it might be applied, what became of it."""

    plan: Plan
    report: DeliveryReport | None
    #: Attributes that were left out of the plan, and why.
    stopped: dict[str, str] = field(default_factory=dict)
    #: What Currents shows of earlier deliveries, by attribute; None when it can tell nothing.
    proven: dict[str, Proof] | None = None
    #: What was learned of users whom Currents has not shown; None for a sync that creates its users.
    existence: Existence | None = None
    #: Users not known to Braze after the run, by state: `missing` and `unconfirmed`.
    unproven: dict[str, int] = field(default_factory=dict)

    @property
    def got_on(self) -> bool:
        """Whether values were delivered, or Braze asked to wait: the next run resumes where this one ended."""
        return self.report is not None and (self.report.objects_delivered > 0 or self.report.has_to_wait)


@dataclass(frozen=True)
class RunOptions:
    """How a run is made, beside what settings and declaration say."""

    #: The attributes that it is about; None: all of the sync.
    attributes: Sequence[AttributeSpec] | None = None
    on_plan: Callable[[Plan], None] = lambda plan: None
    on_progress: Callable[[Progress], None] = lambda progress: None


def run_sync(
    session: Session, sync: Sync, settings: Settings, run_id: str, options: RunOptions | None = None
) -> SyncRun:
    """Plan a sync and apply the plan, unless it exceeds its limits and nobody has approved it.

    Attributes that the workspace would not take as declared are left out; users deleted in Braze are never sent.
    With nothing to send no connection is made. Raises `OutwardCallsOff` before anything is sent where sending is not
    allowed, and `OtherWorkspace` where the ledgers belong to another workspace.

    The run holds the sync's lease. It waits up to `RUN_WAIT_SECONDS` for it and raises `LeaseHeld` then, without harm;
    it raises `LeaseLost` and writes nothing more when somebody else has taken it meanwhile.
    """
    options = options or RunOptions()
    raise_if_other(session, settings)
    with held_store(session, sync, f"the run {run_id}", wait_seconds=RUN_WAIT_SECONDS) as store:
        try:
            run = _run_leased(store, settings, run_id, options)
            return run if run.existence is None else replace(run, unproven=count_unproven(store))
        finally:
            drop_plan(store)


def _run_leased(store: SyncStore, settings: Settings, run_id: str, options: RunOptions) -> SyncRun:
    session, sync = store.session, store.sync
    chosen = sync.attributes if options.attributes is None else options.attributes
    specs, stopped = fitting_attributes(store, chosen)
    limits = limits_of(settings, sync.transport)
    record_values = settings.deliveries_with_values
    follow_former_name(store)
    table = CdiTable(store, settings.cdi_exports_dir)
    if table.has_unsettled_run():
        # Whatever the transport is by now: rows that lie there would be sent by the next job.
        asyncio.run(settle_interrupted(table, settings))
    prepare_tables(store)
    if any(spec.operator for spec in sync.attributes):
        prepare_operations(store)
    patience_seconds = min(MAX_LOOKUP_PATIENCE, RETRY.fault_seconds)
    existence = settle_existence(store, settings, patience_seconds=patience_seconds)
    proven = proofs(store) if observe(store) else None
    plan = make_plan(store, attributes=specs, limits=limits, with_values=record_values)
    options.on_plan(plan)
    if not specs:
        return SyncRun(plan, report_of_nothing(plan, specs), stopped, proven, existence)
    # Asked of every plan: an approval of another one ends by that.
    is_approved = store.is_approved(plan.plan_id)
    if not plan.within_limits and not is_approved:
        return SyncRun(plan, None, stopped, proven, existence)
    transport = _transport_of(sync, settings, limits) if plan.objects else None
    store.record_applied(plan.plan_id, run_id, users=plan.users, objects=plan.objects)
    if not plan.within_limits and {spec.name for spec in chosen} == {spec.name for spec in sync.attributes}:
        # Approved: where the sync was held, a person has looked at all of it.
        release(session, sync.name)
    if plan.objects:
        bind(session, settings)
        note_unsure(store)
    if settings.deliveries_days is not None:
        store.expire_deliveries(settings.deliveries_days)
    _settle_unsent(store, specs, run_id)
    if transport is None:
        return SyncRun(plan, report_of_nothing(plan, specs), stopped, proven, existence)
    report = None
    if sync.transport == "cdi":
        report = ingest_and_acknowledge(table, specs, plan, settings, run_id)
    if report is None:
        with kept_usage(session, transport.limiters):
            report = asyncio.run(
                _send_plan(store, specs, plan, transport, run_id, options, with_values=record_values)
            )
    return SyncRun(plan, report, stopped, proven, existence)


def _transport_of(sync: Sync, settings: Settings, limits: RequestLimits) -> TrackTransport:
    if sync.transport == "bulk":
        return BulkTransport(settings, limits)
    return TrackTransport(settings, limits)


def _settle_unsent(store: SyncStore, specs: Sequence[AttributeSpec], run_id: str) -> None:
    """Apply what a plan changes without sending: ledger-only values are acknowledged, rejected ones are listed."""
    only = Action.LEDGER_ONLY
    found = f"from {store.objects} as o where o._actions like '%{only}%'"
    ledger_only = f"(select _user, _label, {only_sql('o._actions', only, len(specs))} as _actions {found})"
    if store.session.fetch(f"select 1 {found} limit 1"):
        with store.session.transaction():
            store.acknowledge(specs, ledger_only, sent=False)
    if store.has_open_rejections():
        with store.session.transaction():
            store.resolve_vanished(specs)
    query = f"select _user, _label, _rejections from {store.objects} where _rejections is not null"
    for batch in store.session.fetch_batches(query, rows=BATCH_ROWS):
        rows = [
            (user, label, specs[position].name, hashed, reason, refused, run_id)
            for user, label, text in zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True)
            for position, reason, hashed, refused in json.loads(text)
        ]
        refused = REJECTIONS.rows(rows, *REJECTED)
        with store.session.attached("_refused", refused) as refusals, store.session.transaction():
            store.record_rejections(refusals)


async def _send_plan(
    store: SyncStore,
    specs: Sequence[AttributeSpec],
    plan: Plan,
    transport: TrackTransport,
    run_id: str,
    options: RunOptions,
    *,
    with_values: bool,
) -> DeliveryReport:
    started = time.monotonic()
    outcomes = Outcomes(
        store,
        specs,
        run_id,
        resolve=store.has_open_rejections(),
    )

    def show_progress() -> None:
        seconds = time.monotonic() - started
        options.on_progress(_progress(outcomes.objects_settled, plan.objects, seconds))

    async with transport:
        sender = Sender(
            transport, outcomes, specs, RETRY, max_unwritten=FLUSH_OBJECTS, with_values=with_values
        )
        sending = asyncio.create_task(sender.run(_planned_work(store, transport.limits)))
        try:
            flushed = time.monotonic()
            while not sending.done():
                await asyncio.wait({sending}, timeout=0.05)
                if len(outcomes) >= FLUSH_OBJECTS or time.monotonic() - flushed >= FLUSH_SECONDS:
                    await asyncio.to_thread(outcomes.flush)
                    await asyncio.to_thread(store.keep_lease)
                    flushed = time.monotonic()
                    show_progress()
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            # Also on the way out of an interruption: what Braze acknowledged is written.
            outcomes.flush()
        requests, stopped = sender.requests, sender.stopped
        if not stopped and any(spec.operator for spec in specs):
            operator_requests, stopped = await send_operations(
                store, specs, transport, run_id, RETRY, outcomes, show_progress
            )
            requests += operator_requests
    return report_of(plan, outcomes, requests=requests, seconds=time.monotonic() - started, stopped=stopped)


def _progress(delivered: int, total: int, seconds: float) -> Progress:
    rate = delivered / seconds if seconds > 0 else 0.0
    return Progress(delivered, total, rate, (total - delivered) / rate if rate else None)


async def _planned_work(store: SyncStore, limits: RequestLimits) -> AsyncIterator[Work]:
    """The plan's objects as requests, those that were due before first; one batch of rows is in memory at a time."""
    query = f"select _user, _label, _actions, _object from {store.objects} where _object is not null and"
    due: list[str] = []
    if store.session.fetch(f"select 1 from {store.objects} where _object is not null and _due limit 1"):
        due = [f"{query} _due"]
    batches: Iterator[pa.RecordBatch] = itertools.chain.from_iterable(
        store.session.fetch_batches(one, rows=BATCH_ROWS) for one in [*due, f"{query} not _due"]
    )
    packer = Packer[PackedObject](limits)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        for user, label, actions, text in zip(*(batch.column(i).to_pylist() for i in range(4)), strict=True):
            part = text.encode("utf-8")
            planned = PackedObject((user, label), Actions(actions).as_values(), part)
            for request in packer.add(planned, len(part)):
                yield work_of(request)
    for request in packer.finish():
        yield work_of(request)
