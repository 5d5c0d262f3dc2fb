"""What is done with each attribute of a user, as a letter an attribute, and what an object carries. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.values.json_text import JsonValue, encode, value_hash

#: One letter per attribute and user, as the plan's table stores them.
NEW, CHANGED, CLEARED = "n", "c", "x"
FOLLOWS = "f"  #: the source value changed, its canonical form did not: the ledger follows, nothing is sent
REJECTED = "r"  #: the value must not be sent
LEFT_OUT = "p"  #: Braze rejected this very value before
OPERATED = "o"  #: sent as an operator, in an object of its own that is never sent twice
NOTHING = "-"
SENT = frozenset({NEW, CHANGED, CLEARED, OPERATED})


def delivery_values(
    specs: Sequence[AttributeSpec],
    actions: str,
    changes: Sequence[tuple[int, JsonValue, JsonValue]],
    *,
    operated: bool,
    with_values: bool,
) -> str:
    """What an object carries, as `deliveries` keeps it: a JSON array of an entry an attribute.

    An entry has the `attribute`, the `hash` of its canonical value (null: the attribute is cleared) and, with
    `with_values`, the `value` itself.
    """
    entries: list[dict[str, JsonValue]] = []
    for position, _, value in changes:
        if (actions[position] == OPERATED) is operated:
            entry: dict[str, JsonValue] = {
                "attribute": specs[position].name,
                "hash": None if value is None else value_hash(value),
            }
            entries.append(entry | {"value": value} if with_values else entry)
    return encode(entries)
