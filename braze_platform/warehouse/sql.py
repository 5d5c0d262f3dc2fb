"""What DuckDB and BigQuery write differently, and nothing else; SQL that both read alike is written once.

Both know the type names `string`, `bigint`, `boolean` and `timestamp`, `cast`, `merge`, `is distinct from`, `countif`
and `update ... from`. Times are UTC on both: TIMESTAMP without a zone on DuckDB, TIMESTAMP on BigQuery.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from braze_platform.warehouse.dataset_names import DatasetNames

if TYPE_CHECKING:
    from braze_platform.warehouse.tables import Column, Table

Dialect = Literal["duckdb", "bigquery"]
_SPACE_AROUND = "^[[:space:]]+|[[:space:]]+$"

_NUMBERS = frozenset({"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"})
_TIMES = frozenset({"DATE", "DATETIME", "TIME", "TIMESTAMP"})
#: By a type of GoogleSQL without parameters, the types that it casts to.
_CASTS: Mapping[str, frozenset[str]] = {
    "INT64": _NUMBERS | {"STRING", "BOOL"},
    **dict.fromkeys(("FLOAT64", "NUMERIC", "BIGNUMERIC"), _NUMBERS | {"STRING"}),
    "BOOL": frozenset({"INT64", "STRING"}),
    "STRING": _NUMBERS | _TIMES | {"BOOL", "STRING"},
    "BYTES": frozenset({"STRING"}),
    "DATE": frozenset({"STRING", "DATETIME", "TIMESTAMP"}),
    "DATETIME": frozenset({"STRING", "DATE", "TIME", "TIMESTAMP"}),
    "TIME": frozenset({"STRING"}),
    "TIMESTAMP": frozenset({"STRING", "DATE", "DATETIME", "TIME"}),
}


def _plain(kind: str) -> str:
    """A type without its parameters."""
    return kind.partition("(")[0]


class Sql(ABC):
    """The words of one dialect."""

    dialect: ClassVar[Dialect]
    #: A text literal of one line feed.
    line_feed: ClassVar[str]

    @abstractmethod
    def quoted(self, name: str) -> str:
        """An identifier that may hold anything."""

    def listed(self, names: Iterable[str]) -> str:
        """Quoted identifiers with commas between them."""
        return ", ".join(self.quoted(name) for name in names)

    @abstractmethod
    def schema(self, name: str) -> str:
        """A schema (BigQuery: dataset) of the platform by its plain name."""

    def table(self, schema: str, name: str) -> str:
        """A table of the platform."""
        return f"{self.schema(schema)}.{self.quoted(name)}"

    @abstractmethod
    def type(self, name: str) -> str:
        """The dialect's name of a column type that is given by DuckDB's."""

    @abstractmethod
    def literal(self, text: str) -> str:
        """A text literal."""

    @abstractmethod
    def among(self, expression: str, parameter: str) -> str:
        """Whether an expression is one of the values of a list parameter, named without its `$`."""

    @abstractmethod
    def try_cast(self, expression: str, to: str) -> str:
        """A cast that gives null where it cannot be done."""

    @abstractmethod
    def converted(self, expression: str, old: str, new: str) -> str:
        """A value of one column type as another type (both in the dialect's words).

        Null, or an array without the elements concerned, where the warehouse has no such cast or the value does not
        fit: whoever needs the very same value compares.
        """

    @abstractmethod
    def parse_json(self, expression: str) -> str:
        """The JSON value of a JSON text; an error for what is not JSON."""

    @abstractmethod
    def text_hash(self, expression: str) -> str:
        """SHA-256 of a text, in hexadecimal."""

    @abstractmethod
    def row_text(self, values: Sequence[str]) -> str:
        """One text for several values of any types: two texts are equal where all values are, null with null."""

    @abstractmethod
    def epoch_seconds(self, moment: str) -> str:
        """Whole seconds since 1970 of a timestamp of whole seconds."""

    @abstractmethod
    def create_table(self, table: Table, *, replacing: bool = False) -> str:
        """Makes a table with its descriptions where it is missing, or in place of what is there."""

    @abstractmethod
    def matches(self, text: str, pattern: str) -> str:
        """Whether an RE2 pattern, an expression too, is found in a text."""

    @abstractmethod
    def stripped(self, text: str) -> str:
        """A text without the white space around it."""

    def expires_after(self, hours: int) -> str:
        """What follows a table's columns in `create table`, so that it goes by itself after some hours."""
        return ""

    def _create(self, table: Table, columns: Iterable[str], *, replacing: bool) -> str:
        create = "create or replace table" if replacing else "create table if not exists"
        return f"{create} {table.ref(self)} ({', '.join(columns)})"

    def _column(self, column: Column) -> str:
        required = " not null" if column.required else ""
        return f"{self.quoted(column.name)} {self.type(column.type)}{required}"

    def contact_hash(self, expression: str) -> str:
        """The hash of an e-mail address or phone number, however it is capitalised; null for null."""
        return self.text_hash(f"lower(trim({expression}))")

    @abstractmethod
    def contact_hashes(self, array: str) -> str:
        """The hashes of an array of them, in order."""


class DuckDBSql(Sql):
    """The embedded warehouse's."""

    dialect = "duckdb"
    line_feed = "chr(10)"

    def quoted(self, name: str) -> str:
        """In double quotes.

        >>> DuckDBSql().quoted('a"b')
        '"a""b"'
        """
        return '"' + name.replace('"', '""') + '"'

    def schema(self, name: str) -> str:
        """As it is."""
        return self.quoted(name)

    def type(self, name: str) -> str:
        """As it is."""
        return name

    def literal(self, text: str) -> str:
        """In single quotes, those inside doubled."""
        return "'" + text.replace("'", "''") + "'"

    def among(self, expression: str, parameter: str) -> str:
        """By unnesting the list."""
        return f"{expression} in (select unnest(${parameter}))"

    def try_cast(self, expression: str, to: str) -> str:
        """As `try_cast`."""
        return f"try_cast({expression} as {to})"

    def converted(self, expression: str, old: str, new: str) -> str:
        """By way of text, which casts between any two types; what is nested has JSON as its text."""
        if new == "JSON" and old != "VARCHAR":
            return f"to_json({expression})"
        if old.endswith(("]", ")")) and not old.startswith("DECIMAL"):
            expression = f"to_json({expression})"
        elif old == "JSON" and new.endswith("]"):
            return self.try_cast(expression, new)
        return self.try_cast(f"cast({expression} as varchar)", new)

    def parse_json(self, expression: str) -> str:
        """By a cast, which keeps the text."""
        return f"cast({expression} as json)"

    def contact_hashes(self, array: str) -> str:
        """See `Sql.contact_hashes`."""
        return f"list_transform({array}, lambda contact: {self.contact_hash('contact')})"

    def text_hash(self, expression: str) -> str:
        """`sha256` gives hexadecimal text."""
        return f"sha256({expression})"

    def matches(self, text: str, pattern: str) -> str:
        """By `regexp_matches`."""
        return f"regexp_matches({text}, {pattern})"

    def stripped(self, text: str) -> str:
        """By a pattern: `trim` takes away nothing but spaces."""
        return f"regexp_replace({text}, '{_SPACE_AROUND}', '', 'g')"

    def row_text(self, values: Sequence[str]) -> str:
        """A row as text, which quotes what holds its signs."""
        return f"cast(row({', '.join(values)}) as varchar)"

    def epoch_seconds(self, moment: str) -> str:
        """`epoch` gives seconds as a float."""
        return f"cast(epoch({moment}) as bigint)"

    def create_table(self, table: Table, *, replacing: bool = False) -> str:
        """Without partitions: each block carries the least and the greatest value of its columns.

        A table that lives for a run alone is not described, which takes a statement for each column.
        """
        name = table.ref(self)
        create = self._create(table, map(self._column, table.columns), replacing=replacing)
        if table.expires_after:
            return create
        comments = [f"comment on table {name} is {self.literal(table.description)}"] + [
            f"comment on column {name}.{self.quoted(column.name)} is {self.literal(column.description)}"
            for column in table.columns
        ]
        return "; ".join([create, *comments])


class BigQuerySql(Sql):
    """BigQuery's: GoogleSQL (https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical)."""

    dialect = "bigquery"
    line_feed = r"'\n'"
    _TYPES: ClassVar[Mapping[str, str]] = {
        "VARCHAR": "STRING",
        "BIGINT": "INT64",
        "DOUBLE": "FLOAT64",
        "BOOLEAN": "BOOL",
        "BLOB": "BYTES",
        "TIMESTAMP": "TIMESTAMP",
        "VARCHAR[]": "ARRAY<STRING>",
    }
    _ESCAPES: ClassVar[Mapping[int, str]] = str.maketrans(
        {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"}
    )

    def __init__(self, datasets: DatasetNames | None = None) -> None:
        self.datasets = datasets or DatasetNames()

    def quoted(self, name: str) -> str:
        r"""In back quotes.

        >>> print(BigQuerySql().quoted("a`b"))
        `a\`b`
        """
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def dataset(self, name: str) -> str:
        """The dataset of a schema, by its logical name.

        >>> BigQuerySql(DatasetNames("currents_")).dataset("currents_raw")
        'currents_currents_raw'
        """
        return self.datasets.physical(name)

    def schema(self, name: str) -> str:
        """The dataset, quoted."""
        return self.quoted(self.dataset(name))

    def type(self, name: str) -> str:
        """GoogleSQL's name of the type.

        >>> BigQuerySql().type("VARCHAR[]")
        'ARRAY<STRING>'
        """
        return self._TYPES.get(name, name)

    def neutral_type(self, name: str) -> str:
        """DuckDB's name of one of GoogleSQL's types; types that raw tables do not have stay as they are."""
        return next((neutral for neutral, own in self._TYPES.items() if own == name), name)

    def literal(self, text: str) -> str:
        r"""In single quotes, escaped by backslashes.

        >>> print(BigQuerySql().literal("it's"))
        'it\'s'
        """
        return "'" + text.translate(self._ESCAPES) + "'"

    def among(self, expression: str, parameter: str) -> str:
        """As `in unnest(...)`, which prunes partitions when the list is constant."""
        return f"{expression} in unnest(${parameter})"

    def try_cast(self, expression: str, to: str) -> str:
        """As `safe_cast`."""
        return f"safe_cast({expression} as {to})"

    def converted(self, expression: str, old: str, new: str) -> str:
        """By `safe_cast` where GoogleSQL has the cast; arrays and JSON, which cast to nothing, by JSON's functions.

        The casts are those of
        https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_functions#cast.

        >>> BigQuerySql().converted("x", "INT64", "FLOAT64")
        'safe_cast(x as FLOAT64)'
        >>> BigQuerySql().converted("x", "DATE", "INT64")
        'cast(null as INT64)'
        """
        if old == new:
            return expression
        nested = old.startswith(("ARRAY<", "STRUCT<")) or old == "JSON"
        if new == "JSON":
            return f"safe.{self.parse_json(expression)}" if old == "STRING" else f"to_json({expression})"
        if new == "STRING" and nested:
            return f"to_json_string({expression})"
        if new.startswith("ARRAY<"):
            return self._array_converted(expression, old, new[len("ARRAY<") : -1])
        if old == "JSON" and new in _CASTS:
            return self.try_cast(f"json_value({expression})", new)
        if nested or new not in _CASTS.get(_plain(old), ()):
            return f"cast(null as {new})"
        return self.try_cast(expression, new)

    def _array_converted(self, expression: str, old: str, item: str) -> str:
        if old.startswith("ARRAY<"):
            of, value = old[len("ARRAY<") : -1], "element"
            items = expression
        elif old in ("JSON", "STRING"):
            of, value = "STRING", "json_value(element)"
            items = f"json_query_array({expression})"
        else:
            return f"cast([] as ARRAY<{item}>)"
        if of != item:
            if item not in _CASTS.get(_plain(of), ()):
                return f"cast([] as ARRAY<{item}>)"
            value = self.try_cast(value, item)
        # An array may hold no null where it is stored.
        return (
            f"array(select {value} from unnest({items}) as element with offset as place "
            f"where {value} is not null order by place)"
        )

    def parse_json(self, expression: str) -> str:
        """Numbers of more digits than a double has are rounded; unasked, BigQuery refuses the whole text for them."""
        return f"parse_json({expression}, wide_number_mode => 'round')"

    def contact_hashes(self, array: str) -> str:
        """See `Sql.contact_hashes`."""
        hashed = self.contact_hash("contact")
        return f"array(select {hashed} from unnest({array}) as contact with offset as place order by place)"

    def text_hash(self, expression: str) -> str:
        """`sha256` gives bytes."""
        return f"to_hex(sha256({expression}))"

    def matches(self, text: str, pattern: str) -> str:
        """By `regexp_contains`."""
        return f"regexp_contains({text}, {pattern})"

    def stripped(self, text: str) -> str:
        """By a pattern, as on DuckDB."""
        return f"regexp_replace({text}, '{_SPACE_AROUND}', '')"

    def row_text(self, values: Sequence[str]) -> str:
        """A struct as JSON text."""
        return f"to_json_string(struct({', '.join(f'{value} as v{i}' for i, value in enumerate(values))}))"

    def epoch_seconds(self, moment: str) -> str:
        """By `unix_seconds`."""
        return f"unix_seconds({moment})"

    def expires_after(self, hours: int) -> str:
        """An expiration.

        >>> BigQuerySql().expires_after(2)
        ' options(expiration_timestamp = timestamp_add(current_timestamp(), interval 2 hour))'
        """
        return f" options(expiration_timestamp = timestamp_add(current_timestamp(), interval {hours} hour))"

    def create_table(self, table: Table, *, replacing: bool = False) -> str:
        """Partitioned by the day, so that a condition on a time reads only the days it names; clustered inside."""
        stored = f" partition by timestamp_trunc({self.quoted(table.day_of)}, day)" if table.day_of else ""
        stored += f" cluster by {self.quoted(table.cluster_by)}" if table.cluster_by else ""
        create = self._create(table, map(self._column, table.columns), replacing=replacing)
        expires = self.expires_after(table.expires_after) if table.expires_after else ""
        options = expires or f" options(description = {self.literal(table.description)})"
        return f"{create}{stored}{options}"
