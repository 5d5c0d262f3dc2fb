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
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.delivery.requests import RequestLimits
from braze_platform.sync.ledger.actions import delivery_values
from braze_platform.sync.ledger.former_name import as_stored
from braze_platform.sync.ledger.ledger import SCHEMA, SyncTables, sync_tables
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.model_keys import ModelKeys, model_keys
from braze_platform.sync.plan.difference import difference_sql
from braze_platform.sync.plan.guards import guard_violations, prepare_guards
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
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import LeasedSession
from braze_platform.warehouse.registry import PLAN, PLAN_OBJECTS

BATCH_ROWS = 50_000
_OBJECTS = PLAN_OBJECTS.schema()


def make_plan(
    session: Session,
    sync: Sync,
    *,
    attributes: Sequence[AttributeSpec] | None = None,
    limits: RequestLimits | None = None,
    with_values: bool = False,
) -> Plan:
    """Compare a sync's model with its ledger, for all attributes or some; under a lease, store the plan.

    Without a lease the plan is only looked at: nothing is written, and the ledger is read as a run would have made it
    (`Plan.first` says what a run would do to it).

    `with_values`: what `deliveries` will say of an object holds its values, not only their hashes.
    Users deleted in Braze are left out, and no attribute of theirs is ever planned.
    Memory is bounded by `BATCH_ROWS` rows whatever the number of users. Raises `LedgerError`.
    """
    specs = tuple(sync.attributes if attributes is None else attributes)
    limits = limits or RequestLimits()
    totals = PlanTotals(sync, specs, limits)
    first: list[str] = []
    with ExitStack() as used:
        if isinstance(session, LeasedSession):
            prepare_tables(session, sync)
            prepare_guards(session)
            forget_merged_users(session, sync)
            sweep_plans(session, sync)
            tables = sync_tables(session, sync)
        else:
            renamed, sync = sync.name, as_stored(session, sync)
            tables = sync_tables(session, sync)
            first = used.enter_context(view_tables(session, tables))
            if sync.name != renamed:
                first.insert(0, f"let the ledger of {sync.name} follow, the sync's former name")
        if not specs:
            return totals.finish(users=0, users_in_ledger=0, without_identifier=0, present={})
        users, without_identifier, present = _model_counts(session, sync, tables, specs)
        model = used.enter_context(model_keys(session, sync))
        difference = difference_sql(session, tables, specs, deleted_users(session, sync), model)
        if isinstance(session, LeasedSession):
            _make_plan_tables(session, tables, difference, model, len(specs))
        else:
            tables.plan = f"({difference})"
            _view_repeated(session, tables, model, len(specs))
        for batch in session.fetch_batches(f"select * from {tables.plan} as p", rows=BATCH_ROWS):
            decided = _decide_batch(sync, specs, tables, batch, totals, limits, with_values=with_values)
            if isinstance(session, LeasedSession):
                with session.attached("_decided", decided) as rows:
                    session.execute(f"insert into {tables.objects} select * from {rows} as decided")
        [(in_ledger, acknowledged)] = session.fetch(
            f"select count(*), count(_acknowledged_at) from {tables.ledger} as held"
        )
        plan = totals.finish(
            users=users,
            users_in_ledger=int(in_ledger),
            without_identifier=without_identifier,
            present=present,
        )
        plan.first = first
        plan.users_missing = count_missing(session, tables)
        plan.users_in_ledger, plan.users_unconfirmed = int(acknowledged), int(in_ledger) - int(acknowledged)
        plan.limit_violations += guard_violations(session, sync, plan, tables=tables, specs=specs)
        return plan


def _make_plan_tables(
    session: LeasedSession, tables: SyncTables, difference: str, model: ModelKeys, attributes: int
) -> None:
    """The run's own tables: dropped at its end, swept by the next run, and on BigQuery gone after some days anyway."""
    expires = session.sql.expires_after(PLAN.expires_after)
    session.execute(f"create or replace table {tables.plan}{expires} as {difference}")
    repeated = _repeated_users(
        tables, model, f"where exists (select 1 from {tables.plan} p where {tables.on_key('p', 'm')})"
    )
    if session.fetch(f"select 1 from {repeated} as found limit 1"):
        one_row = _one_row_each(tables, repeated, attributes)
        session.execute(f"create or replace table {tables.plan}{expires} as {one_row}")
    objects = PLAN_OBJECTS.of(tables.sync.name, session.token)
    session.execute(session.sql.create_table(objects, replacing=True))


def _view_repeated(session: Session, tables: SyncTables, model: ModelKeys, attributes: int) -> None:
    """The same for a plan that is only looked at, whose rows are in no table."""
    repeated = _repeated_users(tables, model, "")
    if session.fetch(f"select 1 from {repeated} as found limit 1"):
        tables.plan = f"({_one_row_each(tables, repeated, attributes)})"


def _repeated_users(tables: SyncTables, model: ModelKeys, where: str) -> str:
    """The users who have several rows in the model.

    A run looks only at users of its plan: rows of one user who is not in it are all as the ledger has them.
    """
    keys = ", ".join(tables.keys)
    return f"(select {keys} from {model.select(tables)} m {where} group by {keys} having count(*) > 1)"


def _one_row_each(tables: SyncTables, repeated: str, attributes: int) -> str:
    """The plan with one row for each user who has several in the model, with `_repeated` true."""
    # Which row stays does not matter, since none is sent; what is listed must not depend on it.
    same = f"over (partition by {', '.join(f'p.{key}' for key in tables.keys)})"
    # In a select of its own: BigQuery takes no analytic function inside `* replace`.
    differs = "".join(f", max(cast(p.d{i} as bigint)) {same} > 0 as _differs_{i}" for i in range(attributes))
    one_row = (
        f"select p.*{differs}, q._user is not null as _repeated "
        f"from {tables.plan} p left join {repeated} q on {tables.on_key('p', 'q')} where true "
        f"qualify row_number() {same.replace(')', ' order by p._user)')} = 1"
    )
    decided = ", ".join(f"p._differs_{i} as d{i}" for i in range(attributes))
    return f"select p.* replace ({decided}) from ({one_row}) p"


def sweep_plans(session: LeasedSession, sync: Sync) -> None:
    """Drop the plan tables of the sync that a killed run left, and those of versions that had one for all runs."""
    names = "|".join(re.escape(name) for name in (sync.name, sync.formerly) if name)
    mine = re.compile(rf"plan_(objects_)?([0-9a-f]{{32}}_)?({names})")
    for name in session.table_names(SCHEMA):
        if mine.fullmatch(name) and session.token not in name:
            session.execute(f"drop table if exists {session.sql.table(SCHEMA, name)}")


def drop_plan(session: LeasedSession, sync: Sync) -> None:
    """Remove a plan's tables, which hold values of people, once they are of no more use."""
    tables = sync_tables(session, sync)
    session.execute(f"drop table if exists {tables.objects}")
    session.execute(f"drop table if exists {tables.plan}")


def _model_counts(
    session: Session, sync: Sync, tables: SyncTables, specs: Sequence[AttributeSpec]
) -> tuple[int, int, dict[str, int]]:
    """Users, rows without identifier, and users with a value per attribute."""
    keys, quoted = sync.identifier.columns, session.sql.quoted
    identified = " and ".join(f"{quoted(key)} is not null" for key in keys)
    counts = ", ".join(f"countif({quoted(spec.column)} is not null and {identified})" for spec in specs)
    row = session.fetch(f"select count(*), countif({identified}), {counts} from {tables.model}")[0]
    users, *present = (int(count or 0) for count in row[1:])  # DuckDB's countif over no rows is null
    return (users, int(row[0]) - users, {spec.name: n for spec, n in zip(specs, present, strict=True)})


def _decide_batch(
    sync: Sync,
    specs: Sequence[AttributeSpec],
    tables: SyncTables,
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
    keys = zip(*(batch.column(key).to_pylist() for key in tables.keys), strict=True)
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
            refusal = key_refusal(sync.identifier, key) or REPEATED
            decision = refused_row(specs, changes, refusal)
        else:
            decision = decide_row(
                sync, specs, key, changes, rejected_before(rejected), gone=gone, limits=limits
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
