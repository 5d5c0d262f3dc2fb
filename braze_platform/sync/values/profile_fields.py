"""Braze's profile fields in the form of their standards: ISO 3166-1, ISO 639-1, E.164, RFC 5321, IANA. Pure.

Which fields there are and what each holds: https://www.braze.com/docs/api/objects_filters/user_attributes_object.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from braze_platform.sync.values import standard_names
from braze_platform.sync.values.rejected import ValueRejected

#: `email_subscribe` and `push_subscribe`.
SUBSCRIPTION_STATES = ("opted_in", "subscribed", "unsubscribed")
GROUP_STATES = ("subscribed", "unsubscribed")
_GENDERS = {
    "m": "M",
    "male": "M",
    "f": "F",
    "female": "F",
    "o": "O",
    "other": "O",
    "n": "N",
    "not applicable": "N",
    "p": "P",
    "prefer not to say": "P",
}
_GROUP_KEYS = frozenset({"subscription_group_id", "subscription_state", "use_double_opt_in_logic"})


def country(value: object) -> str:
    """ISO 3166-1 alpha-2 in upper case, from a code or an English name (see `standard_names.country`)."""
    return standard_names.country(_text(value, "country"))


def language(value: object) -> str:
    """ISO 639-1 in lower case, from a code, a locale such as `de-AT`, or an English name."""
    return standard_names.language(_text(value, "language"))


def gender(value: object) -> str:
    """`M`, `F`, `O` (other), `N` (not applicable) or `P` (prefer not to say)."""
    found = _GENDERS.get(_text(value, "gender").lower().replace("_", " "))
    if found is None:
        raise ValueRejected("invalid gender: use M, F, O, N or P")
    return found


def email(value: object) -> str:
    """An address by RFC 5321 and 6531 with its domain in lower case; the part before @ is kept as it is."""
    try:
        found = validate_email(
            _text(value, "e-mail address"), check_deliverability=False, test_environment=True
        )
    except EmailNotValidError:
        # The library's message quotes parts of the address.
        raise ValueRejected("invalid e-mail address") from None
    return found.normalized


def phone(value: object, region: str = "") -> str:
    """E.164. Without a country code the number is one of `region` (ISO 3166-1), if there is one."""
    text = _text(value, "phone number")
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not region:
            raise ValueRejected("invalid phone number: no country code; declare its `region`") from None
        raise ValueRejected("invalid phone number") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueRejected("invalid phone number: not in use in its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def time_zone(value: object) -> str:
    """A name of the IANA time zone database, in its own spelling (see `standard_names.time_zone`)."""
    return standard_names.time_zone(_text(value, "time zone"))


def subscription_state(value: object) -> str:
    """`opted_in`, `subscribed` or `unsubscribed`."""
    return _one_of(value, SUBSCRIPTION_STATES, "subscription state")


def subscription_groups(value: object) -> list[dict[str, object]]:
    """Subscription groups by their id: the order of the source means nothing, a group has one state."""
    if not isinstance(value, (list, tuple)):
        raise ValueRejected("must be a list of subscription groups")
    groups: dict[str, dict[str, object]] = {}
    for entry in value:
        if not isinstance(entry, Mapping) or not set(entry) <= _GROUP_KEYS:
            raise ValueRejected(f"holds a group with other keys than {', '.join(sorted(_GROUP_KEYS))}")
        group: dict[str, object] = {
            "subscription_group_id": _group_id(entry.get("subscription_group_id")),
            "subscription_state": _one_of(entry.get("subscription_state"), GROUP_STATES, "state of a group"),
        }
        double = entry.get("use_double_opt_in_logic")
        if double is not None:
            if not isinstance(double, bool):
                raise ValueRejected("use_double_opt_in_logic of a group must be true or false")
            group["use_double_opt_in_logic"] = double
        known = groups.setdefault(str(group["subscription_group_id"]), group)
        if known != group:
            raise ValueRejected("holds one subscription group with two states")
    if not groups:
        raise ValueRejected("is an empty list of subscription groups, which Braze refuses")
    return [groups[key] for key in sorted(groups)]


def _group_id(value: object) -> str:
    try:
        return str(uuid.UUID(_text(value, "subscription group")))
    except ValueError:
        raise ValueRejected("invalid subscription group id: must be a UUID") from None


def _one_of(value: object, known: tuple[str, ...], what: str) -> str:
    text = _text(value, what).lower()
    if text not in known:
        raise ValueRejected(f"invalid {what}: use one of {', '.join(known)}")
    return text


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueRejected(f"is of type {type(value).__name__}, not the text of a {what}")
    if not value.strip():
        raise ValueRejected(f"is an empty {what}")
    return value.strip()


#: The canonical form of a profile field's type, for the types that this module knows.
FORMS: dict[str, Callable[[object], object]] = {
    "country": country,
    "language": language,
    "gender": gender,
    "email": email,
    "phone": phone,
    "time_zone": time_zone,
    "subscription_state": subscription_state,
    "subscription_groups": subscription_groups,
}
