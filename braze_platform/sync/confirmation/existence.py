"""Whether the users of a sync exist in Braze, for syncs that never create profiles.

Braze ignores an update of an unknown user and answers 201 all the same, so that for such a user 201 acknowledges
nothing. A user is known to exist when Currents has shown them, or when Braze said so by `/users/export/ids`.
`braze_sync.existence` has a row per user of whom Currents did not tell when it mattered, with one of these states:

known    Braze said that the user exists.
missing  Braze said that no such user exists: nothing is sent, and the ledger holds nothing.
unsure   Something was sent while nobody knew: in the ledger `_acknowledged_at` is null. As soon as the user is seen,
         all values are due again, as whole ones, and this delivery is acknowledged.
open     Asked for, without an answer that settles it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.settings import Settings
from braze_platform.sync.confirmation.user_lookup import (
    USERS_PER_REQUEST,
    FoundUsers,
    Key,
    LookupFailed,
    UserLookup,
    users_per_request,
)
from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.ledger.model_keys import model_keys
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.registry import EXISTENCE
from braze_platform.warehouse.tables import ensure, now_utc

#: By kind of identifier, the model in which Currents shows users, its column, and the condition for one who exists.
_SEEN = {
    "external_id": (
        "int_external_identity",
        "external_id",
        "is_seen_in_currents and not is_deleted and surviving_external_id is not distinct from external_id",
    ),
    "braze_id": (
        "int_user_identity",
        "braze_user_id",
        "not is_deleted and surviving_braze_user_id is not distinct from braze_user_id",
    ),
}


@dataclass(frozen=True)
class Existence:
    """What a run learned of the users whom Currents has not shown."""

    asked: int = 0
    found: int = 0
    missing: int = 0
    #: Why not all of them were asked for; empty when they were, or need not be.
    note: str = ""


def must_exist(sync: Sync) -> bool:
    """Whether a sync reaches only users who exist already; no update creates a user by Braze id."""
    return sync.existing_only or sync.identifier.kind == "braze_id"


def count_missing(store: SyncStore) -> int:
    """Users whom Braze says it does not have, and Currents has not shown since. Reads only."""
    missing = missing_users(store)
    return 0 if missing is None else int(store.session.fetch(f"select count(*) from {missing} as gone")[0][0])


def count_unproven(store: SyncStore) -> dict[str, int]:
    """Users not known to Braze, by state: `missing` and `unconfirmed`. Reads only."""
    sent = f"select count(*) from {store.ledger} as held where _acknowledged_at is null"
    return {
        "missing": count_missing(store),
        "unconfirmed": int(store.session.fetch(sent)[0][0]),
    }


def forget_unsure(store: SyncStore, users: str) -> None:
    """Forget that users of a relation with the ledger's keys are unsure, inside the caller's transaction."""
    if EXISTENCE.exists(store.session):
        label = "u._label" if "_label" in store.keys else "''"
        store.session.execute(
            f"delete from {EXISTENCE.ref(store.sql)} as x where x.sync = $sync and x.state = 'unsure' "
            f"and exists (select 1 from {users} u where u._user = x._user and {label} = x._label)",
            {"sync": store.sync.name},
        )


def missing_users(store: SyncStore) -> str | None:
    """A relation of the users whom Braze says it does not have, and Currents has not shown since. Reads only."""
    if not must_exist(store.sync) or not EXISTENCE.exists(store.session):
        return None
    seen = _seen(store)
    unseen = f" and not exists (select 1 from {seen} s where s._user = x._user)" if seen else ""
    sync = store.sql.literal(store.sync.name)
    gone = f"{EXISTENCE.ref(store.sql)} x where x.sync = {sync} and x.state = 'missing'{unseen}"
    return f"(select x._user, x._label from {gone})"


def settle_existence(store: SyncStore, settings: Settings, *, patience_seconds: float) -> Existence | None:
    """Learn who exists, before a plan is made: from Currents, then by asking Braze for a bounded number of users.

    The sync's tables are ready (`prepare_tables`).

    Asks those first who were not asked for longest, up to `max_lookups` of the sync's limits. A look-up that fails ends
    the asking and is noted: Currents alone shows then. None for a sync that creates its users.
    """
    if not must_exist(store.sync):
        if EXISTENCE.exists(store.session):
            # It was not so before: everybody can be reached now.
            _send_again(store, "true")
            store.session.execute(
                f"delete from {EXISTENCE.ref(store.sql)} where sync = $sync", {"sync": store.sync.name}
            )
        return None
    ensure(store.session, EXISTENCE)
    seen = _seen(store)
    if seen is not None:
        _forget_gone(store)
        _confirm(store, seen)
    if not settings.outward_calls_allowed:
        return Existence(note="calls to Braze are off")
    keys = _candidates(store, seen)
    return asyncio.run(_ask(store, settings, keys, patience_seconds)) if keys else Existence()


def note_unsure(store: SyncStore) -> None:
    """Before a plan is sent: note its users of whom nobody knows whether they exist."""
    if not must_exist(store.sync):
        return
    seen = _seen(store)
    unseen = f" and not exists (select 1 from {seen} s where s._user = o._user)" if seen else ""
    store.session.execute(
        f"merge into {EXISTENCE.ref(store.sql)} x using (select distinct o._user, o._label from {store.objects} o "
        f"where (o._object is not null or o._operation is not null){unseen}) n "
        "on x.sync = $sync and x._user = n._user and x._label = n._label "
        "when matched and x.state = 'open' then update set state = 'unsure' "
        "when not matched then insert (sync, _user, _label, state, asked_at) "
        "values ($sync, n._user, n._label, 'unsure', null)",
        {"sync": store.sync.name},
    )


def _seen(store: SyncStore) -> str | None:
    """A relation with the `_user` of everybody whom Currents shows to exist; None when it names nobody so."""
    if store.sync.identifier.kind not in _SEEN:
        return None
    model, column, condition = _SEEN[store.sync.identifier.kind]
    if not store.session.columns("intermediate", model):
        return None
    return f"(select {column} as _user from {store.sql.table('intermediate', model)} where {condition})"


def _forget_gone(store: SyncStore) -> None:
    """What Braze said of users is out of date once Currents shows that they were deleted or merged."""
    model, column, condition = _SEEN[store.sync.identifier.kind]
    shown = "is_seen_in_currents and " if store.sync.identifier.kind == "external_id" else ""
    gone = f"select {column} from {store.sql.table('intermediate', model)} where {shown}not ({condition})"
    store.session.execute(
        f"delete from {EXISTENCE.ref(store.sql)} where sync = $sync and state = 'known' and _user in ({gone})",
        {"sync": store.sync.name},
    )


def _confirm(store: SyncStore, users: str) -> None:
    """Users of the relation `users` exist: what was sent to them before anybody knew is due again."""
    has_label = "_label" in users
    label = " and u._label = x._label" if has_label else ""
    ledger_label = "l._label" if "_label" in store.keys else "''"
    same = f" and u._label = {ledger_label}" if has_label else ""
    _send_again(store, f"exists (select 1 from {users} u where u._user = l._user{same})")
    store.session.execute(
        f"update {EXISTENCE.ref(store.sql)} as x set state = 'known' where x.sync = $sync and x.state <> 'known' "
        f"and exists (select 1 from {users} u where u._user = x._user{label})",
        {"sync": store.sync.name},
    )


def _send_again(store: SyncStore, condition: str) -> None:
    """Mark the unconfirmed values of ledger rows `l` under a condition, unless some of the row's are marked already.

    Told by the ledger and not by the states of users, so that a run that ended in between, and a user whose identifier
    changed, are found as well.
    """
    waiting = f"l._acknowledged_at is null and {condition}"
    if not store.session.fetch(f"select 1 from {store.ledger} l where {waiting} limit 1"):
        return
    quoted = store.sql.quoted
    marks, marked, held = [], [], []
    for spec in store.sync.attributes:
        column, flag = quoted(ledger_column(spec.name)), quoted(resend_column(spec.name))
        marks.append(f"{flag} = {column} is not null")
        held.append(f"l.{column} is not null")
        marked.append(f"coalesce(l.{flag}, false)")
    waiting += f" and not ({' or '.join(marked)})"
    store.session.execute(f"delete from {store.ledger} as l where {waiting} and not ({' or '.join(held)})")
    store.session.execute(f"update {store.ledger} as l set {', '.join(marks)} where {waiting}")


def _candidates(store: SyncStore, seen: str | None) -> list[Key]:
    """The users to be asked for, those first who were not asked for longest."""
    sync = store.sync
    count = min(
        sync.limits.max_lookups,
        sync.limits.max_lookups // USERS_PER_REQUEST * users_per_request(sync.identifier.kind),
    )
    if count < 1:
        return []
    label = "m._label" if "_label" in store.keys else "''"
    unseen = f" and not exists (select 1 from {seen} s where s._user = m._user)" if seen else ""
    with model_keys(store) as model:
        rows = store.session.fetch(
            f"select m._user, {label} from (select distinct {', '.join(store.keys)} from {model.select(store)} k) m "
            f"left join {EXISTENCE.ref(store.sql)} x on x.sync = $sync and x._user = m._user and x._label = {label} "
            f"where (x.state is null or x.state <> 'known'){unseen} "
            f"order by x.asked_at nulls first limit {count}",
            {"sync": sync.name},
        )
    return [tuple(str(part) for part in row[: len(store.keys)]) for row in rows]


async def _ask(
    store: SyncStore, settings: Settings, keys: Sequence[Key], patience_seconds: float
) -> Existence:
    kind = store.sync.identifier.kind
    size = users_per_request(kind)
    asked = found = missing = 0
    retry = RetryLimits(fault_seconds=patience_seconds, rate_limit_seconds=max(patience_seconds, 10.0))
    async with UserLookup(settings, retry) as lookup:
        for start in range(0, len(keys), size):
            part = keys[start : start + size]
            try:
                answer = await lookup.find(kind, part)
            except LookupFailed as error:
                return Existence(asked, found, missing, note=str(error))
            _write(store, part, answer)
            asked += len(part)
            found += len(answer.profiles)
            missing += len(answer.unknown)
    return Existence(asked, found, missing)


def _write(store: SyncStore, keys: Sequence[Key], answer: FoundUsers) -> None:
    """Write an answer. Of a user whom Braze does not have the ledger holds nothing."""
    states = [
        "known" if key in answer.profiles else "missing" if key in answer.unknown else "open" for key in keys
    ]
    told = EXISTENCE.rows(
        [(key[0], key[1] if len(key) > 1 else "", state) for key, state in zip(keys, states, strict=True)],
        *("_user", "_label", "state"),
    )
    own = {"sync": store.sync.name}
    label = "l._label" if "_label" in store.keys else "''"
    with store.session.attached("_existence", told) as rows:
        _confirm(store, f"(select _user, _label from {rows} as told where state = 'known')")
        with store.session.transaction():
            store.session.execute(
                f"delete from {store.ledger} as l where exists (select 1 from {rows} as t "
                f"where t.state = 'missing' and t._user = l._user and t._label = {label})"
            )
            store.session.execute(
                f"merge into {EXISTENCE.ref(store.sql)} x using (select * from {rows} as told) t "
                "on x.sync = $sync and x._user = t._user and x._label = t._label "
                "when matched then update set asked_at = $at, "
                "state = case when t.state = 'open' then x.state else t.state end "
                "when not matched then insert (sync, _user, _label, state, asked_at) "
                "values ($sync, t._user, t._label, t.state, $at)",
                {**own, "at": now_utc()},
            )
