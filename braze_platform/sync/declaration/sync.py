"""What a declared sync is: plain, frozen values that every other module of the room takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from braze_platform.sync.declaration.rejection_limit import DEFAULT_MAX_REJECTED_SHARE

CustomType = Literal[
    "string", "integer", "number", "boolean", "date", "timestamp", "array", "object", "array_of_objects"
]
#: Types of Braze's profile fields that no custom attribute has.
FieldType = Literal[
    "country",
    "language",
    "gender",
    "email",
    "phone",
    "time_zone",
    "subscription_state",
    "subscription_groups",
    "location",
]
AttributeType: TypeAlias = CustomType | FieldType
NullPolicy = Literal["clear", "skip"]
Transport = Literal["track", "bulk", "cdi"]
DisappearancePolicy = Literal["keep", "clear"]
IdentifierKind = Literal["external_id", "user_alias", "braze_id", "email", "phone"]
#: `inc` adds to a number, `add` and `remove` change a set, `objects` changes an array of objects by their key.
Operator = Literal["inc", "add", "remove", "objects"]
#: Whose value stands when somebody else changed it in Braze: the warehouse's, or whichever came last.
ConflictPolicy = Literal["warehouse_wins", "braze_wins"]
#: A sync of higher priority is sent first.
Priority = Literal["high", "normal", "low"]

#: Types that a custom attribute may be declared with.
ATTRIBUTE_TYPES: tuple[str, ...] = get_args(CustomType)
ALL_TYPES: tuple[str, ...] = (*ATTRIBUTE_TYPES, *get_args(FieldType))
#: Braze's profile fields that a sync may write, with their types
#: (https://www.braze.com/docs/api/objects_filters/user_attributes_object).
PROFILE_FIELDS: dict[str, AttributeType] = {
    "country": "country",
    "current_location": "location",
    "date_of_first_session": "timestamp",
    "date_of_last_session": "timestamp",
    "dob": "date",
    "email": "email",
    "email_click_tracking_disabled": "boolean",
    "email_open_tracking_disabled": "boolean",
    "email_subscribe": "subscription_state",
    "first_name": "string",
    "gender": "gender",
    "home_city": "string",
    "language": "language",
    "last_name": "string",
    "marked_email_as_spam_at": "timestamp",
    "phone": "phone",
    "push_subscribe": "subscription_state",
    "subscription_groups": "subscription_groups",
    "time_zone": "time_zone",
}
ProfileField: TypeAlias = Literal[tuple(PROFILE_FIELDS)]  # type: ignore[valid-type]
#: Profile fields that Braze refuses to empty: a null of theirs can only be skipped.
NEVER_CLEARED = frozenset({"current_location", "email_subscribe", "push_subscribe", "subscription_groups"})
IDENTIFIER_KINDS: tuple[str, ...] = get_args(IdentifierKind)
PRIORITIES: tuple[str, ...] = get_args(Priority)
#: Each operator with the type of attribute that it changes.
OPERATORS: dict[str, AttributeType] = {
    "inc": "integer",
    "add": "array",
    "remove": "array",
    "objects": "array_of_objects",
}


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute of a sync: its name in Braze, the model's column and how a value becomes JSON."""

    name: str
    type: AttributeType
    nulls: NullPolicy = "clear"
    column: str = ""
    description: str = ""
    #: For phone numbers without a country code: the country (ISO 3166-1 alpha-2) whose numbers they are.
    region: str = ""
    #: How the value is sent when not as a whole; empty: as a whole.
    operator: Operator | Literal[""] = ""
    #: The key that distinguishes the objects of an array, for the operator `objects`.
    identifier_key: str = ""
    on_conflict: ConflictPolicy = "braze_wins"
    #: Of an array: its order means nothing, so that two of one set of items are equal.
    unordered: bool = False
    #: Of a number: how many places after the point it is rounded to; None: none are taken away.
    decimals: int | None = None

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
    #: For phone numbers without a country code: the country (ISO 3166-1 alpha-2) whose numbers they are.
    region: str = ""

    def fields(self, key: tuple[str, ...]) -> dict[str, object]:
        """The identifier fields of an object for `/users/track`."""
        if self.kind == "user_alias":
            return {"user_alias": {"alias_name": key[0], "alias_label": key[1]}}
        return {self.kind: key[0]}


@dataclass(frozen=True)
class PlanLimits:
    """How much a plan may change before a person has to approve it; what each means is said in `models.Limits`.

    The newest value of the model's column `fresh_column` may be `max_age_hours` old. None is no limit of what changes
    or is sent; of what is cleared, of a fall and of a first plan it is the default (see `guards`).
    """

    max_changed_share: float | None = None
    max_objects: int | None = None
    max_cleared_share: float | None = None
    max_rejected_share: float = DEFAULT_MAX_REJECTED_SHARE
    max_lookups: int = 2_000
    max_row_fall: float | None = None
    fresh_column: str = ""
    max_age_hours: float = 0.0
    max_first_users: int | None = None
    max_renamed_users: int = 0


@dataclass(frozen=True)
class Sync:
    """One dbt model declared to be sent to Braze: one row per user, one column per attribute."""

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
    priority: Priority = "normal"
    #: The name that the sync had before it was renamed; its ledger follows. Empty: none.
    formerly: str = ""

    def only(self, names: set[str]) -> tuple[AttributeSpec, ...]:
        """Those attributes whose names are asked for, in the declared order."""
        return tuple(spec for spec in self.attributes if spec.name in names)
