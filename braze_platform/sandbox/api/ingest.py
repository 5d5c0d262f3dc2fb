"""Applies a request as understood to profiles: finds or makes them, changes them, notes what Currents must tell."""

from __future__ import annotations

import json
import time
from typing import Any

from braze_platform.sandbox.api.attribute_rules import updates_of
from braze_platform.sandbox.api.track import AttributesObject, Identifier, TrackRequest
from braze_platform.sandbox.store.profiles import Profile, Store
from braze_platform.sandbox.world.people import hexadecimal_id

#: What an update of a standard attribute is called in `users.profile.Update`, where it has a field at all.
_TOLD_STANDARD = frozenset(
    {
        "first_name",
        "last_name",
        "email",
        "gender",
        "phone",
        "dob",
        "time_zone",
        "home_city",
        "country",
        "language",
    }
)


def ingest(store: Store, request: TrackRequest) -> None:
    """Apply a request in one transaction: attributes first, then events and purchases.

    Users who are not there are made, unless their object says to update existing ones only.
    """
    with store.transaction():
        profiles = _Profiles(store, request)
        pending: list[tuple[str, str | None, str, str]] = []
        for attributes in request.attributes:
            profile = profiles.find(attributes.identifier, existing_only=attributes.existing_only)
            if profile is not None:
                standard, custom = _apply(profile, attributes)
                profiles.share_groups(profile, attributes)
                if profile.standard_changed or custom:
                    profiles.changed[profile.profile] = profile
                if standard or custom:
                    pending.append(
                        (
                            profile.braze_id,
                            profile.external_id,
                            json.dumps(standard) if standard else "{}",
                            json.dumps(custom),
                        )
                    )
        occurrences: list[tuple[int, str, dict[str, Any]]] = []
        for occurrence in request.occurrences:
            profile = profiles.find(occurrence.identifier, existing_only=occurrence.existing_only)
            if profile is not None:
                occurrences.append((profile.profile, occurrence.array, occurrence.body))
        store.save_profiles(profiles.changed.values(), updated=time.time_ns() // 1_000)
        store.add_pending(pending)
        if occurrences:
            store.add_tracked(occurrences)
        store.count_request("accepted")


class _Profiles:
    """The profiles of one request, looked up together; a user who comes twice is one profile."""

    def __init__(self, store: Store, request: TrackRequest) -> None:
        self._store = store
        self.changed: dict[int, Profile] = {}
        self._known: dict[Identifier, Profile | None] = {}
        identifiers = {attributes.identifier for attributes in request.attributes}
        identifiers |= {occurrence.identifier for occurrence in request.occurrences}
        for kind in ("external_id", "braze_id", "email", "phone"):
            values = [identifier.value for identifier in identifiers if identifier.kind == kind]
            if values:
                found = store.profiles_by(kind, values)
                self._known.update({i: found.get(i.value) for i in identifiers if i.kind == kind})
        for identifier in identifiers:
            if identifier.kind == "user_alias":
                self._known[identifier] = store.profile_by_alias(identifier.label or "", identifier.value)
        self._share()

    def _share(self) -> None:
        """One user named in two ways is one profile, not two copies of it."""
        by_number: dict[int, Profile] = {}
        for identifier, profile in self._known.items():
            if profile is not None:
                self._known[identifier] = by_number.setdefault(profile.profile, profile)

    def find(self, identifier: Identifier, *, existing_only: bool) -> Profile | None:
        """The user's profile, made if it may be; `None` when it is not there and is not to be made."""
        profile = self._known[identifier]
        if profile is not None or existing_only or identifier.kind == "braze_id":
            return profile
        braze_id = hexadecimal_id(0, "made by API", self._store.next_braze_number())
        value = identifier.value
        profile = self._store.create_profile(
            braze_id,
            value if identifier.kind == "external_id" else None,
            value if identifier.kind == "email" else None,
            value if identifier.kind == "phone" else None,
        )
        if identifier.kind == "user_alias":
            self._store.add_alias(profile.profile, identifier.label or "", value)
        elif identifier.kind in ("email", "phone"):
            profile.standard[identifier.kind] = value
            profile.standard_changed = True
            self.changed[profile.profile] = profile
        self._known[identifier] = profile
        return profile

    def share_groups(self, profile: Profile, attributes: AttributesObject) -> None:
        """Subscription groups set through one profile are set on all profiles with its e-mail address."""
        groups = attributes.standard.get("subscription_groups")
        if not groups:
            return
        known = {found.profile: found for found in self._known.values() if found is not None}
        for other in self._store.sharing_email(profile):
            shared = self.changed.get(other.profile) or known.get(other.profile) or other
            _set_groups(shared, groups)
            shared.standard_changed = True
            self.changed[shared.profile] = shared


def _set_groups(profile: Profile, groups: list[dict[str, Any]]) -> None:
    """Set the states of the groups named; all others stay as they are."""
    states = {
        group["subscription_group_id"]: group for group in profile.standard.get("subscription_groups", [])
    }
    states |= {group["subscription_group_id"]: group for group in groups}
    profile.standard["subscription_groups"] = list(states.values())


def _apply(profile: Profile, attributes: AttributesObject) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change a profile; returns the standard and the custom attributes that Currents shows of."""
    custom = updates_of(profile.custom, attributes.custom, merge_objects=attributes.merge_objects)
    for name, value in custom.items():
        if value is None:
            profile.custom.pop(name, None)
        else:
            profile.custom[name] = value
    standard = dict(attributes.standard)
    if attributes.identifier.kind in ("email", "phone"):
        standard.pop(attributes.identifier.kind, None)  # it only said who was meant
    profile.standard_changed |= bool(standard)
    for name, value in standard.items():
        if value is None:
            profile.standard.pop(name, None)
        elif name == "subscription_groups":
            _set_groups(profile, value)
        else:
            profile.standard[name] = value
    return {name: value for name, value in standard.items() if name in _TOLD_STANDARD}, custom
