"""Seeds a ledger from what a workspace holds already: one bounded reading of `/users/export/ids` for a first adoption.

The endpoint answers 250 requests per minute for workspaces made since August 2024, each of at most 50 users
(https://www.braze.com/docs/api/endpoints/export/user_data/post_users_identifier). A user who is in the ledger already
is not asked for, so that a rebuild that was stopped resumes where it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from braze_platform.settings import Settings
from braze_platform.sync.confirmation.existence import forget_unsure
from braze_platform.sync.confirmation.user_lookup import (
    PATH,
    REQUESTS_PER_SECOND,
    USERS_PER_REQUEST,
    LookupFailed,
    UserLookup,
)
from braze_platform.sync.declaration.sync import PROFILE_FIELDS, AttributeSpec, Sync
from braze_platform.sync.ledger.holds import begin_rebuild, end_rebuild
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.model_keys import model_keys
from braze_platform.sync.ledger.store import SyncStore, held_store
from braze_platform.sync.values.identifiers import PLACEHOLDERS
from braze_platform.sync.values.json_text import encode_as_received
from braze_platform.sync.values.rejected import ValueRejected
from braze_platform.sync.values.values import canonicalise, encode
from braze_platform.sync.workspace import bind
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import COMMAND_WAIT_SECONDS
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.tables import now_utc

#: Users whose rows are written together.
_FLUSH = 2_000
#: What the export calls a field in `fields_to_export` and in its answer, where it is another name than the API's.
_ASKED = {kind: kind for kind in PROFILE_FIELDS} | {"current_location": "last_coordinates"}


#: In place of the text of a value that is not of the declared type.
UNREADABLE = "unreadable"
_UNCHANGED = "The ledger is unchanged for these users and all after them; the same command resumes there."


class RebuildError(RuntimeError):
    """The workspace cannot be read; the message says what to do."""


@dataclass
class Rebuilt:
    """What a reading found."""

    users: int = 0
    #: Users of whom Braze knows nothing.
    unknown: int = 0
    requests: int = 0
    #: Values that Braze holds as the model has them, and values that it holds otherwise, which are due.
    equal: int = 0
    different: int = 0
    left: int = 0


def minutes(users: int) -> float:
    """How long a reading of so many users takes, in minutes."""
    return users / USERS_PER_REQUEST / (REQUESTS_PER_SECOND * 60)


def rebuild(
    session: Session,
    sync: Sync,
    settings: Settings,
    *,
    max_users: int,
    restart: bool = False,
    on_progress: Callable[[Rebuilt], None] | None = None,
) -> Rebuilt:
    """Ask Braze for users of the model who are not in the ledger, at most `max_users`, and write what it holds.

    A value that Braze holds as the model has it becomes acknowledged; one that it holds otherwise is marked to be sent,
    even where the model has null. With `restart` the ledger forgets every user first. Nothing is sent. Where values
    were sent before, the sync is held until nobody is left to be read. Raises `RebuildError`, and `OutwardCallsOff`
    where calls are off.
    """
    if sync.identifier.kind not in ("external_id", "user_alias"):
        raise RebuildError(
            f"{sync.name} finds users by {sync.identifier.kind}, of which the export takes one per request. Rebuild by "
            "external_id or user_alias, or let the first run send every value."
        )
    holder = "braze-platform ledger rebuild"
    with held_store(session, sync, holder, wait_seconds=COMMAND_WAIT_SECONDS) as store:
        bind(session, settings)
        prepare_tables(store)
        begin_rebuild(store, restart=restart)
        found = asyncio.run(_rebuild(store, settings, max_users, on_progress))
        if not found.left:
            end_rebuild(store)
        return found


async def _rebuild(
    store: SyncStore, settings: Settings, max_users: int, on_progress: Callable[[Rebuilt], None] | None
) -> Rebuilt:
    found = Rebuilt()
    async with UserLookup(settings) as lookup:
        while found.users < max_users:
            batch = _missing(store, min(_FLUSH, max_users - found.users))
            if not batch.num_rows:
                break
            rows: list[dict[str, Any]] = []
            for start in range(0, batch.num_rows, USERS_PER_REQUEST):
                part = batch.slice(start, USERS_PER_REQUEST).to_pylist()
                profiles = await _export(lookup, store.sync, part)
                rows += [_row(store.sync, user, profiles.get(_key(store.sync, user)), found) for user in part]
                found.requests = lookup.requests.total()
            _write(store, rows, batch.schema)
            found.users += batch.num_rows
            if on_progress is not None:
                on_progress(found)
    found.left = int(store.session.fetch(f"select count(*) from ({_missing_sql(store)}) as missing")[0][0])
    return found


def _missing_sql(store: SyncStore) -> str:
    """Users of the model who may be sent and are not in the ledger, each in one row of the model."""
    sync, quoted = store.sync, store.sql.quoted
    values = [f"m.{quoted(spec.column)} as n{i}" for i, spec in enumerate(sync.attributes)]
    with model_keys(store) as keys:  # external ids and aliases need nothing that ends with the context
        model, users = keys.select(store, values), keys.select(store)
    names = ", ".join(store.keys)
    repeated = f"(select {names} from {users} u group by {names} having count(*) > 1)"
    placeholders = ", ".join(store.sql.literal(text) for text in ("", *sorted(PLACEHOLDERS)))
    named = " and ".join(
        f"lower({store.sql.stripped(f'm.{key}')}) not in ({placeholders})" for key in store.keys
    )
    return (
        f"select m.* from {model} m where {named} "
        f"and not exists (select 1 from {store.ledger} l where {store.on_key('l', 'm')} "
        "and l._acknowledged_at is not null) "
        f"and not exists (select 1 from {repeated} q where {store.on_key('q', 'm')})"
    )


def _missing(store: SyncStore, count: int) -> pa.Table:
    batches = list(store.session.fetch_batches(f"{_missing_sql(store)} limit {count}"))
    return pa.Table.from_batches(batches) if batches else pa.table({})


async def _export(
    lookup: UserLookup, sync: Sync, users: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """The profiles of some users by their keys; those whom Braze says it does not know are missing.

    Raises `RebuildError` for an answer that leaves open who exists: a user wrongly taken for unknown would be sent a
    whole total on top of what Braze holds.
    """
    keys = [_key(sync, user) for user in users]
    fields = {_ASKED[spec.name] for spec in sync.attributes if spec.name in PROFILE_FIELDS}
    try:
        found = await lookup.find(sync.identifier.kind, keys, sorted({"custom_attributes"} | fields))
    except LookupFailed as error:
        raise RebuildError(f"{error} {_UNCHANGED}") from error
    answered = found.profiles.keys() | found.unknown
    omitted = len(set(keys) - answered)
    if omitted:
        raise RebuildError(
            f"Braze's answer from {PATH} omits {omitted} of {len(keys)} users: they are neither found nor unknown. "
            f"{_UNCHANGED}"
        )
    if any(
        not isinstance(profile.get("custom_attributes") or {}, dict) for profile in found.profiles.values()
    ):
        raise RebuildError(
            f"Braze's answer from {PATH} holds custom attributes that are not an object. {_UNCHANGED}"
        )
    return found.profiles


def _key(sync: Sync, user: Mapping[str, Any]) -> tuple[str, ...]:
    return (user["_user"], user["_label"]) if sync.identifier.kind == "user_alias" else (user["_user"],)


def _row(
    sync: Sync, user: Mapping[str, Any], profile: Mapping[str, Any] | None, found: Rebuilt
) -> dict[str, Any]:
    """A row of the ledger: the model's value where Braze holds it, else null, marked where Braze holds another."""
    if profile is None:
        found.unknown += 1
    row: dict[str, Any] = {name: user[name] for name in ("_user", "_label") if name in user}
    for i, spec in enumerate(sync.attributes):
        held = _held(profile or {}, spec)
        same = held is not None and held == _text(user[f"n{i}"], spec)
        row[f"n{i}"] = user[f"n{i}"] if same else None
        # An operator goes on from what Braze holds, whoever wrote it; a value is sent over it.
        row[f"r{i}"] = held is not None and not same and not spec.operator
        if spec.operator in ("inc", "add") and held not in (None, UNREADABLE):
            row[f"n{i}"] = json.loads(str(held))
        found.equal += same
        found.different += held is not None and not same
    return row


def _held(profile: Mapping[str, Any], spec: AttributeSpec) -> str | None:
    """The canonical text of what Braze holds; None for nothing."""
    if spec.name in PROFILE_FIELDS:
        value = profile.get(_ASKED[spec.name])
        if spec.type == "location" and isinstance(value, list) and len(value) == 2:
            value = {"longitude": value[0], "latitude": value[1]}  # the export's order
    else:
        value = (profile.get("custom_attributes") or {}).get(spec.name)
    return None if value is None else _text(value, spec) or UNREADABLE


def _text(value: object, spec: AttributeSpec) -> str | None:
    try:
        canonical = canonicalise(value, spec)
    except ValueRejected:
        return None
    return None if canonical is None else encode_as_received(canonical)


def _write(store: SyncStore, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    specs = store.sync.attributes
    fields = [*schema, *(pa.field(f"r{i}", pa.bool_()) for i in range(len(specs)))]
    for i, spec in enumerate(specs):
        # A set that the model keeps as JSON text.
        if spec.operator and pa.types.is_string(schema.field(f"n{i}").type):
            for row in rows:
                if isinstance(row[f"n{i}"], list):
                    row[f"n{i}"] = encode(row[f"n{i}"])
    seeded = pa.Table.from_pylist(rows, schema=pa.schema(fields))
    names = [
        *store.keys,
        *(ledger_column(spec.name) for spec in specs),
        *(resend_column(spec.name) for spec in specs),
    ]
    values = [*store.keys, *(f"{column}{i}" for column in "nr" for i in range(len(specs)))]
    with store.session.attached("_seeded", seeded) as attached, store.session.transaction():
        # What was sent without anybody knowing whether the user exists: Braze told of the user now.
        store.session.execute(
            f"delete from {store.ledger} as l where l._acknowledged_at is null "
            f"and exists (select 1 from {attached} as s where {store.on_key('s', 'l')})"
        )
        forget_unsure(store, attached)
        store.session.execute(
            f"insert into {store.ledger} ({store.sql.listed(names)}, _acknowledged_at) "
            f"select {', '.join(f's.{value}' for value in values)}, cast($at as timestamp) from {attached} as s",
            {"at": now_utc()},
        )
