"""Sends a plan's operators, each at most once: what an answer leaves unclear is listed, and never sent again.

The ledger moves before a request leaves, together with a note in `operations`; what Braze surely did not take
moves back. A process that dies in between therefore repeats nothing: the next run finds the notes and lists them as
unclear.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any

import pyarrow as pa

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.outcomes import REJECTED, Outcomes
from braze_platform.sync.delivery.sending import Sender
from braze_platform.sync.delivery.transport import SendingTransport
from braze_platform.sync.delivery.work import PackedObject, Work, pack_work
from braze_platform.sync.ledger.actions import Actions
from braze_platform.sync.ledger.rejections import reopen_run
from braze_platform.sync.ledger.store import (
    KEY_FIELDS,
    SyncStore,
    UserKey,
)
from braze_platform.warehouse.registry import OPERATIONS, REJECTIONS
from braze_platform.warehouse.tables import ensure, now_utc

_USERS_ACTIONS = pa.schema([*KEY_FIELDS, ("_actions", pa.string())])
_INTERRUPTED = (
    "the process ended before Braze's answer was known; an operator is not sent again after an unclear answer"
)


def prepare_operations(store: SyncStore) -> int:
    """Make the table of notes, and list what a killed run had in flight as unclear; returns how many objects."""
    ensure(store.session, OPERATIONS)
    own = {"sync": store.sync.name}
    left = store.session.fetch(
        f"select _user, _label, attribute_values, run_id from {store.operations} where sync = $sync", own
    )
    if not left:
        return 0
    rows = [
        (user, label, entry["attribute"], entry["hash"], _INTERRUPTED, "unclear", earlier)
        for user, label, text, earlier in left
        for entry in json.loads(text)
    ]
    listed = REJECTIONS.rows(rows, *REJECTED)
    with store.session.attached("_interrupted", listed) as interrupted, store.session.transaction():
        store.session.execute(
            f"insert into {store.rejections} select $sync, i._user, i._label, i.attribute, i.value_hash, i.reason, "
            f"i.refused_by, i.run_id, cast($at as timestamp), cast(null as timestamp) from {interrupted} as i",
            {**own, "at": now_utc()},
        )
        store.session.execute(
            f"insert into {store.deliveries} (sync, run_id, request_number, _user, _label, attribute_values, verdict, "
            "status, attempts, reason, delivered_at) select sync, run_id, 0, _user, _label, attribute_values, "
            f"'rejected', null, 1, $reason, cast($at as timestamp) from {store.operations} where sync = $sync",
            {**own, "reason": _INTERRUPTED, "at": now_utc()},
        )
        store.session.execute(f"delete from {store.operations} where sync = $sync", own)
    return len(left)


async def send_operations(
    store: SyncStore,
    specs: Sequence[AttributeSpec],
    transport: SendingTransport,
    run_id: str,
    retry: RetryLimits,
    outcomes: Outcomes,
    on_chunk: Callable[[], None],
) -> tuple[int, str]:
    """Send every operator of the plan; adds to `outcomes`, and returns the requests made and why sending stopped.

    `on_chunk` is called whenever some of them are done.
    """
    query = f"select _user, _label, _actions, _operation, _operated from {store.objects} where _operation is not null"
    size = transport.limits.objects * transport.limits.concurrency * 4
    requests, stopped = 0, ""
    for batch in store.session.fetch_batches(query, rows=size):
        if stopped:
            break
        planned = [
            PackedObject((user, label), Actions(actions).as_operators(), part.encode("utf-8"), sent)
            for user, label, actions, part, sent in zip(
                *(batch.column(i).to_pylist() for i in range(5)), strict=True
            )
        ]
        chunk = _Chunk(store, specs, run_id, {one.row: one.actions for one in planned})
        chunk.limit = outcomes.limit
        chunk.begin()
        sender = Sender(transport, chunk, specs, retry, repeatable=False)
        # An exception leaves the notes: what was in flight then is unclear, and the next run lists it.
        await run_under_lease(
            store,
            sender.run(_each(pack_work(planned, transport.limits))),
        )
        chunk.flush()
        outcomes.include(chunk)
        on_chunk()
        requests, stopped = requests + sender.requests, sender.stopped
    return requests, stopped


async def run_under_lease(store: SyncStore, sending: Coroutine[None, None, None]) -> None:
    """Send while the lease is held: renew it, and stop sending before it may be somebody else's."""
    task = asyncio.create_task(sending)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=1.0)
            await asyncio.to_thread(store.keep_lease)
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _each(work: Iterator[Work]) -> AsyncIterator[Work]:
    for entry in work:
        yield entry


class _Chunk(Outcomes):
    """Outcomes of operators whose values are in the ledger already."""

    def __init__(
        self, store: SyncStore, specs: Sequence[AttributeSpec], run_id: str, actions: dict[UserKey, Actions]
    ) -> None:
        super().__init__(store, specs, run_id, resolve=True)
        self.actions = actions

    def begin(self) -> None:
        """Move the ledger and note what is about to be sent, before anything leaves."""
        store = self._store
        with store.session.attached("_began", _as_table(self.actions)) as began, store.session.transaction():
            store.acknowledge(self._specs, began)
            store.session.execute(
                f"insert into {store.operations} select $sync, $run_id, "
                f"b._user, b._label, o._operated, cast($at as timestamp) from {began} as b "
                f"join {store.objects} o on {store.on_key('o', 'b')}",
                {"sync": store.sync.name, "run_id": self._run_id, "at": now_utc()},
            )

    def flush(self) -> None:
        """Write what became of all of it, and move back what Braze did not take: all or nothing."""
        outcomes, refused = self._taken()
        delivered: dict[UserKey, Actions] = {}
        kept: dict[UserKey, Actions] = {}
        told = ("_user", "_label", "_actions", "verdict", "_unclear")
        for user, label, actions, verdict, unclear in zip(
            *(outcomes.column(name).to_pylist() for name in told), strict=True
        ):
            row = (user, label)
            if verdict == "delivered":
                delivered[row] = Actions(actions).joined(delivered.get(row, actions))
            if verdict == "delivered" or unclear:
                kept[row] = Actions(actions).joined(kept.get(row, actions))
        back = {
            row: actions.without(kept[row]) if row in kept else actions
            for row, actions in self.actions.items()
        }
        store, session = self._store, self._store.session
        with (
            session.attached("_outcomes", outcomes) as settled,
            session.attached("_refused", refused) as refusals,
            session.attached("_delivered", _as_table(delivered)) as done,
            session.attached("_retracted", _as_table(back)) as retracted,
            session.transaction(),
        ):
            self._count_unconfirmed(settled)
            store.record_deliveries(settled, "_operated", self._run_id)
            store.retract(self._specs, retracted)
            store.resolve_delivered(self._specs, done)
            store.record_rejections(refusals)
            if self.limit.is_exceeded:
                reopen_run(store, self._run_id)
            session.execute(f"delete from {store.operations} where sync = $sync", {"sync": store.sync.name})


def _as_table(actions: dict[UserKey, Actions]) -> pa.Table:
    shown: dict[str, list[Any]] = {
        "_user": [user for user, _ in actions],
        "_label": [label for _, label in actions],
        "_actions": list(actions.values()),
    }
    return pa.table(shown, schema=_USERS_ACTIONS)
