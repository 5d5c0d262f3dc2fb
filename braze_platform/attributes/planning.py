"""Makes a sync's plan in the warehouse: one null-safe join, then a streamed pass over what differs.

Two tables hold a plan. `plan_<sync>` has a numbered row per user for whom something differs: `n<i>` the model's
value of the plan's i-th attribute, `o<i>` the acknowledged one, `d<i>` whether they differ, `r<i>` whether it
must be sent again. `plan_objects_<sync>` has what was decided for that row: `_actions` (a letter per attribute,
see `plan`), `_object` (the JSON to send, or null) and `_rejections`. Applying a plan sends exactly these objects.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from braze_platform.attributes.guards import guards_beyond
from braze_platform.attributes.ledger import (
    SCHEMA,
    SyncTables,
    prepare_tables,
    resend_column,
)
from braze_platform.attributes.plan import AttributeChange, Plan, PlanTotals, decide_row, rejected_before
from braze_platform.attributes.preflight import deleted_users
from braze_platform.attributes.requests import RequestLimits
from braze_platform.attributes.sync import AttributeSpec, Sync
from braze_platform.warehouse.interface import Session

BATCH_ROWS = 50_000

_OBJECTS = pa.schema(
    [
        ("_row", pa.int64()),
        ("_actions", pa.string()),
        ("_object", pa.string()),
        ("_rejections", pa.string()),
    ]
)


class PlanError(RuntimeError):
    """A model cannot be planned as it is; the message names it and says what to do."""


def make_plan(
    session: Session,
    sync: Sync,
    *,
    attributes: Sequence[AttributeSpec] | None = None,
    limits: RequestLimits | None = None,
) -> Plan:
    """Compare a sync's model with its ledger, for all attributes or some, and store the plan.

    Users deleted in Braze are left out, and no attribute of theirs is ever planned.
    Memory is bounded by `BATCH_ROWS` rows whatever the number of users. Raises `LedgerError` or `PlanError`.
    """
    specs = tuple(sync.attributes if attributes is None else attributes)
    limits = limits or RequestLimits()
    prepare_tables(session, sync)
    tables = SyncTables(sync, session.sql)
    if not specs:
        return PlanTotals(sync, specs, limits).finish(
            users=0, users_in_ledger=0, without_identifier=0, present={}
        )
    users, without_identifier, present = _model_counts(session, sync, tables, specs)
    difference = _difference_sql(session, tables, specs, deleted_users(session, sync))
    session.execute(f"create or replace table {tables.plan} as {difference}")
    session.execute(
        f"create or replace table {tables.objects} "
        "(_row bigint, _actions string, _object string, _rejections string)"
    )
    totals = PlanTotals(sync, specs, limits)
    for batch in session.fetch_batches(f"select * from {tables.plan} order by _row", rows=BATCH_ROWS):
        decided = _decide_batch(sync, specs, tables, batch, totals, limits)
        with session.attached("_decided", decided) as rows:
            session.execute(f"insert into {tables.objects} select * from {rows} as decided")
    in_ledger = int(session.fetch(f"select count(*) from {tables.ledger}")[0][0])
    plan = totals.finish(
        users=users, users_in_ledger=in_ledger, without_identifier=without_identifier, present=present
    )
    plan.beyond += guards_beyond(session, sync, plan)
    return plan


def drop_plan(session: Session, sync: Sync) -> None:
    """Remove a plan's tables, which hold values of people, once they are of no more use."""
    tables = SyncTables(sync, session.sql)
    session.execute(f"drop table if exists {tables.objects}")
    session.execute(f"drop table if exists {tables.plan}")


def _model_counts(
    session: Session, sync: Sync, tables: SyncTables, specs: Sequence[AttributeSpec]
) -> tuple[int, int, dict[str, int]]:
    """Users, rows without identifier, and users with a value per attribute; refuses duplicate users."""
    keys, quoted = sync.identifier.columns, session.sql.quoted
    identified = " and ".join(f"{quoted(key)} is not null" for key in keys)
    counts = ", ".join(f"countif({quoted(spec.column)} is not null and {identified})" for spec in specs)
    row = session.fetch(f"select count(*), countif({identified}), {counts} from {tables.model}")[0]
    duplicates = session.fetch(
        f"select count(*) from (select 1 from {tables.model} where {identified} "
        f"group by {session.sql.listed(keys)} having count(*) > 1)"
    )[0][0]
    if duplicates:
        raise PlanError(
            f"The model {sync.schema}.{sync.table} of the sync {sync.name} ({sync.file}) has more than one row "
            f"for {duplicates:,} users; a sync needs one row a user. Make {', '.join(keys)} unique in it."
        )
    users, *present = (int(count or 0) for count in row[1:])  # DuckDB's countif over no rows is null
    return (users, int(row[0]) - users, {spec.name: n for spec, n in zip(specs, present, strict=True)})


def _difference_sql(
    session: Session, tables: SyncTables, specs: Sequence[AttributeSpec], tombstones: str | None
) -> str:
    """The users for whom a value differs, null-safe, numbered in the order of their keys."""
    sync, quoted = tables.sync, session.sql.quoted
    ledger_columns = session.columns(SCHEMA, tables.ledger_name)
    has_flag = [resend_column(spec.name) in ledger_columns for spec in specs]
    model_keys = ", ".join(
        f"cast({quoted(column)} as string) as {key}"
        for key, column in zip(tables.keys, sync.identifier.columns, strict=True)
    )
    identified = " and ".join(f"{quoted(column)} is not null" for column in sync.identifier.columns)
    model = (
        f"(select {model_keys}, {', '.join(f'{quoted(s.column)} as n{i}' for i, s in enumerate(specs))} "
        f"from {tables.model} where {identified})"
    )
    keys_of = {alias: ", ".join(f"{alias}.{key}" for key in tables.keys) for alias in ("m", "l")}
    differing, leaving = [], []
    for i, spec in enumerate(specs):
        old = f"l.{quoted(spec.name)}"
        flag = f"coalesce(l.{quoted(resend_column(spec.name))}, false)" if has_flag[i] else "false"
        condition = f"m.n{i} is distinct from {old}"
        if has_flag[i]:
            condition = f"({condition} or {flag})"
        if spec.nulls == "skip":
            condition = f"(m.n{i} is not null and {condition})"
        differing.append((f"m.n{i}", old, condition, flag))
        leaving.append((f"null as n{i}", old, f"({old} is not null or {flag})", flag))
    changed = (
        f"select {keys_of['m']}, l._user is not null as _known, false as _gone, "
        + ", ".join(
            f"{new} as n{i}, {old} as o{i}, {condition} as d{i}, {flag} as r{i}"
            for i, (new, old, condition, flag) in enumerate(differing)
        )
        + f" from {model} m left join {tables.ledger} l on {tables.on_key('m', 'l')} where "
        + " or ".join(condition for _, _, condition, _ in differing)
    )
    both = changed
    if sync.when_row_disappears == "clear":
        both += (
            f" union all select {keys_of['l']}, true as _known, true as _gone, "
            + ", ".join(
                f"{null}, {old} as o{i}, {condition} as d{i}, {flag} as r{i}"
                for i, (null, old, condition, flag) in enumerate(leaving)
            )
            + f" from {tables.ledger} l where not exists (select 1 from {model} m where "
            + tables.on_key("m", "l")
            + ") and ("
            + " or ".join(condition for _, _, condition, _ in leaving)
            + ")"
        )
    label = "c._label" if "_label" in tables.keys else "''"
    rejected = (
        f"(select _user, _label, string_agg(value_hash || attribute, {session.sql.line_feed}) as _rejected "
        f"from {tables.rejections} where sync = {session.sql.literal(sync.name)} and resolved_at is null "
        "and refused_by = 'braze' group by 1, 2)"
    )
    order = ", ".join(f"c.{key}" for key in tables.keys)
    without = (
        f" where not exists (select 1 from {tombstones} t where t._user = c._user)" if tombstones else ""
    )
    return (
        f"select row_number() over (order by {order}) as _row, c.*, r._rejected from ({both}) c "
        f"left join {rejected} r on r._user = c._user and r._label = {label}{without} order by {order}"
    )


def _decide_batch(
    sync: Sync,
    specs: Sequence[AttributeSpec],
    tables: SyncTables,
    batch: pa.RecordBatch,
    totals: PlanTotals,
    limits: RequestLimits,
) -> pa.Table:
    columns: dict[str, list[Any]] = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    keys = list(zip(*(columns[key] for key in tables.keys), strict=True))
    changes = [
        [AttributeChange(*four) for four in zip(*(columns[f"{letter}{i}"] for letter in "dnor"), strict=True)]
        for i in range(len(specs))
    ]
    rows: list[tuple[int, str, str | None, str | None]] = []
    for number, key, known, gone, rejected, *row_changes in zip(
        columns["_row"],
        keys,
        columns["_known"],
        columns["_gone"],
        columns["_rejected"],
        *changes,
        strict=True,
    ):
        decision = decide_row(
            sync, specs, key, row_changes, rejected_before(rejected), gone=gone, limits=limits
        )
        totals.add(key, decision, known=known)
        rows.append(
            (
                number,
                decision.actions,
                None if decision.encoded is None else decision.encoded.decode("utf-8"),
                json.dumps(decision.rejections) if decision.rejections else None,
            )
        )
    return pa.table(
        {name: [row[i] for row in rows] for i, name in enumerate(_OBJECTS.names)}, schema=_OBJECTS
    )
