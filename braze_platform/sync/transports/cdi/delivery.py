"""A plan by Cloud Data Ingestion: acknowledged as a whole or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.outcomes import Outcomes
from braze_platform.sync.ledger.actions import Actions
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.report import DeliveryReport, report_of
from braze_platform.sync.transports.cdi.integration import CdiError, ingest_plan
from braze_platform.sync.transports.cdi.jobs import Reconciled
from braze_platform.sync.transports.cdi.table import BATCH_ROWS, CdiTable
from braze_platform.warehouse.tables import now_utc


def ingest_and_acknowledge(
    table: CdiTable, specs: Sequence[AttributeSpec], plan: Plan, settings: Settings, run_id: str
) -> DeliveryReport | None:
    """Have Braze read the plan's objects; None when they must be sent by `track` instead, because only some arrived.

    Braze counts failed rows and does not name them, so after a partial job nothing is known of any single row. All of
    its values are absolute and may be sent twice; `track` answers for each. A run whose end was not seen stays open and
    is processed by the next one.
    """
    started = time.monotonic()
    try:
        found, requests = asyncio.run(ingest_plan(table, specs, settings, run_id))
    except CdiError as error:
        found, requests = Reconciled("waiting", reason=str(error)), 0
    outcomes = Outcomes(
        table.store,
        specs,
        run_id,
        resolve=table.store.has_open_rejections(),
    )
    _record(table.store, outcomes, found)
    if found.conclusion != "waiting":
        now = now_utc()
        table.settle(found.conclusion, found.synced, found.failed, now)
    if found.conclusion == "partial":
        return None
    stopped = "" if found.conclusion == "delivered" else found.reason
    return report_of(plan, outcomes, requests=requests, seconds=time.monotonic() - started, stopped=stopped)


def _record(store: SyncStore, outcomes: Outcomes, found: Reconciled) -> None:
    """One delivery an object, and the ledger with it when all of them are known to be at Braze."""
    verdict = "delivered" if found.conclusion == "delivered" else "due"
    query = f"select _user, _label, _actions from {store.objects} where _object is not null"
    for batch in store.session.fetch_batches(query, rows=BATCH_ROWS):
        outcomes.add(
            list(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)),
            [Actions(actions).as_values() for actions in batch.column(2).to_pylist()],
            verdict,
            request_number=0,
            status=None,
            attempts=1,
            reason=found.reason,
        )
        outcomes.flush()
