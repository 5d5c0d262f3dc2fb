"""What a declared sync is: plain, frozen values that every other module of the room takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

AttributeType = Literal["string", "integer", "number", "boolean", "date", "timestamp", "array", "object"]
NullPolicy = Literal["clear", "skip"]
Transport = Literal["track", "bulk", "cdi"]
DisappearancePolicy = Literal["keep", "clear"]
IdentifierKind = Literal["external_id", "user_alias", "braze_id", "email", "phone"]

ATTRIBUTE_TYPES: tuple[str, ...] = get_args(AttributeType)
NULL_POLICIES: tuple[str, ...] = get_args(NullPolicy)
TRANSPORTS: tuple[str, ...] = get_args(Transport)
DISAPPEARANCE_POLICIES: tuple[str, ...] = get_args(DisappearancePolicy)
IDENTIFIER_KINDS: tuple[str, ...] = get_args(IdentifierKind)


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute of a sync: its name in Braze, the model's column and how a value becomes JSON."""

    name: str
    type: AttributeType
    nulls: NullPolicy = "clear"
    column: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if not self.column:
            object.__setattr__(self, "column", self.name)


@dataclass(frozen=True)
class Identifier:
    """Which columns name the user, and under which of Braze's identifiers.

    `columns` holds one column, or two for a user alias: the alias name, then its label.
    """

    kind: IdentifierKind
    columns: tuple[str, ...]

    def fields(self, key: tuple[str, ...]) -> dict[str, object]:
        """The identifier fields of an object for `/users/track`."""
        if self.kind == "user_alias":
            return {"user_alias": {"alias_name": key[0], "alias_label": key[1]}}
        return {self.kind: key[0]}


@dataclass(frozen=True)
class PlanLimits:
    """How much a plan may change before a person has to approve it.

    `max_changed_share` is the share of the users already in the ledger that the plan touches (0 to 1);
    `max_objects` is the number of users it touches.
    """

    max_changed_share: float | None = None
    max_objects: int | None = None


@dataclass(frozen=True)
class Sync:
    """One dbt model declared to be sent to Braze: one row a user, one column an attribute."""

    name: str
    schema: str
    table: str
    file: str
    folder: str
    transport: Transport
    identifier: Identifier
    attributes: tuple[AttributeSpec, ...]
    existing_only: bool = True
    when_row_disappears: DisappearancePolicy = "keep"
    limits: PlanLimits = PlanLimits()
    description: str = ""

    def only(self, names: set[str]) -> tuple[AttributeSpec, ...]:
        """Those attributes whose names are asked for, in the declared order."""
        return tuple(spec for spec in self.attributes if spec.name in names)
