"""One canonical JSON form per attribute type, so that equal values are sent once and compare equal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.values import profile_fields
from braze_platform.sync.values.dates import date_text, timestamp_text
from braze_platform.sync.values.exact_numbers import integer, number, number_text
from braze_platform.sync.values.json_text import JsonValue as JsonValue
from braze_platform.sync.values.json_text import decode as decode
from braze_platform.sync.values.json_text import encode as encode
from braze_platform.sync.values.rejected import ValueRejected as ValueRejected

#: https://www.braze.com/docs/user_guide/data/activation/attributes/data_types
MAX_STRING_LENGTH = 255
MAX_ARRAY_ITEMS = 500
MAX_VALUE_BYTES = 100_000
#: An object of these keys alone is an operator to Braze, not a value.
RESERVED_KEYS = frozenset({"inc", "add", "remove"})

_SURROGATE = re.compile("[\ud800-\udfff]")
_TRUE, _FALSE = frozenset({"true", "t", "1"}), frozenset({"false", "f", "0"})
#: Python's own types, of which most values are.
_PLAIN = frozenset({bool, int, float, str, Decimal, date, datetime, list, tuple, dict, type(None)})


def canonicalise(value: object, spec: AttributeSpec, dropped: list[str] | None = None) -> JsonValue:
    """The one JSON form of a warehouse value under its declared type; None stays None.

    Equal values of one type come out equal: 1, 1.0 and "1" as integer or number, two instants in different
    zones as timestamp, one set of strings in any order as array where it is declared unordered. Integers and decimals
    keep all their digits. Raises `ValueRejected` for what Braze would refuse, drop or store as another type.

    Inside arrays and objects one bad part makes Braze drop the whole value, so it is taken out and its neighbours
    stay; why is appended to `dropped`. Nulls inside are not values: they are left out without a word.
    Only a value of which nothing is left is rejected.
    """
    value = _plain(value)
    if value is None:
        return None
    nested = _NESTED.get(spec.type)
    if nested is None:
        if spec.type == "number":
            return number(value, spec.decimals)
        if spec.type == "phone":
            return profile_fields.phone(value, spec.region)
        return _BY_TYPE[spec.type](value)
    parts = _Parts()
    result = nested(value, parts)
    if spec.unordered and isinstance(result, list):
        result = sorted(result, key=encode)
    if dropped is not None:
        dropped.extend(parts.reasons)
    return result


def _plain(value: Any) -> object:
    """Python's own value for one of numpy's or pandas'; None for their marks of nothing, such as NaT."""
    if type(value) in _PLAIN:
        return value
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if type(value).__module__.partition(".")[0] == "numpy":
        return _plain_of_numpy(value)
    # A timestamp of pandas, which has nanoseconds.
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value


def _plain_of_numpy(value: Any) -> object:
    """Python's own value for one of numpy's, which is imported only where it already is: production does without."""
    import numpy as np

    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.astype("datetime64[us]").item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


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


def _string(value: object) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        raise ValueRejected("is a boolean, declared as string")
    elif isinstance(value, (int, float, Decimal)):
        text = number_text(value)
    elif isinstance(value, datetime):
        text = timestamp_text(value)
    elif isinstance(value, date):
        text = date_text(value)
    elif isinstance(value, UUID):
        text = str(value)
    else:
        raise ValueRejected(f"is {_kind(value)}, declared as string")
    return _checked_text(text, "string")


def _checked_text(text: str, what: str) -> str:
    if len(text) > MAX_STRING_LENGTH:
        raise ValueRejected(f"{what} longer than {MAX_STRING_LENGTH} characters")
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueRejected(f"{what} holds half of a surrogate pair, which is invalid Unicode")
    return text


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise ValueRejected("must be true or false, declared as boolean")


def _array(value: object, parts: _Parts) -> JsonValue:
    """Strings in the order of the source; an item that is repeated stays at its last place, as in Braze.

    A set, which has no order, is brought into that of its code points.
    """
    given = _listed(value, "array", sets=True)
    kept: dict[str, None] = {}
    for index, raw in enumerate(given):
        try:
            item = _plain(raw)
            if item is None:
                continue
            if not isinstance(item, str):
                raise ValueRejected(f"array holds {_kind(item)}; Braze's arrays hold strings")
            text = _checked_text(item, "array item")
        except ValueRejected as error:
            parts.leave_out(str(index), error)
        else:
            kept.pop(text, None)
            kept[text] = None
    if len(kept) > MAX_ARRAY_ITEMS:
        raise ValueRejected(f"array of more than {MAX_ARRAY_ITEMS} items, of which Braze drops the oldest")
    items: list[JsonValue] = [*(sorted(kept) if isinstance(value, (set, frozenset)) else kept)]
    parts.check(items, len(given))
    return _sized(items)


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
        raise ValueRejected("invalid location: must have latitude and longitude")
    degrees = {name: number(value[name]) for name in ("latitude", "longitude")}
    if any(not -most <= degrees[name] <= most for name, most in (("latitude", 90), ("longitude", 180))):
        raise ValueRejected("invalid location: outside the globe")
    return {**degrees}


def _nested(value: object, parts: _Parts, path: str, depth: int) -> JsonValue:
    """A valid nested value; None for one of which nothing is left."""
    if depth > 50:
        raise ValueRejected("object nested more than 50 levels deep")
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)):
        return number(value)
    if isinstance(value, str):
        return _checked_text(value, "nested string")
    if isinstance(value, (datetime, date)):
        return {"$time": timestamp_text(value)}
    if isinstance(value, Mapping):
        if set(value) == {"$time"}:
            return {"$time": timestamp_text(value["$time"])}
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
    item = _plain(item)
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
        return decode(text)
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
    "integer": integer,
    "boolean": _boolean,
    "date": date_text,
    "timestamp": timestamp_text,
    **cast("dict[str, Callable[[object], JsonValue]]", profile_fields.FORMS),
}
_NESTED: dict[str, Callable[[object, _Parts], JsonValue]] = {
    "array": _array,
    "object": _object,
    "array_of_objects": _array_of_objects,
    "subscription_groups": _groups,
    "location": _location,
}
