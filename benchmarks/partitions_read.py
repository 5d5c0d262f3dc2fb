"""How many partitions the statements of a build would read on BigQuery, counted from their own predicates.

BigQuery prunes partitions by conditions on the partitioning column that it can compute before it reads anything
(https://cloud.google.com/bigquery/docs/querying-partitioned-tables): comparisons with constants. Counted are these,
in the WHERE of the query that reads the table or in the ON of a MERGE. Conditions further out, which BigQuery may push
down by itself, do not count, so the true number is this or less.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
from sqlglot import exp, parse

#: Units of the intervals that the project's macros write.
_UNITS = {"DAY": timedelta(days=1), "HOUR": timedelta(hours=1), "WEEK": timedelta(days=7)}
#: First and last time of a condition; the last is open where there is only a lower bound.
Span = tuple[datetime, datetime | None]


@dataclass(frozen=True)
class Partitioning:
    """By which column a table is partitioned, and whether a partition is a day or a month."""

    column: str
    granularity: str


@dataclass(frozen=True)
class Read:
    """A table that a statement reads or writes: partitions it takes for that, none where no condition bounds them."""

    table: str
    partitions: int | None


def partitionings(manifest: Mapping[str, Any]) -> dict[str, Partitioning]:
    """The partitioned tables of a dbt manifest by their names with project and dataset, in lower case, and the
    views over them that pass the partitioning column on."""
    found: dict[str, Partitioning] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        by, passed_on = (
            node["config"].get("partition_by"),
            node["config"]["meta"].get("rebuild", {}).get("column"),
        )
        if node["config"]["materialized"] != "view":
            if by:
                found[_plain(node["relation_name"])] = Partitioning(by["field"], by.get("granularity", "day"))
        elif passed_on in node["columns"]:
            found[_plain(node["relation_name"])] = Partitioning(passed_on, "day")
    for source in manifest["sources"].values():
        if source["source_name"] == "currents":
            found[_plain(source["relation_name"])] = Partitioning("_hour", "day")
            raw_tables = _plain(source["relation_name"]).rpartition(".")[0]
            found[f"{raw_tables.removesuffix('raw')}ledger.files"] = Partitioning("hour", "day")
    return found


def reads(sql: str, tables: Mapping[str, Partitioning], *, latest: datetime) -> list[Read]:
    """What a script does with partitioned tables; lower bounds reach to the partition of `latest`."""
    found: list[Read] = []
    for statement in parse(sql, dialect="bigquery"):
        if statement is None or _reads_nothing(statement):
            continue
        for table in statement.find_all(exp.Table):
            name = _plain(".".join(part.name for part in table.parts))
            if name in tables and not _only_named(table):
                found.append(
                    Read(
                        name,
                        _partitions(_spans(_condition(table), tables[name].column), tables[name], latest),
                    )
                )
    return found


def _plain(relation: str) -> str:
    return relation.replace("`", "").replace('"', "").lower()


def _reads_nothing(statement: exp.Expression) -> bool:
    """Whether it makes a view, which reads when it is read, or asks for the columns of no rows, as contracts do."""
    if isinstance(statement, exp.Create):
        return str(statement.kind) == "VIEW"
    where = statement.args.get("where")
    return isinstance(statement, exp.Select) and where is not None and _spans(where.this, "") == []


def _only_named(table: exp.Table) -> bool:
    """Whether a statement makes, fills, alters or drops the table and reads nothing of it."""
    parent = table.parent.parent if isinstance(table.parent, exp.Schema) else table.parent
    return isinstance(parent, exp.Create | exp.Drop | exp.Insert | exp.Alter)


def _condition(table: exp.Table) -> exp.Expression | None:
    """All that must hold for a row of the table to be read."""
    parent = table.parent
    while parent is not None and not isinstance(parent, exp.Select | exp.Delete | exp.Update | exp.Merge):
        if isinstance(parent, exp.Subquery):
            return None
        parent = parent.parent
    if parent is None:
        return None
    if isinstance(parent, exp.Merge):
        return parent.args.get("on")
    where = parent.args.get("where")
    return where.this if where is not None else None


def _spans(condition: exp.Expression | None, column: str) -> list[Span] | None:
    """The spans of time that a condition leaves of a column; none where it says nothing of it."""
    if condition is None:
        return None
    if isinstance(condition, exp.Paren):
        return _spans(condition.this, column)
    if isinstance(condition, exp.Boolean):
        return None if condition.this else []
    if isinstance(condition, exp.And):
        left, right = _spans(condition.this, column), _spans(condition.expression, column)
        if left is None or right is None:
            return right if left is None else left
        return [span for one in left for other in right if (span := _both(one, other)) is not None]
    if isinstance(condition, exp.Or):
        left, right = _spans(condition.this, column), _spans(condition.expression, column)
        return None if left is None or right is None else left + right
    if isinstance(condition, exp.Between) and _is_column(condition.this, column):
        low, high = _constant(condition.args["low"]), _constant(condition.args["high"])
        return None if low is None or high is None else [(low, high)]
    if isinstance(condition, exp.EQ | exp.GTE | exp.GT) and _is_column(condition.this, column):
        low = _constant(condition.expression)
        return None if low is None else [(low, low if isinstance(condition, exp.EQ) else None)]
    if isinstance(condition, exp.In) and _is_column(condition.this, column):
        values = [_constant(value) for value in condition.expressions]
        return (
            None
            if None in values or not values
            else [(value, value) for value in values if value is not None]
        )
    return None


def _both(one: Span, other: Span) -> Span | None:
    low = max(one[0], other[0])
    ends = [end for end in (one[1], other[1]) if end is not None]
    high = min(ends) if ends else None
    return None if high is not None and high < low else (low, high)


def _is_column(expression: exp.Expression, column: str) -> bool:
    """The column itself, or the day of it."""
    if isinstance(expression, exp.Cast | exp.TsOrDsToDate | exp.Date | exp.Paren):
        return _is_column(expression.this, column)
    return isinstance(expression, exp.Column) and expression.name.lower() == column.lower()


def _constant(expression: exp.Expression) -> datetime | None:
    if isinstance(expression, exp.Literal) and expression.is_string:
        try:
            return datetime.fromisoformat(expression.name).replace(tzinfo=timezone.utc)
        except ValueError:
            return None
    if isinstance(expression, exp.Cast | exp.Paren | exp.TsOrDsToDate | exp.Date | exp.Timestamp):
        return _constant(expression.this) if expression.this is not None else None
    if isinstance(
        expression, exp.TimestampAdd | exp.TimestampSub | exp.DateAdd | exp.DateSub | exp.Add | exp.Sub
    ):
        base, step = _constant(expression.this), _interval(expression)
        if base is None or step is None:
            return None
        return (
            base - step if isinstance(expression, exp.TimestampSub | exp.DateSub | exp.Sub) else base + step
        )
    return None


def _interval(expression: exp.Expression) -> timedelta | None:
    step, unit = expression.expression, expression.args.get("unit")
    if isinstance(step, exp.Interval):
        step, unit = step.this, step.args.get("unit")
    length = _UNITS.get(str(unit.name).upper()) if unit is not None else None
    negative = isinstance(step, exp.Neg)
    number = step.this if negative else step
    if length is None or not isinstance(number, exp.Literal):
        return None
    return length * int(number.name) * (-1 if negative else 1)


def _partitions(spans: Sequence[Span] | None, by: Partitioning, latest: datetime) -> int | None:
    if spans is None:
        return None
    touched = {
        day.replace(day=1) if by.granularity == "month" else day
        for low, high in spans
        for day in _days(low.date(), (high or max(latest, low)).date())
    }
    return len(touched)


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def per_node(
    statements: Iterable[tuple[str, str]], tables: Mapping[str, Partitioning], *, latest: datetime
) -> dict[str, list[Read]]:
    """What each node's statements read, by the node's unique id (empty: hooks)."""
    found: dict[str, list[Read]] = {}
    for node, sql in statements:
        found.setdefault(node, []).extend(reads(sql, tables, latest=latest))
    return found


@click.command()
@click.argument("written_down", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(written_down: Path) -> None:
    """Tell what the incremental build that tests/marts/two_warehouses.py wrote down would read."""
    manifest = json.loads((written_down / "bigquery-manifest.json").read_text(encoding="utf-8"))
    statements = json.loads((written_down / "bigquery-incremental.json").read_text(encoding="utf-8"))[
        "statements"
    ]
    found = per_node(statements, partitionings(manifest), latest=datetime(2026, 11, 30, tzinfo=timezone.utc))
    for node, read in sorted(found.items()):
        unbounded = sorted({one.table for one in read if one.partitions is None})
        most = max((one.partitions for one in read if one.partitions is not None), default=0)
        click.echo(
            f"{node or 'hooks'}: at most {most} partitions of a table; all of {', '.join(unbounded) or 'none'}"
        )


if __name__ == "__main__":
    main()
