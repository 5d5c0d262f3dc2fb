"""The columns of a ledger: how the names of attributes, which may hold any letters, become names of columns. Pure."""

from __future__ import annotations

import re

#: Before a name that is no plain one. No attribute's name begins with an underscore, so that no two columns are one.
_ENCODED = "_name_"
RESEND = "_resend_"


def ledger_column(attribute: str) -> str:
    """The ledger's column that holds an attribute's acknowledged values, on every warehouse.

    A plain name is its own column. Any other is encoded: `_name_`, then its ASCII letters and digits as they are, and
    every other character as its code point in hexadecimal digits between underscores. `attribute_of_column` decodes it.

    >>> ledger_column("score"), ledger_column("Spend ($)")
    ('score', '_name_Spend_20__28__24__29_')
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", attribute):
        return attribute
    return _ENCODED + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):x}_", attribute)


def attribute_of_column(column: str) -> str:
    """The attribute whose values a column of a ledger holds.

    >>> attribute_of_column("_name_user_2e_tier")
    'user.tier'
    """
    if not column.startswith(_ENCODED):
        return column
    return re.sub(r"_([0-9a-f]+)_", lambda found: chr(int(found[1], 16)), column.removeprefix(_ENCODED))


def resend_column(attribute: str) -> str:
    """The ledger's column that marks values of an attribute that are to be sent again."""
    return f"{RESEND}{ledger_column(attribute)}"
