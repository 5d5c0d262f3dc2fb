from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.values.values import RESERVED_KEYS, ValueRejected, canonicalise, encode

KEYS = st.text(alphabet="abcdef_", min_size=1, max_size=4).filter(lambda key: key not in RESERVED_KEYS)
LEAVES = st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet="xyz", max_size=5)
OBJECTS = st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, min_size=1, max_size=3), min_size=1, max_size=4)
BAD_LEAVES = st.sampled_from([math.nan, math.inf, b"bytes", "x" * 256, {"$time": "yesterday"}, [math.nan]])
BAD_KEYS = st.sampled_from(["a b", "a.b", "$a", "", "k" * 256])


def spec(kind: Any) -> AttributeSpec:
    return AttributeSpec("a", kind)


@given(
    good=OBJECTS, bad=st.dictionaries(KEYS.map(lambda key: f"bad_{key}"), BAD_LEAVES, min_size=1, max_size=3)
)
def test_bad_values_beside_good_ones_cost_nothing_but_themselves(good: Any, bad: Any) -> None:
    dropped: list[str] = []
    assert canonicalise({**bad, **good}, spec("object"), dropped) == canonicalise(good, spec("object"))
    assert len(dropped) == len(bad)
    nested = canonicalise({"deep": {"deeper": [{**good, **bad}]}}, spec("object"))
    assert nested == canonicalise({"deep": {"deeper": [good]}}, spec("object"))


@given(good=OBJECTS, key=BAD_KEYS)
def test_a_bad_key_costs_its_value_alone(good: Any, key: str) -> None:
    assert canonicalise({**good, key: 1}, spec("object")) == canonicalise(good, spec("object"))


@pytest.mark.parametrize("value", [{"inc": 1}, {"add": ["a"]}, {"remove": ["a"]}, {"inc": 1, "add": ["a"]}])
def test_a_value_that_braze_reads_as_an_operator_is_rejected(value: Any) -> None:
    with pytest.raises(ValueRejected, match="operator"):
        canonicalise(value, spec("object"))
    assert canonicalise({**value, "x": 1}, spec("object")) == {**value, "x": 1}
    assert canonicalise([value], spec("array_of_objects")) == [value]


@given(objects=st.lists(OBJECTS, min_size=1, max_size=4), bad=BAD_LEAVES, place=st.integers(0, 3))
def test_a_bad_object_of_an_array_costs_itself_alone(objects: list[Any], bad: Any, place: int) -> None:
    given_objects = [*objects[:place], {"bad": bad}, *objects[place:]]
    dropped: list[str] = []
    result = canonicalise(given_objects, spec("array_of_objects"), dropped)
    assert result == canonicalise(objects, spec("array_of_objects"))
    assert len(dropped) == 1


@given(
    items=st.lists(st.text(alphabet="abc", max_size=3), min_size=1), bad=st.lists(st.integers(), max_size=3)
)
def test_a_bad_item_of_an_array_costs_itself_alone(items: list[str], bad: list[int]) -> None:
    dropped: list[str] = []
    assert canonicalise([*bad, *items], spec("array"), dropped) == canonicalise(items, spec("array"))
    assert len(dropped) == len(bad)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("object", {"a": 1, "b": None, "c": {"d": None, "e": [None, "x"]}}, '{"a":1,"c":{"e":["x"]}}'),
        ("object", {"a": {}, "b": []}, '{"a":{},"b":[]}'),
        ("array", ["a", None], '["a"]'),
        ("array_of_objects", [{"b": 2, "a": 1}, {"a": None}], '[{"a":1,"b":2}]'),
        ("array_of_objects", [], "[]"),
    ],
)
def test_nulls_inside_are_no_values(kind: str, value: object, expected: str) -> None:
    dropped: list[str] = []
    assert encode(canonicalise(value, spec(kind), dropped)) == expected
    assert dropped == []


@pytest.mark.parametrize("kind", ["object", "array_of_objects", "array"])
def test_a_value_of_which_nothing_is_left_is_rejected(kind: str) -> None:
    value: object = {"a": None} if kind == "object" else [None]
    with pytest.raises(ValueRejected, match="nothing but null"):
        canonicalise(value, spec(kind))


def test_reasons_name_the_place_in_quotes_so_that_they_can_be_masked() -> None:
    dropped: list[str] = []
    canonicalise({"a": {"b": [1, math.nan]}, "c": 1}, spec("object"), dropped)
    assert dropped == ["at 'a.b.1': is not a finite number"]


def test_bad_parts_are_listed_until_the_value_changes(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("address", "object"),))

    def address(zip_code: str) -> None:
        room.model(f"select 'u1' as external_id, json_object('city', 'Berlin', 'zip', {zip_code}) as address")

    def refused() -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = room.sql(
            "select refused_by, resolved_at is null, reason from braze_sync.rejections order by rejected_at"
        )
        return rows

    address("repeat('9', 300)")
    run = room.run()
    assert run.plan.attributes["address"].trimmed == 1
    assert braze.profiles["u1"] == {"address": {"city": "Berlin"}}
    assert [row[:2] for row in refused()] == [("part", True)]
    assert "'zip'" in refused()[0][2] and "999" not in refused()[0][2]
    assert room.run().plan.objects == 0
    assert [row[:2] for row in refused()] == [("part", True)]
    address("'10115'")
    room.run()
    assert braze.profiles["u1"] == {"address": {"city": "Berlin", "zip": "10115"}}
    assert [row[:2] for row in refused()] == [("part", False)]
