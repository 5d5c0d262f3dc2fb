"""Verdicts on their way into the warehouse: gathered while sending, flushed every few seconds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from braze_platform.sync.declaration.rejection_limit import RejectionLimit
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.ledger.actions import Action, joined_sql
from braze_platform.sync.ledger.rejections import reopen_run
from braze_platform.sync.ledger.store import (
    KEY_FIELDS,
    SyncStore,
    UserKey,
)
from braze_platform.sync.values.rejected import shown_reason
from braze_platform.warehouse.registry import REJECTIONS

_OUTCOMES = pa.schema(
    [
        *KEY_FIELDS,
        ("_actions", pa.string()),
        # What was sent where it is not the whole object of the plan.
        ("_sent", pa.string()),
        ("verdict", pa.string()),
        ("request_number", pa.int64()),
        ("status", pa.int32()),
        ("attempts", pa.int32()),
        ("reason", pa.string()),
        # Whether Braze may have taken it all the same.
        ("_unclear", pa.bool_()),
    ]
)
#: The columns of `rejections` that are known when a value is refused.
REJECTED = ("_user", "_label", "attribute", "value_hash", "reason", "refused_by", "run_id")


class Outcomes:
    """Buffers what became of objects; `flush` writes it in one transaction and moves the ledger.

    Counts are kept for the whole run: `delivered` and `rejected` by attribute name, `reasons` with personal
    data masked. Adding is for the sending thread, flushing may happen in another.
    """

    def __init__(
        self,
        store: SyncStore,
        specs: Sequence[AttributeSpec],
        run_id: str,
        *,
        resolve: bool,
    ) -> None:
        self._store = store
        self._specs = specs
        self._run_id = run_id
        self._resolve = resolve
        self._columns: list[list[Any]] = [[] for _ in _OUTCOMES.names]
        self._rejections: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()
        self._delivered_actions: Counter[str] = Counter()
        self._unconfirmed_actions: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._unclear: Counter[str] = Counter()
        self.limit = RejectionLimit(store.sync.limits.max_rejected_share)
        self.reasons: Counter[str] = Counter()
        self.objects_settled = 0
        #: Sending stopped because of a rate limit or a budget.
        self.has_to_wait = False

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(
        self,
        rows: Sequence[UserKey],
        actions: Sequence[str],
        verdict: str,
        *,
        request_number: int,
        status: int | None,
        attempts: int,
        reason: str = "",
        sent: Sequence[str] | None = None,
        unclear: bool = False,
    ) -> None:
        """Take the same verdict for several objects of one request, `rows` being the keys of their users.

        `sent` says what each carried, as `plan.delivery_values` does, where it is not all that the plan has for
        the user.
        """
        count = len(rows)
        added: list[Sequence[Any]] = [
            [user for user, _ in rows],
            [label for _, label in rows],
            actions,
            [None] * count if sent is None else sent,
            [verdict] * count,
            [request_number] * count,
            [status] * count,
            [attempts] * count,
            [reason] * count,
            [unclear] * count,
        ]
        with self._lock:
            for column, values in zip(self._columns, added, strict=True):
                column.extend(values)
        if verdict == "delivered":
            self._delivered_actions.update(actions)
            self.objects_settled += count
            self.limit.note_delivered(sum(len(one) - one.count(Action.UNCHANGED) for one in actions))

    def raise_if_unwritable(self) -> None:
        """Raise `LeaseLost` when what is sent now might not be acknowledged, the lease being near its end."""
        self._store.raise_if_ending()

    def reject(
        self, row: UserKey, attribute: str, hashed: str, reason: str, *, unclear: bool = False
    ) -> None:
        """Take note that Braze refused one attribute of one user for good, or left unclear whether it did."""
        refused_by = "unclear" if unclear else "braze"
        with self._lock:
            self._rejections.append((*row, attribute, hashed, reason, refused_by, self._run_id))
        self._rejected[attribute] += 1
        if unclear:
            self._unclear[attribute] += 1
        else:
            self.limit.note_rejected()
        self.reasons[shown_reason(reason)] += 1

    @property
    def delivered(self) -> dict[str, int]:
        """Users for whom Braze acknowledged an attribute, by attribute; complete after `flush`."""
        unconfirmed = self.unconfirmed
        return {
            name: count - unconfirmed[name]
            for name, count in self._by_attribute(self._delivered_actions).items()
        }

    @property
    def unconfirmed(self) -> dict[str, int]:
        """Users who were sent an attribute without anybody knowing whether Braze has them; as of the last `flush`."""
        return self._by_attribute(self._unconfirmed_actions)

    @property
    def rejected(self) -> dict[str, int]:
        """Users rejected by Braze, by attribute; none but unclear ones when too many were, which are all due."""
        counted = self._unclear if self.limit.is_exceeded else self._rejected
        return {spec.name: counted[spec.name] for spec in self._specs}

    def flush(self) -> None:
        """Write what has gathered: deliveries, rejections and the ledger, all or nothing."""
        outcomes, refused = self._taken()
        if not outcomes.num_rows and not refused.num_rows and not self.limit.is_exceeded:
            return
        store, session, specs = self._store, self._store.session, self._specs
        # One row per user: split attributes may be acknowledged in one flush.
        together = joined_sql("settled._actions", len(specs))
        with (
            session.attached("_outcomes", outcomes) as settled,
            session.attached("_refused", refused) as refusals,
            session.transaction(),
        ):
            acknowledged = (
                f"(select _user, _label, {together} as _actions from {settled} as settled "
                "where verdict = 'delivered' group by _user, _label)"
            )
            self._count_unconfirmed(settled)
            store.record_deliveries(settled, "_sent", self._run_id)
            if pc.any(pc.equal(outcomes.column("verdict"), "delivered")).as_py():
                store.acknowledge(specs, acknowledged)
                if self._resolve:
                    store.resolve_delivered(specs, acknowledged)
            if refused.num_rows:
                store.record_rejections(refusals)
                self._resolve = True
            if self.limit.is_exceeded:
                reopen_run(store, self._run_id)

    def include(self, other: Outcomes) -> None:
        """Add the counts of other outcomes of the same run."""
        self._delivered_actions.update(other._delivered_actions)
        self._unconfirmed_actions.update(other._unconfirmed_actions)
        self._rejected.update(other._rejected)
        self._unclear.update(other._unclear)
        self.reasons.update(other.reasons)
        self.objects_settled += other.objects_settled
        self.has_to_wait |= other.has_to_wait

    def _by_attribute(self, counts: Counter[str]) -> dict[str, int]:
        return {
            spec.name: sum(n for actions, n in counts.items() if actions[position] != Action.UNCHANGED)
            for position, spec in enumerate(self._specs)
        }

    def _count_unconfirmed(self, settled: str) -> None:
        """Count who may not exist among the outcomes that are about to be written."""
        unconfirmed = self._store.unconfirmed_users()
        if unconfirmed is not None:
            found = self._store.session.fetch(
                f"select d._actions, count(*) from {settled} as d join {unconfirmed} u "
                "on u._user = d._user and u._label = d._label where d.verdict = 'delivered' group by 1"
            )
            self._unconfirmed_actions.update({str(actions): int(count) for actions, count in found})

    def _taken(self) -> tuple[pa.Table, pa.Table]:
        """What has gathered, outcomes and rejections, which the buffers no longer hold."""
        with self._lock:
            columns, rejections = self._columns, self._rejections
            self._columns, self._rejections = [[] for _ in _OUTCOMES.names], []
        outcomes = pa.table(dict(zip(_OUTCOMES.names, columns, strict=True)), schema=_OUTCOMES)
        refused = REJECTIONS.rows(rejections, *REJECTED)
        return outcomes, refused
