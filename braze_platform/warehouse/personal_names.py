"""What columns hold of a person, by their names: whatever is not known to be harmless is personal. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Literal, TypeAlias

#: What the ids of an erased person become: this and the SHA-256 of the id.
TOKEN = "erased:"

#: What a person is known by. `any`: a sync's or a mart's key, which may be any of them.
Kind: TypeAlias = Literal["braze_id", "external_id", "email", "phone", "any"]

#: The first pattern that fits tells what kind of identity a column holds, whatever stands before it in its name.
_KINDS: Mapping[Kind, re.Pattern[str]] = {
    "external_id": re.compile(r"(^|_)external_(user_)?id$"),
    "braze_id": re.compile(r"(^|_)(braze_(user_)?id|user_id|orphaned_by_id)$"),
    "email": re.compile(r"(^|_)e?mail(_address)?$"),
    "phone": re.compile(r"(^|_)phone(_number)?$"),
    "any": re.compile(r"^_user$|(^|_)user_key$"),
}
#: Further names under which a device or an address of a person is known; no rows are found by them.
_BELONGINGS = re.compile(
    r"^_label$|(^|_)(user_label|alias|alias_name|device_id|ad_id|token|bsuid|subject)$|^ip(_address)?$"
)
#: What is asked of a person and no name of one: `is_reachable_by_email`.
_ASKED = re.compile(r"^(is|has|can|was)_")
#: Numbers and addresses of the company's own.
_OWN = frozenset({"from_phone_number", "inbound_phone_number", "reply_to_email"})

#: Texts that stay in the rows of an erased person, so that what was counted stays counted: names and ids of campaigns,
#: canvases and apps, states and kinds out of a few, random ids of events. A field of Currents or a column of a model
#: that is not among them goes.
HARMLESS = frozenset(
    resources.files(__package__).joinpath("harmless_columns.txt").read_text(encoding="utf-8").split()
)


def kind_of(column: str) -> Kind | None:
    """The kind of identity by which rows of a person are found in a column; None where none is.

    >>> kind_of("surviving_external_id"), kind_of("EXTERNAL_ID"), kind_of("user_phone_number")
    ('external_id', 'external_id', 'phone')
    >>> kind_of("inbound_phone_number"), kind_of("campaign_id")
    (None, None)
    """
    name = column.lower()
    if name in _OWN or _ASKED.search(name):
        return None
    return next((kind for kind, form in _KINDS.items() if form.search(name)), None)


def named_columns(columns: Mapping[str, str]) -> dict[str, Kind]:
    """The columns (name to type) of texts by which people are found, with the kinds of their identities."""
    return {
        name: kind
        for name, of_type in columns.items()
        if is_text(of_type) and (kind := kind_of(name)) is not None
    }


def is_identifier(column: str) -> bool:
    """Whether a column names a person, a device or an address of one: personal wherever it stands.

    >>> is_identifier("push_token_device_id"), is_identifier("_label")
    (True, True)
    >>> is_identifier("emails_sent"), is_identifier("has_push_token")
    (False, False)
    """
    name = column.lower()
    if name in HARMLESS or _ASKED.search(name):
        return False
    return kind_of(column) is not None or bool(_BELONGINGS.search(name))


def is_contact(column: str) -> bool:
    """Whether a column names an e-mail address or a phone number of a person.

    >>> is_contact("User_Phone_Number"), is_contact("from_phone_number"), is_contact("external_id")
    (True, False, False)
    """
    return kind_of(column) in ("email", "phone")


def personal_of(columns: Mapping[str, str], marked: Collection[str], harmless: Collection[str]) -> set[str]:
    """The columns (name to type) of a table with people that hold personal data.

    Those that are `marked` or named as identifiers, whatever their type, and all texts that are neither `HARMLESS` nor
    in `harmless`, which somebody has said so of. A value whose type clashed lies beside its column, as `time__string`
    (see `currents/columns.py`), and is judged by that column's name.
    """
    return {
        column
        for column, kind in columns.items()
        if (name := column.partition("__")[0] or column) in marked
        or is_identifier(name)
        or (holds_text(kind) and name not in HARMLESS and name not in harmless)
    }


def is_text(kind: str) -> bool:
    """Whether a column's type is text, and nothing but that."""
    return kind.upper() in ("VARCHAR", "STRING")


def holds_text(kind: str) -> bool:
    """Whether values of a column's type may hold text: texts, and arrays, records and JSON with some."""
    return any(word in kind.upper() for word in ("VARCHAR", "STRING", "JSON", "STRUCT", "RECORD"))
