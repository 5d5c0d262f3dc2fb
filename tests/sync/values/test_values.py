from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import braze_value_rules
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.sync.declaration.sync import ALL_TYPES, ATTRIBUTE_TYPES, PROFILE_FIELDS, AttributeSpec
from braze_platform.sync.values.values import ValueRejected, canonicalise, decode, encode

RULES: Any = braze_value_rules
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
        ("integer", [2**63 - 1, Decimal(2**63 - 1)], "9223372036854775807"),
        ("integer", [-(2**63), str(-(2**63))], "-9223372036854775808"),
        ("number", [9007199254740993, "9007199254740993", Decimal("9007199254740993.0")], "9007199254740993"),
        ("number", [Decimal("12345678901234.123456789")], "12345678901234.123456789"),
        ("number", [0.1 + 0.2, 0.3, Decimal("0.3"), "0.30"], "0.3"),
        ("number", [2.9999999999999996, 3.0000000000000004, 3], "3"),
        ("number", [np.int64(3), np.float64(3.0), np.float32(3)], "3"),
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
        ("string", [123456789012345678, Decimal(123456789012345678)], '"123456789012345678"'),
        ("string", [Decimal("12.50")], '"12.50"'),
        ("string", [Decimal("1E-9")], '"0.000000001"'),
        ("string", [0.1, np.float64(0.1)], '"0.1"'),
        (
            "date",
            ["11/24/2026", "Tue 11 24 12:00:00.UTC 2026", np.datetime64("2026-11-24", "ns")],
            '"2026-11-24"',
        ),
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
                "2026-11-24T12:00:00:000Z",
                "2026-11-24T13:00:00:000+0100",
                "Tue 11 24 13:00:00.+01:00 2026",
                pd.Timestamp(NOON),
                pd.Timestamp(NOON, tz="UTC"),
                np.datetime64(NOON, "ns"),
            ],
            '"2026-11-24T12:00:00Z"',
        ),
        ("timestamp", [NOON.replace(microsecond=120_999)], '"2026-11-24T12:00:00.120Z"'),
        ("timestamp", [date(2026, 11, 24), "2026-11-24"], '"2026-11-24T00:00:00Z"'),
        ("array", [["b", "a", "b"], ("a", "b"), {"b", "a"}, '["a","b"]'], '["a","b"]'),
        ("array", [["b", "a", "c"], np.array(["b", "a", "c"])], '["b","a","c"]'),
        ("array", [[]], "[]"),
        ("object", [{"b": 1.0, "a": {"t": NOON}}], '{"a":{"t":{"$time":"2026-11-24T12:00:00Z"}},"b":1}'),
        ("object", ['{"a": 9007199254740993}', {"a": 9007199254740993}], '{"a":9007199254740993}'),
        ("object", ['{"a": [0.12345678901234567890]}'], '{"a":[0.1234567890123456789]}'),
        ("object", [{"b": 1, "n": pd.NaT, "d": [pd.NaT, 1]}], '{"b":1,"d":[1]}'),
        ("array_of_objects", ['[{"id":123456789012345678}]'], '[{"id":123456789012345678}]'),
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
        ("integer", -(2**63) - 1, "64-bit"),
        ("date", "13/01/2026", "day first"),
        ("date", "1/2/2026", "ISO 8601"),
        ("date", "01.02.2026", "ISO 8601"),
        ("date", "01-02-2026", "ISO 8601"),
        ("date", "02/30/2026", "calendar"),
        ("date", "NaT", "ISO 8601"),
        ("timestamp", "Wed 11 24 12:00:00.UTC 2026", "day of the week"),
        ("timestamp", "Tue 11 24 12:00:00.EST 2026", "ISO 8601"),
        ("string", math.nan, "finite"),
        ("number", Decimal("1e-400"), "range"),
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
        ("boolean", 2, "must be true or false"),
        ("boolean", "yes", "must be true or false"),
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
@pytest.mark.parametrize("nothing", [None, pd.NaT, pd.NA, np.datetime64("NaT")])
def test_null_stays_null(kind: str, nothing: object) -> None:
    assert canonicalise(nothing, spec(kind)) is None


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (2.675000000000001, 2, "2.68"),
        (2.6749999999999998, 2, "2.68"),
        (Decimal("2.674999999999999999999"), 2, "2.67"),
        (1234.5, 0, "1234"),
        ("9007199254740993.049", 1, "9007199254740993"),
        (3, 4, "3"),
        (-0.0001, 2, "0"),
    ],
)
def test_a_number_is_rounded_to_the_declared_places(value: object, decimals: int, expected: str) -> None:
    declared = AttributeSpec("a", "number", decimals=decimals)
    assert encode(canonicalise(value, declared)) == expected


@given(
    number=st.floats(allow_nan=False, allow_infinity=False, min_value=1e-200, max_value=1e200),
    ulps=st.integers(-1, 1),
)
def test_a_float_computed_in_another_order_is_the_same_number(number: float, ulps: int) -> None:
    """A float of 15 digits, and what lies a few last bits beside it."""
    middle = float(f"{number:.15g}")
    other = middle
    for _ in range(abs(ulps)):
        other = math.nextafter(other, math.inf if ulps > 0 else 0.0)
    if middle.is_integer() and abs(middle) <= 2**53 and other != middle and other.is_integer():
        return  # two whole numbers, exact as they are
    assert encode(canonicalise(other, spec("number"))) == encode(canonicalise(middle, spec("number")))


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
    assert decode(text.encode("utf-8")) == json.loads(text, parse_float=Decimal)
    assert encode(decode(text)) == text
    assert encode(canonicalise(once, spec(kind))) == text
    assert encode(canonicalise(decode(text), spec(kind))) == text


@given(
    number=st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False),
    kind=st.sampled_from(["integer", "number", "string", "boolean"]),
)
def test_equal_numbers_come_out_equal_whatever_their_type(number: int | float, kind: str) -> None:
    if isinstance(number, float) and kind == "number" and not number.is_integer():
        # The digits that a float is sure of; all of a decimal's are its own.
        exact = Decimal(repr(float(f"{number:.15g}")))
    else:
        exact = Decimal(number)
    forms = {number, exact}
    if float(number) == number and abs(number) <= 2**53 and int(number) == number:
        forms |= {int(number), float(number)}
    if kind == "string" and exact != exact.to_integral_value():
        forms = {number}
    if isinstance(number, float) and abs(number) > 2**53:
        forms = {number}
    results = set()
    for form in forms:
        try:
            results.add(encode(canonicalise(form, spec(kind))))
        except ValueRejected as error:
            results.add(f"rejected: {error.reason}")
    assert len(results) == 1


ITEMS = st.lists(st.text(alphabet="abcé", max_size=5), max_size=10)


@given(items=ITEMS)
def test_an_array_keeps_its_order_and_a_repeated_item_its_last_place(items: list[str]) -> None:
    kept = canonicalise(items, spec("array"))
    assert kept == sorted(set(items), key=lambda item: len(items) - 1 - items[::-1].index(item))


@given(items=ITEMS, seed=st.randoms())
def test_an_unordered_array_is_a_set(items: list[str], seed: Any) -> None:
    shuffled = items + items[:2]
    seed.shuffle(shuffled)
    declared = AttributeSpec("a", "array", unordered=True)
    assert canonicalise(items, declared) == canonicalise(shuffled, declared) == sorted(set(items))


@given(value=VALUES, kind=st.sampled_from(ATTRIBUTE_TYPES))
def test_braze_stores_what_is_accepted_as_the_same_value(value: object, kind: str) -> None:
    try:
        accepted = canonicalise(value, spec(kind))
    except ValueRejected:
        return
    sent = decode(encode(accepted))
    assert RULES.stored(sent) == sent
    if kind in ("date", "timestamp") and accepted is not None:
        assert RULES.is_date(sent)


@given(text=st.text(alphabet="ab ", min_size=240, max_size=270))
def test_a_refused_text_is_one_that_braze_does_not_keep(text: str) -> None:
    kept = RULES.stored(text) is not RULES.KEPT_OTHERWISE
    try:
        assert canonicalise(text, spec("string")) == text and kept
    except ValueRejected:
        assert not kept


#: What fields hold in companies' tables, and what happens to it on the way.
WRITTEN = [
    "DE",
    "de",
    "DEU",
    "Germany",
    "UK",
    "GB",
    "en_GB",
    "de-AT",
    "German",
    "english",
    "zh-Hans",
    "XX",
    "M",
    "female",
    "Other",
    "n/a",
    "prefer",
    "not",
    "Europe/Berlin",
    "europe/berlin",
    "CET",
    "UTC+1",
    "+4915112345678",
    "0151/12345678",
    "004915112345678",
    "+1-202-555-0143",
    "ada@example.com",
    "Ada@EXAMPLE.com",
    "a@b",
    "ada@bücher.example",
    "ada@@example.com",
    "1990-02-30",
    "1990-02-28",
    "28.02.1990",
    "0001-01-01",
]
FIELD_VALUES = st.one_of(
    st.builds(
        lambda before, text, after: before + text + after,
        st.sampled_from(["", " ", "\t", "x"]),
        st.sampled_from(WRITTEN),
        st.sampled_from(["", " ", "\n", "x"]),
    ),
    st.text(max_size=12),
    st.integers(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
)


@pytest.mark.parametrize("field", ["country", "language", "gender", "phone", "dob", "email", "time_zone"])
@settings(deadline=None)  # the first value loads the standards' tables
@given(value=FIELD_VALUES)
def test_braze_takes_every_value_of_a_profile_field_that_is_accepted(field: str, value: object) -> None:
    try:
        accepted = canonicalise(value, AttributeSpec(field, PROFILE_FIELDS[field]))
    except ValueRejected:
        return
    assert RULES.takes(field, accepted), accepted
