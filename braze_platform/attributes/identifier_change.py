"""Gives the users of a ledger their keys under another identifier, so that nothing is sent anew."""

from __future__ import annotations

from collections.abc import Mapping

from braze_platform.attributes.ledger import SCHEMA, LedgerError, SyncTables
from braze_platform.warehouse.interface import Session

#: The row of `declarations` that says by which identifier a ledger is keyed.
IDENTIFIER_ROW = ""
#: In that row while the ledger is exchanged: the new keys are ready in a table of their own.
_READY = "ready: "
#: Where external ids and Braze ids stand beside one another.
_IDENTITY = ("intermediate", "int_user_identity")
_IDENTITY_COLUMNS = {"external_id": "external_id", "braze_id": "braze_user_id"}


def declare(session: Session, tables: SyncTables, attribute: str, declared_type: str) -> None:
    """Take note of what an attribute, or the identifier, is declared as by now."""
    values = {"sync": tables.sync.name, "attribute": attribute}
    with session.transaction():
        session.execute(
            f"delete from {tables.declarations} where sync = $sync and attribute = $attribute", values
        )
        session.execute(
            f"insert into {tables.declarations} values ($sync, $attribute, $type)",
            values | {"type": declared_type},
        )


def change_identifier(
    session: Session, tables: SyncTables, known: str, wanted: str, model: Mapping[str, str]
) -> None:
    """Give the ledger's users their new keys.

    `known` and `wanted` are an identifier's kind and columns, as `kind: column, column`; `model` the model's columns.
    The keys come from the model where it still has the old columns, else from the identity model; another column of the
    same kind changes nothing. Users without a new key cannot be reached by it and leave the ledger. Each step may be
    repeated after a kill. Raises `LedgerError` when nobody knows the new keys.
    """
    if not known.startswith(_READY):
        if known.partition(":")[0] == wanted.partition(":")[0]:
            declare(session, tables, IDENTIFIER_ROW, wanted)
            return
        pairs = _pairs(session, tables, known, wanted, model)
        _collect(session, tables, known, pairs)
        declare(session, tables, IDENTIFIER_ROW, f"{_READY}{wanted}")
    elif known != f"{_READY}{wanted}":
        raise LedgerError(
            f"The ledger {SCHEMA}.{tables.ledger_name} was about to be keyed by {known[len(_READY) :]}, but "
            f"{tables.sync.file} now declares {wanted}. Declare that once more and run the sync's plan first."
        )
    session.execute(f"create or replace table {tables.ledger} as select * from {tables.rekeyed}")
    declare(session, tables, IDENTIFIER_ROW, wanted)
    session.execute(f"drop table {tables.rekeyed}")


def _pairs(session: Session, tables: SyncTables, known: str, wanted: str, model: Mapping[str, str]) -> str:
    """A relation of old keys (`old_0`, `old_1`) and new ones (`new_0`, `new_1`)."""
    old_kind, _, old_text = known.partition(": ")
    old = old_text.split(", ")
    new_kind, new = tables.sync.identifier.kind, tables.sync.identifier.columns
    if all(column in model for column in old):
        source = tables.model
    elif {old_kind, new_kind} == set(_IDENTITY_COLUMNS):
        schema = _IDENTITY[0]
        old, new = [_IDENTITY_COLUMNS[old_kind]], (_IDENTITY_COLUMNS[new_kind],)
        there = session.columns(schema, _IDENTITY[1])
        source = session.sql.table(schema, _IDENTITY[1]) if {*old, *new} <= set(there) else ""
    else:
        source = ""
    if not source:
        raise LedgerError(
            f"The ledger {SCHEMA}.{tables.ledger_name} is keyed by {known}, but {tables.sync.file} now declares "
            f"{wanted} for {tables.sync.name}. Keep the column {old_text} in the model beside the new one, so that its "
            "users get their new keys; or set the ledger aside (rename the table and delete its rows of "
            f"{SCHEMA}.declarations) and seed it by `braze-platform ledger rebuild {tables.sync.name}`."
        )
    quoted = session.sql.quoted
    columns = [
        f"cast({quoted(column)} as string) as {side}_{i}"
        for side, names in (("old", old), ("new", new))
        for i, column in enumerate(names)
    ]
    present = " and ".join(f"{quoted(column)} is not null" for column in (*old, *new))
    return f"(select {', '.join(columns)} from {source} where {present})"


def _collect(session: Session, tables: SyncTables, known: str, pairs: str) -> None:
    """The ledger under its new keys, in a table of its own; open rejections move at once."""
    old_keys = ("_user", "_label")[: len(known.partition(": ")[2].split(", "))]
    columns = [
        name for name in session.columns(SCHEMA, tables.ledger_name) if name not in ("_user", "_label")
    ]
    taken = session.sql.listed(columns)
    keys = ", ".join(f"p.new_{i} as {key}" for i, key in enumerate(tables.keys))
    same = " and ".join(f"l.{key} = p.old_{i}" for i, key in enumerate(old_keys))
    # Of two users who are one under the new identifier, the one who was acknowledged last.
    session.execute(
        f"create or replace table {tables.rekeyed} as select {session.sql.listed(tables.keys)}, {taken} from "
        f"(select {keys}, {', '.join(f'l.{session.sql.quoted(name)}' for name in columns)} "
        f"from {tables.ledger} l join {pairs} p on {same}) as found where true "
        f"qualify row_number() over (partition by {session.sql.listed(tables.keys)} "
        "order by _acknowledged_at desc) = 1"
    )
    label = "p.new_1" if len(tables.keys) > 1 else "''"
    same = " and ".join(f"r.{key} = p.old_{i}" for i, key in enumerate(old_keys))
    session.execute(
        f"update {tables.rejections} as r set _user = p.new_0, _label = {label} from {pairs} p "
        f"where r.sync = $sync and r.resolved_at is null and {same}",
        {"sync": tables.sync.name},
    )
