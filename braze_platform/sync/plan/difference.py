"""The SQL of a plan: which users' values differ from the ledger, null-safe, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from braze_platform.sync.confirmation.existence import missing_users
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.ledger.model_keys import ModelKeys
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.registry import APPLIED_PLANS


def difference_sql(
    store: SyncStore, specs: Sequence[AttributeSpec], tombstones: str | None, model: ModelKeys
) -> str:
    """A row for every user of whom a value differs, or is marked to be sent again.

    Columns: the keys, `_known` (in the ledger), `_gone` (no longer in the model), `_rejected`, `_due` (left due by the
    last applied plan, so sent first), and for the i-th attribute `n<i>` (the model's value), `o<i>` (the acknowledged
    one), `d<i>` (whether they differ) and, where the ledger marks values to be sent again, `r<i>`.
    """
    difference = _Difference(store, specs, model)
    both = difference.changed()
    if store.sync.when_row_disappears == "clear":
        both += f" union all {difference.disappeared()}"
    label = "c._label" if "_label" in store.keys else "''"
    rejected = (
        f"(select _user, _label, string_agg(value_hash || attribute, {store.sql.line_feed}) as _rejected "
        f"from {store.rejections} where sync = {store.sql.literal(store.sync.name)} and resolved_at is null "
        "and refused_by = 'braze' group by 1, 2)"
    )
    joins = f"left join {rejected} r on r._user = c._user and r._label = {label}"
    first = "false"
    due = _due_users(store)
    if due is not None:
        joins += f" left join {due} e on e._user = c._user and e._label = {label}"
        first = "e._user is not null"
    without = (
        f" where not exists (select 1 from {tombstones} t where t._user = c._user)" if tombstones else ""
    )
    missing = missing_users(store)
    if missing is not None:
        without += (
            f" {'and' if without else 'where'} not exists (select 1 from {missing} u "
            f"where u._user = c._user and u._label = {label})"
        )
    return f"{difference.prelude()}select c.*, r._rejected, {first} as _due from ({both}) c {joins}{without}"


def _due_users(store: SyncStore) -> str | None:
    """The users whose objects the last applied plan left due; None when there is none."""
    if not APPLIED_PLANS.exists(store.session):
        return None
    sync = store.sql.literal(store.sync.name)
    since: datetime | None = store.session.fetch(
        f"select max(applied_at) from {APPLIED_PLANS.ref(store.sql)} where sync = {sync}"
    )[0][0]
    if since is None:
        return None
    # The moment as a constant, so that BigQuery reads no older partition.
    due = (
        f"from {store.deliveries} where sync = {sync} and verdict = 'due' "
        f"and delivered_at >= timestamp '{since.isoformat(sep=' ')}'"
    )
    if not store.session.fetch(f"select 1 {due} limit 1"):
        return None
    return f"(select distinct _user, _label {due})"


class _Difference:
    """The parts of the statement for one sync and some of its attributes."""

    def __init__(self, store: SyncStore, specs: Sequence[AttributeSpec], model: ModelKeys) -> None:
        self._store = store
        self._specs = specs
        self._quoted = store.sql.quoted
        self._by_hash = store.session.dialect == "duckdb"
        # Values of this type cannot be compared on BigQuery.
        types = {} if self._by_hash else store.session.columns(store.sync.schema, store.sync.table)
        self._is_json = [types.get(spec.column) == "JSON" for spec in specs]
        values = [f"m.{self._quoted(spec.column)} as n{i}" for i, spec in enumerate(specs)]
        self._model = model.select(store, values)

    def prelude(self) -> str:
        """On DuckDB: the keys of users who may differ, by the hashes of their values.

        A join that carries every column of the ledger holds all of it in memory; one that carries two hashes per row
        holds a tenth. Hashes that differ are looked at value by value afterwards; for different values to have the
        same two hashes of 64 bits is as good as impossible.
        """
        if not self._by_hash:
            return ""
        store = self._store
        new = [f"n{i}" for i in range(len(self._specs))]
        old = [self._quoted(ledger_column(spec.name)) for spec in self._specs]
        keys = ", ".join(store.keys)
        marks = " or ".join(self._mark(i, "") for i in range(len(self._specs)))
        return (
            f"with differing as materialized (select {', '.join(f'm.{key}' for key in store.keys)} from "
            f"(select {keys}, {_hashes(new)} from {self._model}) m left join "
            f"(select {keys}, {_hashes(old)}, {marks} as _marked "
            f"from {store.ledger}) l on {store.on_key('m', 'l')} "
            f"where m._h is distinct from l._h or m._g is distinct from l._g or l._marked) "
        )

    def changed(self) -> str:
        """Users of the model who differ."""
        store = self._store
        model, ledger = self._model, store.ledger
        if self._by_hash:
            model, ledger = (
                f"(select x.* from {relation} x semi join differing d on {store.on_key('d', 'x')})"
                for relation in (model, ledger)
            )
        columns, conditions = [], []
        for i, spec in enumerate(self._specs):
            old, mark = f"l.{self._quoted(ledger_column(spec.name))}", self._mark(i, "l.")
            differs = f"{self._comparable(i, f'm.n{i}')} is distinct from {self._comparable(i, old)}"
            condition = f"({differs} or {mark})"
            if spec.nulls == "skip":
                condition = f"(m.n{i} is not null and {condition})"
            columns += self._columns(i, f"m.n{i}", old, condition, mark)
            conditions.append(condition)
        return (
            f"select {', '.join(f'm.{key}' for key in store.keys)}, l._user is not null as _known, false as _gone, "
            f"{', '.join(columns)} from {model} m left join {ledger} l on {store.on_key('m', 'l')} "
            f"where {' or '.join(conditions)}"
        )

    def disappeared(self) -> str:
        """Users of the ledger who are no longer in the model and of whom something is held."""
        store = self._store
        columns, conditions = [], []
        for i, spec in enumerate(self._specs):
            old, mark = f"l.{self._quoted(ledger_column(spec.name))}", self._mark(i, "l.")
            condition = f"({old} is not null or {mark})"
            columns += self._columns(i, "null", old, condition, mark)
            conditions.append(condition)
        return (
            f"select {', '.join(f'l.{key}' for key in store.keys)}, true as _known, true as _gone, "
            f"{', '.join(columns)} from {store.ledger} l where not exists (select 1 from {self._model} m "
            f"where {store.on_key('m', 'l')}) and ({' or '.join(conditions)})"
        )

    def _columns(self, i: int, new: str, old: str, condition: str, mark: str) -> list[str]:
        return [f"{new} as n{i}", f"{old} as o{i}", f"{condition} as d{i}", f"{mark} as r{i}"]

    def _comparable(self, i: int, value: str) -> str:
        return f"to_json_string({value})" if self._is_json[i] else value

    def _mark(self, i: int, relation: str) -> str:
        return f"coalesce({relation}{self._quoted(resend_column(self._specs[i].name))}, false)"


def _hashes(values: Sequence[str]) -> str:
    """Two hashes of a row that have nothing to do with one another: the values forwards and backwards."""
    return f"hash({', '.join(values)}) as _h, hash(1, {', '.join(reversed(values))}) as _g"
