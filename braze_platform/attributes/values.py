"""One canonical JSON form per attribute type, so that equal values are sent once and compare equal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TypeAlias, cast
from uuid import UUID

from braze_platform.attributes import profile_fields
from braze_platform.attributes.rejected import ValueRejected as ValueRejected
from braze_platform.attributes.sync import AttributeSpec

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

#: https://www.braze.com/docs/user_guide/data/activation/attributes/data_types
MAX_STRING_LENGTH = 255
MAX_ARRAY_ITEMS = 500
MAX_VALUE_BYTES = 100_000
MAX_YEAR = 3000
#: An object of these keys alone is an operator to Braze, not a value.
RESERVED_KEYS = frozenset({"inc", "add", "remove"})
_MAX_INTEGER = 2**63 - 1
#: Above this a whole number has no exact float, so that 1e20 and 10**20 must both be written as a float.
_MAX_EXACT = 2**53

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_EXPONENT_TEXT = 400
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# One encoder for all: json.dumps would make another for every call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_TRUE, _FALSE = frozenset({"true", "t", "1"}), frozenset({"false", "f", "0"})


def canonicalise(value: object, spec: AttributeSpec, left_out: list[str] | None = None) -> JsonValue:
    """The one JSON form of a warehouse value under its declared type; None stays None.

    Equal values of one type come out equal: 1, 1.0 and "1" as integer or number, two instants in different
    zones as timestamp, one set of strings in any order as array. Raises `ValueRejected` for what Braze
    would refuse, drop or store as another type.

    Inside arrays and objects one bad part makes Braze drop the whole value, so it is taken out and its neighbours
    stay; why is appended to `left_out`. Nulls inside are no values: they are left out without a word.
    Only a value of which nothing is left is rejected.
    """
    if value is None:
        return None
    nested = _NESTED.get(spec.type)
    if nested is None:
        if spec.type == "phone":
            return profile_fields.phone(value, spec.region)
        return _BY_TYPE[spec.type](value)
    parts = _Parts()
    result = nested(value, parts)
    if left_out is not None:
        left_out.extend(parts.reasons)
    return result


class _Parts:
    """What is taken out of a nested value, and why."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def leave_out(self, path: str, error: ValueRejected) -> None:
        """Take one part out; its path is quoted, because keys may be personal data and quoted text is masked."""
        self.reasons.append(f"at '{path}': {error.reason}")

    def check(self, result: list[JsonValue] | dict[str, JsonValue], given: int) -> None:
        """Refuse a value that is empty only because all of it was taken out."""
        if given and not result:
            raise ValueRejected(
                self.reasons[0]
                if self.reasons
                else "holds nothing but null, which makes Braze drop the whole value"
            )


def encode(value: object) -> str:
    """Compact JSON text, UTF-8 characters kept as they are."""
    return _ENCODER.encode(value)


def _string(value: object) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        raise ValueRejected("is a boolean, declared as string")
    elif isinstance(value, (int, float, Decimal)):
        text = encode(_number(value))
    elif isinstance(value, datetime):
        text = _timestamp(value)
    elif isinstance(value, date):
        text = _date(value)
    elif isinstance(value, UUID):
        text = str(value)
    else:
        raise ValueRejected(f"is {_kind(value)}, declared as string")
    return _checked_text(text, "string")


def _checked_text(text: str, what: str) -> str:
    if len(text) > MAX_STRING_LENGTH:
        raise ValueRejected(f"{what} longer than {MAX_STRING_LENGTH} characters")
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueRejected(f"{what} holds half of a surrogate pair, which is no Unicode text")
    return text


def _decimal(value: object, declared: str) -> Decimal:
    """The exact number that a value means, finite and of a sane exponent."""
    if isinstance(value, bool):
        raise ValueRejected(f"is a boolean, declared as {declared}")
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueRejected("is not a finite number")
        return Decimal(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueRejected("is not a finite number")
        exact = value
    elif isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            raise ValueRejected(f"is text that is not a number, declared as {declared}")
        exact = Decimal(text)
    else:
        raise ValueRejected(f"is {_kind(value)}, declared as {declared}")
    if exact and abs(exact.adjusted()) > _MAX_EXPONENT_TEXT:
        raise ValueRejected("is out of the range of numbers")
    return exact


def _integer(value: object) -> int:
    if type(value) is int and -_MAX_INTEGER <= value <= _MAX_INTEGER:
        return value
    exact = _decimal(value, "integer")
    if exact != exact.to_integral_value():
        raise ValueRejected("has a fraction, declared as integer")
    whole = int(exact)
    if abs(whole) > _MAX_INTEGER:
        raise ValueRejected("is out of the range of 64-bit integers")
    return whole


def _number(value: object) -> int | float:
    if isinstance(value, float):
        shortest = value
        if not math.isfinite(value):
            raise ValueRejected("is not a finite number")
    else:
        shortest = float(_decimal(value, "number"))
        if not math.isfinite(shortest):
            raise ValueRejected("is out of the range of numbers")
    # By way of the float, so that a decimal beside it and the float itself take the same branch.
    if shortest.is_integer() and abs(shortest) <= _MAX_EXACT:
        return int(shortest)
    return shortest


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise ValueRejected("is neither true nor false, declared as boolean")


def _date(value: object) -> str:
    if isinstance(value, datetime):
        day = _utc(value).date()
    elif isinstance(value, date):
        day = value
    elif isinstance(value, str):
        match = _DATE.fullmatch(value.strip())
        day = _day(match) if match else _parsed_timestamp(value, "date").date()
    else:
        raise ValueRejected(f"is {_kind(value)}, declared as date")
    if day.year > MAX_YEAR:
        raise ValueRejected(f"is a date after the year {MAX_YEAR}, which Braze stores as text")
    return day.isoformat()


def _timestamp(value: object) -> str:
    if isinstance(value, datetime):
        moment = _utc(value)
    elif isinstance(value, date):
        moment = datetime.combine(value, time(), timezone.utc)
    elif isinstance(value, str):
        match = _DATE.fullmatch(value.strip())
        moment = (
            datetime.combine(_day(match), time(), timezone.utc)
            if match
            else _parsed_timestamp(value, "timestamp")
        )
    else:
        raise ValueRejected(f"is {_kind(value)}, declared as timestamp")
    if moment.year > MAX_YEAR:
        raise ValueRejected(f"is a time after the year {MAX_YEAR}, which Braze stores as text")
    milliseconds = moment.microsecond // 1000
    text = moment.replace(microsecond=0, tzinfo=None).isoformat()
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"


def _utc(moment: datetime) -> datetime:
    """A naive time is UTC already."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueRejected("is a time outside the calendar in UTC") from error


def _day(match: re.Match[str]) -> date:
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError as error:
        raise ValueRejected("is a day that is not in the calendar") from error


def _parsed_timestamp(text: str, declared: str) -> datetime:
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise ValueRejected(f"is text that is not ISO 8601, declared as {declared}")
    day = _DATE.fullmatch(match[1])
    if day is None:
        raise ValueRejected(f"is text that is not ISO 8601, declared as {declared}")
    fraction = (match[5] or "").ljust(6, "0")[:6]
    zone = timezone.utc
    if match[6] and match[6] not in ("Z", "z", "UTC"):
        digits = match[6][1:].replace(":", "").ljust(4, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        if offset >= timedelta(hours=24):
            raise ValueRejected("is a time with an impossible offset from UTC")
        zone = timezone(-offset if match[6][0] == "-" else offset)
    try:
        clock = time(int(match[2]), int(match[3]), int(match[4] or 0), int(fraction), tzinfo=zone)
    except ValueError as error:
        raise ValueRejected("is a time that is not on the clock") from error
    return _utc(datetime.combine(_day(day), clock))


def _array(value: object, parts: _Parts) -> JsonValue:
    """Strings as the set that Braze keeps: unique, in code point order."""
    items: set[str] = set()
    given = _listed(value, "array", sets=True)
    for index, item in enumerate(given):
        try:
            if item is None:
                continue
            if not isinstance(item, str):
                raise ValueRejected(f"array holds {_kind(item)}; Braze's arrays hold strings")
            items.add(_checked_text(item, "array item"))
        except ValueRejected as error:
            parts.leave_out(str(index), error)
    if len(items) > MAX_ARRAY_ITEMS:
        raise ValueRejected(f"array of more than {MAX_ARRAY_ITEMS} items, of which Braze drops the oldest")
    ordered: list[JsonValue] = [*sorted(items)]
    parts.check(ordered, len(given))
    return _sized(ordered)


def _listed(value: object, declared: str, *, sets: bool = False) -> list[object]:
    if isinstance(value, str):
        value = _parsed_json(value, declared)
    if isinstance(value, (list, tuple)) or (sets and isinstance(value, (set, frozenset))):
        return list(value)
    raise ValueRejected(f"is {_kind(value)}, declared as {declared}")


def _object(value: object, parts: _Parts) -> JsonValue:
    if isinstance(value, str):
        value = _parsed_json(value, "object")
    if not isinstance(value, Mapping):
        raise ValueRejected(f"is {_kind(value)}, declared as object")
    result = _nested_mapping(value, parts, "", 0)
    parts.check(result, len(value))
    if result and set(result) <= RESERVED_KEYS:
        raise ValueRejected("holds nothing but inc, add or remove, which Braze reads as an operator")
    return _sized(result)


def _array_of_objects(value: object, parts: _Parts) -> JsonValue:
    """Objects in the order of the source, which Braze keeps."""
    given = _listed(value, "array_of_objects")
    objects: list[JsonValue] = []
    for index, item in enumerate(given):
        if isinstance(item, Mapping):
            found = _nested_mapping(item, parts, str(index), 1)
            if found:
                objects.append(found)
        elif item is not None:
            parts.leave_out(str(index), ValueRejected(f"is {_kind(item)} in an array of objects"))
    parts.check(objects, len(given))
    return _sized(objects)


def _groups(value: object, parts: _Parts) -> JsonValue:
    # Not read part by part: half of a person's consent is not their consent.
    del parts
    return cast(JsonValue, profile_fields.subscription_groups(_listed(value, "subscription_groups")))


def _location(value: object, parts: _Parts) -> JsonValue:
    """`{"latitude": ..., "longitude": ...}` in degrees."""
    del parts
    if isinstance(value, str):
        value = _parsed_json(value, "current_location")
    if not isinstance(value, Mapping) or set(value) != {"latitude", "longitude"}:
        raise ValueRejected("is no location of latitude and longitude")
    degrees = {name: _number(value[name]) for name in ("latitude", "longitude")}
    if abs(degrees["latitude"]) > 90 or abs(degrees["longitude"]) > 180:
        raise ValueRejected("is a location outside the globe")
    return {**degrees}


def _nested(value: object, parts: _Parts, path: str, depth: int) -> JsonValue:
    """A valid nested value; None for one of which nothing is left."""
    if depth > 50:
        raise ValueRejected("object nested more than 50 levels deep")
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)):
        return _number(value)
    if isinstance(value, str):
        return _checked_text(value, "nested string")
    if isinstance(value, (datetime, date)):
        return {"$time": _timestamp(value)}
    if isinstance(value, Mapping):
        if set(value) == {"$time"}:
            return {"$time": _timestamp(value["$time"])}
        found = _nested_mapping(value, parts, path, depth)
        return found if found or not value else None
    if isinstance(value, (list, tuple)):
        items = [_part(item, parts, f"{path}.{index}", depth) for index, item in enumerate(value)]
        kept: list[JsonValue] = [item for item in items if item is not None]
        return kept if kept or not value else None
    raise ValueRejected(f"object holds {_kind(value)}")


def _nested_mapping(
    value: Mapping[object, object], parts: _Parts, path: str, depth: int
) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    for raw, item in value.items():
        try:
            key = _nested_key(raw)
        except ValueRejected as error:
            parts.leave_out(path, error)
            continue
        kept = _part(item, parts, f"{path}.{key}" if path else key, depth)
        if kept is not None:
            result[key] = kept
    return dict(sorted(result.items()))


def _part(item: object, parts: _Parts, path: str, depth: int) -> JsonValue:
    if item is None:
        return None
    try:
        return _nested(item, parts, path, depth + 1)
    except ValueRejected as error:
        parts.leave_out(path, error)
        return None


def _nested_key(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueRejected("object has a key that is not text")
    key = _checked_text(raw, "nested key")
    if not key or any(character in key for character in " .$"):
        raise ValueRejected("object has a key that is empty or holds a space, '.' or '$'")
    return key


def _parsed_json(text: str, declared: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueRejected(f"is text that is not JSON, declared as {declared}") from error


def _sized(value: JsonValue) -> JsonValue:
    if len(encode(value).encode("utf-8")) > MAX_VALUE_BYTES:
        raise ValueRejected(f"larger than {MAX_VALUE_BYTES} bytes")
    return value


def _kind(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


_BY_TYPE: dict[str, Callable[[object], JsonValue]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    **cast("dict[str, Callable[[object], JsonValue]]", profile_fields.FORMS),
}
_NESTED: dict[str, Callable[[object, _Parts], JsonValue]] = {
    "array": _array,
    "object": _object,
    "array_of_objects": _array_of_objects,
    "subscription_groups": _groups,
    "location": _location,
}
