"""The keys of a model's users in the warehouse, in the form by which Braze finds them (see `identifiers`).

What both warehouses do alike is done in SQL: a text as it is, an e-mail address trimmed and in lower case. Phone
numbers that are not in E.164 are read by Python, and joined to the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.ledger.store import LedgerError, SyncStore
from braze_platform.sync.values.identifiers import canonical_key, column_mistake
from braze_platform.sync.values.rejected import ValueRejected
from braze_platform.warehouse.interface import Session

_BATCH = 50_000
_E164 = "^[+][1-9][0-9]{6,14}$"


@dataclass(frozen=True)
class ModelKeys:
    """How the rows of the model get their users' keys: what to select, and what to join before."""

    columns: tuple[str, ...]
    joined: str = ""
    identified: str = "true"

    def select(self, store: SyncStore, others: Sequence[str] = ()) -> str:
        """A relation of the model's rows that name a user, with the key columns and `others`, of the alias `m`."""
        keys = [f"{column} as {key}" for key, column in zip(store.keys, self.columns, strict=True)]
        return f"(select {', '.join([*keys, *others])} from {store.model} m{self.joined} where {self.identified})"


@contextmanager
def model_keys(store: SyncStore) -> Iterator[ModelKeys]:
    """The keys of the sync's model, usable while the context lasts."""
    quoted = store.sql.quoted
    raw = [f"m.{quoted(column)}" for column in store.sync.identifier.columns]
    texts = tuple(f"cast({column} as string)" for column in raw)
    identified = " and ".join(f"{column} is not null" for column in raw)
    if store.sync.identifier.kind == "email":
        yield ModelKeys((_email(store.session, texts[0]),), identified=identified)
    elif store.sync.identifier.kind == "phone":
        model = store.sql.table(store.sync.schema, store.sync.table)
        with _phones(store, f"(select {texts[0]} as _raw from {model} m where {identified})") as known:
            joined = f" left join {known} k on k._raw = {texts[0]}"
            yield ModelKeys((f"coalesce(k._key, {texts[0]})",), joined, identified)
    else:
        yield ModelKeys(texts, identified=identified)


def check_identifier_types(sync: Sync, columns: dict[str, str]) -> None:
    """Raise `LedgerError` when an identifier column of the model is neither text nor a whole number."""
    for column in sync.identifier.columns:
        mistake = column_mistake(sync, column, columns[column])
        if mistake is not None:
            raise LedgerError(mistake)


def canonicalise_ledger(store: SyncStore) -> None:
    """Give the users of a ledger, and their open rejections, the canonical form of their keys.

    Nothing is sent again for it. Of two users who are one, the one who was acknowledged last stays. May be repeated.
    """
    kind = store.sync.identifier.kind
    open_ones = f"update {store.rejections} as r set _user ="
    where = "where r.sync = $sync and r.resolved_at is null"
    if kind == "email":
        _rekey(store, _email(store.session, "l._user"), "")
        store.session.execute(
            f"{open_ones} {_email(store.session, 'r._user')} {where}", {"sync": store.sync.name}
        )
    elif kind == "phone":
        users = f"(select _user as _raw from {store.ledger})"
        with _phones(store, users) as known:
            _rekey(store, "coalesce(k._key, l._user)", f" left join {known} k on k._raw = l._user")
            store.session.execute(
                f"{open_ones} k._key from {known} k {where} and k._raw = r._user", {"sync": store.sync.name}
            )


def _rekey(store: SyncStore, key: str, joined: str) -> None:
    ledger = store.ledger
    [(changed,)] = store.session.fetch(f"select countif({key} <> l._user) from {ledger} l{joined}")
    if changed:
        store.session.execute(
            f"create or replace table {ledger} as select l.* replace ({key} as _user) from {ledger} l{joined} "
            f"where true qualify row_number() over (partition by {key} order by l._acknowledged_at desc) = 1"
        )


def _email(session: Session, text: str) -> str:
    return f"lower({session.sql.stripped(text)})"


@contextmanager
def _phones(store: SyncStore, numbers: str) -> Iterator[str]:
    """The E.164 form (`_key`) of the numbers (`_raw`) of a relation that are not in it, as far as they have one."""
    raw: list[str] = []
    keys: list[str] = []
    is_number = store.sql.matches("_raw", store.sql.literal(_E164))
    query = f"select distinct _raw from {numbers} as numbers where not {is_number}"
    for batch in store.session.fetch_batches(query, rows=_BATCH):
        for number in batch.column(0).to_pylist():
            try:
                (key,) = canonical_key(store.sync.identifier, (number,))
            except ValueRejected:
                continue  # Its row keeps the number as it is, and is refused by it with the reason.
            raw.append(number)
            keys.append(key)
    table = pa.table({"_raw": pa.array(raw, pa.string()), "_key": pa.array(keys, pa.string())})
    with store.session.attached("_phones", table) as known:
        yield known
