"""What an answer of an export endpoint means for the reading. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: `body`: it can be used. `again`: worth another attempt. `garbled`: likewise, but soon a fault of the object.
#: `object`: this object cannot be read, others can. `stop`: no request of this endpoint will be answered.
Meaning = Literal["body", "again", "garbled", "object", "stop"]


@dataclass(frozen=True)
class Meant:
    """The meaning of one answer. `reason` never holds anything that Braze wrote."""

    meaning: Meaning
    reason: str = ""
    body: Mapping[str, Any] | None = None


def meaning_of(status: int | None, body: bytes, *, fault: str = "", permissions: str = "") -> Meant:
    """Interpret one answer; `status` None means that none came, `permissions` are what the endpoint asks of the key.

    https://www.braze.com/docs/api/errors: 2xx is not success without its message; 401 also comes from the wrong
    instance; 5xx are worth another attempt.
    """
    if status is None:
        return Meant("again", f"no answer from Braze ({fault or 'connection lost'})")
    if 200 <= status < 300:
        return _read(body)
    if status == 429:
        return Meant("again", "429: too many requests")
    if status >= 500 or status == 408:
        return Meant("again", f"{status}: Braze could not answer")
    if status == 401:
        return Meant(
            "stop",
            "401: the key is wrong, or the URL belongs to another instance; check BRAZE_API_KEY and BRAZE_REST_URL",
        )
    if status == 403:
        return Meant(
            "stop",
            f"403: the key lacks the permission {permissions}; make one that has it in Braze, APIs and Identifiers",
        )
    if status in (400, 404, 410, 422):
        return Meant("object", f"{status}: Braze does not know it")
    return Meant("stop", f"{status}: the URL does not answer as Braze's API does; check BRAZE_REST_URL")


def _read(body: bytes) -> Meant:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Meant("garbled", "the answer is not valid JSON")
    if not isinstance(answer, dict):
        return Meant("garbled", "the answer is not a JSON object")
    message = answer.get("message")
    if not isinstance(message, str) or message.lower() != "success":
        return Meant("garbled", "2xx without success")
    return Meant("body", body=answer)
