"""Which names a custom attribute may have. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from braze_platform.sync.declaration.sync import PROFILE_FIELDS
from braze_platform.warehouse.ledger_columns import resend_column

MAX_NAME_LENGTH = 255
#: The length of a column's name on BigQuery, in characters
#: (https://cloud.google.com/bigquery/docs/schemas#column_names).
MAX_COLUMN_LENGTH = 300
#: Names that Braze reads as identifiers, controls or profile fields with their own rules, not as custom
#: attributes (https://www.braze.com/docs/api/objects_filters/user_attributes_object).
_IDENTIFIER_NAMES = (
    "external_id user_alias braze_id alias_name alias_label user_alias_name user_alias_label appboy_id"
)
#: `bio` is a field no longer, and Braze still drops it.
_STANDARD_NAMES = (
    "bio country current_location date_of_first_session date_of_last_session dob email email_subscribe "
    "email_open_tracking_disabled email_click_tracking_disabled facebook first_name gender home_city image_url "
    "language last_name marked_email_as_spam_at phone push_subscribe push_tokens push_token_import "
    "subscription_groups time_zone twitter"
)
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
#: The Hangul fillers and the empty Braille pattern: letters and symbols by category, and blank.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
RESERVED_NAMES = frozenset(_IDENTIFIER_NAMES.split()) | frozenset(_STANDARD_NAMES.split())


def name_mistakes(name: str) -> Iterator[str]:
    """What is wrong with a name, each with its remedy; nothing when it may be used."""
    if len(name) > MAX_NAME_LENGTH:
        yield (
            f"the attribute name has {len(name)} characters; Braze takes {MAX_NAME_LENGTH}. "
            "Shorten the column, or set a shorter `name`."
        )
    elif len(resend_column(name)) > MAX_COLUMN_LENGTH:
        yield (
            f"the attribute name {name!a} cannot be kept in a column of the ledger: written there, each character "
            f"but a letter or digit of ASCII takes four and more, and a column's name has at most {MAX_COLUMN_LENGTH}. "
            "Set a shorter `name`, or one with fewer such characters."
        )
    if unseen := sorted({f"U+{ord(character):04X}" for character in name if _is_unseen(character)}):
        yield (
            f"the attribute name {name!a} has characters that nobody sees ({', '.join(unseen)}), so that it would be "
            "another attribute than the one it looks like. Set a `name` without them."
        )
    if name != unicodedata.normalize("NFC", name):
        yield (
            f"the attribute name {name!a} writes letters and accents as characters of their own, so that it would be "
            "another attribute than the one it looks like. Set a `name` in Unicode's composed form (NFC)."
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


def _is_unseen(character: str) -> bool:
    """Control and format characters (line feeds, zero-width and bidi ones), halves of pairs, blanks but the space."""
    if unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _BLANK_LETTERS:
        return True
    return character.isspace() and character != " "
