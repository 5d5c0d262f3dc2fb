"""Reads one setting's text: cleaned where it can mean but one thing, refused with the remedy everywhere else.

Each reader raises `ValueError` with what is wrong and what to write, without the text itself: who shows it knows
whether it is secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, GetCoreSchemaHandler

Reader: TypeAlias = Callable[[str], object]


class Text(str):
    """The text of an environment variable, to be read; any other value of a setting is what it says already."""


@dataclass(frozen=True)
class FromText:
    """Lets pydantic read a field's text with `read`, whose docstring says what may be written."""

    read: Reader

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Read before pydantic judges the type."""
        reading = BeforeValidator(lambda value: self.read(value) if isinstance(value, Text) else value)
        return reading.__get_pydantic_core_schema__(source, handler)

    @property
    def form(self) -> str:
        """What may be written, in a few words: how the reader's docstring begins."""
        return re.split(r"; |: | \(|\.(?:\s|$)", self.read.__doc__ or "")[0]


_NAME = r"[\w.:-]+"
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.]+")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
#: Larger numbers are slips of the keyboard, and times beyond all years.
_MAX = 1_000_000_000


def whole_number(min_value: int = 0, max_value: int = _MAX, hint: str = "") -> Reader:
    """A whole number between two bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(f"is not an integer; write a whole number from {min_value} on, in digits")
        number = int(text) if len(text) < 20 else max_value + 1
        if text.startswith("-") and min_value >= 0 and int(text[:20]) < 0:
            raise ValueError(f"is negative; use {min_value} or more{hint}")
        if number < min_value:
            raise ValueError(f"must be {min_value} or more")
        if number > max_value:
            raise ValueError(f"is too large; use {max_value} or less")
        return number

    read.__doc__ = f"Whole number from {min_value}" + (f" to {max_value:,}" if max_value < _MAX else "")
    return read


def yes_or_no(text: str) -> bool:
    """`yes` or `no`; true, on, 1 and their opposites are understood."""
    if text.lower() in ("yes", "true", "on", "1"):
        return True
    if text.lower() in ("no", "false", "off", "0"):
        return False
    raise ValueError("must be yes or no")


def one_of(values: Sequence[str]) -> Reader:
    """One of some words, however they are capitalised."""

    def read(text: str) -> str:
        if text.lower() not in values:
            raise ValueError(f"is unknown; use one of {', '.join(values)}")
        return text.lower()

    read.__doc__ = " or ".join(f"`{value}`" for value in values)
    return read


def hashes_or_values(text: str) -> bool:
    """`hashes` or `values`."""
    return one_of(("hashes", "values"))(text) == "values"


def environment(text: str) -> str:
    """One word; what is nearly `production` is refused, since nothing would be sent without a word."""
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError("must be one word, production or development")
    near = len(name) > 2 and "production".startswith(name)
    if name != "production" and (
        near or name in ("prd", "live") or get_close_matches(name, ["production"], 1, 0.75)
    ):
        raise ValueError(
            "is not production by name; write production, or development where nothing shall be sent"
        )
    return name


def day(text: str) -> date:
    """`YYYY-MM-DD`; a UTC day."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        return date.fromisoformat(text)
    raise ValueError("is not a day; write it as YYYY-MM-DD")


def folder(text: str) -> Path:
    """Folder of this machine."""
    if "\0" in text or "\n" in text:
        raise ValueError("is not a folder's name; it has a line feed in it")
    return Path(text).expanduser().resolve()


def _matching(pattern: str, form: str, remedy: str) -> Reader:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(remedy)
        return text

    read.__doc__ = form
    return read


memory = _matching(
    r"\d+(\.\d+)?\s*[KMGTkmgt][iI]?[bB]?",
    "Amount of memory like `1GB`",
    "is not an amount of memory; write it like 1GB or 600MB",
)
#: Google's of a project or a location.
name = _matching(_NAME, "Plain name", "must be a plain name of letters, digits, - and .")
#: See https://cloud.google.com/bigquery/docs/datasets#dataset-naming.
dataset_prefix = _matching(
    r"[A-Za-z0-9][A-Za-z0-9_]{0,499}",
    "Beginning of data sets' names",
    "is not the start of a data set's name; use at most 500 letters, digits and _, and a letter or digit first "
    "(BigQuery hides data sets that begin with _)",
)
policy_tag = _matching(
    r"projects/[^/]+/locations/[^/]+/taxonomies/\d+/policyTags/\d+",
    "Policy tag's resource name",
    "is not a policy tag; write its full name, "
    "projects/<project>/locations/<location>/taxonomies/<number>/policyTags/<number>",
)


def bucket_name(text: str) -> str:
    """Bucket's name; `gs://` in front and a slash behind are left out."""
    found = text.removeprefix("gs://").rstrip("/")
    if not re.fullmatch(_NAME, found, re.ASCII):
        raise ValueError(
            "is not a bucket's name; write it without folders, which belong into BRAZE_PLATFORM_CURRENTS_PREFIX"
        )
    return found


def bucket_folder(text: str) -> str:
    """Folder inside the bucket; without slashes around it, a single slash is the bucket itself."""
    if "://" in text or not text.isprintable():
        raise ValueError(
            "must be a folder inside the bucket, without the bucket's name; / is the bucket itself"
        )
    return text.strip("/")


def labels(text: str) -> tuple[tuple[str, str], ...]:
    """`key=value,key=value`; the rules are BigQuery's (https://cloud.google.com/bigquery/docs/labels-intro)."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    for key, equals, value in pairs:
        if not equals or not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise ValueError(
                f"has {key + equals + value!r}; write key=value,key=value with small letters, digits, _ and - (a key "
                "begins with a letter, either has at most 63)"
            )
    return tuple((key, value) for key, _, value in pairs)


def event_types(text: str) -> tuple[str, ...]:
    """`users.messages.fax.Send,users.messages.fax.Open`."""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    for name in names:
        if not _EVENT_TYPE.fullmatch(name):
            raise ValueError(
                f"has {name!r}; write event types as they stand in the bucket's keys (event_type=...), such as "
                "users.messages.fax.Send, with commas between them"
            )
    return names


def api_key(text: str) -> str:
    """Key of Braze's REST API."""
    if text.lower().startswith("bearer"):
        raise ValueError("must be the key alone, without 'Bearer' in front")
    if text[0] in "\"'":
        raise ValueError("has quotes around it; write the key alone")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "has a line feed, a blank or another character in it that no key has; copy it again from Braze's dashboard "
            "(Settings > APIs and Identifiers)"
        )
    return text


def root_url(text: str) -> str:
    """URL without a path; a slash behind it is left out."""
    example = "write it like https://rest.iad-01.braze.com"
    parts = _url_of_a_host(text, "https://", example, ", and the key into BRAZE_API_KEY")
    host = parts.hostname or ""
    if host.startswith("dashboard"):
        raise ValueError(
            f"is the dashboard's address, not the REST endpoint that the dashboard shows; {example}"
        )
    netloc = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{netloc}" + (f":{parts.port}" if parts.port is not None else "")


def loopback_url(text: str) -> str:
    """URL on this machine."""
    _url_of_a_host(text, "http://", "write it like http://127.0.0.1:9050, or unset it to use Google")
    if not is_loopback(text):
        raise ValueError("is not an http:// URL on this machine. Unset it to use Google")
    return text


def _url_of_a_host(text: str, scheme: str, example: str, instead_of_user: str = "") -> SplitResult:
    """A URL's parts, none of which says more than how to reach a host."""
    if not text.isprintable() or " " in text:
        raise ValueError(f"has a line feed or a blank in it; {example}")
    if not re.match(r"https?://", text, re.IGNORECASE):
        raise ValueError(f"does not begin with {scheme}; {example}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"is not a URL; {example}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"holds a user name or password; {example}{instead_of_user}")
    if not host or not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise ValueError(f"names no host; {example}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"has something behind the host; {example}, without a path")
    return parts


def misspelt(found: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Names that are none of the known ones but look like one, and that one.

    >>> misspelt(["BRAZE_PLATFORM_BUCKETS"], ["BRAZE_PLATFORM_BUCKET", "BRAZE_PLATFORM_TARGET"])
    {'BRAZE_PLATFORM_BUCKETS': 'BRAZE_PLATFORM_BUCKET'}
    """
    names = sorted(known)
    near = {
        name: get_close_matches(name.upper(), names, 1, 0.9) for name in sorted(found) if name not in names
    }
    return {name: matches[0] for name, matches in near.items() if matches}


def is_loopback(url: str) -> bool:
    """Whether a URL points at this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
