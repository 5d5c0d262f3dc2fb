"""Lets the ledger of a renamed sync follow its new name (`formerly: <old name>`), so that nothing is sent again.

What was kept under the former name is moved in the first run under the new one. The former ledger is dropped last: as
long as it is there, the move is repeated from its beginning, and every step may be repeated after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.ledger.identifier_change import IDENTIFIER_ROW
from braze_platform.sync.ledger.ledger import SCHEMA, LedgerError, SyncTables
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import RUN_WAIT_SECONDS, LeasedSession, hold_lease

#: What is moved table by table, since it is much and no plan counts it.
_LOGS = ("deliveries", "observations", "operations", "cdi_runs")
#: What is moved in one transaction: until then a plan reads all of it under the former name. The declarations tell
#: which name that is.
_COUNTED = ("rejections", "applied_plans", "approvals", "existence", "observed_until", "declarations")
#: Of these, what the former name says holds in place of what the present one says of the same user or sync.
_STATES = ("existence", "observed_until", "declarations")


def as_stored(session: Session, sync: Sync) -> Sync:
    """The sync under the name by which the warehouse has its ledger: the former one until it has followed.

    Reads only. Raises `LedgerError` when both names have users of their own in a ledger.
    """
    return replace(sync, name=sync.formerly) if _has_to_follow(session, sync) else sync


def follow_former_name(session: LeasedSession, sync: Sync) -> None:
    """Move what is kept under the sync's former name to its present one; nothing when there is none, or it moved.

    Holds the lease of the former name meanwhile, so that no run of it still writes. Raises `LedgerError` when both
    names have users of their own in a ledger, and `LeaseHeld`.
    """
    if not sync.formerly or not session.columns(SCHEMA, f"ledger_{sync.formerly}"):
        return
    holder = f"{session.holder}, which renames it to {sync.name}"
    with hold_lease(session, sync.formerly, holder, wait_seconds=RUN_WAIT_SECONDS):
        if _has_to_follow(session, sync):
            # From here on a ledger under the present name is a copy.
            _forget_declarations(session, sync)
            _copy_tables(session, sync)
            for name in _LOGS:
                _move_rows(session, sync, [name])
            _move_rows(session, sync, _COUNTED)
        elif not _is_declared(session, sync.name):
            return
        # The ledger last: it says that something has yet to follow.
        for prefix in ("retyped", "rekeyed", "ledger"):
            session.execute(f"drop table if exists {_table(session, f'{prefix}_{sync.formerly}')}")


def _has_to_follow(session: Session, sync: Sync) -> bool:
    """Whether the ledger is under the former name still; the declarations tell, which move after all else."""
    if not sync.formerly or not _is_declared(session, sync.formerly):
        return False
    if _is_declared(session, sync.name) and _has_users(session, sync):
        raise LedgerError(
            f"The sync {sync.name} has a ledger of its own by now, so that the one of its former name "
            f"{sync.formerly} cannot follow. Remove `formerly` in {sync.file}, or set the newer ledger aside: rename "
            f"the table {SCHEMA}.ledger_{sync.name} and delete its rows of {SCHEMA}.declarations."
        )
    return True


def _is_declared(session: Session, name: str) -> bool:
    """Whether a ledger was ever made ready under this name."""
    if not session.columns(SCHEMA, "declarations"):
        return False
    return bool(
        session.fetch(
            f"select 1 from {_table(session, 'declarations')} where sync = $sync and attribute = $attribute limit 1",
            {"sync": name, "attribute": IDENTIFIER_ROW},
        )
    )


def _has_users(session: Session, sync: Sync) -> bool:
    tables = SyncTables(sync, session.sql)
    if not session.columns(SCHEMA, tables.ledger_name):
        return False
    return bool(session.fetch(f"select 1 from {tables.ledger} as held limit 1"))


def _forget_declarations(session: LeasedSession, sync: Sync) -> None:
    session.execute(f"delete from {_table(session, 'declarations')} where sync = $sync", {"sync": sync.name})


def _copy_tables(session: LeasedSession, sync: Sync) -> None:
    """The tables that have the sync's name in theirs, each whole or not at all."""
    prefixes = ["rekeyed", "ledger"]
    open_run = (
        f"select 1 from {_table(session, 'cdi_runs')} where sync = $sync and settled_at is null limit 1"
    )
    if session.columns(SCHEMA, "cdi_runs") and session.fetch(open_run, {"sync": sync.formerly}):
        # What an interrupted run may have changed is told from its rows. The table itself stays: an integration
        # in Braze reads it until it is set up over the new one.
        prefixes.append("cdi")
    for prefix in prefixes:
        former = f"{prefix}_{sync.formerly}"
        if session.columns(SCHEMA, former):
            session.execute(
                f"create or replace table {_table(session, f'{prefix}_{sync.name}')} as "
                f"select * from {_table(session, former)}"
            )


def _move_rows(session: LeasedSession, sync: Sync, names: Sequence[str]) -> None:
    """The former name's rows of these tables; all of them or none."""
    found = "select 1 from {} where sync = $sync limit 1"
    moved = [
        name
        for name in names
        if session.columns(SCHEMA, name)
        and session.fetch(found.format(_table(session, name)), {"sync": sync.formerly})
    ]
    if not moved:
        return
    with session.transaction():
        for name in moved:
            table = _table(session, name)
            if name in _STATES:
                session.execute(f"delete from {table} where sync = $present", {"present": sync.name})
            session.execute(
                f"update {table} set sync = $present where sync = $former",
                {"present": sync.name, "former": sync.formerly},
            )


def _table(session: Session, name: str) -> str:
    return session.sql.table(SCHEMA, name)
