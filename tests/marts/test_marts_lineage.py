"""Lineage of the real project: between assets, and between columns down to the fields of Currents."""

import dagster as dg

from braze_platform.marts.column_lineage import column_sources
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest


def ancestors(build, key: dg.AssetKey, column: str) -> set[tuple[dg.AssetKey, str]]:
    """All columns above a column, by the metadata of the latest materialisations."""
    found: set[tuple[dg.AssetKey, str]] = set()
    todo = [(key, column)]
    while todo:
        asset, name = todo.pop()
        for dep in build.column_lineage.get(asset, {}).get(name, []):
            if (dep.asset_key, dep.column_name) not in found:
                found.add((dep.asset_key, dep.column_name))
                todo.append((dep.asset_key, dep.column_name))
    return found


def test_the_engagement_score_comes_from_fields_of_email_opens(build) -> None:
    above = ancestors(build, dg.AssetKey(["attributes", "braze_engagement"]), "engagement_score")
    opens = dg.AssetKey(["currents", "users_messages_email_open"])
    assert {(opens, "time"), (opens, "machine_open")} <= above
    assert (dg.AssetKey(["marts", "mart_user_engagement"]), "engagement_score") in above
    assert (dg.AssetKey(["intermediate", "int_message_events"]), "is_human_response") in above


def test_the_lifetime_value_comes_from_the_shops_orders(build) -> None:
    above = ancestors(build, dg.AssetKey(["attributes", "braze_customer_value"]), "lifetime_value")
    orders = dg.AssetKey(["company", "orders"])
    assert {(orders, "amount"), (orders, "currency"), (orders, "status")} <= above


#: Columns of marts above which no field of a source stands, and why.
WITHOUT_FIELDS: dict[tuple[str, str], str] = {}


def test_every_column_of_a_mart_comes_from_fields_of_sources(build) -> None:
    """Down to what Braze, the workspace, the shop or the syncs wrote, but for what is counted or named by the SQL."""
    sources = {(source["source_name"], source["name"]) for source in build.manifest["sources"].values()}
    without = {
        (node["name"], column)
        for node in build.manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
        for column in node["columns"]
        if not any(
            tuple(key.path) in sources
            for key, _ in ancestors(build, dg.AssetKey(["marts", node["name"]]), column)
        )
    }
    assert without == set(WITHOUT_FIELDS)


def test_every_column_has_lineage_metadata(build) -> None:
    for node in build.manifest["nodes"].values():
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral":
            lineage = build.materialization(node["fqn"][1], node["name"]).metadata["dagster/column_lineage"]
            assert set(lineage.value.deps_by_column) == set(node["columns"]), node["name"]


def test_tables_tell_their_rows_and_checks_were_recorded(build) -> None:
    metadata = build.materialization("marts", "mart_campaign_performance").metadata
    assert metadata["dagster/row_count"].value == 2
    assert {column.name for column in metadata["dagster/column_schema"].value.columns} >= {
        "lift_low",
        "lift_high",
    }
    definitions = marts_definitions(build.settings, prepare_manifest(build.settings))
    checks = [spec.key for asset in definitions.assets for spec in asset.check_specs]
    latest = build.instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    assert len(latest) == len(checks) > 50
    assert {check.status.value for check in latest.values()} == {"SUCCEEDED"}


def test_assets_are_complete_and_hang_together(build) -> None:
    definitions = marts_definitions(build.settings, prepare_manifest(build.settings))
    graph = definitions.resolve_asset_graph()
    specs = {spec.key: spec for asset in definitions.assets for spec in asset.specs}
    for key, spec in specs.items():
        assert spec.group_name == key.path[0] in {"staging", "intermediate", "marts", "attributes"}
        assert list(spec.owners) == ["team:crm-analytics"]
        assert {"dbt", "duckdb"} < spec.kinds
        assert spec.description
        assert spec.automation_condition is not None
    opens = dg.AssetKey(["currents", "users_messages_email_open"])
    score = dg.AssetKey(["attributes", "braze_engagement"])
    assert opens in dg.AssetSelection.assets(score).upstream(include_self=False).resolve(graph) | _sources(
        specs
    )
    assert dg.AssetKey(["company", "orders"]) in _sources(specs)
    assert len([key for key in _sources(specs) if key.path[0] == "currents"]) >= 25


def _sources(specs: dict[dg.AssetKey, dg.AssetSpec]) -> set[dg.AssetKey]:
    return {dep.asset_key for spec in specs.values() for dep in spec.deps} - set(specs)


def test_column_sources_see_through_unions_and_conditions() -> None:
    sql = """
        with all_rows as (
            select a.x as value, case when a.flag then 1 else 0 end as kept from "db"."s"."a" as a
            union all
            select b.y as value, 1 as kept from "db"."s"."b" as b
        )
        select sum(value) as total, max(kept) as kept, 'fixed' as label from all_rows
    """
    tables = {'"db"."s"."a"': ["x", "flag"], '"db"."s"."b"': ["y"]}
    assert column_sources(sql, tables, "duckdb") == {
        "total": {("db.s.a", "x"), ("db.s.b", "y")},
        "kept": {("db.s.a", "flag")},
        "label": set(),
    }
