"""`/users/export/ids`: profiles by identifier, with the fields asked for."""

from __future__ import annotations

from typing import Any

from braze_platform.sandbox.api.track import RequestRefused
from braze_platform.sandbox.store.profiles import Profile, Store

MAX_IDENTIFIERS = 50
#: Standard attributes that an export names as they are kept.
_STANDARD = (
    "country",
    "dob",
    "email",
    "email_subscribe",
    "first_name",
    "gender",
    "home_city",
    "language",
    "last_name",
    "phone",
    "push_subscribe",
    "time_zone",
)


def export_ids(store: Store, body: Any) -> dict[str, Any]:
    """The answer for a decoded body; raises `RequestRefused` for a wrong one.

    Identifiers without a profile are listed in `invalid_user_ids`. A field that a profile does not have is left out,
    also when `fields_to_export` asks for it: the answer has as little data as possible.
    """
    if not isinstance(body, dict):
        raise RequestRefused("The request body must be a JSON object.")
    external_ids = _texts(body, "external_ids")
    aliases = body.get("user_aliases") or []
    if not isinstance(aliases, list):
        raise RequestRefused("'user_aliases' must be an array.")
    if len(external_ids) + len(aliases) > MAX_IDENTIFIERS:
        raise RequestRefused(f"At most {MAX_IDENTIFIERS} identifiers are exported in one request.")
    asked = body.get("fields_to_export")
    if asked is not None and not (isinstance(asked, list) and all(isinstance(name, str) for name in asked)):
        raise RequestRefused("'fields_to_export' must be an array of texts.")
    profiles: dict[int, Profile] = {}
    missing: list[Any] = []
    found = store.profiles_by("external_id", external_ids) if external_ids else {}
    for external_id in external_ids:
        _keep(profiles, found.get(external_id), external_id, missing)
    for alias in aliases:
        named = isinstance(alias, dict)
        label, name = (alias.get("alias_label"), alias.get("alias_name")) if named else (None, None)
        profile = (
            store.profile_by_alias(label, name) if isinstance(label, str) and isinstance(name, str) else None
        )
        _keep(profiles, profile, alias, missing)
    single = 0
    for key, column in (("braze_id", "braze_id"), ("email_address", "email"), ("phone", "phone")):
        value = body.get(key)
        if isinstance(value, str):
            single += 1
            looked_up = value.lower() if column == "email" else value
            _keep(profiles, store.profiles_by(column, [looked_up]).get(looked_up), value, missing)
    if not external_ids and not aliases and not single:
        raise RequestRefused("Give 'external_ids', 'user_aliases', 'braze_id', 'email_address' or 'phone'.")
    answer: dict[str, Any] = {
        "message": "success",
        "users": [_exported(store, profile, asked) for profile in profiles.values()],
    }
    if missing:
        answer["invalid_user_ids"] = missing
    return answer


def _texts(body: dict[str, Any], name: str) -> list[str]:
    values = body.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RequestRefused(f"'{name}' must be an array of texts.")
    return list(dict.fromkeys(values))


def _keep(profiles: dict[int, Profile], profile: Profile | None, named: Any, missing: list[Any]) -> None:
    if profile is None:
        missing.append(named)
    else:
        profiles[profile.profile] = profile


def _exported(store: Store, profile: Profile, asked: list[str] | None) -> dict[str, Any]:
    user: dict[str, Any] = {
        "external_id": profile.external_id,
        "braze_id": profile.braze_id,
        "user_aliases": store.aliases(profile.profile),
        "custom_attributes": profile.custom,
        "custom_events": _summary(store.tracked(profile.profile, "events"), "name"),
        "purchases": _summary(store.tracked(profile.profile, "purchases"), "product_id"),
    }
    user.update({name: profile.standard.get(name) for name in _STANDARD})
    location = profile.standard.get("current_location")
    user["last_coordinates"] = [location["longitude"], location["latitude"]] if location else None
    return {
        name: value
        for name, value in user.items()
        if value not in (None, [], {}) and (asked is None or name in asked)
    }


def _summary(occurrences: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Occurrences by name: first and last time, and how many."""
    times: dict[str, list[str]] = {}
    for occurrence in occurrences:
        times.setdefault(occurrence[name], []).append(occurrence["time"])
    return [
        {"name": named, "first": min(moments), "last": max(moments), "count": len(moments)}
        for named, moments in times.items()
    ]
