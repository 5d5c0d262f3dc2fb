"""How a ledger is made, and how it follows its sync's declaration without sending again what Braze has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pyarrow as pa

from braze_platform.sync.declaration.sync import ALL_TYPES, AttributeSpec, AttributeType, Sync
from braze_platform.sync.ledger.former_name import follow_former_name
from braze_platform.sync.ledger.holds import hold_if_gone
from braze_platform.sync.ledger.identifier_change import (
    IDENTIFIER_ROW,
    KEYS_ROW,
    change_identifier,
    declare,
)
from braze_platform.sync.ledger.model_keys import canonicalise_ledger, check_identifier_types
from braze_platform.sync.ledger.store import (
    PLAN_RECORDS,
    SCHEMA,
    LedgerError,
    SyncStore,
)
from braze_platform.sync.values.values import ValueRejected, canonicalise, encode
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.registry import DECLARATIONS, DELIVERIES, LEDGER, REJECTIONS, RETYPED
from braze_platform.warehouse.tables import Column, Table, ensure

_BATCH = 50_000


def prepare_tables(store: SyncStore) -> None:
    """Create what is missing, and fit the ledger to the sync's present declaration.

    A new attribute adds a column; a removed one keeps its column, since Braze keeps its values. One with a new name is
    a new one to Braze. A retyped one keeps what is still the same JSON under the new type, and marks the rest to be
    sent again. With a new identifier the ledger's users get their new keys.
    Under a lease the ledger of the sync's former name follows first.
    Raises `LedgerError` when the model is missing, lacks a column or has an identifier that is neither text nor a whole
    number, or nobody knows the users' new keys.
    """
    session, sync = store.session, store.sync
    model = model_columns(store)
    if store.is_held:
        follow_former_name(store)
    ensure(session, DELIVERIES, REJECTIONS, DECLARATIONS, *PLAN_RECORDS)
    declared: dict[str, str] = dict(
        session.fetch(
            f"select attribute, type from {store.declarations} where sync = $sync", {"sync": sync.name}
        )
    )
    identifier = identifier_text(sync)
    known = declared.get(IDENTIFIER_ROW)
    if known is not None and known != identifier:
        change_identifier(store, known, identifier, model)
    existing = session.columns(SCHEMA, store.ledger_name)
    if not existing:
        hold_if_gone(store)
    ensure(session, ledger_table(store, model))
    if known is None:
        declare(store, IDENTIFIER_ROW, identifier)
    keyed = keys_text(sync)
    if declared.get(KEYS_ROW) != keyed:
        canonicalise_ledger(store)
        declare(store, KEYS_ROW, keyed)
    if existing:
        _add_columns(store, model, existing)
    for spec in sync.attributes:
        held = existing.get(ledger_column(spec.name))
        if held is None:
            declare(store, spec.name, spec.type)
        elif held != model[spec.column] or declared.get(spec.name) != spec.type:
            old_type = str(declared.get(spec.name, spec.type))
            _retype(store, spec, old_type, (held, model[spec.column]))


def _add_columns(store: SyncStore, model: Mapping[str, str], existing: dict[str, str]) -> None:
    """Give the ledger the columns of attributes that it does not have."""
    for column in ledger_table(store, model).columns:
        other = next((n for n in existing if n.lower() == column.name.lower() and n != column.name), None)
        if other is not None:
            # Another attribute to Braze, which tells names by their case; a warehouse does not.
            store.session.execute(f"alter table {store.ledger} drop column {store.sql.quoted(other)}")
            del existing[other]
        if column.name not in existing:
            store.session.execute(
                f"alter table {store.ledger} add column if not exists {store.sql.quoted(column.name)} {column.type}"
            )


def model_columns(store: SyncStore) -> dict[str, str]:
    """The columns and types of the sync's model. Raises `LedgerError` when it is missing or does not fit the sync."""
    sync = store.sync
    model = store.session.columns(sync.schema, sync.table)
    if not model:
        raise LedgerError(
            f"The model {sync.schema}.{sync.table} of the sync {sync.name} ({sync.file}) is not in the "
            "warehouse. Build it first: automation does once the definitions are loaded and what it reads is there, or "
            "materialise the model in the UI; a build that failed says why on its run's page."
        )
    for column in (*sync.identifier.columns, *(spec.column for spec in sync.attributes)):
        if column not in model:
            raise LedgerError(
                f"The model {sync.schema}.{sync.table} has no column {column!r}, which {sync.file} declares "
                f"for the sync {sync.name}. Its columns: {', '.join(model)}."
            )
    check_identifier_types(sync, model)
    return model


def identifier_text(sync: Sync) -> str:
    """The sync's identifier as `declarations` has it: its kind and its columns."""
    return f"{sync.identifier.kind}: {', '.join(sync.identifier.columns)}"


def keys_text(sync: Sync) -> str:
    """The form of the ledger's keys as `declarations` has it."""
    return f"canonical {sync.identifier.kind} {sync.identifier.region}".strip()


def ledger_table(store: SyncStore, model: Mapping[str, str]) -> Table:
    """The sync's ledger, with two columns of each attribute."""
    table = LEDGER.of(store.sync.name).only(*store.keys, "_acknowledged_at")
    attributes = (
        column
        for spec in store.sync.attributes
        for column in (
            Column(ledger_column(spec.name), model[spec.column], f"The acknowledged value of {spec.name}."),
            Column(resend_column(spec.name), "boolean", f"Whether {spec.name} is sent again."),
        )
    )
    return replace(table, columns=(*table.columns, *attributes))


def _retype(store: SyncStore, spec: AttributeSpec, old_type: str, column_types: tuple[str, str]) -> None:
    """Give a ledger column another type (old and new); values that Braze now holds in another form are marked."""
    sql, ledger, column = store.sql, store.ledger, store.sql.quoted(ledger_column(spec.name))
    old_spec = AttributeSpec(spec.name, _attribute_type(old_type, spec), spec.nulls, spec.column)
    # What does not fit becomes null and is marked.
    converted = sql.converted(column, *column_types)
    store.session.execute(
        store.sql.create_table(RETYPED.of(store.sync.name).only(*store.keys), replacing=True)
    )
    query = (
        f"select {sql.listed(store.keys)}, {column} as old_value, {converted} as new_value "
        f"from {ledger} where {column} is not null"
    )
    for batch in store.session.fetch_batches(query, rows=_BATCH):
        columns = batch.to_pydict()
        marked = [
            _json_or_none(old, old_spec) is None or _json_or_none(old, old_spec) != _json_or_none(new, spec)
            for old, new in zip(columns["old_value"], columns["new_value"], strict=True)
        ]
        differing = batch.select(list(store.keys)).filter(pa.array(marked, pa.bool_()))
        with store.session.attached("_differing", pa.Table.from_batches([differing])) as rows:
            store.session.execute(
                f"insert into {store.retyped} select {sql.listed(store.keys)} from {rows} as rows_"
            )
    flag = sql.quoted(resend_column(spec.name))
    # One statement, so whole or not at all. A process that dies before the declaration follows does this again, which
    # at worst marks a value once more.
    store.session.execute(
        f"create or replace table {ledger} as select l.* replace ("
        f"{sql.converted(f'l.{column}', *column_types)} as {column}, "
        f"(coalesce(l.{flag}, false) or r._user is not null) as {flag}) "
        f"from {ledger} l left join {store.retyped} r on {store.on_key('l', 'r')}"
    )
    declare(store, spec.name, spec.type)
    store.session.execute(f"drop table {store.retyped}")


def _attribute_type(text: str, spec: AttributeSpec) -> AttributeType:
    return cast(AttributeType, text) if text in ALL_TYPES else spec.type


def _json_or_none(value: object, spec: AttributeSpec) -> str | None:
    try:
        return None if value is None else encode(canonicalise(value, spec))
    except ValueRejected:
        return None
