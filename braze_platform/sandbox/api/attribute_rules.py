"""What Braze makes of attribute values: which it takes, which it drops without a word, and how it combines them.

Sources: Braze's pages on the user attributes object, data types, nested custom attributes and arrays of objects.
"""

from __future__ import annotations

import json
import math
import re
import zoneinfo
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeGuard

import pycountry

MAX_TEXT = 255
MAX_ITEMS = 500
MAX_BYTES = 100_000
#: Attributes with a meaning of their own; everything else is a custom attribute.
STANDARD_ATTRIBUTES = frozenset(
    {
        "country",
        "current_location",
        "date_of_first_session",
        "date_of_last_session",
        "dob",
        "email",
        "email_click_tracking_disabled",
        "email_open_tracking_disabled",
        "email_subscribe",
        "facebook",
        "first_name",
        "gender",
        "home_city",
        "image_url",
        "language",
        "last_name",
        "marked_email_as_spam_at",
        "phone",
        "push_subscribe",
        "push_tokens",
        "subscription_groups",
        "time_zone",
        "twitter",
    }
)
#: Names that Braze takes neither as a profile field nor as a custom attribute: a profile field that is gone
#: (https://www.braze.com/docs/api/objects_filters/user_attributes_object).
IGNORED_ATTRIBUTES = frozenset({"bio"})
#: Custom attributes that the workspace blocks: Braze drops them without a word
#: (https://www.braze.com/docs/user_guide/data/activation/blocklist_custom_data).
BLOCKLISTED_ATTRIBUTES = frozenset({"shoe_size_2019"})
_SUBSCRIPTION_STATES = ("opted_in", "subscribed", "unsubscribed")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S:%f%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%m/%d/%Y",
)
_OPERATIONS = ("$add", "$remove", "$update")


class _Dropped:
    """The type of `DROPPED`."""


#: A value that Braze does not take, without saying so.
DROPPED: Final = _Dropped()


class StandardAttributeRefused(ValueError):
    """A standard attribute makes Braze reject its object; the message is the error's documented code."""


def updates_of(held: Mapping[str, Any], sent: Mapping[str, Any], *, merge_objects: bool) -> dict[str, Any]:
    """What sent custom attributes change in those held: new values by name, `None` for a removed one.

    Values that Braze does not take are left out. Dates stay the texts that they were sent as.
    """
    updates: dict[str, Any] = {}
    for name, value in sent.items():
        key = name.strip()
        if not key or len(key) > MAX_TEXT or key in IGNORED_ATTRIBUTES | BLOCKLISTED_ATTRIBUTES:
            continue
        known = updates[key] if key in updates else held.get(key)
        if value is None:
            if known is not None:
                updates[key] = None
            continue
        accepted = _accept(known, value, merge_objects)
        if accepted is not DROPPED:
            updates[key] = accepted
    return updates


def is_date(text: str) -> bool:
    """Whether Braze reads a text as a date: ISO 8601 or one of its listed forms, of the years 1 to 3000."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).year <= 3000
    except ValueError:
        pass
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(text, form).year <= 3000  # noqa: DTZ007 - only whether it can be read
        except ValueError:
            continue
    return False


def is_address(value: Any) -> bool:
    """Whether Braze takes a value for an e-mail address."""
    return isinstance(value, str) and _EMAIL.fullmatch(value) is not None


def check_standard(name: str, value: Any) -> Any:
    """A standard attribute's value, or `DROPPED`; raises `StandardAttributeRefused` with Braze's code."""
    if name == "email" and value is not None and not is_address(value):
        raise StandardAttributeRefused("EMAIL_BAD_FORMAT")
    if name == "email_subscribe" and value not in _SUBSCRIPTION_STATES:
        raise StandardAttributeRefused("BAD_EMAIL_SUBSCRIPTION_STATE")
    if name == "push_subscribe" and value not in _SUBSCRIPTION_STATES:
        raise StandardAttributeRefused("BAD_PUSH_SUBSCRIPTION_STATE")
    if name == "subscription_groups":
        _check_groups(value)
    if name == "current_location" and not _is_location(value):
        raise StandardAttributeRefused("BAD_LOCATION_UPDATE")
    if value is None:
        return None
    if name == "gender":
        return value if value in ("M", "F", "O", "N", "P") else DROPPED
    if name == "dob":
        return (
            value
            if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) and is_date(value)
            else DROPPED
        )
    if name == "country":
        # What is not a code of ISO 3166-1 alpha-2 empties the field.
        return value if isinstance(value, str) and value in _countries() else None
    if name == "language":
        return value if isinstance(value, str) and value in _languages() else DROPPED
    if name == "time_zone":
        return value if isinstance(value, str) and value in _time_zones() else DROPPED
    if name in ("email_open_tracking_disabled", "email_click_tracking_disabled"):
        return value if isinstance(value, bool) else DROPPED
    if name in ("facebook", "twitter"):
        return value if isinstance(value, dict) else DROPPED
    if name in ("first_name", "last_name", "home_city", "phone", "image_url"):
        return value if isinstance(value, str) and len(value) <= MAX_TEXT else DROPPED
    if name.startswith(("date_of_", "marked_")):
        return value if isinstance(value, str) and is_date(value) else DROPPED
    return value


@cache
def _countries() -> frozenset[str]:
    return frozenset(country.alpha_2 for country in pycountry.countries)


@cache
def _languages() -> frozenset[str]:
    return frozenset(language.alpha_2 for language in pycountry.languages if hasattr(language, "alpha_2"))


@cache
def _time_zones() -> frozenset[str]:
    """The names of the IANA database, and the one other that the documentation gives, with its neighbours."""
    american = {f"{name} Time (US & Canada)" for name in ("Eastern", "Central", "Mountain", "Pacific")}
    return frozenset((zoneinfo.available_timezones() - {"Factory", "localtime"}) | american)


def _check_groups(value: Any) -> None:
    if not isinstance(value, list) or not value:
        raise StandardAttributeRefused("BAD_SUBSCRIPTION_GROUP_ARRAY")
    for group in value:
        if not isinstance(group, dict):
            raise StandardAttributeRefused("BAD_SUBSCRIPTION_GROUP_HASH")
        if not isinstance(group.get("subscription_group_id"), str):
            raise StandardAttributeRefused("BAD_SUBSCRIPTION_GROUP_ID")
        if group.get("subscription_state") not in ("subscribed", "unsubscribed"):
            raise StandardAttributeRefused("BAD_SUBSCRIPTION_GROUP_STATE")


def _is_location(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(name), (int, float))
        and not isinstance(value[name], bool)
        and abs(value[name]) <= limit
        for name, limit in (("longitude", 180), ("latitude", 90))
    )


def _accept(held: Any, value: Any, merge_objects: bool) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else DROPPED
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else DROPPED
    if isinstance(value, list):
        return _array(value)
    if not isinstance(value, dict):
        return DROPPED
    if set(value) == {"inc"}:
        return _increase(held, value["inc"])
    if len(value) == 1 and ("add" in value or "remove" in value):
        return _change_items(held, value)
    if any(name in value for name in _OPERATIONS):
        return _change_objects(held, value, merge_objects)
    if set(value) == {"$time"}:
        return value if isinstance(value["$time"], str) and is_date(value["$time"]) else DROPPED
    if not _nested_is_valid(value):
        return DROPPED
    if merge_objects and isinstance(held, dict):
        value = _merged(held, value)
    return value if _fits(value) else DROPPED


def _increase(held: Any, amount: Any) -> Any:
    for number in (amount, 0 if held is None else held):
        if isinstance(number, bool) or not isinstance(number, int):
            return DROPPED
    return (held or 0) + amount


def _array(items: list[Any]) -> Any:
    if items and all(isinstance(item, dict) for item in items):
        return items if all(_nested_is_valid(item) for item in items) and _fits(items) else DROPPED
    kept = _unique(items)
    return kept if _fits(kept) else DROPPED


def _unique(items: Iterable[Any]) -> list[Any]:
    """The items Braze keeps: texts and numbers, each once at its last place, the newest 500."""
    kept: dict[tuple[type, Any], Any] = {}
    for item in items:
        if isinstance(item, (str, int, float)) and not (isinstance(item, str) and len(item) > MAX_TEXT):
            key = (type(item), item)
            kept.pop(key, None)
            kept[key] = item
    return list(kept.values())[-MAX_ITEMS:]


def _change_items(held: Any, change: Mapping[str, Any]) -> Any:
    ((operation, items),) = change.items()
    items = items if isinstance(items, list) else [items]
    before = held if isinstance(held, list) else []
    if operation == "add":
        return _unique([*before, *items])
    return [item for item in before if item not in items]


def _change_objects(held: Any, change: Mapping[str, Any], merge_objects: bool) -> Any:
    """`$add`, `$remove`, `$update` on an array of objects, in this order whatever the order sent.

    `$update` overwrites the objects that it names, unless `_merge_objects` is true beside the identifier.
    """
    if not set(change) <= set(_OPERATIONS):
        return DROPPED
    objects = [dict(item) for item in held if isinstance(item, dict)] if isinstance(held, list) else []
    added = change.get("$add", [])
    removed, updated = change.get("$remove", []), change.get("$update", [])
    if not all(isinstance(part, list) for part in (added, removed, updated)):
        return DROPPED
    new_objects = [entry.get("$new_object") if isinstance(entry, dict) else None for entry in updated]
    if not all(isinstance(item, dict) and _nested_is_valid(item) for item in [*added, *new_objects]):
        return DROPPED
    objects += added
    if added and not _fits(objects):
        return DROPPED
    for entry in removed:
        objects = [item for item in objects if not _identified(item, entry)]
    for entry in updated:
        objects = [
            item
            if not _identified(item, entry)
            else _merged(item, entry["$new_object"])
            if merge_objects
            else entry["$new_object"]
            for item in objects
        ]
    return objects if _fits(objects) else DROPPED


def _identified(item: Mapping[str, Any], entry: Any) -> bool:
    if not isinstance(entry, dict) or "$identifier_key" not in entry:
        return False
    held, named = item.get(entry["$identifier_key"]), entry.get("$identifier_value")
    return held is not None and held == named and isinstance(held, bool) is isinstance(named, bool)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Braze's deep merge: objects at every level are merged, anything else (a time, too) is replaced."""
    result = dict(old)
    for key, value in new.items():
        known = result.get(key)
        result[key] = _merged(known, value) if _is_object(known) and _is_object(value) else value
    return result


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and set(value) != {"$time"}


def _nested_is_valid(value: Any) -> bool:
    """Whether a nested value holds neither nulls nor bad times, keys or texts: one such spoils the whole attribute."""
    if value is None:
        return False
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(_nested_is_valid(item) for item in value)
    if isinstance(value, dict):
        if set(value) == {"$time"}:
            return isinstance(value["$time"], str) and is_date(value["$time"])
        return all(_key_is_valid(key) and _nested_is_valid(item) for key, item in value.items())
    return True


def _key_is_valid(key: str) -> bool:
    return 0 < len(key) <= MAX_TEXT and not any(character in key for character in ". $")


def _fits(value: Any) -> bool:
    return len(json.dumps(value, ensure_ascii=False).encode()) <= MAX_BYTES
