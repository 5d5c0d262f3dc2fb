"""Classes of Braze's responses by their status. Pure.

https://www.braze.com/docs/api/errors. Each caller reads the body itself: 2xx is not success without its message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

#: 502: the request never reached a server; 503: no server took it.
_NOT_PROCESSED = frozenset({502, 503})
#: By these Braze refuses what a request holds or names.
_REFUSALS = frozenset({400, 404, 410, 413, 422})
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,60}", re.ASCII)


class ResponseClass(Enum):
    """What an answer's status says of the request."""

    SUCCESS = "taken, if the body says so"
    RATE_LIMITED = "not taken, for the limit of requests"
    TRANSIENT = "not taken; another attempt may succeed"
    UNCLEAR = "perhaps taken: no answer, or one of a server in trouble"
    REFUSED = "not taken, for what it holds or names"
    TERMINAL = "not taken, and another attempt is of no use: the key, the URL or something in front of Braze"

    @property
    def is_retryable(self) -> bool:
        """Whether a request that may be repeated is worth another attempt."""
        return self in _RETRYABLE


_RETRYABLE = frozenset({ResponseClass.RATE_LIMITED, ResponseClass.TRANSIENT, ResponseClass.UNCLEAR})


def classify_response(status: int | None, *, written: bool = True) -> ResponseClass:
    """The class of an answer; `status` None: none came, and `written` says whether the request had left."""
    if status is None:
        return ResponseClass.UNCLEAR if written else ResponseClass.TRANSIENT
    if 200 <= status < 300:
        return ResponseClass.SUCCESS
    if status == 429:
        return ResponseClass.RATE_LIMITED
    if status >= 500 or status == 408:
        return ResponseClass.TRANSIENT if status in _NOT_PROCESSED else ResponseClass.UNCLEAR
    return ResponseClass.REFUSED if status in _REFUSALS else ResponseClass.TERMINAL


def object_in(body: bytes) -> dict[str, Any] | None:
    """The JSON object that an answer's body is; None for everything else, however deeply it is nested."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def describe_response(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """An answer by its status, content type and length, without anything of its body."""
    given = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    kind = _MEDIA_TYPE.match(given.strip())
    return f"{status} ({kind[0].lower() if kind else 'no content type'}, {len(body):,} bytes)"
