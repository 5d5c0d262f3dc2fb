"""Makes a sync's plan in the warehouse: one null-safe comparison, then a streamed pass over what differs.

Two tables of the run hold a plan. `plan_<lease>_<sync>` has what the warehouse found, a row per user (see
`difference`). `plan_objects_<lease>_<sync>` has what was decided for that user: `_actions` (a letter per attribute, see
`plan`), `_object` (the JSON to send, or null) with what it carries in `_sent`, `_operation` and `_operated` the same
for operators, and `_rejections`. Applying a plan sends exactly these objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from braze_platform.sync.confirmation.existence import count_missing
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.requests import RequestLimits
from braze_platform.sync.ledger.actions import delivery_values
from braze_platform.sync.ledger.former_name import as_stored
from braze_platform.sync.ledger.model_keys import ModelKeys, model_keys
from braze_platform.sync.ledger.store import SCHEMA, SyncStore
from braze_platform.sync.plan.difference import difference_sql
from braze_platform.sync.plan.guards import guard_violations
from braze_platform.sync.plan.ledger_view import view_tables
from braze_platform.sync.plan.plan import (
    AttributeChange,
    Plan,
    PlanTotals,
    decide_row,
    refused_row,
    rejected_before,
)
from braze_platform.sync.plan.preflight import deleted_users, forget_merged_users
from braze_platform.sync.values.identifiers import REPEATED, key_refusal
from braze_platform.warehouse.registry import PLAN, PLAN_OBJECTS

BATCH_ROWS = 50_000
_OBJECTS = PLAN_OBJECTS.schema()


def make_plan(
    store: SyncStore,
    *,
    attributes: Sequence[AttributeSpec] | None = None,
    limits: RequestLimits | None = None,
    with_values: bool = False,
) -> Plan:
    """Compare a sync's model with its ledger, for all attributes or some; under a lease, store the plan.

    Under a lease the sync's tables are ready (`prepare_tables`). Without one the plan is only looked at: nothing is
    written, and the ledger is read as a run would have made it (`Plan.first` says what a run would do to it).

    `with_values`: what `deliveries` will say of an object holds its values, not only their hashes.
    Users deleted in Braze are left out, and no attribute of theirs is ever planned.
    Memory is bounded by `BATCH_ROWS` rows whatever the number of users. Raises `LedgerError`.
    """
    specs = tuple(store.sync.attributes if attributes is None else attributes)
    limits = limits or RequestLimits()
    totals = PlanTotals(store.sync, specs, limits)
    first: list[str] = []
    with ExitStack() as used:
        if store.is_held:
            forget_merged_users(store)
            sweep_plans(store)
        else:
            name, store = store.sync.name, as_stored(store)
            first = used.enter_context(view_tables(store))
            if store.sync.name != name:
                first.insert(0, f"let the ledger of {store.sync.name} follow, the sync's former name")
        if not specs:
            return totals.finish(users=0, users_in_ledger=0, without_identifier=0, present={})
        users, without_identifier, present = _model_counts(store, specs)
        model = used.enter_context(model_keys(store))
        difference = difference_sql(store, specs, deleted_users(store), model)
        if store.is_held:
            _make_plan_tables(store, difference, model, len(specs))
        else:
            store.plan = f"({difference})"
            _view_repeated(store, model, len(specs))
        for batch in store.session.fetch_batches(f"select * from {store.plan} as p", rows=BATCH_ROWS):
            decided = _decide_batch(store, specs, batch, totals, limits, with_values=with_values)
            if store.is_held:
                with store.session.attached("_decided", decided) as rows:
                    store.session.execute(f"insert into {store.objects} select * from {rows} as decided")
        [(in_ledger, acknowledged)] = store.session.fetch(
            f"select count(*), count(_acknowledged_at) from {store.ledger} as held"
        )
        plan = totals.finish(
            users=users,
            users_in_ledger=int(in_ledger),
            without_identifier=without_identifier,
            present=present,
        )
        plan.first = first
        plan.users_missing = count_missing(store)
        plan.users_in_ledger, plan.users_unconfirmed = int(acknowledged), int(in_ledger) - int(acknowledged)
        plan.limit_violations += guard_violations(store, plan, specs=specs)
        return plan


def _make_plan_tables(store: SyncStore, difference: str, model: ModelKeys, attributes: int) -> None:
    """The run's own tables: dropped at its end, swept by the next run, and on BigQuery gone after some days anyway."""
    expires = store.sql.expires_after(PLAN.expires_after)
    store.session.execute(f"create or replace table {store.plan}{expires} as {difference}")
    repeated = _repeated_users(
        store, model, f"where exists (select 1 from {store.plan} p where {store.on_key('p', 'm')})"
    )
    if store.session.fetch(f"select 1 from {repeated} as found limit 1"):
        one_row = _one_row_each(store, repeated, attributes)
        store.session.execute(f"create or replace table {store.plan}{expires} as {one_row}")
    objects = PLAN_OBJECTS.of(store.sync.name, store.token)
    store.session.execute(store.sql.create_table(objects, replacing=True))


def _view_repeated(store: SyncStore, model: ModelKeys, attributes: int) -> None:
    """The same for a plan that is only looked at, whose rows are in no table."""
    repeated = _repeated_users(store, model, "")
    if store.session.fetch(f"select 1 from {repeated} as found limit 1"):
        store.plan = f"({_one_row_each(store, repeated, attributes)})"


def _repeated_users(store: SyncStore, model: ModelKeys, where: str) -> str:
    """The users who have several rows in the model.

    A run looks only at users of its plan: rows of one user who is not in it are all as the ledger has them.
    """
    keys = ", ".join(store.keys)
    return f"(select {keys} from {model.select(store)} m {where} group by {keys} having count(*) > 1)"


def _one_row_each(store: SyncStore, repeated: str, attributes: int) -> str:
    """The plan with one row for each user who has several in the model, with `_repeated` true."""
    # Which row stays does not matter, since none is sent; what is listed must not depend on it.
    same = f"over (partition by {', '.join(f'p.{key}' for key in store.keys)})"
    # In a select of its own: BigQuery takes no analytic function inside `* replace`.
    differs = "".join(f", max(cast(p.d{i} as bigint)) {same} > 0 as _differs_{i}" for i in range(attributes))
    one_row = (
        f"select p.*{differs}, q._user is not null as _repeated "
        f"from {store.plan} p left join {repeated} q on {store.on_key('p', 'q')} where true "
        f"qualify row_number() {same.replace(')', ' order by p._user)')} = 1"
    )
    decided = ", ".join(f"p._differs_{i} as d{i}" for i in range(attributes))
    return f"select p.* replace ({decided}) from ({one_row}) p"


def sweep_plans(store: SyncStore) -> None:
    """Drop the plan tables of the sync that a killed run left, and those of versions that had one for all runs."""
    names = "|".join(re.escape(name) for name in (store.sync.name, store.sync.formerly) if name)
    mine = re.compile(rf"plan_(objects_)?([0-9a-f]{{32}}_)?({names})")
    for name in store.session.table_names(SCHEMA):
        if mine.fullmatch(name) and store.token not in name:
            store.session.execute(f"drop table if exists {store.sql.table(SCHEMA, name)}")


def drop_plan(store: SyncStore) -> None:
    """Remove a plan's tables, which hold values of people, once they are of no more use."""
    store.session.execute(f"drop table if exists {store.objects}")
    store.session.execute(f"drop table if exists {store.plan}")


def _model_counts(store: SyncStore, specs: Sequence[AttributeSpec]) -> tuple[int, int, dict[str, int]]:
    """Users, rows without identifier, and users with a value per attribute."""
    keys, quoted = store.sync.identifier.columns, store.sql.quoted
    identified = " and ".join(f"{quoted(key)} is not null" for key in keys)
    counts = ", ".join(f"countif({quoted(spec.column)} is not null and {identified})" for spec in specs)
    row = store.session.fetch(f"select count(*), countif({identified}), {counts} from {store.model}")[0]
    users, *present = (int(count or 0) for count in row[1:])  # DuckDB's countif over no rows is null
    return (users, int(row[0]) - users, {spec.name: n for spec, n in zip(specs, present, strict=True)})


def _decide_batch(
    store: SyncStore,
    specs: Sequence[AttributeSpec],
    batch: pa.RecordBatch,
    totals: PlanTotals,
    limits: RequestLimits,
    *,
    with_values: bool,
) -> pa.Table:
    columns: dict[str, list[Any]] = {
        name: batch.column(name).to_pylist() for name in ("_due", "_known", "_gone", "_rejected")
    }
    repeated = (
        batch.column("_repeated").to_pylist()
        if "_repeated" in batch.schema.names
        else [False] * batch.num_rows
    )
    keys = zip(*(batch.column(key).to_pylist() for key in store.keys), strict=True)
    decided: list[list[Any]] = [[] for _ in _OBJECTS.names]
    for due, key, known, gone, rejected, repeats, changes in zip(
        columns["_due"],
        keys,
        columns["_known"],
        columns["_gone"],
        columns["_rejected"],
        repeated,
        _changes(batch, len(specs)),
        strict=True,
    ):
        if repeats:
            refusal = key_refusal(store.sync.identifier, key) or REPEATED
            decision = refused_row(specs, changes, refusal)
        else:
            decision = decide_row(
                store.sync, specs, key, changes, rejected_before(rejected), gone=gone, limits=limits
            )
        totals.add(key, decision, known=known)
        carried = [
            None
            if encoded is None
            else delivery_values(
                specs, decision.actions, decision.changes, is_operator=is_operator, with_values=with_values
            )
            for encoded, is_operator in ((decision.encoded, False), (decision.encoded_operations, True))
        ]
        row = (
            key[0],
            key[1] if len(key) > 1 else "",
            due,
            decision.actions,
            decision.encoded,
            carried[0],
            decision.encoded_operations,
            carried[1],
            json.dumps(decision.rejections) if decision.rejections else None,
        )
        for column, value in zip(decided, row, strict=True):
            column.append(value)
    # Encoded objects are UTF-8 bytes, which Arrow takes as text without decoding them.
    arrays = [pa.array(column, field.type) for column, field in zip(decided, _OBJECTS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_OBJECTS)


def _changes(batch: pa.RecordBatch, count: int) -> list[list[AttributeChange]]:
    """What differs, by row: only these values become Python's."""
    rows: list[list[AttributeChange]] = [[] for _ in range(batch.num_rows)]
    for i in range(count):
        at = pc.indices_nonzero(batch.column(f"d{i}"))
        if not len(at):
            continue
        new, old = (batch.column(f"{letter}{i}").take(at).to_pylist() for letter in "no")
        marks = batch.column(f"r{i}").take(at).to_pylist()
        for row, value, acknowledged, resend in zip(at.to_pylist(), new, old, marks, strict=True):
            rows[row].append(AttributeChange(i, value, acknowledged, resend))
    return rows
