"""What `braze_sync` and `braze_attribute` may say, as pydantic models, from which the JSON schema is made as well.

Rules that concern two keys are validators of the later one, so that they are reported beside the other keys' mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Annotated, Any

import phonenumbers
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)

from braze_platform.sync.declaration.attribute_names import name_mistakes
from braze_platform.sync.declaration.sync import (
    ATTRIBUTE_TYPES,
    IDENTIFIER_KINDS,
    NEVER_CLEARED,
    OPERATORS,
    PROFILE_FIELDS,
    AttributeSpec,
    ConflictPolicy,
    CustomType,
    DisappearancePolicy,
    Identifier,
    NullPolicy,
    Operator,
    PlanLimits,
    Priority,
    ProfileField,
    Transport,
)

_REGION = "write a country's two letters (ISO 3166-1), e.g. DE"
_IDENTIFIER = f"write a column, or one of {', '.join(IDENTIFIER_KINDS)} with its column"
#: More places than a BIGNUMERIC has after its point make no sense.
_MAX_DECIMALS = 38


class Mistake(ValueError):
    """Whole sentences about a declaration; any other `ValueError` says what to write in place of a value."""


@dataclass
class Surroundings:
    """What a declaration is judged with, the context of its validation; in `read` what of a sync is right."""

    columns: frozenset[str] = frozenset()
    read: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(info: ValidationInfo) -> Surroundings:
        """Those of a validation."""
        return info.context or Surroundings()


def did_you_mean(word: object, known: Any) -> str:
    """A suggestion in brackets; empty where no known word is near."""
    close = get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _or(remedy: str) -> WrapValidator:
    """Says what to write in place of what pydantic says of a type or a range."""

    def check(value: object, judge: Callable[[object], object]) -> object:
        try:
            return judge(value)
        except ValidationError:
            raise ValueError(remedy) from None

    return WrapValidator(check)


def _column_of(key: str) -> BeforeValidator:
    """The model must describe the column that a key names."""

    def check(column: object, info: ValidationInfo) -> object:
        known = Surroundings.of(info).columns
        if not isinstance(column, str) or column not in known:
            raise Mistake(
                f"the column {column!r} of `{key}` is not among the model's columns{did_you_mean(column, known)}. "
                f"Describe it in the YAML file, or correct `{key}`."
            )
        return column

    return BeforeValidator(check)


def _region(region: str, is_phone: bool) -> str:
    if region and not is_phone:
        raise Mistake("has `region`, which only the profile field `phone` and the identifier `phone` take.")
    if region and region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(_REGION)
    return region


_Count = Annotated[int | None, Field(strict=True, ge=0), _or("write a whole number")]
_Share = Annotated[float | None, Field(strict=True, ge=0, le=1), _or("write a number from 0 to 1")]
_Hours = Annotated[float, Field(strict=True, gt=0), _or("write a number above 0")]
_Text = Annotated[str, Field(strict=True)]
_Region = Annotated[_Text, _or(_REGION)]
_IdentifierColumn = Annotated[str, _column_of("identifier")]


class Declared(BaseModel):
    """A mapping in YAML: unknown keys are mistakes, docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AliasColumns(Declared):
    """The columns of a user alias."""

    name: _IdentifierColumn
    """Column with the alias name."""
    label: _IdentifierColumn
    """Column with the alias label."""


class IdentifierColumns(Declared):
    """One of Braze's identifiers, with the column that holds it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 2})

    external_id: _IdentifierColumn | None = None
    """Column with the external id."""
    user_alias: AliasColumns | None = None
    """Columns with the alias name and its label."""
    braze_id: _IdentifierColumn | None = None
    """Column with the Braze id."""
    email: _IdentifierColumn | None = None
    """Column with the e-mail address."""
    phone: _IdentifierColumn | None = None
    """Column with the phone number."""
    region: _Region = ""
    """For phone numbers without a country code: the country (ISO 3166-1 alpha-2) whose numbers they are, e.g. `DE`."""

    @field_validator("region")
    @classmethod
    def _region_of_a_phone(cls, region: str, info: ValidationInfo) -> str:
        return _region(region, is_phone=info.data.get("phone", "wrong") is not None)

    @model_validator(mode="after")
    def _is_one(self) -> IdentifierColumns:
        if len(self._given()) != 1:
            raise Mistake(f"`identifier` names {len(self._given())} identifiers; {_IDENTIFIER}.")
        return self

    def _given(self) -> list[Any]:
        return [kind for kind in IDENTIFIER_KINDS if getattr(self, kind) is not None]

    def identifier(self) -> Identifier:
        """The same for the modules that send."""
        [kind] = self._given()
        columns = getattr(self, kind)
        return Identifier(
            kind, (columns.name, columns.label) if kind == "user_alias" else (columns,), self.region
        )


class Fresh(Declared):
    """How old the newest value of a column may be when a plan is made."""

    column: Annotated[str, _column_of("fresh")]
    """Column with a time."""
    max_hours: _Hours
    """Hours that its newest value may be old."""


class Limits(Declared):
    """How much a plan may change before a person has to approve it."""

    max_changed_share: _Share = None
    """Share (0 to 1) of the users in the ledger that a plan may touch; by default no limit."""
    max_objects: _Count = None
    """Number of users that a plan may touch; by default no limit."""
    max_cleared_share: _Share = None
    """Share (0 to 1) of an attribute's acknowledged values that a plan may clear; by default 0.1, above 100."""
    max_rejected_share: _Share = None
    """Share (0 to 1) of the values sent in a run that Braze may reject before the run stops; by default 0.1, above
    100."""
    max_lookups: _Count = None
    """Users that a run may look up in Braze where Currents does not tell whether they exist; by default 2,000, 0 for
    never."""
    max_row_fall: _Share = None
    """Share (0 to 1) of users that the model may have lost since the last plan that was applied; by default 0.2, above
    100."""
    fresh: Fresh | None = None
    max_first_users: _Count = None
    """Users that the model may have while the ledger is empty; by default 200, and any number where Braze is a sandbox
    of this machine."""
    max_renamed_users: _Count = None
    """Users that may be cleared although a new user has exactly their values (a renamed external id?); by default 0."""

    def plan_limits(self) -> PlanLimits:
        """The same for the modules that plan; what is not declared has its default there."""
        limits = PlanLimits(**self.model_dump(exclude_none=True, exclude={"fresh"}))
        if self.fresh is None:
            return limits
        return replace(limits, fresh_column=self.fresh.column, max_age_hours=self.fresh.max_hours)


def _identifier(declared: object) -> object:
    if isinstance(declared, str):
        is_kind = declared in IDENTIFIER_KINDS and declared != "user_alias"
        return {declared if is_kind else "external_id": declared}
    if declared is None:
        raise Mistake("has no `identifier`. Name the column that holds the user: `identifier: external_id`.")
    if isinstance(declared, Mapping):
        return declared
    raise ValueError(_IDENTIFIER)


class BrazeSync(Declared):
    """A sync: the model's rows are users, its columns with `braze_attribute` are sent to Braze."""

    transport: Transport = "track"
    """`track` is `/users/track`; `bulk` is `/users/track/bulk` and falls back to `track` where the key lacks it; `cdi`
    is Cloud Data Ingestion."""
    identifier: Annotated[
        IdentifierColumns, BeforeValidator(_identifier, json_schema_input_type=str | IdentifierColumns)
    ]
    """The column that holds the user's external id; or one of Braze's identifiers with its column, e.g.
    `{email: address}`."""
    existing_only: StrictBool = True
    """Whether values are sent for users only that exist in Braze, so that none are created."""
    when_row_disappears: DisappearancePolicy = "keep"
    """What becomes of a user's attributes when the user is not in the model any more: `keep` or `clear`."""
    limits: Limits | None = None
    on_conflict: ConflictPolicy = "braze_wins"
    """When somebody else changed the value in Braze: `warehouse_wins` sends it again, `braze_wins` keeps what Braze
    has."""
    priority: Priority = "normal"
    """A sync of higher priority is sent first."""
    formerly: Annotated[
        str | None, Field(strict=True, pattern=r"^\w+$"), _or("write the name that this model had before")
    ] = None
    """The name that the model had before it was renamed; its ledger follows and nothing is sent again."""

    @field_validator("transport", "identifier", "on_conflict", "formerly")
    @classmethod
    def _keep_what_is_right(cls, value: object, info: ValidationInfo) -> object:
        """For the rules across a sync and its attributes, which are reported beside a sync's other mistakes."""
        Surroundings.of(info).read[str(info.field_name)] = value
        return value


class BrazeAttribute(Declared):
    """An attribute: the column's values are sent to Braze."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["type"]}, {"required": ["profile_field"]}]}
    )

    profile_field: ProfileField | None = None
    """Field of Braze's profile that is written in place of a custom attribute; it has its own name and type."""
    type: CustomType | None = Field(default=None, validate_default=True)
    """Type of the custom attribute."""
    name: Annotated[_Text, Field(min_length=1), _or("write the attribute's name as text")] = ""
    """Name of the custom attribute in Braze; by default the column's name."""
    nulls: NullPolicy = Field(default="clear", validate_default=True)
    """What a null does: `clear` empties the attribute, `skip` sends nothing."""
    region: _Region = ""
    """For phone numbers without a country code: the country (ISO 3166-1 alpha-2) whose numbers they are, e.g. `DE`."""
    operator: Operator | None = None
    """How the value is sent when not as a whole: `inc` adds to an integer, `add` and `remove` change an array,
    `objects` changes an array of objects by their key. It needs `nulls: skip`."""
    identifier_key: Annotated[_Text, _or("write the key by which the objects are distinguished")] = Field(
        default="", validate_default=True
    )
    """The key that distinguishes the objects of an array, for `operator: objects`."""
    on_conflict: ConflictPolicy = "braze_wins"
    """As of the sync, for this attribute alone; by default the sync's."""
    unordered: StrictBool = False
    """Whether the order of an array means nothing, so that it is compared and sent as a set."""
    decimals: Annotated[
        int | None,
        Field(strict=True, ge=0, le=_MAX_DECIMALS),
        _or(f"write a whole number from 0 to {_MAX_DECIMALS}"),
    ] = None
    """Places after the point to which a number is rounded; by default it is canonical at 15 significant digits."""

    def spec(self, column: str, description: str) -> AttributeSpec:
        """The same for the modules that send."""
        same = self.model_dump(exclude={"profile_field", "name", "type", "operator"})
        name, operator = self.profile_field or self.name, self.operator or ""
        return AttributeSpec(
            name, _kind(self.__dict__), column=column, description=description, operator=operator, **same
        )

    @field_validator("type", "name")
    @classmethod
    def _fits_a_custom_attribute(cls, value: str | None, info: ValidationInfo) -> str | None:
        key, profile_field = info.field_name, info.data.get("profile_field", "wrong")
        if value is None and profile_field is None:
            raise Mistake(
                f"has no `type`; use one of {', '.join(ATTRIBUTE_TYPES)}, or name a profile field of Braze by "
                "`profile_field`."
            )
        if value is not None and profile_field in PROFILE_FIELDS:
            raise Mistake(f"has `profile_field` and `{key}`; Braze gives the field its {key}.")
        if key == "name" and value and profile_field is None and (mistakes := list(name_mistakes(value))):
            raise Mistake(*mistakes)
        return value

    @field_validator("nulls")
    @classmethod
    def _can_be_cleared(cls, nulls: str, info: ValidationInfo) -> str:
        name = info.data.get("profile_field")
        if name in NEVER_CLEARED and nulls != "skip":
            raise Mistake(f"the profile field {name!r} cannot be emptied in Braze; write `nulls: skip`.")
        return nulls

    @field_validator("region")
    @classmethod
    def _region_of_a_phone(cls, region: str, info: ValidationInfo) -> str:
        return _region(region, is_phone=_kind(info.data) in ("phone", None))

    @field_validator("identifier_key")
    @classmethod
    def _fits_the_operator(cls, key: str, info: ValidationInfo) -> str:
        """All rules of an operator: a null would clear what others wrote, and an object is found by its key."""
        operator = info.data.get("operator", "wrong")
        wrong = []
        if operator in OPERATORS:
            if _kind(info.data) not in (OPERATORS[operator], None):
                wrong.append(f"`operator: {operator}` changes an attribute of `type: {OPERATORS[operator]}`.")
            if info.data.get("nulls", "skip") != "skip":
                wrong.append(
                    f"has `operator: {operator}`; write `nulls: skip`, since a null would clear what others wrote, too."
                )
        if operator == "objects" and not key:
            wrong.append(
                "`operator: objects` needs `identifier_key`: the key by which its objects are distinguished."
            )
        if key and operator not in ("objects", "wrong"):
            wrong.append("has `identifier_key`, which only `operator: objects` takes.")
        if wrong:
            raise Mistake(*wrong)
        return key

    @field_validator("unordered", "decimals")
    @classmethod
    def _fits_the_type(cls, value: object, info: ValidationInfo) -> object:
        needed = "array" if info.field_name == "unordered" else "number"
        if value is not None and value is not False and _kind(info.data) not in (needed, None):
            raise Mistake(f"has `{info.field_name}`, which only an attribute of `type: {needed}` takes.")
        return value


def _kind(read: Mapping[str, Any]) -> Any:
    """The type of what could be read of an attribute; None where that is not known."""
    return PROFILE_FIELDS.get(read.get("profile_field") or "", read.get("type"))
