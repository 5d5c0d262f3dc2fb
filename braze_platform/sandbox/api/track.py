"""Reads the body of `/users/track` as Braze does: what is taken, and which objects are wrong, by array and index.

Pure: profiles come in later, in `ingest`. Source: Braze's pages on the endpoint, its objects and API errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

import pycountry

from braze_platform.sandbox.api.attribute_rules import (
    DROPPED,
    MAX_TEXT,
    STANDARD_ATTRIBUTES,
    StandardAttributeRefused,
    check_standard,
    is_address,
    is_date,
)
from braze_platform.sandbox.api.ecommerce import schema_mistake

InputArray = Literal["attributes", "events", "purchases"]
IdentifierKind = Literal["external_id", "braze_id", "user_alias", "email", "phone"]

ARRAYS: tuple[InputArray, ...] = ("attributes", "events", "purchases")
MAX_OBJECTS = 75
MAX_EXTERNAL_ID_BYTES = 987
MAX_PROPERTIES_BYTES = 102_400
_RESERVED_PROPERTIES = frozenset({"time", "event_name"})
_PRIMARY: tuple[IdentifierKind, ...] = ("external_id", "braze_id", "user_alias")
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_NOT_ATTRIBUTES = frozenset(
    {"external_id", "braze_id", "user_alias", "_update_existing_only", "_merge_objects", "push_token_import"}
)


class RequestRefused(Exception):
    """The whole request is refused and nothing of it happens; the message is what the answer says."""


class _ObjectRefused(Exception):
    """One object is refused; the message is the error's `type`."""


@dataclass(frozen=True)
class Identifier:
    """How an object names its user; `label` only for an alias."""

    kind: IdentifierKind
    value: str
    label: str | None = None


@dataclass(frozen=True)
class AttributesObject:
    """One good object of `attributes`."""

    index: int
    identifier: Identifier
    existing_only: bool
    merge_objects: bool
    standard: dict[str, Any]
    custom: dict[str, Any]


@dataclass(frozen=True)
class OccurrenceObject:
    """One good object of `events` or `purchases`."""

    index: int
    array: InputArray
    identifier: Identifier
    existing_only: bool
    body: dict[str, Any]


@dataclass(frozen=True)
class ObjectError:
    """One refused object, as the answer lists it."""

    type: str
    input_array: InputArray
    index: int

    def to_json(self) -> dict[str, Any]:
        """The entry in the answer's `errors`."""
        return {"type": self.type, "input_array": self.input_array, "index": self.index}


@dataclass
class TrackRequest:
    """A request as understood: good objects, and errors for the others."""

    attributes: list[AttributesObject] = field(default_factory=list)
    occurrences: list[OccurrenceObject] = field(default_factory=list)
    errors: list[ObjectError] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """The body of the answer: counts of what is processed, and the errors if there are any."""
        body: dict[str, Any] = {"message": "success"}
        for array in ARRAYS:
            count = (
                len(self.attributes)
                if array == "attributes"
                else sum(o.array == array for o in self.occurrences)
            )
            if count:
                body[f"{array}_processed"] = count
        if self.errors:
            body["errors"] = [error.to_json() for error in self.errors]
        return body


def read_request(body: Any, max_objects: int = MAX_OBJECTS) -> TrackRequest:
    """Read a decoded body; raises `RequestRefused` when nothing of it can be taken."""
    if not isinstance(body, dict):
        raise RequestRefused("The request body must be a JSON object.")
    arrays: dict[InputArray, list[Any]] = {}
    for array in ARRAYS:
        objects = body.get(array)
        if objects is None:
            continue
        if not isinstance(objects, list):
            raise RequestRefused(f"'{array}' must be an array of objects.")
        arrays[array] = objects
    count = sum(map(len, arrays.values()))
    if count == 0:
        raise RequestRefused("Give at least one object in 'attributes', 'events' or 'purchases'.")
    if count > max_objects:
        raise RequestRefused(f"Max Input Length Exceeded: {count} objects, at most {max_objects} in all.")
    request = TrackRequest()
    for array, objects in arrays.items():
        for index, given in enumerate(objects):
            try:
                if not isinstance(given, dict):
                    raise _ObjectRefused("Every entry must be a JSON object.")
                if array == "attributes":
                    request.attributes.append(_attributes_object(index, given))
                else:
                    request.occurrences.append(_occurrence(index, array, given))
            except (_ObjectRefused, StandardAttributeRefused) as refused:
                request.errors.append(ObjectError(str(refused), array, index))
    return request


def _attributes_object(index: int, given: Mapping[str, Any]) -> AttributesObject:
    identifier = _identifier(given)
    standard: dict[str, Any] = {}
    custom: dict[str, Any] = {}
    for written, value in given.items():
        name = (
            written.strip()
        )  # https://www.braze.com/docs/user_guide/data/activation/attributes/custom_attributes
        if name in _NOT_ATTRIBUTES:
            continue
        if name in STANDARD_ATTRIBUTES:
            checked = check_standard(name, value)
            if checked is not DROPPED:
                standard[name] = checked
        else:
            custom[name] = value
    return AttributesObject(
        index,
        identifier,
        _existing_only(given, identifier),
        given.get("_merge_objects") is True,
        standard,
        custom,
    )


def _occurrence(index: int, array: InputArray, given: Mapping[str, Any]) -> OccurrenceObject:
    identifier = _identifier(given)
    time = given.get("time")
    if not isinstance(time, str) or not is_date(time):
        raise _ObjectRefused("'time' must be a date in ISO 8601")
    _check_properties(given.get("properties", {}))
    names: tuple[str, ...] = ("name", "time", "properties", "app_id")
    if array == "events":
        _require_text(given, "name")
        if given["name"].startswith("$"):
            raise _ObjectRefused("'name' must not begin with a dollar sign")
        mistake = schema_mistake(given["name"], given.get("properties", {}))
        if mistake is not None:
            raise _ObjectRefused(mistake)
    else:
        _require_text(given, "product_id")
        currency, price, quantity = given.get("currency"), given.get("price"), given.get("quantity", 1)
        if not isinstance(currency, str) or pycountry.currencies.get(alpha_3=currency) is None:
            raise _ObjectRefused("'currency' must be an ISO 4217 code")
        if isinstance(price, bool) or not isinstance(price, (int, float)):
            raise _ObjectRefused("'price' must be a number")
        if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= 100:
            raise _ObjectRefused("'quantity' must be an integer from 1 to 100")
        names = ("product_id", "currency", "price", "quantity", "time", "properties", "app_id")
    body = {name: given[name] for name in names if name in given}
    body["time"] = _not_in_the_future(time)
    return OccurrenceObject(index, array, identifier, _existing_only(given, identifier), body)


def _check_properties(properties: Any) -> None:
    """Refuse properties as Braze's pages on events and purchases say, with the reserved names."""
    if not isinstance(properties, dict):
        raise _ObjectRefused("'properties' must be an object")
    if len(json.dumps(properties, ensure_ascii=False).encode()) > MAX_PROPERTIES_BYTES:
        raise _ObjectRefused(f"'properties' must be at most {MAX_PROPERTIES_BYTES} bytes")
    for name, value in properties.items():
        if not 0 < len(name) <= MAX_TEXT or name.startswith("$") or name in _RESERVED_PROPERTIES:
            raise _ObjectRefused(
                "'properties' has a name that is reserved, empty, too long or begins with '$'"
            )
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise _ObjectRefused(f"'properties' has a text of more than {MAX_TEXT} characters")


def _not_in_the_future(text: str) -> str:
    """The time as it was given; the present in place of a later one."""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text  # one of Braze's other forms
    now = datetime.now(timezone.utc)
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
    return text if parsed <= now else now.isoformat(timespec="milliseconds")


def _require_text(given: Mapping[str, Any], name: str) -> None:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise _ObjectRefused(f"'{name}' must be a text of 1 to {MAX_TEXT} characters")


def _existing_only(given: Mapping[str, Any], identifier: Identifier) -> bool:
    """Whether a user who is not there stays so: said by the object, else true for aliases only."""
    said = given.get("_update_existing_only")
    return said if isinstance(said, bool) else identifier.kind == "user_alias"


def _identifier(given: Mapping[str, Any]) -> Identifier:
    primary = [kind for kind in _PRIMARY if given.get(kind) is not None]
    if len(primary) > 1:
        raise _ObjectRefused("Exactly one of 'external_id', 'user_alias' and 'braze_id' is allowed")
    if not primary:
        for kind in ("email", "phone"):
            value = given.get(kind)
            if value is not None:
                if not isinstance(value, str) or not value:
                    raise _ObjectRefused(f"'{kind}' must be a text")
                if kind == "email":
                    if not is_address(value):
                        raise _ObjectRefused("EMAIL_BAD_FORMAT")
                    return Identifier("email", value.lower())
                # "This endpoint only works if you include a valid phone number."
                if not _E164.fullmatch(value):
                    raise _ObjectRefused("'phone' must be a valid phone number")
                return Identifier("phone", value)
        raise _ObjectRefused(
            "One of 'external_id', 'user_alias', 'braze_id', 'email' and 'phone' is required"
        )
    kind = primary[0]
    value = given[kind]
    if kind == "user_alias":
        name = value.get("alias_name") if isinstance(value, dict) else None
        label = value.get("alias_label") if isinstance(value, dict) else None
        if not (isinstance(name, str) and name and isinstance(label, str) and label):
            raise _ObjectRefused("'user_alias' needs the texts 'alias_name' and 'alias_label'")
        return Identifier("user_alias", name, label)
    if not isinstance(value, str) or not value.strip():
        raise _ObjectRefused(f"'{kind}' must be a text that is not blank")
    if kind == "external_id" and len(value.encode()) > MAX_EXTERNAL_ID_BYTES:
        raise _ObjectRefused(f"'external_id' must be fewer than {MAX_EXTERNAL_ID_BYTES + 1} bytes")
    return Identifier(kind, value)
