"""All that dbt sends to BigQuery passes BigQuery's own analysis: models, MERGE statements, data tests, hooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest
from googlesql import NEUTRAL_TYPES, GoogleSqlJudge, Rejected, statements_of
from two_warehouses import BUILDS, TwoBuilds

from braze_platform.warehouse.registry import FILES

_CREATED = re.compile(r"create (?:or replace )?(?:table|view)(?: if not exists)? (`[^`]+`(?:\.`[^`]+`)*)")
_NAMED = re.compile(r"`[^`]+`\.`[^`]+`\.`[^`]+`")
#: The only table that models read and dbt does not know of.
FILE_REGISTRY = {name: kind.replace("bigint", "int64").upper() for name, kind in FILES.types.items()}


@pytest.fixture(scope="module")
def judge() -> GoogleSqlJudge:
    return GoogleSqlJudge()


@pytest.fixture(scope="module")
def judged(two_builds: TwoBuilds, judge: GoogleSqlJudge) -> Mapping[str, Mapping[str, list[str]]]:
    """What was rejected, by build and node of the manifest; a node that was sent and not rejected has an empty list.

    The statements are taken in the order in which they were sent: what one makes, the next may read.
    """
    manifest = two_builds.manifest("bigquery")
    for source in manifest["sources"].values():
        columns = source["columns"].values()
        judge.tables[source["relation_name"]] = {
            column["name"]: NEUTRAL_TYPES[column["data_type"]] for column in columns
        }
        if source["source_name"] == "currents":
            judge.tables[file_registry(source["relation_name"])] = FILE_REGISTRY
    found: dict[str, dict[str, list[str]]] = {}
    for build in BUILDS:
        rejected = found.setdefault(build, {})
        for sent in two_builds.statements(build):
            reasons = rejected.setdefault(sent.node, [])
            for sql in statements_of(sent.sql):
                made = _CREATED.search(sql)
                try:
                    columns = judge.judge(sql, {*_NAMED.findall(sql)} & judge.tables.keys())
                except Rejected as rejection:
                    reasons.append(str(rejection))
                    columns = declared(manifest, sent.node)
                if made and columns:
                    judge.tables[made[1]] = columns
    return found


def file_registry(raw_table: str) -> str:
    """The file registry beside a raw table, as SQL writes it."""
    return raw_table.rpartition(".")[0].replace("currents_raw`", "currents_ledger`") + ".`files`"


def declared(manifest: Mapping[str, Any], node: str) -> dict[str, str]:
    """A rejected model's columns as YAML declares them, so that its children can be judged all the same."""
    columns = manifest["nodes"].get(node, {}).get("columns", {}).values()
    types = {column["name"]: NEUTRAL_TYPES.get(column["data_type"] or "") for column in columns}
    return {name: kind for name, kind in types.items() if kind} if all(types.values()) else {}


@pytest.mark.full
@pytest.mark.parametrize("build", BUILDS)
def test_every_statement_is_googlesql(judged: Any, build: str) -> None:
    rejected = [f"{node}\n    {reason}" for node, reasons in judged[build].items() for reason in reasons]
    assert not rejected, "\n" + "\n".join(rejected)


@pytest.mark.full
@pytest.mark.parametrize("build", BUILDS)
def test_every_model_and_data_test_was_judged(two_builds: TwoBuilds, judged: Any, build: str) -> None:
    nodes = {
        unique_id
        for unique_id, node in two_builds.manifest("bigquery")["nodes"].items()
        if node["resource_type"] in ("model", "test") and node["config"]["materialized"] != "ephemeral"
    }
    missing = sorted(nodes - judged[build].keys())
    assert not missing, f"never sent: {missing}; the build said {two_builds.failures('bigquery', build)}"
    assert any(node.startswith("operation.") or not node for node in judged["whole"]), "no hook was judged"


@pytest.mark.full
def test_every_incremental_model_was_merged(two_builds: TwoBuilds, judged: Any) -> None:
    merged = {
        sent.node
        for sent in two_builds.statements("incremental")
        if sent.sql.lstrip().startswith("merge into")
    }
    nodes = two_builds.manifest("bigquery")["nodes"].items()
    incremental = {key for key, node in nodes if node["config"]["materialized"] == "incremental"}
    assert incremental
    assert merged == incremental


@pytest.mark.full
def test_models_have_the_columns_that_yaml_declares(two_builds: TwoBuilds, judge: Any, judged: Any) -> None:
    wrong = []
    for node in two_builds.manifest("bigquery")["nodes"].values():
        if node["resource_type"] != "model" or node["relation_name"] not in judge.tables:
            continue
        place = f"{PurePosixPath(node['original_file_path']).stem}"
        found = judge.tables[node["relation_name"]]
        for name in sorted(node["columns"].keys() ^ found.keys()):
            wrong.append(f"{place}.{name} is {'not computed' if name in node['columns'] else 'not in YAML'}")
        for name, column in node["columns"].items():
            if column["data_type"] and name in found and NEUTRAL_TYPES[column["data_type"]] != found[name]:
                wrong.append(
                    f"{place}.{name} is declared {column['data_type']} and computed as {found[name]}"
                )
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select date_diff('day', time, time) from `p`.`d`.`t`", "DATE_DIFF does not support"),
        ("select sum(id) from `p`.`d`.`t`", "No matching signature for aggregate function SUM"),
        (
            "select id from `p`.`d`.`t`\nqualify lag(id) over (order by id) is null",
            "QUALIFY clause must be used",
        ),
        ("select count(*) filter (where time > 0) from `p`.`d`.`t`", "Expected end of input but got"),
        ("select nothing from `p`.`d`.`t`", "Unrecognized name: nothing"),
        ("select id, time from `p`.`d`.`t` group by id", "neither grouped nor aggregated"),
        ("select id from `p`.`d`.`u`", "Table not found"),
        ("merge into `p`.`d`.`t` as old using (select 1 as n) on false when matched then delete", ""),
    ],
)
def test_what_bigquery_does_not_take_is_rejected(judge: GoogleSqlJudge, sql: str, reason: str) -> None:
    judge.tables["`p`.`d`.`t`"] = {"id": "STRING", "time": "INT64"}
    if not reason:
        assert judge.judge(sql, ["`p`.`d`.`t`"]) == {}
        return
    with pytest.raises(Rejected, match=re.escape(reason)):
        judge.judge(sql, ["`p`.`d`.`t`"])


def test_a_rejection_points_at_the_line(judge: GoogleSqlJudge) -> None:
    with pytest.raises(Rejected) as caught:
        judge.judge("select\n    1 as one,\n    nobody as two")
    assert (caught.value.line_number, caught.value.line) == (3, "nobody as two")


def test_columns_come_with_their_types(judge: GoogleSqlJudge) -> None:
    sql = "create or replace table `p`.`d`.`u` as (select 1 / 2 as half, ['a'] as names, current_date() as today)"
    assert judge.judge(sql) == {"half": "FLOAT64", "names": "ARRAY<STRING>", "today": "DATE"}
