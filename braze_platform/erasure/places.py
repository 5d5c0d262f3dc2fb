"""Where personal data lies in a table, known by its columns' names, and the statements that take it away. Pure.

A person's Braze id becomes a token that says nothing of the person: `erased:` and a hash. Rows stay, so that what was
counted stays counted; everything personal in them becomes null.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from braze_platform.warehouse.sql import Sql

#: What a person's ids become: this and the SHA-256 of the id.
TOKEN = "erased:"

#: Columns by which a row belongs to a person, the surest first. The first that a table has decides.
_OWNERS = (
    "braze_user_id",
    "user_id",
    "_user",
    "user_key",
    "external_id",
    "EXTERNAL_ID",
    "BRAZE_ID",
)
#: Columns that hold a person's id under which the rows of several tables are joined: they get the token.
_IDS = frozenset(
    {"braze_user_id", "user_id", "surviving_braze_user_id", "orphaned_by_id", "user_key", "_user"}
)
#: Tables that hold nothing but a person's present values: their rows go as a whole.
_GONE_BY_OWNER = frozenset({"external_id", "EXTERNAL_ID", "BRAZE_ID"})

#: Columns whose value a key's text may contain beside the owner's.
_IN_KEYS = frozenset({"external_id", "surviving_external_id"})


@dataclass(frozen=True)
class Place:
    """A table with rows of people: by which column they are found, and what becomes of the others."""

    schema: str
    table: str
    owner: str
    #: Columns that hold ids of people, not only the row's own.
    ids: tuple[str, ...] = ()
    #: Columns whose text contains an id of the row's own person.
    keys: tuple[str, ...] = ()
    #: Columns that become null, with their types (arrays become empty).
    emptied: Mapping[str, str] | None = None
    #: Whether the rows go as a whole.
    rows_go: bool = False
    #: The column of hours by which a part of the table can be looked at.
    hour: str | None = None


def place_of(
    schema: str, table: str, columns: Mapping[str, str], personal: Collection[str], *, rows_go: bool = False
) -> Place | None:
    """How people are found in a table and what is personal in it; None when nobody is.

    `columns` name to type; `personal` the names of columns that hold personal data. With `rows_go` the table holds
    nothing that is counted, and a person's rows go.
    """
    owner = next((name for name in _OWNERS if name in columns), None)
    if owner is None:
        return None
    if rows_go or owner in _GONE_BY_OWNER:
        return Place(schema, table, owner, rows_go=True)
    hour = next((name for name in ("_hour", "delivered_hour") if name in columns), None)
    ids = tuple(name for name in columns if name in _IDS)
    keys = tuple(name for name in columns if name in personal and name.endswith("_key") and name not in _IDS)
    emptied = {
        name: kind
        for name, kind in columns.items()
        if name in personal and name not in ids and name not in keys
    }
    return Place(schema, table, owner, ids, keys, emptied, hour=hour)


def token(sql: Sql, expression: str) -> str:
    """The token of an id, as an expression."""
    return f"concat('{TOKEN}', {sql.text_hash(expression)})"


def erasing(place: Place, sql: Sql, erased: str, where: str = "true") -> list[str]:
    """The statements that erase people in one table.

    `erased` is a relation with the columns `identity` (a Braze id, external id, e-mail address or phone number in the
    clear) and `token`. `where` narrows the rows down, e.g. to some hours.
    """
    table = sql.table(place.schema, place.table)
    mine = f"place.{sql.quoted(place.owner)}"
    if place.rows_go:
        return [
            f"delete from {table} as place where {mine} in (select identity from {erased} as erased) and ({where})"
        ]
    changes = [f"{sql.quoted(place.owner)} = erased.token"]
    for name in place.keys:
        written = f"replace(place.{sql.quoted(name)}, {mine}, erased.token)"
        for other in place.emptied or {}:
            if other in _IN_KEYS:
                written = f"replace({written}, coalesce(place.{sql.quoted(other)}, ''), '')"
        changes.append(f"{sql.quoted(name)} = {written}")
    for name, kind in (place.emptied or {}).items():
        changes.append(f"{sql.quoted(name)} = {'[]' if _is_array(kind) else 'null'}")
    statements = [
        f"update {table} as place set {', '.join(changes)} from {erased} as erased "
        f"where {mine} = erased.identity and ({where})"
    ]
    # Ids of other people in the row, such as the profile that a merged one lives on in.
    for name in place.ids:
        if name != place.owner:
            other = f"place.{sql.quoted(name)}"
            statements.append(
                f"update {table} as place set {sql.quoted(name)} = erased.token from {erased} as erased "
                f"where {other} = erased.identity and ({where})"
            )
    return statements


def remaining(place: Place, sql: Sql, erased: str) -> str:
    """A query of one number: rows in which a person can still be found by an id in the clear."""
    conditions = " or ".join(
        f"place.{sql.quoted(name)} in (select identity from {erased} as erased)"
        for name in dict.fromkeys((place.owner, *place.ids))
    )
    return f"select count(*) from {sql.table(place.schema, place.table)} as place where {conditions}"


def _is_array(kind: str) -> bool:
    return kind.endswith("[]") or kind.upper().startswith("ARRAY")
