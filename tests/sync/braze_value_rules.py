"""What Braze makes of one custom attribute's JSON, by its documentation and apart from the platform's code.

Pages: data types, nested custom attributes, user attributes object. `KEPT_OTHERWISE` stands for dropped or changed.
"""

from __future__ import annotations

import re
import zoneinfo
from typing import Any, Final

KEPT_OTHERWISE: Final = object()
_ISO = re.compile(r"(\d{4})-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{3})?Z)?")


def stored(value: Any) -> Any:
    """The value that a profile has after it was sent, or `KEPT_OTHERWISE`."""
    if isinstance(value, str):
        return value if len(value) <= 255 else KEPT_OTHERWISE
    if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        unique = [item for place, item in enumerate(value) if item not in value[place + 1 :]]
        return unique[-500:] if all(stored(item) is not KEPT_OTHERWISE for item in unique) else KEPT_OTHERWISE
    if isinstance(value, (dict, list)):
        return value if _nested(value) else KEPT_OTHERWISE
    return value


def is_date(value: Any) -> bool:
    """Whether a text is detected as a date rather than kept as text: ISO 8601, of the years up to 3000."""
    found = _ISO.fullmatch(value) if isinstance(value, str) else None
    return found is not None and 0 < int(found[1]) <= 3000


def _nested(value: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, str):
        return len(value) <= 255
    if isinstance(value, list):
        return all(map(_nested, value))
    if isinstance(value, dict):
        if set(value) == {"$time"}:
            return is_date(value["$time"])
        return all(0 < len(k) <= 255 and not set(k) & set(" .$") and _nested(v) for k, v in value.items())
    return True


_FIELDS = {
    "country": re.compile(r"[A-Z]{2}"),
    "language": re.compile(r"[a-z]{2}"),
    "gender": re.compile(r"[MFONP]"),
    "phone": re.compile(r"\+[1-9]\d{4,14}"),
    "dob": re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
    "email": re.compile(r"[^\s@]+@[^\s@A-Z]+\.[^\s@A-Z.]+"),
}


def takes(field: str, value: Any) -> bool:
    """Whether Braze keeps a value of a profile field as it is: ISO 3166-1, ISO 639-1, E.164, IANA, one letter."""
    if not isinstance(value, str):
        return False
    if field == "time_zone":
        return value in zoneinfo.available_timezones()
    return _FIELDS[field].fullmatch(value) is not None
