"""The action per attribute of a user, and the values that an object carries. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.values.json_text import JsonValue, encode, value_hash


class Action(str, Enum):
    """The action of one attribute of one user; its value is the letter that the plan's table stores."""

    NEW = "n"
    CHANGED = "c"
    CLEARED = "x"
    #: The source value changed, its canonical form did not: the ledger takes it over, nothing is sent.
    LEDGER_ONLY = "f"
    #: The platform rejects the value: it must not be sent.
    REJECTED = "r"
    #: Braze rejected this very value before.
    KNOWN_REJECTED = "p"
    #: Sent as an operator, in an object of its own that is never retried.
    OPERATOR = "o"
    UNCHANGED = "-"

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, format_spec: str) -> str:
        return format(str(self.value), format_spec)


SENT = frozenset({Action.NEW, Action.CHANGED, Action.CLEARED, Action.OPERATOR})


def delivery_values(
    specs: Sequence[AttributeSpec],
    actions: str,
    changes: Sequence[tuple[int, JsonValue, JsonValue]],
    *,
    is_operator: bool,
    with_values: bool,
) -> str:
    """What an object carries, as `deliveries` keeps it: a JSON array of one entry per attribute.

    An entry has the `attribute`, the `hash` of its canonical value (null: the attribute is cleared) and, with
    `with_values`, the `value` itself.
    """
    entries: list[dict[str, JsonValue]] = []
    for position, _, value in changes:
        if (actions[position] == Action.OPERATOR) is is_operator:
            entry: dict[str, JsonValue] = {
                "attribute": specs[position].name,
                "hash": None if value is None else value_hash(value),
            }
            entries.append(entry | {"value": value} if with_values else entry)
    return encode(entries)
