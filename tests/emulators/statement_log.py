"""Writes down each kind of statement that the emulator ran, with the columns of the tables that it names.

Recorded where statements arrive: whatever process sent them, they are here. Statements that differ in literals, in
numbers and in the names that each installation of the tests has are of one kind, and the first of them is kept. dbt's
are left out (they begin with dbt's comment): the tests of the models judge them with the manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bqemulator.jobs.executor import build_response_schema
from bqemulator.storage.engine import _annotate_with_duckdb_types
from bqemulator.storage.sql_identifiers import quoted_table_ref
from duckdb import CatalogException

_PART = r"(?:`[^`]+`|[A-Za-z_][\w-]*)"
_NAMED = re.compile(rf"{_PART}(?:\.{_PART}){{1,2}}")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_INSTALLATION = re.compile(r"\bt[0-9a-f]{10}_")
_VARYING = re.compile(r"[0-9a-f]{16,}|\d+")
_DBT = "/* {"

Execute = Callable[..., Awaitable[Any]]


def recorded(execute: Execute, path: Path) -> Execute:
    """The emulator's function that runs a statement, writing down what succeeds, a line of JSON each."""
    known: set[str] = set()

    async def run(
        project_id: str, job_id: str, bq_sql: str, parameters: Any, ctx: Any, **options: Any
    ) -> Any:
        if bq_sql.lstrip().startswith(_DBT):
            return await execute(project_id, job_id, bq_sql, parameters, ctx, **options)
        tables = _tables(project_id, bq_sql, ctx)
        job = await execute(project_id, job_id, bq_sql, parameters, ctx, **options)
        kind = kind_of(bq_sql) + kind_of(json.dumps(tables))
        if kind not in known:
            known.add(kind)
            with path.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"kind": kind, "sql": bq_sql, "tables": tables}) + "\n")
        return job

    return run


def kind_of(sql: str) -> str:
    """A statement without what differs from one run to the next."""
    return _VARYING.sub("0", _INSTALLATION.sub("", _TEXT.sub("''", sql)))


def _tables(project_id: str, sql: str, ctx: Any) -> dict[str, list[dict[str, Any]]]:
    """By `dataset.table` or `project.dataset.table` as the statement names them, the fields of those that exist."""
    named = {
        tuple(part.strip("`") for part in found.split(".")): found
        for found in _NAMED.findall(_TEXT.sub("''", sql))
    }
    found = {}
    for parts in named:
        *project, dataset, table = parts
        reference = quoted_table_ref(*project or [project_id], dataset, table)
        # Asked apart: an error would abort a transaction of another client, for all have one connection.
        with ctx.engine.connection.cursor() as cursor, suppress(CatalogException):
            rows = cursor.execute(f"select * from {reference} limit 0")
            table = _annotate_with_duckdb_types(rows.to_arrow_table(), rows.description)
            found[".".join(parts)] = build_response_schema(table.schema)
    return found
