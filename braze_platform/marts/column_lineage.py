"""From which columns of its parents each column of a model is computed, read from the model's compiled SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlglot import MappingSchema, exp, parse_one, to_table
from sqlglot.errors import SqlglotError
from sqlglot.expressions import normalize_table_name
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

#: (unique id of the parent, name of its column)
ParentColumn = tuple[str, str]


def model_column_lineage(
    manifest: Mapping[str, Any], unique_id: str, compiled_dir: Path
) -> dict[str, list[ParentColumn]]:
    """Parent columns of each column of one model; the parents' keys where it is computed from none.

    `compiled_dir` is dbt's `target/compiled`. Parents' columns are those that the project declares in YAML, so no
    warehouse is asked. dagster-dbt can do this too, but analyses the whole statement again for each column: 8
    seconds of every run of this project, where this takes one. Raises `sqlglot.errors.SqlglotError` for SQL that
    cannot be analysed.
    """
    dialect = manifest["metadata"]["adapter_type"]
    model = manifest["nodes"][unique_id]
    columns: dict[str, Sequence[str]] = {}
    owners: dict[str, str] = {}
    for parent_id in model["depends_on"]["nodes"]:
        parent = manifest["nodes"].get(parent_id) or manifest["sources"][parent_id]
        columns[parent["relation_name"]] = list(parent["columns"])
        owners[_normalised(parent["relation_name"], dialect)] = parent_id
    sql = (compiled_dir / model["package_name"] / model["original_file_path"]).read_text(encoding="utf-8")
    found = column_sources(sql, columns, dialect)
    # A word that is the same for all rows of a table, or a count of rows, comes from the rows: from their keys, which
    # models and events declare first.
    rows = sorted(
        (owners[_normalised(relation, dialect)], names[0]) for relation, names in columns.items() if names
    )
    return {
        column: sorted((owners[relation], name) for relation, name in sources if relation in owners) or rows
        for column, sources in found.items()
    }


def _normalised(relation: str, dialect: str) -> str:
    return str(normalize_table_name(relation, dialect=dialect))


def column_sources(
    sql: str, tables: Mapping[str, Sequence[str]], dialect: str
) -> dict[str, set[tuple[str, str]]]:
    """For each column of a query, the (normalised table name, column) pairs that its value is computed from."""
    schema = MappingSchema(dialect=dialect)
    for table, columns in tables.items():
        schema.add_table(
            to_table(table, dialect=dialect),
            column_mapping=dict.fromkeys(columns, "unknown"),
            dialect=dialect,
        )
    query = qualify(parse_one(sql, dialect=dialect), schema=schema, dialect=dialect)
    if not isinstance(query, exp.Query):
        raise SqlglotError(f"Not a query: {sql[:80]}")
    # All columns in one walk, and without trimming, which copies the whole statement for every node.
    nodes = lineage(
        None,
        query,
        schema=schema,
        dialect=dialect,
        scope=build_scope(query),
        copy=False,
        trim_selects=False,
    )
    found: dict[str, set[tuple[str, str]]] = {}
    for column, node in nodes.items():
        sources = found.setdefault(column.lower(), set())
        for below in node.walk():
            leaf = below.expression
            if not below.downstream and isinstance(leaf, exp.Table):
                name = exp.to_column(below.name).name.lower()
                sources.add((normalize_table_name(leaf, dialect=dialect), name))
    return found
