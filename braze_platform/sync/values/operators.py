"""Values sent as a change of what Braze holds (`inc`, `add`, `remove`, `$add`/`$update`/`$remove`). Pure.

An operator leaves alone what others wrote into the same attribute. It is the difference between the acknowledged value
and the new one, so that sending it twice would change the profile twice (rules and limits:
https://www.braze.com/docs/api/objects_filters/user_attributes_object and .../array_of_objects).

`$update` changes an object by Braze's deep merge, and by that alone: an object whose change is more than a merge is
documented to do is sent with the whole array, as a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.values.rejected import ValueRejected
from braze_platform.sync.values.values import MAX_VALUE_BYTES, RESERVED_KEYS, JsonValue, encode


def operation(spec: AttributeSpec, acknowledged: JsonValue, value: JsonValue) -> JsonValue:
    """The operator that brings an attribute from `acknowledged` to `value`, both canonical.

    None when nothing has to be sent: what is gone from a set that only grows, for example. A value that no operator
    can express is returned as it is and is then absolute: the first array of objects, and one in which an object lost
    a key, at any depth, or changed an array, which a merge cannot do. Raises `ValueRejected` for objects that their key
    does not distinguish.
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


def needs_merge(expression: JsonValue) -> bool:
    """Whether an operator needs `_merge_objects: true` beside the user's identifier.

    `$update` overwrites the whole object without it. It holds for every attribute of the user's object, and a value
    that is an object would be merged too: operators are sent separately from values.
    """
    return isinstance(expression, dict) and "$update" in expression


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
        changed = _merge_from(before, item)
        if changed is None or spec.identifier_key in changed:
            return value
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
    # Braze adds before it removes, and drops a change that makes the array too large, saying success.
    if add and len(encode([*old.values(), *add]).encode("utf-8")) > MAX_VALUE_BYTES:
        return value
    found: dict[str, JsonValue] = {"$add": add, "$remove": remove, "$update": update}
    return {name: entries for name, entries in found.items() if entries} or None


def _merge_from(
    before: Mapping[str, JsonValue], item: Mapping[str, JsonValue]
) -> dict[str, JsonValue] | None:
    """What a deep merge has to bring so that `before` becomes `item`; None where a merge cannot.

    A merge takes no key away, and Braze does not say what it makes of arrays, or where an object meets another kind
    of value (https://www.braze.com/docs/user_guide/data/activation/attributes/nested_custom_attribute_support).
    """
    if set(before) - set(item):
        return None
    changed: dict[str, JsonValue] = {}
    for name, part in item.items():
        known = before.get(name)
        if name not in before or (_is_plain(known) and _is_plain(part)):
            if name not in before or encode(known) != encode(part):
                changed[name] = part
        elif encode(known) != encode(part):
            nested = (
                _merge_from(known, part)
                if isinstance(known, dict) and isinstance(part, dict) and not _is_plain(known)
                else None
            )
            if nested is None:
                return None
            changed[name] = nested
    return changed


def _is_plain(value: JsonValue) -> bool:
    """Whether a merge replaces a value: a text, number, boolean or time."""
    return not isinstance(value, (dict, list)) or (isinstance(value, dict) and set(value) == {"$time"})


_Key: TypeAlias = tuple[str, JsonValue]


def _by_key(spec: AttributeSpec, value: JsonValue) -> dict[_Key, Mapping[str, JsonValue]]:
    """Objects by their identifier's value, in their order: 1 and 1.0 are one number, `true` and "1" are none."""
    found: dict[_Key, Mapping[str, JsonValue]] = {}
    for item in cast("list[Mapping[str, JsonValue]]", value):
        identifier = item.get(spec.identifier_key)
        if identifier is None or isinstance(identifier, (dict, list)):
            raise ValueRejected(f"holds an object without the identifier key '{spec.identifier_key}'")
        kind = "number" if _is_number(identifier) else type(identifier).__name__
        key = (kind, identifier)
        if key in found:
            raise ValueRejected(f"holds two objects of one '{spec.identifier_key}'")
        found[key] = item
    return found


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
