from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.attributes.sync import ALL_TYPES, AttributeSpec
from braze_platform.attributes.values import ValueRejected, canonicalise, encode

NOON = datetime(2026, 11, 24, 12, 0, 0)


def spec(kind: Any) -> AttributeSpec:
    return AttributeSpec("a", kind)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("number", [1, 1.0, "1", "1.0", Decimal("1.00"), " 1 ", "1e0"], "1"),
        ("number", [1.5, "1.5", Decimal("1.50")], "1.5"),
        ("number", [0.0, -0.0, "-0", Decimal("-0.0")], "0"),
        ("number", [10**20, 1e20, "1e20"], "1e+20"),
        ("integer", [7, 7.0, "7", Decimal(7), "7.0", "7e0"], "7"),
        ("integer", [2**63 - 1], "9223372036854775807"),
        ("boolean", [True, 1, "true", "T", "1", 1.0], "true"),
        ("boolean", [False, 0, "FALSE", "f"], "false"),
        (
            "string",
            [
                "",
            ],
            '""',
        ),
        ("string", [1, 1.0, Decimal(1), "1"], '"1"'),
        ("date", [date(2026, 11, 24), NOON, "2026-11-24", "2026-11-24T12:00:00Z"], '"2026-11-24"'),
        (
            "timestamp",
            [
                NOON,
                NOON.replace(tzinfo=timezone.utc),
                datetime(2026, 11, 24, 14, 0, tzinfo=timezone(timedelta(hours=2))),
                "2026-11-24T12:00:00Z",
                "2026-11-24 12:00:00",
                "2026-11-24 14:00:00+02",
                "2026-11-24T07:30:00.000-0430",
                "2026-11-24 12:00 UTC",
            ],
            '"2026-11-24T12:00:00Z"',
        ),
        ("timestamp", [NOON.replace(microsecond=120_999)], '"2026-11-24T12:00:00.120Z"'),
        ("timestamp", [date(2026, 11, 24), "2026-11-24"], '"2026-11-24T00:00:00Z"'),
        ("array", [["b", "a", "b"], ("a", "b"), {"b", "a"}, '["b","a"]'], '["a","b"]'),
        ("array", [[]], "[]"),
        ("object", [{"b": 1.0, "a": {"t": NOON}}], '{"a":{"t":{"$time":"2026-11-24T12:00:00Z"}},"b":1}'),
        ("object", ['{"b": 1, "a": ["x"]}', {"a": ["x"], "b": Decimal(1)}], '{"a":["x"],"b":1}'),
    ],
)
def test_equal_values_have_one_form(kind: str, values: list[object], expected: str) -> None:
    assert [encode(canonicalise(value, spec(kind))) for value in values] == [expected] * len(values)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("string", "x" * 256, "longer than 255"),
        ("string", True, "boolean"),
        ("string", "\ud800", "surrogate"),
        ("string", ["a"], "of type list"),
        ("string", b"x", "of type bytes"),
        ("integer", True, "boolean"),
        ("integer", 1.5, "fraction"),
        ("integer", 2**63, "64-bit"),
        ("integer", "1_000", "not a number"),
        ("integer", "١", "not a number"),
        ("integer", "", "not a number"),
        ("integer", "1e999999999", "range"),
        ("integer", math.nan, "finite"),
        ("number", math.inf, "finite"),
        ("number", Decimal("NaN"), "finite"),
        ("number", Decimal("1e400"), "range"),
        ("number", 10**400, "range"),
        ("number", "NaN", "not a number"),
        ("boolean", 2, "neither"),
        ("boolean", "yes", "neither"),
        ("date", "24/11/2026", "ISO 8601"),
        ("date", "2026-02-30", "calendar"),
        ("date", date(3001, 1, 1), "3000"),
        ("timestamp", "2026-11-24T25:00:00Z", "clock"),
        ("timestamp", "2026-11-24T12:00:00+99:00", "offset"),
        ("timestamp", 1764000000, "of type int"),
        ("timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "outside the calendar"),
        ("array", [1], "of type int"),
        ("array", [str(i) for i in range(501)], "500"),
        ("array", "not json", "not JSON"),
        ("array", [f"{i:0250d}" for i in range(450)], "100000 bytes"),
        ("object", {"a": None}, "null"),
        ("object", {"a": [{"b": None}]}, "null"),
        ("object", {"a": math.nan}, "finite"),
        ("object", {"a b": 1}, "key"),
        ("object", {"a.b": 1}, "key"),
        ("object", {"$a": 1}, "key"),
        ("object", {"a": {"$time": "yesterday"}}, "ISO 8601"),
        ("object", [1], "of type list"),
        ("object", "[" * 100_000, "not JSON"),
        ("object", {str(i): "x" * 200 for i in range(600)}, "100000 bytes"),
    ],
)
def test_a_value_braze_would_not_keep_is_rejected_with_its_reason(
    kind: str, value: object, reason: str
) -> None:
    with pytest.raises(ValueRejected, match=reason) as caught:
        canonicalise(value, spec(kind))
    assert caught.value.reason


@pytest.mark.parametrize("kind", ALL_TYPES)
def test_null_stays_null(kind: str) -> None:
    assert canonicalise(None, spec(kind)) is None


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.from_regex(r"-?\d{1,20}(\.\d{1,5})?", fullmatch=True),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(value=VALUES, kind=st.sampled_from(ALL_TYPES))
def test_canonical_values_are_json_and_stay_as_they_are(value: object, kind: str) -> None:
    try:
        once = canonicalise(value, spec(kind))
    except ValueRejected:
        return
    text = encode(once)
    assert json.loads(text.encode("utf-8")) == once
    assert encode(canonicalise(once, spec(kind))) == text
    assert encode(canonicalise(json.loads(text), spec(kind))) == text


@given(
    number=st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False),
    kind=st.sampled_from(["integer", "number", "string", "boolean"]),
)
def test_equal_numbers_come_out_equal_whatever_their_type(number: int | float, kind: str) -> None:
    forms = {number, Decimal(number)} | (
        {int(number), float(number)} if float(number) == int(number) == number else set()
    )
    results = set()
    for form in [number, Decimal(number), *forms]:
        try:
            results.add(encode(canonicalise(form, spec(kind))))
        except ValueRejected as error:
            results.add(f"rejected: {error.reason}")
    assert len(results) == 1


@given(items=st.lists(st.text(alphabet="abcé", max_size=5), max_size=10), seed=st.randoms())
def test_an_array_is_a_set(items: list[str], seed: Any) -> None:
    shuffled = items + items[:2]
    seed.shuffle(shuffled)
    assert canonicalise(items, spec("array")) == canonicalise(shuffled, spec("array")) == sorted(set(items))
