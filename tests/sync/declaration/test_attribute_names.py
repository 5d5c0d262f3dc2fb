"""Attributes whose names no column of a warehouse can have, from the declaration to Braze and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sandbox_room
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sync.asset_keys import attribute_key
from braze_platform.sync.assets import all_sync_assets
from braze_platform.sync.declaration.attribute_names import MAX_COLUMN_LENGTH, name_mistakes
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.seeding.rebuild import rebuild
from braze_platform.warehouse.ledger_columns import attribute_of_column, ledger_column, resend_column

NAMES = (
    "Spend ($)",
    "user.tier",
    "a/b",
    'says "hi"',
    "it's `so`",
    "größe",
    "会员",
    "1st",
    "back\\slash",
    "Tier",
    "x-y",
)
SPECS = tuple(AttributeSpec(name, "integer", "clear", f"c{i}") for i, name in enumerate(NAMES))


@given(st.text(min_size=1, max_size=40))
def test_a_column_tells_its_attribute(name: str) -> None:
    if next(name_mistakes(name), None) is not None:
        return
    column = ledger_column(name)
    assert attribute_of_column(column) == name
    assert column.isascii() and column.replace("_", "a").isalnum() and not column[0].isdigit()
    assert not column.lower().startswith(
        ("_table_", "_file_", "_partition", "_row_", "__root__", "_colid", "_user")
    )


@pytest.mark.parametrize("name", ["score", "Tier", "a_b", "x1"])
def test_a_plain_name_is_its_own_column(name: str) -> None:
    assert (ledger_column(name), resend_column(name)) == (name, f"_resend_{name}")


def test_a_name_that_no_column_holds_is_refused_where_it_is_declared() -> None:
    for fits in ("a" * 255, "é" * 71, "a b" * 40):
        assert not list(name_mistakes(fits)) and len(resend_column(fits)) <= MAX_COLUMN_LENGTH
    for name in ("é" * 80, "会" * 160, "$ä" * 60):
        assert any(
            "cannot be kept in a column" in mistake and "Set a" in mistake for mistake in name_mistakes(name)
        )


def model(room: Any, kind: str = "int64", count: int = 5, **changed: str) -> None:
    with room.warehouse.session() as session:
        numbers = (
            f"unnest(generate_array(1, {count}))"
            if session.dialect == "bigquery"
            else f"range(1, {count + 1})"
        )
        alias = "as i" if session.dialect == "bigquery" else "t(i)"
        kind = kind if session.dialect == "bigquery" else {"int64": "bigint", "string": "varchar"}[kind]
        values = [f"cast({changed.get(f'c{i}', f'i + {i}')} as {kind}) as c{i}" for i in range(len(NAMES))]
        session.create_schema("attributes", "Tests")
        session.execute(
            f"create or replace table {session.sql.table('attributes', 'braze_customers')} as "
            f"select 'x' || cast(i as {'string' if session.dialect == 'bigquery' else 'varchar'}) as external_id, "
            f"{', '.join(values)} from {numbers} {alias}"
        )


def goes_from_end_to_end(room: Any, braze: Any) -> None:
    room.declare(attributes=SPECS)
    model(room)
    room.run("first")
    assert braze.profiles["x2"] == {name: 2 + i for i, name in enumerate(NAMES)}
    assert room.run("again").plan.objects == 0
    model(
        room,
        c0="if(i = 3, 77, i)"
        if room.warehouse.dialect == "bigquery"
        else "case when i = 3 then 77 else i end",
    )
    with room.warehouse.session() as session:
        columns = session.columns("braze_sync", "ledger_braze_customers")
    assert {attribute_of_column(column) for column in columns} >= set(NAMES)
    changed = room.run("changed").report
    assert changed.delivered == {name: int(name == NAMES[0]) for name in NAMES}
    room.declare(attributes=tuple(AttributeSpec(s.name, "string", s.nulls, s.column) for s in SPECS))
    model(room, "string", c0="case when i = 3 then 77 else i end")
    retyped = room.plan()
    assert any("bring the acknowledged values of Spend ($)" in step for step in retyped.first)
    assert room.run("retyped").plan.objects == 5
    assert braze.profiles["x3"]["Spend ($)"] == "77" and braze.profiles["x3"]["user.tier"] == "4"
    assert room.run("quiet").plan.objects == 0


def test_a_sync_of_such_names_goes_from_end_to_end(room: Any, braze: Any) -> None:
    goes_from_end_to_end(room, braze)


@pytest.mark.full
def test_a_sync_of_such_names_goes_from_end_to_end_in_bigquery(google_room: Any, braze: Any) -> None:
    goes_from_end_to_end(google_room, braze)


def test_a_ledger_with_such_names_is_rebuilt(tmp_path: Path) -> None:
    with sandbox_room.serve(tmp_path, 50) as room:
        users = [
            {"external_id": f"x{i}"} | {spec.name: i + n for n, spec in enumerate(SPECS)} for i in range(1, 6)
        ]
        room.request("POST", "/users/track", {"attributes": users})
        room.declare(attributes=SPECS, existing_only=False)
        model(room, c1="case when i = 2 then 99 else i + 1 end")
        with room.warehouse.session() as session:
            found = rebuild(session, room.sync, room.settings, max_users=100)
        assert (found.equal, found.different) == (5 * len(NAMES) - 1, 1)
        assert room.run("after").report.delivered["user.tier"] == 1


def test_definitions_load_and_lineage_names_the_columns(room: Any) -> None:
    room.declare(attributes=SPECS)
    [assets] = all_sync_assets([room.sync], room.settings, {"nodes": {}})
    definitions = dg.Definitions(assets=[assets], resources=room.resources)
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    model_key = dg.AssetKey(["attributes", "braze_customers"])
    for spec in SPECS:
        key = attribute_key(spec.name)
        assert graph.get(key).parent_keys == {model_key}
        assert dg.AssetKey.from_user_string(key.to_user_string()) == key
