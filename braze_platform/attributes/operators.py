"""Values sent as a change of what Braze holds (`inc`, `add`, `remove`, `$add`/`$update`/`$remove`). Pure.

An operator leaves alone what others wrote into the same attribute. It is the difference between the acknowledged value
and the new one, so that sending it twice would change the profile twice (rules and limits:
https://www.braze.com/docs/api/objects_filters/user_attributes_object and .../array_of_objects).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from braze_platform.attributes.rejected import ValueRejected
from braze_platform.attributes.sync import AttributeSpec
from braze_platform.attributes.values import RESERVED_KEYS, JsonValue, encode


def operation(spec: AttributeSpec, acknowledged: JsonValue, value: JsonValue) -> JsonValue:
    """The operator that brings an attribute from `acknowledged` to `value`, both canonical.

    None when nothing has to be sent: what is gone from a set that only grows, for example. A value that no operator
    can express is returned as it is and is then absolute: the first array of objects, and one whose object lost a key,
    which `$update` cannot take away. Raises `ValueRejected` for objects that their key does not tell apart.
    """
    if spec.operator == "inc":
        step = cast(int, value) - cast(int, acknowledged or 0)
        return {"inc": step} if step or acknowledged is None else None
    if spec.operator in ("add", "remove"):
        known = set(cast("list[str]", acknowledged or []))
        items: list[JsonValue] = [item for item in cast("list[str]", value) if item not in known]
        return {spec.operator: items} if items else None
    return _objects(spec, acknowledged, value)


def is_operation(expression: JsonValue) -> bool:
    """Whether what would be sent is an operator, not a value."""
    return (
        isinstance(expression, dict)
        and bool(expression)
        and (
            set(expression) <= RESERVED_KEYS
            or all(key.startswith("$") and key != "$time" for key in expression)
        )
    )


def operation_points(expression: JsonValue) -> int:
    """Data points of an operator: one for `inc`, one for each item, one for each key that is added or updated."""
    content = cast("Mapping[str, JsonValue]", expression)
    points = 0
    for name, argument in content.items():
        if name == "inc":
            points += 1
        for entry in argument if isinstance(argument, list) else []:
            if name == "$add":
                points += len(cast("Mapping[str, JsonValue]", entry))
            elif name == "$update":
                points += len(
                    cast("Mapping[str, JsonValue]", cast("Mapping[str, JsonValue]", entry)["$new_object"])
                )
            else:
                points += 1
    return max(1, points)


def _objects(spec: AttributeSpec, acknowledged: JsonValue, value: JsonValue) -> JsonValue:
    new = _by_key(spec, value)
    if acknowledged is None:
        return value
    try:
        old = _by_key(spec, acknowledged)
    except ValueRejected:
        # Acknowledged before the key was declared: only the whole array is sure to replace it.
        return value
    update: list[JsonValue] = []
    for key, item in new.items():
        before = old.get(key)
        if before is None or encode(before) == encode(item):
            continue
        if set(before) - set(item):
            return value
        changed: dict[str, JsonValue] = {
            name: part
            for name, part in item.items()
            if name not in before or encode(before[name]) != encode(part)
        }
        update.append(
            {
                "$identifier_key": spec.identifier_key,
                "$identifier_value": item[spec.identifier_key],
                "$new_object": changed,
            }
        )
    add: list[JsonValue] = [dict(item) for key, item in new.items() if key not in old]
    remove: list[JsonValue] = [
        {"$identifier_key": spec.identifier_key, "$identifier_value": item[spec.identifier_key]}
        for key, item in old.items()
        if key not in new
    ]
    found: dict[str, JsonValue] = {"$add": add, "$remove": remove, "$update": update}
    return {name: entries for name, entries in found.items() if entries} or None


def _by_key(spec: AttributeSpec, value: JsonValue) -> dict[str, Mapping[str, JsonValue]]:
    """Objects by the text of their identifier's value, in their order."""
    found: dict[str, Mapping[str, JsonValue]] = {}
    for item in cast("list[Mapping[str, JsonValue]]", value):
        if spec.identifier_key not in item or isinstance(item[spec.identifier_key], (dict, list)):
            raise ValueRejected(f"holds an object without the identifier key '{spec.identifier_key}'")
        key = encode(item[spec.identifier_key])
        if key in found:
            raise ValueRejected(f"holds two objects of one '{spec.identifier_key}'")
        found[key] = item
    return found
