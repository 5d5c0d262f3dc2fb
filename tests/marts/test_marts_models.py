"""What the models make of a small story, built by the real assets on DuckDB."""

from datetime import date, datetime

import pytest

from braze_platform.currents.catalogue import LOADED_LAST, catalogue
from braze_platform.marts.translator import marked_source_keys


def test_duplicates_test_events_and_types_never_delivered(build) -> None:
    assert build.rows("select count(*), count(distinct event_id) from intermediate.int_message_events") == [
        (14, 14)
    ]
    opens = build.rows(
        "select external_id, delivered_hour, is_machine_open from intermediate.int_message_events "
        "where action = 'open' order by 1"
    )
    assert opens == [("ada", datetime(2026, 11, 10, 18), False), ("bob", datetime(2026, 11, 10, 9), True)]
    assert build.rows("select count(*) from currents_raw.users_messages_webhook_send") == [(0,)]


def test_sends_carry_outcomes_of_people_and_machines(build) -> None:
    sends = build.rows(
        "select user_key, channel, link_method, seconds_to_delivery, seconds_to_human_open, seconds_to_human_click, "
        "human_opens, machine_opens, human_clicks, bot_clicks, is_deleted_user "
        "from marts.fct_message_sends order by channel, user_key"
    )
    assert sends == [
        ("ada", "email", "dispatch_id", 20, 32400, 32700, 1, 0, 1, 0, False),
        ("bob", "email", "dispatch_id", 20, None, None, 0, 1, 0, 0, False),
        ("cleo", "email", "dispatch_id", 20, None, None, 0, 0, 0, 1, False),
        ("dan", "email", "dispatch_id", 20, None, None, 0, 0, 0, 0, True),
        ("ada", "in_app_message", "nearest_send", None, None, 30, 0, 0, 1, 0, False),
    ]


def test_campaigns_have_their_latest_name_funnel_and_lift(build) -> None:
    found = build.rows(
        "select campaign_id, campaign_name, channel, sends, deliveries, unique_human_opens, unique_human_clicks, "
        "conversions, treated_users, control_users, treated_conversions, control_conversions, lift "
        "from marts.mart_campaign_performance order by 1"
    )
    assert found == [
        ("hello", None, "in_app_message", 1, 1, 0, 1, 0, 1, 0, 0, 0, None),
        ("spring", "Spring sale", "email", 4, 4, 1, 1, 2, 4, 2, 2, 1, 0.0),
    ]
    [(low, high)] = build.rows(
        "select lift_low, lift_high from marts.mart_campaign_performance where campaign_id = 'spring'"
    )
    assert -1 <= low < 0 < high <= 1
    assert build.rows(
        "select name_count, names_seen from marts.dim_campaign where campaign_id = 'spring'"
    ) == [(2, "Spring, Spring sale")]


def test_days_count_events_of_the_day(build) -> None:
    assert build.rows(
        "select day, sends, unique_human_opens, machine_opens, suspected_bot_clicks from marts.fct_messages_daily "
        "where channel = 'email'"
    ) == [(date(2026, 11, 10), 4, 1, 1, 1)]


def test_purchases_are_rounded_and_merges_followed(build) -> None:
    assert build.rows("select user_key, price, price_eur from marts.fct_purchases") == [("bob", 9.99, 9.99)]
    assert build.rows(
        "select user_key, is_deleted from intermediate.int_user_identity where braze_user_id = 'b-anonymous'"
    ) == [("ada", False)]


def test_customer_value_counts_completed_orders_in_one_currency(build) -> None:
    found = build.rows(
        "select external_id, lifetime_value, order_count, last_order_at, favourite_category, value_segment "
        "from attributes.braze_customer_value order by 1"
    )
    assert found == [
        ("ada", 31.7, 2, datetime(2026, 11, 2, 12), "books", "occasional"),
        ("bob", 701.0, 2, datetime(2026, 11, 5, 12), "books", "vip"),
        ("never_seen", 5.5, 1, datetime(2026, 11, 7, 12), "books", "new"),
    ]


def test_engagement_leaves_out_the_deleted_and_the_unknown(build) -> None:
    found = build.rows(
        "select external_id, preferred_channel, last_engaged_at, fatigue_level, best_send_hour "
        "from attributes.braze_engagement order by 1"
    )
    assert found == [
        ("ada", "email", datetime(2026, 11, 12, 8, 0, 30), "low", 18),
        ("bob", None, None, "low", None),
        ("cleo", None, None, "low", None),
    ]
    scores = dict(build.rows("select external_id, engagement_score from attributes.braze_engagement"))
    assert scores == {"ada": 80, "bob": 0, "cleo": 0}


def test_declared_columns_are_the_tables_columns(build) -> None:
    """Column lineage and descriptions rest on what YAML declares."""
    actual: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in build.rows(
        "select table_schema, table_name, column_name from information_schema.columns"
    ):
        actual.setdefault((schema, table), set()).add(column)
    nodes = [*build.manifest["nodes"].values(), *build.manifest["sources"].values()]
    described = [
        node
        for node in nodes
        if node["resource_type"] in ("model", "source") and node["config"].get("materialized") != "ephemeral"
    ]
    assert {n["name"]: set(n["columns"]) for n in described} == {
        n["name"]: actual[n["schema"], n["name"]] for n in described
    }
    models = [node for node in nodes if node["resource_type"] == "model"]
    undescribed = [
        f"{model['name']}.{name}"
        for model in models
        for name, column in model["columns"].items()
        if not column["description"]
    ]
    assert undescribed == []
    assert all(model["description"] for model in models)


def test_facts_of_users_carry_the_external_id_that_attributes_are_built_by(build) -> None:
    facts = [
        node
        for node in build.manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["name"].startswith("fct_")
        and "user_key" in node["columns"]
    ]
    assert {"fct_purchases", "fct_sessions", "fct_custom_events", "fct_message_sends", "fct_conversions"} <= {
        fact["name"] for fact in facts
    }
    rows = 0
    for fact in facts:
        assert fact["columns"]["external_id"]["config"]["meta"]["personal"] is True
        found = build.rows(
            "select count(facts.external_id), count(case when facts.external_id is distinct from "
            f"who.surviving_external_id then 1 end) from marts.{fact['name']} as facts left join "
            "(select distinct user_key, surviving_external_id from marts.dim_user_identity) as who using (user_key)"
        )
        rows += found[0][0]
        assert found[0][1] == 0, fact["name"]
    assert rows > 0


@pytest.mark.parametrize("hidden", ["current_timestamp", "current_date", "now()"])
def test_models_do_not_look_at_the_clock(build, hidden: str) -> None:
    folder = build.settings.dbt_project_dir
    assert [
        path.name
        for part in ("models", "macros")
        for path in (folder / part).rglob("*.sql")
        if hidden in path.read_text(encoding="utf-8").lower()
    ] == []


def test_anchors_are_what_a_run_loads_last(build) -> None:
    anchors = {key.path[-1] for key in marked_source_keys(build.manifest, "anchor")}
    assert anchors == {catalogue()[name].table for name in LOADED_LAST}
    [last] = marked_source_keys(build.manifest, "loaded_last")
    assert last.path[-1] == catalogue()[LOADED_LAST[-1]].table


def test_sources_are_the_catalogues_fields(build) -> None:
    types = {"string": "string", "int": "integer", "long": "integer", "float": "number", "boolean": "boolean"}
    provenance = {"_hour": "timestamp", "_file": "string", "_version": "string", "_loaded_at": "timestamp"}
    by_table = {event_type.table: event_type for event_type in catalogue().values()}
    declared = {
        source["name"]: {name: column["data_type"] for name, column in source["columns"].items()}
        for source in build.manifest["sources"].values()
        if source["source_name"] == "currents"
    }
    expected = {
        table: {field.name: types.get(field.type, "array<string>") for field in by_table[table].fields}
        | provenance
        for table in declared
    }
    assert declared == expected
    assert declared.keys() == {one.table for one in catalogue().values() if one.staging is not None}
