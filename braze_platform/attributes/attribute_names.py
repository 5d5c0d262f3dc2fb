"""Which names a custom attribute may have. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from braze_platform.attributes.sync import PROFILE_FIELDS

MAX_NAME_LENGTH = 255

#: Names that Braze reads as identifiers, controls or profile fields with their own rules, not as custom
#: attributes (https://www.braze.com/docs/api/objects_filters/user_attributes_object).
_IDENTIFIER_NAMES = frozenset({"external_id", "user_alias", "braze_id", "alias_name", "alias_label"})
_STANDARD_NAMES = (
    "country current_location date_of_first_session date_of_last_session dob email email_subscribe "
    "email_open_tracking_disabled email_click_tracking_disabled facebook first_name gender home_city "
    "language last_name marked_email_as_spam_at phone push_subscribe push_tokens push_token_import "
    "subscription_groups time_zone twitter"
)
RESERVED_NAMES = _IDENTIFIER_NAMES | frozenset(_STANDARD_NAMES.split())


def name_mistakes(name: str) -> Iterator[str]:
    """What is wrong with a name, each with its remedy; nothing when it may be used."""
    if len(name) > MAX_NAME_LENGTH:
        yield (
            f"the attribute name has {len(name)} characters; Braze takes {MAX_NAME_LENGTH}. "
            "Shorten the column, or set a shorter `name`."
        )
    if name != name.strip():
        yield f"the attribute name {name!r} begins or ends with a space, which Braze strips."
    if name.startswith(("_", "$")):
        yield (
            f"the attribute name {name!r} begins with {name[0]!r}, which Braze keeps for controls. "
            "Rename the column, or set another `name`."
        )
    if name.lower() in RESERVED_NAMES:
        yield (
            f"the attribute name {name!r} is reserved: Braze reads it as an identifier or as a profile "
            "field, not as a custom attribute. Rename the column, or set another `name`"
            + (
                f"; to write the profile field, declare `profile_field: {name.lower()}` in place of `type`."
                if name.lower() in PROFILE_FIELDS
                else "."
            )
        )
