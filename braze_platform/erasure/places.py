"""A table in which people lie, and the statements that take them out of it. Pure.

A person's Braze id becomes a token that says nothing of the person: `erased:` and a hash. Rows stay, so that what was
counted stays counted; everything personal in them becomes null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from braze_platform.warehouse.personal_names import (
    TOKEN,
    Kind,
    holds_text,
    is_identifier,
    is_text,
    kind_of,
    named_columns,
)
from braze_platform.warehouse.sql import Sql

#: The data set of raw tables, whose columns are Braze's: none is a key of ours.
RAW = "currents_raw"

#: Columns by which a row belongs to a person, the surest first. The first that a table has decides.
_OWNERS = (
    "braze_user_id",
    "user_id",
    "_user",
    "user_key",
    "external_id",
    "EXTERNAL_ID",
    "BRAZE_ID",
    "external_user_id",
)
#: Columns that hold a person's id under which the rows of several tables are joined: they get the token.
_IDS = frozenset(
    {"braze_user_id", "user_id", "surviving_braze_user_id", "orphaned_by_id", "user_key", "_user"}
)
#: Tables that hold nothing but a person's present values: their rows go as a whole.
_GONE_BY_OWNER = frozenset({"external_id", "EXTERNAL_ID", "BRAZE_ID"})
#: Identities in one pattern of a search, of which RE2 makes an automaton.
_IDENTITIES_PER_PATTERN = 200
#: A shorter text, such as the external id 42, is found among numbers of all kinds: only columns of identities tell.
_DISTINCTIVE = 8


@dataclass(frozen=True)
class Place:
    """A table with rows of people: by which columns they are found, and what becomes of the others."""

    schema: str
    table: str
    owner: str
    #: Columns that name the row's person beside the owner, which an event of somebody not known may have alone.
    others: Mapping[str, Kind] = field(default_factory=dict)
    #: Columns that hold ids of people, not only the row's own.
    ids: tuple[str, ...] = ()
    #: Columns whose text contains an id of the row's own person.
    keys: tuple[str, ...] = ()
    #: Columns that become null, with their types (arrays become empty).
    emptied: Mapping[str, str] = field(default_factory=dict)
    #: Whether the rows go as a whole.
    rows_go: bool = False
    #: The column of hours by which a part of the table can be looked at.
    hour: str | None = None

    @property
    def name(self) -> str:
        """The table's full name."""
        return f"{self.schema}.{self.table}"


def place_of(
    schema: str, table: str, columns: Mapping[str, str], personal: Collection[str], *, rows_go: bool = False
) -> Place | None:
    """How people are found in a table and what is personal in it; None when nobody is.

    `columns` name to type; `personal` the names of columns that hold personal data. With `rows_go` the table holds
    nothing that is counted, and a person's rows go.
    """
    kinds = named_columns(columns)
    owner = next((name for name in _OWNERS if name in kinds), next(iter(kinds), None))
    if owner is None:
        return None
    others = {name: kind for name, kind in kinds.items() if name != owner and name not in _IDS}
    if rows_go or owner in _GONE_BY_OWNER:
        return Place(schema, table, owner, others, rows_go=True)
    hour = next((name for name in ("_hour", "delivered_hour") if name in columns), None)
    ids = tuple(name for name in kinds if name in _IDS)
    keys = tuple(
        name
        for name in columns
        if name in personal and name.endswith("_key") and name not in _IDS and schema != RAW
    )
    emptied = {
        name: kind
        for name, kind in columns.items()
        if name in personal and name not in ids and name not in keys and name != owner
    }
    return Place(schema, table, owner, others, ids, keys, emptied, hour=hour)


def token(sql: Sql, expression: str) -> str:
    """The token of an id, as an expression."""
    return f"concat('{TOKEN}', {sql.text_hash(expression)})"


def erasing(place: Place, sql: Sql, erased: str, where: str = "true") -> list[str]:
    """The statements that erase people in one table.

    `erased` is a relation with the columns `identity` (in the clear), `kind` (see `personal_names.Kind`) and `token`.
    `where` narrows the rows down, e.g. to some hours.

    A row without an id of its own, such as a text message from a number that nobody is known by, is found by what else
    names the person; one that has the id of somebody else is somebody else's.
    """
    table = sql.table(place.schema, place.table)
    mine = f"place.{sql.quoted(place.owner)}"
    found = [(place.owner, kind_of(place.owner) or "any", where)]
    found += [(name, kind, f"{mine} is null and {where}") for name, kind in place.others.items()]
    statements = []
    for column, kind, narrowed in found:
        value = f"place.{sql.quoted(column)}"
        people = _of_kind(erased, kind)
        if place.rows_go:
            statements.append(
                f"delete from {table} as place where {value} in (select identity from {people} as erased) "
                f"and ({narrowed})"
            )
        elif changes := _changes(place, sql, column):
            statements.append(
                f"update {table} as place set {', '.join(changes)} from {people} as erased "
                f"where {value} = erased.identity and ({narrowed})"
            )
    # Ids of other people in the row, such as the profile that a merged one lives on in.
    for name in place.ids:
        if name != place.owner:
            people = _of_kind(erased, kind_of(name) or "any")
            statements.append(
                f"update {table} as place set {sql.quoted(name)} = erased.token from {people} as erased "
                f"where place.{sql.quoted(name)} = erased.identity and ({where})"
            )
    return statements


def _changes(place: Place, sql: Sql, found_by: str) -> list[str]:
    changes = []
    if found_by == place.owner:
        changes.append(f"{sql.quoted(place.owner)} = erased.token")
    for name in place.keys:
        written = f"place.{sql.quoted(name)}"
        if found_by == place.owner:
            written = f"replace({written}, place.{sql.quoted(place.owner)}, erased.token)"
        for other in (name for name, kind in place.emptied.items() if is_identifier(name) and is_text(kind)):
            # A device's hash keeps keys apart; what a person is known by could be guessed from its own.
            put = "''" if kind_of(other) else sql.text_hash(f"coalesce(place.{sql.quoted(other)}, '')")
            written = f"replace({written}, coalesce(place.{sql.quoted(other)}, ''), {put})"
        changes.append(f"{sql.quoted(name)} = {written}")
    for name, kind in place.emptied.items():
        changes.append(f"{sql.quoted(name)} = {'[]' if _is_array(kind) else 'null'}")
    return changes


def _of_kind(erased: str, kind: Kind) -> str:
    """The people of a kind of identity, each identity once: two who were deleted may have shared an address."""
    kinds = "" if kind == "any" else f" where people.kind = '{kind}'"
    columns = "people.identity, min(people.token) as token"
    return f"(select {columns} from {erased} as people{kinds} group by people.identity)"


def finding(schema: str, table: str, sql: Sql, erased: str, named: Iterable[str]) -> str | None:
    """A query of one number: rows in which somebody is found in a column of identities; None where it has none."""
    condition = _named(sql, erased, named)
    return (
        f"select count(*) from {sql.table(schema, table)} as place where {condition}" if condition else None
    )


def searching(
    schema: str, table: str, sql: Sql, erased: str, columns: Mapping[str, str], patterns: int
) -> str | None:
    """A query of two numbers: rows in which somebody is found in a column of identities, and those with a trace of
    somebody in any text; None where there is nothing to look at.

    Traces are found by the parameters `pattern_0`, `pattern_1` and so on, of which there are `patterns` (see
    `patterns_of`). `columns` name to type.
    """
    texts = [f"place.{sql.quoted(name)}" for name, kind in columns.items() if holds_text(kind)]
    if not texts:
        return None
    text = sql.row_text(texts)
    traces = " or ".join(sql.matches(text, f"$pattern_{number}") for number in range(patterns))
    counts = ", ".join(
        f"coalesce(sum(case when {condition or 'false'} then 1 else 0 end), 0)"
        for condition in (_named(sql, erased, named_columns(columns)), traces)
    )
    return f"select {counts} from {sql.table(schema, table)} as place"


def _named(sql: Sql, erased: str, named: Iterable[str]) -> str:
    return " or ".join(
        f"place.{sql.quoted(name)} in (select identity from {_of_kind(erased, kind_of(name) or 'any')} as erased)"
        for name in named
    )


def patterns_of(identities: Collection[str]) -> Iterator[str]:
    """RE2 patterns that find any of some identities inside a text, standing by itself; those that are too short for
    that are left out.

    Inside JSON, and inside a text inside JSON, a value is escaped once or twice.

    >>> [pattern] = patterns_of(["gone@example.org", "42"])
    >>> bool(re.search(pattern, 'to "Gone@Example.org"')), bool(re.search(pattern, "xgone@example.org"))
    (True, False)
    """
    written = sorted({form for text in identities if len(text) >= _DISTINCTIVE for form in _forms(text)})
    rest = iter(written)
    while chunk := list(islice(rest, _IDENTITIES_PER_PATTERN)):
        yield f"(?i)(^|[^0-9A-Za-z])({'|'.join(map(re.escape, chunk))})($|[^0-9A-Za-z])"


def _forms(text: str) -> Iterator[str]:
    yield text
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]


def _is_array(kind: str) -> bool:
    return kind.endswith("[]") or kind.upper().startswith("ARRAY")
