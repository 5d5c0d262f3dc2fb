"""How many data points a value costs under contracts that count them. Pure.

Source: https://www.braze.com/docs/user_guide/data/data_points and .../array_of_objects. Contracts by active users count
none; what is sent is the same.
"""

from __future__ import annotations

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.values.operators import is_operation, operation, operation_points
from braze_platform.sync.values.values import JsonValue

#: Subscription states are not billed.
_FREE = frozenset({"subscription_state", "subscription_groups"})


def data_points(spec: AttributeSpec, value: JsonValue, acknowledged: JsonValue = None) -> int:
    """One for a value, a whole array or a removal; one for each key of an object and of each object of an array.

    Of an operator: one for `inc`, one for each item, one for each key of objects that it adds or updates.
    """
    if spec.type in _FREE:
        return 0
    if spec.operator:
        expression = operation(spec, acknowledged, value)
        if is_operation(expression):
            return operation_points(expression)
    if isinstance(value, dict) and spec.type == "object":
        return max(1, _keys(value))
    if isinstance(value, list) and spec.type == "array_of_objects":
        return max(1, sum(_keys(item) for item in value))
    return 1


def _keys(value: JsonValue) -> int:
    """The keys of an object; an object inside it counts by its own keys, a time is one value."""
    if not isinstance(value, dict) or set(value) == {"$time"}:
        return 1
    return sum(_keys(item) for item in value.values())
