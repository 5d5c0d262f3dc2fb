"""A value of any column type becomes one of any other by an expression that the warehouse takes."""

from __future__ import annotations

import itertools

import duckdb
import pytest
from googlesql import GoogleSqlJudge
from tiers import tiered

from braze_platform.warehouse.sql import BigQuerySql, DuckDBSql

ON_BIGQUERY = (
    "STRING BYTES INT64 FLOAT64 NUMERIC BIGNUMERIC BOOL DATE DATETIME TIME TIMESTAMP JSON ARRAY<STRING> ARRAY<INT64> "
    "ARRAY<DATE> ARRAY<STRUCT<a STRING>>"
)
ON_DUCKDB = "VARCHAR BIGINT DOUBLE DECIMAL(38,9) BOOLEAN DATE TIME TIMESTAMP JSON VARCHAR[] BIGINT[]"


@pytest.fixture(scope="module")
def judge() -> GoogleSqlJudge:
    return GoogleSqlJudge()


@pytest.mark.parametrize(
    "old",
    tiered(
        {kind: kind for kind in [*ON_BIGQUERY.replace("STRUCT<a ", "STRUCT<a_").split(), "NUMERIC(20, 2)"]},
        quick=("STRING", "INT64", "NUMERIC", "TIMESTAMP", "JSON", "ARRAY<STRING>"),
    ),
)
def test_bigquery_has_every_conversion(judge: GoogleSqlJudge, old: str) -> None:
    old = old.replace("STRUCT<a_", "STRUCT<a ")
    judge.tables["`p`.`d`.`t`"] = {"x": old.partition("(")[0]}
    for new in ON_BIGQUERY.replace("ARRAY<STRUCT<a STRING>>", "").split():
        sql = f"select {BigQuerySql().converted('x', old, new)} as y from `p`.`d`.`t`"
        assert judge.judge(sql, ["`p`.`d`.`t`"]) == {"y": new}, (old, new)


@pytest.mark.parametrize(("old", "new"), [*itertools.product(ON_DUCKDB.split(), repeat=2)])
def test_duckdb_has_every_conversion(old: str, new: str) -> None:
    sql = f"select typeof(y) from (select {DuckDBSql().converted('x', old, new)} as y from (select null::{old} as x))"
    assert duckdb.sql(sql).fetchall() == [(new,)]


@pytest.mark.parametrize(
    ("value", "old", "new", "expected"),
    [
        ("7", "INT64", "FLOAT64", 7.0),
        ("7.0", "FLOAT64", "INT64", 7),
        ("'7'", "STRING", "INT64", 7),
        ("'x'", "STRING", "INT64", None),
        ("date '2026-01-02'", "DATE", "STRING", "2026-01-02"),
        ("date '2026-01-02'", "DATE", "INT64", None),
        ("['b', 'a']", "ARRAY<STRING>", "STRING", '["b","a"]'),
        ("['7', 'x', '1']", "ARRAY<STRING>", "ARRAY<INT64>", [7, 1]),
        ("""json '["b", "a"]\'""", "JSON", "ARRAY<STRING>", ["b", "a"]),
        ("""json '{"a": 1}\'""", "JSON", "ARRAY<STRING>", []),
        ("json '7'", "JSON", "INT64", 7),
        ("7", "INT64", "ARRAY<STRING>", []),
    ],
)
def test_values_survive_where_they_can(
    judge: GoogleSqlJudge, value: str, old: str, new: str, expected: object
) -> None:
    assert judge.evaluate(f"select {BigQuerySql().converted(value, old, new)}") == [expected]
