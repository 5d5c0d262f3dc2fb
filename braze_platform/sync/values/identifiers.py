"""Which identifiers are sent, and in which form: the one by which Braze finds the profile. Pure.

Braze matches external ids, Braze ids and aliases exactly, e-mail addresses in any case, phone numbers in E.164
(https://www.braze.com/docs/api/endpoints/user_data/post_user_track). Two spellings of one identifier are one profile.
"""

from __future__ import annotations

import re
import unicodedata

from braze_platform.sync.declaration.sync import Identifier, Sync
from braze_platform.sync.values import profile_fields
from braze_platform.sync.values.rejected import ValueRejected

#: `external_id` is at most this long (https://www.braze.com/docs/api/endpoints/user_data/post_user_track).
MAX_IDENTIFIER_BYTES = 987
#: What programs write where there is no value, in lower case. '0' is not among them, since it may be somebody's id:
#: where it stands for many people, it repeats, and is refused for that.
PLACEHOLDERS = frozenset(
    {
        "null",
        "none",
        "nan",
        "nil",
        "nat",
        "n/a",
        "#n/a",
        "<na>",
        "<nil>",
        "<null>",
        "(null)",
        "(none)",
        "(not set)",
        "undefined",
        "[object object]",
        "\\n",
        "00000000-0000-0000-0000-000000000000",
    }
)
#: Why users with several rows are refused, all of those rows: nobody knows which one is right.
REPEATED = "the identifier is in more than one row of the model"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TEXT_TYPES = re.compile(r"(VARCHAR|TEXT|STRING|CHAR|BPCHAR|UUID)(\(\d+\))?|ENUM\(.*\)", re.IGNORECASE)
_INTEGER_TYPES = re.compile(
    r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?(8|16|32|64|128)?|BYTEINT|LONG|SHORT", re.IGNORECASE
)
_DECIMAL_TYPES = re.compile(
    r"(DECIMAL|NUMERIC|BIGNUMERIC|BIGDECIMAL)\s*\(\s*\d+\s*(,\s*0\s*)?\)", re.IGNORECASE
)


def canonical_key(identifier: Identifier, key: tuple[str, ...]) -> tuple[str, ...]:
    """A user's key in the form by which Braze finds the profile; the same again for a key in that form.

    An e-mail address is trimmed and in lower case, a phone number in E.164, anything else as it is.
    Raises `ValueRejected` with the reason for an invalid identifier of its kind.
    """
    if any(not part.strip() for part in key):
        raise ValueRejected("the identifier is empty")
    if any(part.strip().lower() in PLACEHOLDERS for part in key):
        raise ValueRejected("the identifier is a placeholder for a missing value")
    if any(len(part.encode("utf-8", "surrogatepass")) > MAX_IDENTIFIER_BYTES for part in key):
        raise ValueRejected(f"the identifier is longer than {MAX_IDENTIFIER_BYTES} bytes")
    if identifier.kind == "phone":
        try:
            return (profile_fields.phone(key[0], identifier.region),)
        except ValueRejected as error:
            raise ValueRejected(f"the identifier is invalid: {error.reason}") from None
    if identifier.kind == "email":
        address = key[0].strip().lower()
        try:
            profile_fields.email(address)
        except ValueRejected:
            raise ValueRejected("the identifier is an invalid e-mail address") from None
        return (unicodedata.normalize("NFC", address),)
    if any(_CONTROL.search(part) for part in key):
        raise ValueRejected("the identifier holds a control character")
    return key


def key_refusal(identifier: Identifier, key: tuple[str, ...]) -> str | None:
    """Why a planned user must not be sent; None for a key that is an identifier in its canonical form."""
    try:
        canonical = canonical_key(identifier, key)
    except ValueRejected as error:
        return error.reason
    return None if canonical == key else "the identifier is not in its canonical form"


def column_mistake(sync: Sync, column: str, column_type: str) -> str | None:
    """What is wrong with the type of an identifier column, with the remedy; None for texts and whole numbers.

    Other types have more than one text for a value: 12345 as a float is sent as '12345.0', which is nobody.
    """
    fits = any(
        pattern.fullmatch(column_type.strip()) for pattern in (_TEXT_TYPES, _INTEGER_TYPES, _DECIMAL_TYPES)
    )
    if fits:
        return None
    return (
        f"The identifier column {column!r} of the model {sync.schema}.{sync.table} ({sync.file}) is of type "
        f"{column_type}, which has no exact text: 12345 would be sent as '12345.0' and find nobody. Cast it in the "
        f"model to a text or to a whole number, e.g. cast(cast({column} as bigint) as string)."
    )
