"""Why nothing of a sync is sent before a person has looked: its ledger was lost, or may be older than what Braze holds.

A hold is a row of `braze_sync.declarations` under a name that no attribute has, so that it goes wherever the ledger
goes. It ends when a plan of all attributes that a person approved is applied, or when the ledger was read from Braze.
"""

from __future__ import annotations

from braze_platform.sync.ledger.store import SyncStore
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.personal_names import TOKEN
from braze_platform.warehouse.registry import APPLIED_PLANS, DECLARATIONS, DELIVERIES, LEDGER
from braze_platform.warehouse.tables import ensure

#: The row that says why the sync is held.
HOLD_ROW = "_hold"
#: What it says. A time (UTC) follows `RESTORED`: that of the backup.
LOST, REBUILDING, RESTORED = "lost", "rebuilding", "restored from the backup of "


def hold(session: Session, sync: str, why: str) -> None:
    """Hold a sync, inside the caller's transaction, with the table of declarations there."""
    release(session, sync)
    DECLARATIONS.append(session, [(sync, HOLD_ROW, why)])


def release(session: Session, sync: str) -> None:
    """End the hold of a sync, if there is one."""
    session.execute(
        f"delete from {DECLARATIONS.ref(session.sql)} where sync = $sync and attribute = $attribute",
        {"sync": sync, "attribute": HOLD_ROW},
    )


def hold_of(session: Session, sync: str) -> str:
    """What the row says; empty where the sync is not held. Reads only."""
    if not DECLARATIONS.exists(session):
        return ""
    found = session.fetch(
        f"select type from {DECLARATIONS.ref(session.sql)} where sync = $sync and attribute = $attribute",
        {"sync": sync, "attribute": HOLD_ROW},
    )
    return str(found[0][0]) if found else ""


def hold_if_gone(store: SyncStore) -> None:
    """Hold a sync whose ledger was ready once and is not there, before the table is made again."""
    if _is_gone(store):
        with store.session.transaction():
            hold(store.session, store.sync.name, LOST)


def begin_rebuild(store: SyncStore, *, restart: bool) -> None:
    """Hold the sync until all of its ledger was read from Braze, where what it lacks was sent before.

    With `restart` the ledger forgets every user, whatever it says of them.
    """
    has_users = bool(store.session.fetch(f"select 1 from {store.ledger} as held limit 1"))
    if not restart and (has_users or not _has_delivered(store)):
        return
    ensure(store.session, DECLARATIONS)
    with store.session.transaction():
        hold(store.session, store.sync.name, REBUILDING)
        if restart:
            store.session.execute(f"delete from {store.ledger} where true")


def end_rebuild(store: SyncStore) -> None:
    """End the hold of a sync whose ledger lacked users, of whom none is left to be read.

    A ledger that was restored has users whom no reading asked for: its hold stays.
    """
    if hold_of(store.session, store.sync.name) in (LOST, REBUILDING):
        release(store.session, store.sync.name)


def held_because(store: SyncStore, *, is_empty: bool) -> list[str]:
    """Why a plan has to wait, whatever the limits: one reason, or none. Reads only.

    `is_empty` says that nobody is in the ledger, acknowledged or not.
    """
    name, why = store.sync.name, hold_of(store.session, store.sync.name)
    ledger = LEDGER.of(name).full_name
    if why.startswith(RESTORED):
        return [
            f"the ledger was {why}, and Braze may hold newer values: those would stay, and operators be applied "
            f"twice. Read it from Braze with `braze-platform ledger rebuild {name} --restart`, or approve this plan, "
            "which sends what differs from the backup"
        ]
    if why == REBUILDING:
        return [
            f"the ledger is being read from Braze, and users are left: go on with `braze-platform ledger rebuild "
            f"{name}`, or approve this plan, which sends them everything"
        ]
    if why or (is_empty and (_is_gone(store) or _has_delivered(store))):
        return [
            f"{ledger} was lost or emptied: Braze acknowledged values of this sync before, and nobody is in it. "
            "Bring it back (`braze-platform restore`; on BigQuery a snapshot), read it from Braze with "
            f"`braze-platform ledger rebuild {name}`, or approve this plan, which sends everything again"
        ]
    return []


def _has_delivered(store: SyncStore) -> bool:
    """Whether deliveries know of users whose values Braze acknowledged."""
    if not DELIVERIES.exists(store.session):
        return False
    # Users who were erased since have left the ledger, and their deliveries tell of nobody.
    return bool(
        store.session.fetch(
            f"select 1 from {store.deliveries} where {store.sql.among('sync', 'names')} "
            "and verdict = 'delivered' and not starts_with(_user, $token) limit 1",
            {"names": _names(store), "token": TOKEN},
        )
    )


def _is_gone(store: SyncStore) -> bool:
    """Whether there is no ledger though one was ready, and plans over it were applied."""
    session = store.session
    if any(LEDGER.of(name).exists(session) for name in _names(store)):
        return False
    parameters = {"names": _names(store)}
    among = store.sql.among("sync", "names")
    return (
        DECLARATIONS.exists(session)
        and APPLIED_PLANS.exists(session)
        and bool(session.fetch(f"select 1 from {store.declarations} where {among} limit 1", parameters))
        and bool(
            session.fetch(
                f"select 1 from {APPLIED_PLANS.ref(store.sql)} where {among} and objects > 0 limit 1",
                parameters,
            )
        )
    )


def _names(store: SyncStore) -> list[str]:
    """The names under which the sync's tables may know it."""
    return [name for name in (store.sync.name, store.sync.formerly) if name]
