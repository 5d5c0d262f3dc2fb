from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.ledger.store import LedgerError

LEDGER = "select external.* from braze_sync.ledger_braze_customers external order by 1"


def retype(room: Any, name: str, **changes: Any) -> None:
    room.declare(
        attributes=tuple(
            dataclasses.replace(spec, **changes) if spec.name == name else spec
            for spec in room.sync.attributes
        )
    )


def test_an_added_attribute_is_all_that_is_sent(room: Any, braze: Any) -> None:
    room.users(20)
    whole = room.sync.attributes
    room.declare(attributes=whole[:2])
    room.run()
    room.declare(attributes=whole)
    run = room.run()
    assert {name: counts.sent for name, counts in run.plan.attributes.items()} == {
        "score": 0,
        "channel": 0,
        "seen_at": 20,
    }


def test_a_removed_attribute_that_comes_back_is_not_sent_again(room: Any, braze: Any) -> None:
    room.users(20)
    whole = room.sync.attributes
    room.run()
    room.declare(attributes=whole[1:])
    assert room.run().plan.objects == 0
    room.declare(attributes=whole)
    assert room.run().plan.objects == 0


@pytest.mark.parametrize(
    ("before", "after", "old_type", "new_type", "sent"),
    [
        ("5::bigint", "5::double", "integer", "integer", 0),
        pytest.param("5::bigint", "5.0::double", "integer", "number", 0, marks=pytest.mark.full),
        pytest.param("5::bigint", "'5'", "integer", "number", 0, marks=pytest.mark.full),
        ("5::bigint", "'5'", "integer", "string", 1),
        pytest.param("5.5::double", "6::bigint", "number", "number", 1, marks=pytest.mark.full),
        ("5::bigint", "5::bigint", "integer", "string", 1),
        pytest.param("1::bigint", "true", "integer", "boolean", 1, marks=pytest.mark.full),
        pytest.param("'abc'", "7::bigint", "string", "integer", 1, marks=pytest.mark.full),
        ("timestamp '2026-01-01'", "date '2026-01-01'", "date", "date", 0),
        ("['b','a']", "['a','b']", "array", "array", 1),
        pytest.param("['a']", "8::bigint", "array", "integer", 1, marks=pytest.mark.full),
    ],
)
def test_a_retyped_attribute_is_sent_only_where_its_json_changed(
    room: Any, braze: Any, before: str, after: str, old_type: str, new_type: str, sent: int
) -> None:
    room.declare(attributes=(AttributeSpec("score", old_type),))  # type: ignore[arg-type]
    room.model(f"select 'u1' as external_id, {before} as score union all select 'u2', null")
    assert room.run().plan.objects == 1
    retype(room, "score", type=new_type)
    room.model(f"select 'u1' as external_id, {after} as score union all select 'u2', null")
    assert room.run().plan.objects == sent
    assert room.run().plan.objects == 0


def test_a_value_that_does_not_survive_retyping_is_still_cleared(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("score", "string"),))
    room.model("select 'u1' as external_id, 'abc' as score")
    room.run()
    retype(room, "score", type="integer")
    room.model("select 'u1' as external_id, null::bigint as score")
    assert room.run().plan.attributes["score"].cleared == 1
    assert braze.profiles["u1"] == {}
    assert room.run().plan.objects == 0


def test_a_missing_model_or_column_is_named(room: Any) -> None:
    with pytest.raises(LedgerError, match=r"attributes.braze_customers.*customers.yml.*Build it first"):
        room.plan()
    room.model("select 'u1' as external_id, 1 as score, 'a' as channel")
    with pytest.raises(LedgerError, match="no column 'seen_at'"):
        room.plan()


def test_rows_without_user_are_left_out(room: Any) -> None:
    row = "1 as score, 'a' as channel, now()::timestamp as seen_at"
    room.model(f"select 'u1' as external_id, {row} union all select null, {row}")
    plan = room.plan()
    assert (plan.objects, plan.users, plan.without_identifier) == (1, 1, 1)


def test_names_with_odd_characters_are_safe(room: Any, braze: Any) -> None:
    name = 'Fav "it\'em" é'
    room.declare(attributes=(AttributeSpec(name, "string", column='odd " column'),))
    room.model("select 'u1' as external_id, 'x' as \"odd \"\" column\"")
    assert room.run().report.complete
    assert braze.profiles["u1"] == {name: "x"}
    assert room.run().plan.objects == 0


def test_the_ledger_holds_the_models_values_in_the_models_types(room: Any, braze: Any) -> None:
    room.users(2)
    room.run()
    with room.warehouse.session() as session:
        columns = session.columns("braze_sync", "ledger_braze_customers")
    assert columns == {
        "_user": "VARCHAR",
        "_acknowledged_at": "TIMESTAMP",
        "score": "BIGINT",
        "_resend_score": "BOOLEAN",
        "channel": "VARCHAR",
        "_resend_channel": "BOOLEAN",
        "seen_at": "TIMESTAMP",
        "_resend_seen_at": "BOOLEAN",
    }


def test_a_finished_run_leaves_no_plan_behind(room: Any, braze: Any) -> None:
    room.users(2)
    room.run()
    tables = {
        row[0] for row in room.sql("select table_name from duckdb_tables() where schema_name = 'braze_sync'")
    }
    assert tables == {
        "applied_plans",
        "approvals",
        "declarations",
        "deliveries",
        "lease_braze_customers",
        "ledger_braze_customers",
        "rejections",
    }


def test_deliveries_keep_hashes_or_values_and_expire(room: Any, braze: Any) -> None:
    room.users(3)
    room.run()
    hidden = "select count(*), countif(contains(attribute_values, '\"value\"')) from braze_sync.deliveries"
    assert room.sql(hidden) == [(3, 0)]
    room.configure(deliveries_with_values=True, deliveries_days=30)
    room.sql("update braze_sync.deliveries set delivered_at = delivered_at - interval 31 day", "select 1")
    room.users(2, score="i + 50")
    room.run()
    kept = room.sql("select _user, attribute_values from braze_sync.deliveries order by 1")
    assert [user for user, _ in kept] == ["user-0", "user-1"]
    assert all('"value":5' in text for _, text in kept)
