"""What Braze takes of custom attributes, as a table, and a few laws."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sandbox.api.attribute_rules import (
    DROPPED,
    StandardAttributeRefused,
    check_standard,
    is_date,
    updates_of,
)

LONG = "x" * 256
CASES: list[tuple[str, dict[str, Any], dict[str, Any], bool, dict[str, Any]]] = [
    ("text", {}, {"a": "b"}, False, {"a": "b"}),
    ("blank text is kept", {"a": "b"}, {"a": ""}, False, {"a": ""}),
    ("255 characters", {}, {"a": LONG[1:]}, False, {"a": LONG[1:]}),
    ("256 characters", {"a": "old"}, {"a": LONG}, False, {}),
    ("name over 255", {}, {LONG: 1}, False, {}),
    ("name is stripped", {}, {" a ": 1}, False, {"a": 1}),
    ("null removes", {"a": 1}, {"a": None}, False, {"a": None}),
    ("null of what is not held", {}, {"a": None}, False, {}),
    ("false is a value", {"a": True}, {"a": False}, False, {"a": False}),
    ("inc", {"n": 4}, {"n": {"inc": 3}}, False, {"n": 7}),
    ("inc of nothing", {}, {"n": {"inc": 3}}, False, {"n": 3}),
    ("inc by a fraction", {"n": 4}, {"n": {"inc": 0.5}}, False, {}),
    ("inc of a text", {"n": "4"}, {"n": {"inc": 1}}, False, {}),
    ("inc of a flag", {"n": True}, {"n": {"inc": 1}}, False, {}),
    ("array items once, last place", {}, {"a": ["x", "y", "x"]}, False, {"a": ["y", "x"]}),
    ("array drops the oldest", {}, {"a": list(range(501))}, False, {"a": list(range(1, 501))}),
    ("array drops long items", {}, {"a": ["x", LONG]}, False, {"a": ["x"]}),
    ("add", {"a": ["x", "y"]}, {"a": {"add": ["x", "z"]}}, False, {"a": ["y", "x", "z"]}),
    ("add to nothing", {}, {"a": {"add": ["x"]}}, False, {"a": ["x"]}),
    ("remove", {"a": ["x", "y"]}, {"a": {"remove": ["x"]}}, False, {"a": ["y"]}),
    ("object", {"o": {"p": 1}}, {"o": {"q": 2}}, False, {"o": {"q": 2}}),
    ("object merged", {"o": {"p": {"a": 1}}}, {"o": {"p": {"b": 2}}}, True, {"o": {"p": {"a": 1, "b": 2}}}),
    ("nested null", {"o": {"p": 1}}, {"o": {"p": None}}, True, {}),
    ("nested null spoils the whole attribute only", {}, {"o": {"p": None, "q": 1}, "b": 1}, False, {"b": 1}),
    ("nested time", {}, {"o": {"t": {"$time": "2026-01-02"}}}, False, {"o": {"t": {"$time": "2026-01-02"}}}),
    ("bad nested time", {}, {"o": {"t": {"$time": "soon"}, "q": 1}}, False, {}),
    ("dot in a nested name", {}, {"o": {"a.b": 1}}, False, {}),
    ("dollar in a nested name", {}, {"o": {"$a": 1}}, False, {}),
    ("object over 100 KB", {}, {"o": {str(n): "y" * 250 for n in range(500)}}, False, {}),
    ("array of objects", {}, {"a": [{"k": 1}]}, False, {"a": [{"k": 1}]}),
    ("$add", {"a": [{"k": 1}]}, {"a": {"$add": [{"k": 2}]}}, False, {"a": [{"k": 1}, {"k": 2}]}),
    (
        "$remove",
        {"a": [{"k": 1}, {"k": 2}]},
        {"a": {"$remove": [{"$identifier_key": "k", "$identifier_value": 1}]}},
        False,
        {"a": [{"k": 2}]},
    ),
    (
        "$update overwrites",
        {"a": [{"k": 1, "v": 1}]},
        {"a": {"$update": [{"$identifier_key": "k", "$identifier_value": 1, "$new_object": {"v": 2}}]}},
        False,
        {"a": [{"v": 2}]},
    ),
    (
        "$update merges at every level when told to",
        {"a": [{"k": 1, "v": 1, "o": {"x": 1, "y": [1]}, "t": {"$time": "2026-01-01"}}]},
        {
            "a": {
                "$update": [
                    {
                        "$identifier_key": "k",
                        "$identifier_value": 1,
                        "$new_object": {"v": 2, "o": {"y": [2]}, "t": {"z": 1}},
                    }
                ]
            }
        },
        True,
        {"a": [{"k": 1, "v": 2, "o": {"x": 1, "y": [2]}, "t": {"z": 1}}]},
    ),
    (
        "a flag names no number",
        {"a": [{"k": 1}, {"k": True}]},
        {"a": {"$remove": [{"$identifier_key": "k", "$identifier_value": True}]}},
        False,
        {"a": [{"k": 1}]},
    ),
    ("a name on the blocklist", {}, {"shoe_size_2019": 41, "a": 1}, False, {"a": 1}),
    ("bio is not an attribute any more", {}, {"bio": "text", " bio ": "text", "a": 1}, False, {"a": 1}),
    (
        "$add comes before $remove",
        {},
        {"a": {"$remove": [{"$identifier_key": "k", "$identifier_value": 1}], "$add": [{"k": 1}]}},
        False,
        {"a": []},
    ),
    ("$add of a null", {"a": [{"k": 1}]}, {"a": {"$add": [{"k": None}]}}, False, {}),
]


@pytest.mark.parametrize(
    ("held", "sent", "merge", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_updates(held: dict[str, Any], sent: dict[str, Any], merge: bool, expected: dict[str, Any]) -> None:
    before = json.dumps(held)
    assert updates_of(held, sent, merge_objects=merge) == expected
    assert json.dumps(held) == before, "what is held is not changed in place"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24", True),
        ("2026-11-24T10:20:30Z", True),
        ("2026-11-24T10:20:30.123+01:00", True),
        ("2026-11-24 10:20:30", True),
        ("11/24/2026", True),
        ("2026-11-24T10:20:30:123+0000", True),
        ("3001-01-01", False),
        ("24.11.2026", False),
        ("books", False),
    ],
)
def test_dates(text: str, expected: bool) -> None:
    assert is_date(text) is expected


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("email", "no address", "EMAIL_BAD_FORMAT"),
        ("email_subscribe", "yes", "BAD_EMAIL_SUBSCRIPTION_STATE"),
        ("push_subscribe", None, "BAD_PUSH_SUBSCRIPTION_STATE"),
        ("subscription_groups", {}, "BAD_SUBSCRIPTION_GROUP_ARRAY"),
        ("subscription_groups", ["x"], "BAD_SUBSCRIPTION_GROUP_HASH"),
        ("subscription_groups", [{"subscription_state": "subscribed"}], "BAD_SUBSCRIPTION_GROUP_ID"),
        ("subscription_groups", [{"subscription_group_id": "g"}], "BAD_SUBSCRIPTION_GROUP_STATE"),
        ("current_location", {"longitude": 200, "latitude": 0}, "BAD_LOCATION_UPDATE"),
        ("current_location", {"longitude": True, "latitude": 0}, "BAD_LOCATION_UPDATE"),
    ],
)
def test_bad_standard_attributes(name: str, value: Any, code: str) -> None:
    with pytest.raises(StandardAttributeRefused, match=code):
        check_standard(name, value)


def test_other_standard_attributes() -> None:
    assert check_standard("email", None) is None
    assert check_standard("email", "a@b.example") == "a@b.example"
    assert check_standard("country", "Germany") is None, "what is not a country empties the field"
    assert check_standard("country", "UK") is None
    assert check_standard("country", "DE") == "DE"
    assert check_standard("language", "de") == "de"
    assert check_standard("language", "iw") is DROPPED
    assert check_standard("time_zone", "Europe/Berlin") == "Europe/Berlin"
    assert check_standard("time_zone", "Eastern Time (US & Canada)") == "Eastern Time (US & Canada)"
    assert check_standard("time_zone", "Factory") is DROPPED
    assert check_standard("time_zone", "Mars/Olympus") is DROPPED
    assert check_standard("email_open_tracking_disabled", "yes") is DROPPED
    assert check_standard("email_open_tracking_disabled", True) is True
    assert check_standard("twitter", "@name") is DROPPED
    assert check_standard("gender", "X") is DROPPED
    assert check_standard("dob", "1990-02-30") is DROPPED
    assert check_standard("first_name", LONG) is DROPPED


SCALARS = st.one_of(
    st.text(max_size=20),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(st.dictionaries(st.text(min_size=1, max_size=10).filter(str.strip), SCALARS, max_size=5))
def test_sending_the_same_again_changes_nothing_more(sent: dict[str, Any]) -> None:
    held = updates_of({}, sent, merge_objects=False)
    assert updates_of(held, sent, merge_objects=False) == held


@given(st.lists(SCALARS, max_size=30))
def test_arrays_are_unique_and_settle(items: list[Any]) -> None:
    once = updates_of({}, {"a": items}, merge_objects=False)["a"]
    assert updates_of({}, {"a": once}, merge_objects=False)["a"] == once
    assert len({(type(item), item) for item in once}) == len(once)
