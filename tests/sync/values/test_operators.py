"""Operators bring a profile to the model's value, leave alone what others wrote, and are never sent twice."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import sandbox_room
import sync_room
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response
from tiers import tiered

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.sandbox.api.attribute_rules import updates_of
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.requests import RequestLimits
from braze_platform.sync.plan.plan import AttributeChange, decide_row
from braze_platform.sync.values.operators import is_operation, needs_merge, operation
from braze_platform.sync.values.rejected import ValueRejected
from braze_platform.sync.values.values import canonicalise

VISITS = AttributeSpec("visits", "integer", "skip", operator="inc")
TAGS = AttributeSpec("tags", "array", "skip", operator="add")
DROPPED = AttributeSpec("dropped", "array", "skip", operator="remove")
PETS = AttributeSpec("pets", "array_of_objects", "skip", operator="objects", identifier_key="id")

ITEMS = st.sets(st.sampled_from("abcdef")).map(sorted)
OBJECTS = st.dictionaries(
    st.integers(1, 5),
    st.dictionaries(st.sampled_from(["name", "age"]), st.integers(0, 3), min_size=2, max_size=2),
    max_size=4,
).map(lambda found: [{"id": key, **rest} for key, rest in sorted(found.items())])


def after(spec: AttributeSpec, held: Any, expression: Any) -> Any:
    """What Braze holds after an expression, by the sandbox's rules."""
    if expression is None:
        return held
    known = {} if held is None else {spec.name: held}
    merge = needs_merge(expression)
    return updates_of(known, {spec.name: expression}, merge_objects=merge).get(spec.name, held)


@given(known=st.none() | st.integers(-99, 99), value=st.integers(-99, 99), others=st.integers(-99, 99))
def test_inc_adds_what_is_missing_to_whatever_others_made_of_it(
    known: int | None, value: int, others: int
) -> None:
    expression = operation(VISITS, known, value)
    assert after(VISITS, (known or 0) + others, expression) == value + others
    assert (expression is None) is (known == value)


@given(known=st.none() | ITEMS, value=ITEMS, others=ITEMS)
def test_sets_grow_and_shrink_by_what_is_new(
    known: list[str] | None, value: list[str], others: list[str]
) -> None:
    expression = operation(TAGS, known, value)
    held = after(TAGS, sorted({*(known or []), *others}), expression)
    assert set(held) == {*(known or []), *others, *value}
    expression = operation(DROPPED, known, value)
    held = after(DROPPED, others, expression) if expression else others
    assert set(held) == set(others) - (set(value) - set(known or []))


@given(known=st.none() | OBJECTS, value=OBJECTS, others=st.integers(0, 3))
def test_objects_are_changed_by_their_key(known: Any, value: Any, others: int) -> None:
    theirs = [{"id": 100 + n, "name": n} for n in range(others)]
    expression = operation(PETS, known, value)
    if expression is None:
        assert known == value
        return
    held = after(PETS, [*(known or []), *theirs], expression)
    kept = theirs if is_operation(expression) else []
    assert sorted(held, key=str) == sorted([*value, *kept], key=str)
    assert is_operation(expression) is (known is not None)


NESTED = st.recursive(
    st.integers(0, 2) | st.booleans() | st.just({"$time": "2026-01-01T00:00:00Z"}),
    lambda parts: (
        st.lists(parts, max_size=2) | st.dictionaries(st.sampled_from(["x", "y", "z"]), parts, max_size=3)
    ),
    max_leaves=6,
)
DEEP_OBJECTS = st.dictionaries(
    st.integers(1, 3) | st.booleans() | st.sampled_from(["1", "two"]) | st.just(2.0),
    st.dictionaries(st.sampled_from(["name", "tag", "more"]), NESTED, max_size=3),
    max_size=4,
).map(lambda found: [{"id": key, **rest} for key, rest in found.items()])


def by_key(objects: list[Any]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in objects)


def _objects_arrive_as_they_are_at_every_depth(steps: list[Any], twice: bool) -> None:
    """Several changes in a row, and each taken once or (but for `$add`) twice: Braze holds the model's value."""
    known = held = None
    for step in steps:
        value = canonicalise(step, PETS)
        expression = operation(PETS, known, value)
        added = is_operation(expression) and "$add" in cast("dict[str, Any]", expression)
        for _ in range(2 if twice and not added else 1):
            held = after(PETS, held, expression)
        assert by_key(held or []) == by_key(cast("list[Any]", value)), expression
        known = value


def _tried(examples: int) -> Any:
    law = given(steps=st.lists(DEEP_OBJECTS, min_size=1, max_size=5), twice=st.booleans())
    return settings(max_examples=examples)(law(_objects_arrive_as_they_are_at_every_depth))


test_objects_arrive_as_they_are_at_every_depth = _tried(150)
test_many_objects_arrive_as_they_are_at_every_depth = pytest.mark.full(_tried(400))


VANISHED: list[tuple[str, Any, Any]] = [
    ("a nested key", {"tag": {"x": 1, "y": 2}}, {"tag": {"x": 1}}),
    ("three levels down", {"a": {"b": {"c": {"x": 1, "y": 2}}}}, {"a": {"b": {"c": {"x": 1}}}}),
    ("inside an array", {"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}),
    ("an item of an array", {"a": [1, 2]}, {"a": [1]}),
    ("all keys", {"tag": {"x": 1}}, {"tag": {}}),
    ("an object became a number", {"tag": {"x": 1}}, {"tag": 1}),
    ("an object became a time", {"tag": {"x": 1}}, {"tag": {"$time": "2026-01-01T00:00:00Z"}}),
    ("a time became an object", {"tag": {"$time": "2026-01-01T00:00:00Z"}}, {"tag": {"x": 1}}),
    ("a key, another is new", {"tag": {"x": 1}}, {"tag": {"y": 1}, "more": 2}),
    ("the whole object's key", {"tag": 1, "name": "a"}, {"name": "a"}),
]


@pytest.mark.parametrize(
    ("before", "now"), [case[1:] for case in VANISHED], ids=[case[0] for case in VANISHED]
)
def test_what_a_merge_cannot_take_away_is_sent_as_a_whole(before: Any, now: Any) -> None:
    value: Any = [{"id": 1, **now}, {"id": 2, "other": 1}]
    assert operation(PETS, [{"id": 1, **before}, {"id": 2, "other": 1}], value) == value


def test_an_update_names_what_changed_and_asks_for_a_merge() -> None:
    before: Any = [{"id": 1, "name": "a", "age": 1, "tag": {"x": 1, "y": 2}}]
    expression = operation(PETS, before, [{"id": 1, "name": "a", "age": 9, "tag": {"x": 1, "y": 3, "z": 4}}])
    changed = {"age": 9, "tag": {"y": 3, "z": 4}}
    assert expression == {
        "$update": [{"$identifier_key": "id", "$identifier_value": 1, "$new_object": changed}]
    }
    assert needs_merge(expression)
    assert not needs_merge({"$add": [{"id": 1}]}) and not needs_merge([{"id": 1}])


def test_only_the_object_of_operators_is_merged() -> None:
    """A plain object beside the operator must be overwritten: it travels in an object without the flag."""
    customers = sync_room.CUSTOMERS
    sync = dataclasses.replace(customers, attributes=(PETS, AttributeSpec("address", "object")))
    changes = [
        AttributeChange(0, [{"id": 1, "age": 9}], [{"id": 1, "age": 1}]),
        AttributeChange(1, {"city": "B"}, {"city": "A", "street": "C"}),
    ]
    decision = decide_row(sync, sync.attributes, ("u",), changes, {}, gone=False, limits=RequestLimits())
    whole, operation = json.loads(decision.encoded or b""), json.loads(decision.encoded_operations or b"")
    assert (whole["address"], "_merge_objects" in whole) == ({"city": "B"}, False)
    assert operation["_merge_objects"] is True and "$update" in operation["pets"]
    added = [AttributeChange(0, [{"id": 1, "age": 1}, {"id": 2}], [{"id": 1, "age": 1}])]
    decision = decide_row(sync, sync.attributes, ("u",), added, {}, gone=False, limits=RequestLimits())
    assert "_merge_objects" not in json.loads(decision.encoded_operations or b"")


def test_an_array_that_would_grow_too_large_between_add_and_remove_is_sent_as_a_whole() -> None:
    old: Any = [{"id": n, "text": "x" * 250} for n in range(200)]
    new: Any = [{"id": n, "text": "x" * 250} for n in range(200, 400)]
    assert operation(PETS, old, new) == new
    assert after(PETS, old, operation(PETS, old, new)) == new


def test_an_object_that_lost_a_key_is_sent_with_all_others_as_a_whole() -> None:
    value: Any = [{"id": 1}, {"id": 2, "name": "b"}]
    assert operation(PETS, [{"id": 1, "name": "a"}], value) == value


@pytest.mark.parametrize("value", [[{"name": 1}], [{"id": 1}, {"id": 1}], [{"id": [1]}]])
def test_objects_that_their_key_does_not_tell_apart_are_rejected(value: Any) -> None:
    with pytest.raises(ValueRejected, match="'id'"):
        operation(PETS, None, value)


@pytest.fixture
def counting(room: Any) -> Any:
    room.declare(attributes=(AttributeSpec("score", "integer"), VISITS, TAGS))
    return room


def customers(room: Any, count: int, visits: str, tags: str = "['a']", score: str = "1") -> None:
    room.model(
        f"select 'user-' || i as external_id, {score}::bigint as score, ({visits})::bigint as visits, {tags} as tags "
        f"from range({count}) t(i)"
    )


def operations(braze: Any) -> list[dict[str, Any]]:
    return [entry for objects in braze.received for entry in objects if "visits" in entry or "tags" in entry]


def test_operators_are_sent_in_objects_of_their_own_after_the_values(counting: Any, braze: Any) -> None:
    customers(counting, 100, "5")
    run = counting.run()
    assert run.report.complete and run.report.requests == run.plan.requests == 4
    assert run.report.delivered == {"score": 100, "visits": 100, "tags": 100}
    first = next(i for i, objects in enumerate(braze.received) if "visits" in objects[0])
    assert all("score" not in objects[0] for objects in braze.received[first:])
    assert operations(braze)[0]["visits"] == {"inc": 5} and operations(braze)[0]["tags"] == {"add": ["a"]}
    assert counting.run().plan.objects == 0
    customers(
        counting, 100, "case when i < 3 then 7 else 5 end", "case when i < 2 then ['b', 'a'] else [] end"
    )
    braze.received.clear()
    run = counting.run()
    assert sorted(
        (entry["external_id"], json.dumps(entry.get("visits")), json.dumps(entry.get("tags")))
        for entry in operations(braze)
    ) == [
        ("user-0", '{"inc": 2}', '{"add": ["b"]}'),
        ("user-1", '{"inc": 2}', '{"add": ["b"]}'),
        ("user-2", '{"inc": 2}', "null"),
    ]
    # A set that only grows has nothing to send for what is gone from the model.
    assert counting.run().plan.objects == 0


UNCLEAR = {
    "5xx after it took effect": lambda: JSONResponse({"message": "late"}, 504),
    "500": lambda: JSONResponse({"message": "?"}, 500),
    "2xx that cannot be read": lambda: Response(b'{"mess', 201),
    "2xx without success": lambda: JSONResponse({"message": "hm"}, 201),
    "an error without index": lambda: JSONResponse({"message": "success", "errors": ["some"]}, 201),
}


@pytest.mark.parametrize("answer", tiered(UNCLEAR, quick=("500", "2xx without success")))
def test_an_unclear_answer_is_never_answered_by_a_repetition(counting: Any, braze: Any, answer: Any) -> None:
    braze.fault = lambda number, objects: answer() if "visits" in objects[0] else None
    customers(counting, 10, "5")
    run = counting.run()
    assert len(operations(braze)) == 10
    assert run.report.rejected == {"score": 0, "visits": 10, "tags": 10} and run.report.complete
    listed = counting.sql(
        "select attribute, refused_by, count(*) from braze_sync.rejections where resolved_at is null "
        "group by all order by 1"
    )
    assert listed == [("tags", "unclear", 10), ("visits", "unclear", 10)]
    braze.fault = None
    assert counting.run().plan.objects == 0 and len(operations(braze)) == 10
    customers(counting, 10, "8")
    counting.run()
    assert [entry["visits"] for entry in operations(braze)[10:]] == [{"inc": 3}] * 10
    still = counting.sql("select distinct attribute from braze_sync.rejections where resolved_at is null")
    assert still == [("tags",)]


CLEAR = {
    "429": lambda: JSONResponse({"message": "slow"}, 429, headers={"X-Ratelimit-Retry-After": "0"}),
    "503": lambda: Response(b"", 503),
    "502": lambda: Response(b"", 502),
}


@pytest.mark.parametrize("answer", CLEAR.values(), ids=CLEAR)
def test_what_braze_surely_did_not_take_is_sent_again(
    counting: Any, braze: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"left": 2}

    def fault(number: int, objects: list[dict[str, Any]]) -> Response | None:
        if "visits" not in objects[0] or not refused["left"]:
            return None
        refused["left"] -= 1
        return answer()

    braze.fault = fault
    customers(counting, 10, "5")
    monkeypatch.setattr(
        "braze_platform.sync.run.RETRY", RetryLimits(fault_seconds=30, first_backoff_seconds=0.005)
    )
    run = counting.run()
    assert run.report.complete and run.report.delivered["visits"] == 10
    assert len(operations(braze)) == 30


def test_what_was_not_sent_is_due_and_the_ledger_knows(counting: Any, braze: Any) -> None:
    braze.fault = lambda number, objects: (
        JSONResponse({"message": "no"}, 401) if "visits" in objects[0] else None
    )
    customers(counting, 300, "5")
    counting.configure(braze_concurrency=1)
    run = counting.run()
    assert "401" in run.report.stopped and run.report.due["visits"] == 300
    assert counting.sql("select count(visits), count(score) from braze_sync.ledger_braze_customers") == [
        (0, 300)
    ]
    assert counting.sql("select count(*) from braze_sync.operations") == [(0,)]
    braze.fault = None
    assert counting.run().report.delivered == {"score": 0, "visits": 300, "tags": 300}


def test_a_refused_operator_costs_no_other_and_waits_for_another_value(counting: Any, braze: Any) -> None:
    braze.rejects = lambda entry: "BAD" if "visits" in entry and entry["external_id"] == "user-3" else None
    customers(counting, 10, "5")
    run = counting.run()
    assert run.report.rejected == {"score": 0, "visits": 1, "tags": 0}
    assert run.report.delivered == {"score": 10, "visits": 9, "tags": 10}
    sent = len(operations(braze))
    assert counting.run().plan.attributes["visits"].known_rejected == 1
    assert len(operations(braze)) == sent
    braze.rejects = lambda entry: None
    customers(counting, 10, "6")
    counting.run()
    third = [entry for entry in operations(braze)[sent:] if entry["external_id"] == "user-3"]
    assert [entry["visits"] for entry in third] == [{"inc": 6}]


_CHILD = """
import os, sys
from pathlib import Path
from sync_room import SyncRoom
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.braze_api.client import BrazeClient

taken = BrazeClient.request

async def request(self, method, path, *, content=None, **options):
    answer = await taken(self, method, path, content=content, **options)
    if b'"visits"' in content:
        os._exit(9)  # Braze has it, nobody here knows
    return answer

BrazeClient.request = request
room = SyncRoom(Path(sys.argv[1]), sys.argv[2])
room.declare(attributes=(
    AttributeSpec("score", "integer"),
    AttributeSpec("visits", "integer", "skip", operator="inc"),
    AttributeSpec("tags", "array", "skip", operator="add"),
))
room.run()
"""


@pytest.mark.full
def test_a_process_that_dies_while_sending_repeats_nothing(counting: Any, braze: Any) -> None:
    customers(counting, 100, "5")
    paths = os.pathsep.join([str(counting.folder), *sys.path])
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(counting.folder), counting.settings.braze_rest_url],
        env=os.environ | {"PYTHONPATH": paths},
        check=False,
    )
    assert child.returncode == 9
    taken = len(operations(braze))
    assert 75 <= taken <= 100
    run = counting.run()
    assert run.plan.objects == 0 and len(operations(braze)) == taken
    listed = counting.sql(
        "select attribute, refused_by, count(*) from braze_sync.rejections group by all order by 1"
    )
    assert listed == [("tags", "unclear", 100), ("visits", "unclear", 100)]
    customers(counting, 100, "6")
    counting.run()
    assert {json.dumps(entry["visits"]) for entry in operations(braze)[taken:]} == {'{"inc": 1}'}


def test_against_the_sandbox(tmp_path: Path) -> None:
    with sandbox_room.serve(tmp_path, 50) as room:
        room.declare(attributes=(VISITS, TAGS, PETS), existing_only=False)
        select = "select 'x' || i as external_id, {} as visits, {} as tags, {} as pets from range(20) t(i)"
        room.model(select.format("3", "['a']", "[{'id': i, 'name': 'n'}]"))
        assert room.run().report.complete
        room.model(select.format("4", "['b']", "[{'id': i, 'name': 'm'}, {'id': i + 1, 'name': 'new'}]"))
        assert room.run().report.complete
        users = [f"x{i}" for i in range(20)]
        profiles = room.profiles(users)
        assert profiles["x7"] == {
            "visits": 4,
            "tags": ["a", "b"],
            "pets": [{"id": 7, "name": "m"}, {"id": 8, "name": "new"}],
        }
        assert dataclasses.asdict(room.run().plan)["objects"] == 0
        # Keys that the model changes, keeps and takes away, at two depths.
        room.model(select.format("4", "['b']", "[{'id': i, 'name': 'm', 'age': 9, 'tag': {'x': 1, 'y': 2}}]"))
        assert room.run().report.complete
        assert room.profiles(["x7"])["x7"]["pets"] == [
            {"id": 7, "name": "m", "age": 9, "tag": {"x": 1, "y": 2}}
        ]
        room.model(select.format("4", "['b']", "[{'id': i, 'name': 'm', 'age': 1, 'tag': {'x': 1}}]"))
        assert room.run().report.complete
        assert room.profiles(["x7"])["x7"]["pets"] == [{"id": 7, "name": "m", "age": 1, "tag": {"x": 1}}]
        assert dataclasses.asdict(room.run().plan)["objects"] == 0
