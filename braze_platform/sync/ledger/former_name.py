"""Lets the ledger of a renamed sync follow its new name (`formerly: <old name>`), so that nothing is sent again.

What was kept under the former name is moved in the first run under the new one. The former ledger is dropped last: as
long as it is there, the move is repeated from its beginning, and every step may be repeated after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from braze_platform.sync.ledger.identifier_change import IDENTIFIER_ROW
from braze_platform.sync.ledger.store import SCHEMA, LedgerError, SyncStore
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import RUN_WAIT_SECONDS, hold_lease
from braze_platform.warehouse.registry import (
    APPLIED_PLANS,
    APPROVALS,
    CDI,
    CDI_RUNS,
    DECLARATIONS,
    DELIVERIES,
    EXISTENCE,
    LEDGER,
    OBSERVATIONS,
    OBSERVED_UNTIL,
    OPERATIONS,
    REJECTIONS,
    REKEYED,
    RETYPED,
)
from braze_platform.warehouse.tables import Table

#: What is moved table by table, since it is much and no plan counts it.
_LOGS = (DELIVERIES, OBSERVATIONS, OPERATIONS, CDI_RUNS)
#: What is moved in one transaction: until then a plan reads all of it under the former name. The declarations tell
#: which name that is.
_COUNTED = (REJECTIONS, APPLIED_PLANS, APPROVALS, EXISTENCE, OBSERVED_UNTIL, DECLARATIONS)
#: Of these, what the former name says holds in place of what the present one says of the same user or sync.
_STATES = (EXISTENCE, OBSERVED_UNTIL, DECLARATIONS)


def as_stored(store: SyncStore) -> SyncStore:
    """A store of the sync under the name by which the warehouse has its ledger: the former one until it has followed.

    Reads only. Raises `LedgerError` when both names have users of their own in a ledger.
    """
    sync = store.sync
    return SyncStore(store.session, replace(sync, name=sync.formerly) if _has_to_follow(store) else sync)


def follow_former_name(store: SyncStore) -> None:
    """Move what is kept under the sync's former name to its present one; nothing when there is none, or it moved.

    Holds the lease of the former name meanwhile, so that no run of it still writes. Raises `LedgerError` when both
    names have users of their own in a ledger, and `LeaseHeld`.
    """
    if not store.sync.formerly or not LEDGER.of(store.sync.formerly).exists(store.session):
        return
    holder = f"{store.holder}, which renames it to {store.sync.name}"
    with hold_lease(store.session, store.sync.formerly, holder, wait_seconds=RUN_WAIT_SECONDS):
        if _has_to_follow(store):
            # From here on a ledger under the present name is a copy.
            _forget_declarations(store)
            _copy_tables(store)
            for table in _LOGS:
                _move_rows(store, [table])
            _move_rows(store, _COUNTED)
        elif not _is_declared(store.session, store.sync.name):
            return
        # The ledger last: it says that something has yet to follow.
        for table in (RETYPED, REKEYED, LEDGER):
            store.session.execute(f"drop table if exists {table.of(store.sync.formerly).ref(store.sql)}")


def _has_to_follow(store: SyncStore) -> bool:
    """Whether the ledger is under the former name still; the declarations tell, which move after all else."""
    if not store.sync.formerly or not _is_declared(store.session, store.sync.formerly):
        return False
    if _is_declared(store.session, store.sync.name) and _has_users(store):
        raise LedgerError(
            f"The sync {store.sync.name} has a ledger of its own by now, so that the one of its former name "
            f"{store.sync.formerly} cannot follow. Remove `formerly` in {store.sync.file}, or set the newer ledger "
            f"aside: rename the table {SCHEMA}.ledger_{store.sync.name} and delete its rows of {SCHEMA}.declarations."
        )
    return True


def _is_declared(session: Session, name: str) -> bool:
    """Whether a ledger was ever made ready under this name."""
    if not DECLARATIONS.exists(session):
        return False
    return bool(
        session.fetch(
            f"select 1 from {DECLARATIONS.ref(session.sql)} where sync = $sync and attribute = $attribute limit 1",
            {"sync": name, "attribute": IDENTIFIER_ROW},
        )
    )


def _has_users(store: SyncStore) -> bool:
    ledger = LEDGER.of(store.sync.name)
    return ledger.exists(store.session) and bool(
        store.session.fetch(f"select 1 from {ledger.ref(store.sql)} as held limit 1")
    )


def _forget_declarations(store: SyncStore) -> None:
    store.session.execute(
        f"delete from {DECLARATIONS.ref(store.sql)} where sync = $sync", {"sync": store.sync.name}
    )


def _copy_tables(store: SyncStore) -> None:
    """The tables that have the sync's name in theirs, each whole or not at all."""
    copied = [REKEYED, LEDGER]
    open_run = f"select 1 from {CDI_RUNS.ref(store.sql)} where sync = $sync and settled_at is null limit 1"
    if CDI_RUNS.exists(store.session) and store.session.fetch(open_run, {"sync": store.sync.formerly}):
        # What an interrupted run may have changed is told from its rows. The table itself stays: an integration
        # in Braze reads it until it is set up over the new one.
        copied.append(CDI)
    for table in copied:
        former = table.of(store.sync.formerly)
        if former.exists(store.session):
            store.session.execute(
                f"create or replace table {table.of(store.sync.name).ref(store.sql)} as "
                f"select * from {former.ref(store.sql)}"
            )


def _move_rows(store: SyncStore, tables: Sequence[Table]) -> None:
    """The former name's rows of these tables; all of them or none."""
    sql, found = store.sql, "select 1 from {} where sync = $sync limit 1"
    moved = [
        table
        for table in tables
        if table.exists(store.session)
        and store.session.fetch(found.format(table.ref(sql)), {"sync": store.sync.formerly})
    ]
    if not moved:
        return
    with store.session.transaction():
        for table in moved:
            if table in _STATES:
                store.session.execute(
                    f"delete from {table.ref(sql)} where sync = $present", {"present": store.sync.name}
                )
            store.session.execute(
                f"update {table.ref(sql)} set sync = $present where sync = $former",
                {"present": store.sync.name, "former": store.sync.formerly},
            )
