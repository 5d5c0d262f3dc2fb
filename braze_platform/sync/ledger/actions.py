"""The action per attribute of a user, in Python and in SQL, and the values that an object carries. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_UNCHANGED = str(Action.UNCHANGED)
_NOT_AS_VALUES = str.maketrans(
    {
        action.value: _UNCHANGED
        for action in (Action.LEDGER_ONLY, Action.REJECTED, Action.KNOWN_REJECTED, Action.OPERATOR)
    }
)


class Actions(str):
    """What becomes of a user's attributes: an `Action` for each, in the order of the plan's attributes.

    A text of as many letters, so that a plan's table holds it in one column.
    """

    __slots__ = ()

    @classmethod
    def of(cls, actions: Sequence[str]) -> Actions:
        """Of one action per attribute."""
        return cls("".join(actions))

    @classmethod
    def of_one(cls, action: Action, position: int, count: int) -> Actions:
        """An action of one of `count` attributes; the others stay as they are."""
        return cls(f"{_UNCHANGED * position}{action}{_UNCHANGED * (count - position - 1)}")

    def as_values(self) -> Actions:
        """Those by which an object carries whole values.

        >>> Actions("ncofr-").as_values()
        'nc----'
        """
        return Actions(self.translate(_NOT_AS_VALUES))

    def as_operators(self) -> Actions:
        """Those by which an object carries operators.

        >>> Actions("ncofr-").as_operators()
        '--o---'
        """
        return Actions.of([action if action == Action.OPERATOR else _UNCHANGED for action in self])

    def positions(self) -> Iterator[int]:
        """The attributes that do not stay as they are."""
        return (position for position, action in enumerate(self) if action != _UNCHANGED)

    def joined(self, other: str) -> Actions:
        """Both together, of one user.

        >>> Actions("c--").joined("-c-")
        'cc-'
        """
        return Actions.of([b if a == _UNCHANGED else a for a, b in zip(self, other, strict=True)])

    def without(self, other: str) -> Actions:
        """Those that `other` has not.

        >>> Actions("cc-").without("-c-")
        'c--'
        """
        return Actions.of([a if b == _UNCHANGED else _UNCHANGED for a, b in zip(self, other, strict=True)])


def action_sql(actions: str, position: int) -> str:
    """One attribute's action, of a column of them, as SQL."""
    return f"substr({actions}, {position + 1}, 1)"


def is_changed_sql(actions: str, position: int) -> str:
    """Whether one attribute does not stay as it is, as SQL."""
    return f"{action_sql(actions, position)} <> '{_UNCHANGED}'"


def joined_sql(actions: str, count: int) -> str:
    """The actions of several rows of one user together, as SQL: every letter sorts after that of `UNCHANGED`."""
    return " || ".join(f"max({action_sql(actions, position)})" for position in range(count))


def only_sql(actions: str, action: Action, count: int) -> str:
    """The attributes of one action, as SQL."""
    return " || ".join(
        f"case when {action_sql(actions, position)} = '{action}' then '{action}' else '{_UNCHANGED}' end"
        for position in range(count)
    )


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
