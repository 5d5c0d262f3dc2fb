"""A wrong bulk deletion or a forged file must not erase half of a warehouse: beyond a limit somebody looks first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from braze_platform.erasure import pending
from braze_platform.erasure.people import Deleted, attached_people, batches, raw_columns
from braze_platform.erasure.places import finding
from braze_platform.warehouse.dataset_names import PLATFORM_DATASETS, TEMPORARY
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.personal_names import named_columns
from braze_platform.warehouse.registry import ERASURE_APPROVALS, PENDING
from braze_platform.warehouse.tables import ensure, now_utc


@dataclass
class ErasurePlan:
    """What the next run would erase: numbers only."""

    people: int = 0
    #: People of whom nobody goes before it is approved.
    waiting: int = 0
    #: How many identities of each kind the people are known by.
    identities: dict[str, int] = field(default_factory=dict)
    #: Rows in which they are found, by table.
    rows: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def plan_erasure(session: Session, limit: int) -> ErasurePlan:
    """Count what the next run would erase; `limit` is the installation's. Writes nothing."""
    people = pending.people_to_erase(session, raw_columns(session))
    plan = ErasurePlan(len({one.braze_id for one in people}), waiting_for_approval(session, people, limit))
    plan.identities = dict(sorted(Counter(one.kind for one in people).items()))
    for schema in PLATFORM_DATASETS if people else ():
        for table in session.table_names(schema) if schema != TEMPORARY else ():
            named = named_columns(session.columns(schema, table))
            for _, batch in batches(people):
                with attached_people(session, batch) as erased:
                    query = finding(schema, table, session.sql, erased, named)
                    found = int(session.fetch(query)[0][0]) if query else 0
                if found and f"{schema}.{table}" != PENDING.full_name:
                    plan.rows[f"{schema}.{table}"] = plan.rows.get(f"{schema}.{table}", 0) + found
    return plan


def waiting_for_approval(session: Session, people: Collection[Deleted], limit: int) -> int:
    """How many profiles wait for an approval: none where those whose erasure has not begun, and of whom nobody has
    approved it, are no more than the limit, or the limit is 0."""
    gone = {one.braze_id for one in people}
    if limit and len(gone) > limit:
        gone -= {one.braze_id for one in pending.begun(session)}
    if not limit or len(gone) <= limit:
        return 0
    waiting = len(gone)
    if ERASURE_APPROVALS.exists(session):
        with session.attached("people_to_erase", _ids(gone)) as attached:
            approved = f"select identity_hash from {ERASURE_APPROVALS.ref(session.sql)}"
            hashed = session.sql.text_hash("people.braze_id")
            [(waiting,)] = session.fetch(
                f"select count(*) from {attached} as people where {hashed} not in ({approved})"
            )
    return int(waiting) if waiting > limit else 0


class ApprovalRefused(Exception):
    """The people who would be erased are not those who were looked at."""


def approve_erasure(session: Session, count: int) -> None:
    """Approve the erasure of everybody whom the next run would erase, by hashes of their Braze ids.

    Raises `ApprovalRefused` where those are not `count`.
    """
    gone = {one.braze_id for one in pending.people_to_erase(session, raw_columns(session))}
    if len(gone) != count:
        raise ApprovalRefused(
            f"{len(gone):,} people would be erased, not {count:,}: look at `braze-platform erasure plan` again."
        )
    ensure(session, ERASURE_APPROVALS)
    with session.attached("people_to_erase", _ids(gone)) as people:
        session.execute(
            f"insert into {ERASURE_APPROVALS.ref(session.sql)} "
            f"select {session.sql.text_hash('people.braze_id')}, cast($now as timestamp) from {people} as people",
            {"now": now_utc()},
        )


def _ids(gone: Collection[str]) -> pa.Table:
    return pa.table({"braze_id": pa.array(sorted(gone), pa.string())})
