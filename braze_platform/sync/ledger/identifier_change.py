"""Gives the users of a ledger their keys under another identifier, so that nothing is sent again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from braze_platform.sync.declaration.sync import Identifier, IdentifierKind
from braze_platform.sync.ledger.model_keys import model_keys
from braze_platform.sync.ledger.store import SCHEMA, LedgerError, SyncStore

#: The row of `declarations` that says by which identifier a ledger is keyed.
IDENTIFIER_ROW = ""
#: The row that says in which form the ledger has its users' keys; no attribute has such a name.
KEYS_ROW = "_keys"
#: In the identifier's row while the ledger is exchanged: the new keys are ready in a table of their own.
READY = "ready: "
#: Where external ids and Braze ids stand beside one another.
_IDENTITY = ("intermediate", "int_user_identity")
_IDENTITY_COLUMNS = {"external_id": "external_id", "braze_id": "braze_user_id"}


def declare(store: SyncStore, attribute: str, declared_type: str) -> None:
    """Take note of what an attribute, or the identifier, is declared as by now."""
    values = {"sync": store.sync.name, "attribute": attribute}
    with store.session.transaction():
        store.session.execute(
            f"delete from {store.declarations} where sync = $sync and attribute = $attribute", values
        )
        store.session.execute(
            f"insert into {store.declarations} values ($sync, $attribute, $type)",
            values | {"type": declared_type},
        )


def change_identifier(store: SyncStore, known: str, wanted: str, model: Mapping[str, str]) -> None:
    """Give the ledger's users their new keys.

    `known` and `wanted` are an identifier's kind and columns, as `kind: column, column`; `model` the model's columns.
    The keys come from the model where it still has the old columns, else from the identity model; another column of the
    same kind changes nothing. Users without a new key cannot be reached by it and leave the ledger. Each step may be
    repeated after a kill. Raises `LedgerError` when nobody knows the new keys.
    """
    if not known.startswith(READY):
        if known.partition(":")[0] == wanted.partition(":")[0]:
            declare(store, IDENTIFIER_ROW, wanted)
            return
        with _pairs(store, known, wanted, model) as pairs:
            _collect(store, known, pairs)
        declare(store, IDENTIFIER_ROW, f"{READY}{wanted}")
    elif known != f"{READY}{wanted}":
        raise LedgerError(
            f"The ledger {SCHEMA}.{store.ledger_name} was about to be keyed by {known[len(READY) :]}, but "
            f"{store.sync.file} now declares {wanted}. Declare that once more and run the sync's plan first."
        )
    store.session.execute(f"create or replace table {store.ledger} as select * from {store.rekeyed}")
    declare(store, IDENTIFIER_ROW, wanted)
    store.session.execute(f"drop table {store.rekeyed}")


@contextmanager
def _pairs(store: SyncStore, known: str, wanted: str, model: Mapping[str, str]) -> Iterator[str]:
    """A relation of old keys (`old_0`, `old_1`) and new ones (`new_0`, `new_1`), in the form that ledgers have them."""
    kind, _, text = known.partition(": ")
    old, new = Identifier(cast(IdentifierKind, kind), tuple(text.split(", "))), store.sync.identifier
    if all(column in model for column in old.columns):
        old = _as_keyed(store, old)
        with (
            model_keys(SyncStore(store.session, replace(store.sync, identifier=old))) as before,
            model_keys(store) as after,
        ):
            columns = _named(before.columns, "old") + _named(after.columns, "new")
            yield (
                f"(select {', '.join(columns)} from {store.model} m{before.joined}{after.joined} "
                f"where {before.identified} and {after.identified})"
            )
        return
    schema, name = _IDENTITY
    pair = [_IDENTITY_COLUMNS.get(identifier.kind, "") for identifier in (old, new)]
    if {old.kind, new.kind} != set(_IDENTITY_COLUMNS) or not set(pair) <= set(
        store.session.columns(schema, name)
    ):
        raise LedgerError(
            f"The ledger {SCHEMA}.{store.ledger_name} is keyed by {known}, but {store.sync.file} now declares "
            f"{wanted} for {store.sync.name}. Keep the column {text} in the model beside the new one, so that its "
            "users get their new keys; or set the ledger aside (rename the table and delete its rows of "
            f"{SCHEMA}.declarations) and seed it by `braze-platform ledger rebuild {store.sync.name}`."
        )
    old_column, new_column = (f"cast({store.sql.quoted(column)} as string)" for column in pair)
    yield (
        f"(select {old_column} as old_0, {new_column} as new_0 from {store.sql.table(schema, name)} "
        f"where {old_column} is not null and {new_column} is not null)"
    )


def _as_keyed(store: SyncStore, identifier: Identifier) -> Identifier:
    """The identifier whose form the ledger's keys have: the declared one, or any exact one before that was noted."""
    noted = store.session.fetch(
        f"select type from {store.declarations} where sync = $sync and attribute = $attribute",
        {"sync": store.sync.name, "attribute": KEYS_ROW},
    )
    if not noted:
        return replace(identifier, kind="user_alias" if len(identifier.columns) > 1 else "external_id")
    return replace(identifier, region=str(noted[0][0]).removeprefix(f"canonical {identifier.kind}").strip())


def _named(expressions: Sequence[str], side: str) -> list[str]:
    return [f"{expression} as {side}_{i}" for i, expression in enumerate(expressions)]


@contextmanager
def ledger_with_new_keys(
    store: SyncStore, known: str, wanted: str, model: Mapping[str, str]
) -> Iterator[str]:
    """The ledger as `change_identifier` would leave it, as a relation; changes nothing. Raises `LedgerError`."""
    if known.startswith(READY):
        yield store.rekeyed
    elif known.partition(":")[0] == wanted.partition(":")[0]:
        yield store.ledger
    else:
        with _pairs(store, known, wanted, model) as pairs:
            yield f"({_rekeyed_sql(store, known, pairs)})"


def _rekeyed_sql(store: SyncStore, known: str, pairs: str) -> str:
    old_keys = ("_user", "_label")[: len(known.partition(": ")[2].split(", "))]
    columns = [
        name for name in store.session.columns(SCHEMA, store.ledger_name) if name not in ("_user", "_label")
    ]
    taken = store.sql.listed(columns)
    keys = ", ".join(f"p.new_{i} as {key}" for i, key in enumerate(store.keys))
    same = " and ".join(f"l.{key} = p.old_{i}" for i, key in enumerate(old_keys))
    # Of two users who are one under the new identifier, the one who was acknowledged last.
    return (
        f"select {store.sql.listed(store.keys)}, {taken} from "
        f"(select {keys}, {', '.join(f'l.{store.sql.quoted(name)}' for name in columns)} "
        f"from {store.ledger} l join {pairs} p on {same}) as found where true "
        f"qualify row_number() over (partition by {store.sql.listed(store.keys)} "
        "order by _acknowledged_at desc) = 1"
    )


def _collect(store: SyncStore, known: str, pairs: str) -> None:
    """The ledger under its new keys, in a table of its own; open rejections move at once."""
    old_keys = ("_user", "_label")[: len(known.partition(": ")[2].split(", "))]
    store.session.execute(f"create or replace table {store.rekeyed} as {_rekeyed_sql(store, known, pairs)}")
    label = "p.new_1" if len(store.keys) > 1 else "''"
    same = " and ".join(f"r.{key} = p.old_{i}" for i, key in enumerate(old_keys))
    store.session.execute(
        f"update {store.rejections} as r set _user = p.new_0, _label = {label} from {pairs} p "
        f"where r.sync = $sync and r.resolved_at is null and {same}",
        {"sync": store.sync.name},
    )
