"""Rejections that stand: how many there are and why, and reopening them, so that their values are due again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime

from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.ledger.store import SCHEMA, SyncStore
from braze_platform.sync.values.rejected import shown_reason
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.registry import REJECTIONS
from braze_platform.warehouse.tables import now_utc

#: Rejections that keep a value from being sent: Braze refused it, or an operator's end is unknown. What the platform
#: itself refuses (`value`, `part`) is judged again by every plan.
REOPENED = ("braze", "unclear")


@dataclass(frozen=True)
class RejectionFilter:
    """Which open rejections are meant: those whose reason holds a text, whatever its case, and since a UTC day."""

    reason: str = ""
    since: date | None = None

    def condition(self, sync: Sync) -> tuple[str, dict[str, object]]:
        """The SQL condition on the table of rejections, called `r`, and its parameters."""
        conditions = ["r.sync = $sync", "r.resolved_at is null"]
        parameters: dict[str, object] = {"sync": sync.name}
        if self.reason:
            conditions.append("strpos(lower(r.reason), $reason) > 0")
            parameters["reason"] = self.reason.lower()
        if self.since is not None:
            conditions.append("r.rejected_at >= cast($since as timestamp)")
            parameters["since"] = datetime(self.since.year, self.since.month, self.since.day)  # noqa: DTZ001 - UTC
        return " and ".join(conditions), parameters


@dataclass(frozen=True)
class RejectedValues:
    """Open rejections of one attribute for one reason, in which personal data is masked."""

    sync: str
    attribute: str
    refused_by: str
    reason: str
    count: int


def list_rejections(store: SyncStore, wanted: RejectionFilter) -> list[RejectedValues]:
    """Open rejections of a sync by attribute and reason, most first. Reads only."""
    if not REJECTIONS.exists(store.session):
        return []
    condition, parameters = wanted.condition(store.sync)
    counts: Counter[tuple[str, str, str]] = Counter()
    for attribute, refused_by, reason, count in store.session.fetch(
        "select r.attribute, r.refused_by, r.reason, count(*) "
        f"from {store.rejections} as r where {condition} group by 1, 2, 3",
        parameters,
    ):
        counts[attribute, refused_by, shown_reason(reason or "")] += count
    return [RejectedValues(store.sync.name, *key, count) for key, count in counts.most_common()]


def reopen_rejections(store: SyncStore, wanted: RejectionFilter) -> list[RejectedValues]:
    """Close the rejections that keep values from being sent, so that the next run sends these; returns which.

    Of an operator whose end is unknown, what Braze holds is unknown as well: the whole value is due.
    """
    reopened = [found for found in list_rejections(store, wanted) if found.refused_by in REOPENED]
    if not reopened:
        return []
    condition, parameters = wanted.condition(store.sync)
    columns = store.session.columns(SCHEMA, store.ledger_name)
    declared = {spec.name for spec in store.sync.attributes}
    unclear = sorted({found.attribute for found in reopened if found.refused_by == "unclear"})
    marked = [name for name in unclear if name in declared and ledger_column(name) in columns]
    label = "l._label" if "_label" in store.keys else "''"
    with store.session.transaction():
        for name in marked:
            flag = store.sql.quoted(resend_column(name))
            store.session.execute(
                f"update {store.ledger} as l set {flag} = true where exists (select 1 from {store.rejections} as r "
                f"where {condition} and r.refused_by = 'unclear' and r.attribute = $attribute "
                f"and r._user = l._user and r._label = {label})",
                {**parameters, "attribute": name},
            )
        store.session.execute(
            f"update {store.rejections} as r set resolved_at = $at "
            f"where {condition} and r.refused_by in ('braze', 'unclear')",
            {**parameters, "at": now_utc()},
        )
    return reopened


def reopen_run(store: SyncStore, run_id: str) -> None:
    """Reopen what Braze rejected in a run that exceeded its limit of rejections, inside the caller's transaction."""
    store.session.execute(
        f"update {store.rejections} as r set resolved_at = $at where r.sync = $sync and r.run_id = $run_id "
        "and r.refused_by = 'braze' and r.resolved_at is null",
        {"at": now_utc(), "sync": store.sync.name, "run_id": run_id},
    )
