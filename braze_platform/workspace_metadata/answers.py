"""Classification of the export endpoints' responses. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: `body`: it can be used. `retry`: transient. `invalid`: transient too, but after a few attempts a fault of the object.
#: `object`: this object cannot be read, others can. `stop`: terminal for the endpoint.
ResponseClass = Literal["body", "retry", "invalid", "object", "stop"]


@dataclass(frozen=True)
class ClassifiedResponse:
    """One response with its class. `reason` never holds anything that Braze wrote."""

    response_class: ResponseClass
    reason: str = ""
    body: Mapping[str, Any] | None = None


def classify_response(
    status: int | None, body: bytes, *, fault: str = "", permissions: str = ""
) -> ClassifiedResponse:
    """Classify one response; `status` None: no response; `permissions`: what the endpoint requires of the API key.

    https://www.braze.com/docs/api/errors: 2xx is not success without its message; 401 also comes from the wrong
    instance; 5xx are worth another attempt.
    """
    if status is None:
        return ClassifiedResponse("retry", f"no response from Braze ({fault or 'connection lost'})")
    if 200 <= status < 300:
        return _read(body)
    if status == 429:
        return ClassifiedResponse("retry", "429: too many requests")
    if status >= 500 or status == 408:
        return ClassifiedResponse("retry", f"{status}: Braze could not answer")
    if status == 401:
        return ClassifiedResponse(
            "stop",
            "401: the key is wrong, or the URL belongs to another instance; check BRAZE_API_KEY and BRAZE_REST_URL",
        )
    if status == 403:
        return ClassifiedResponse(
            "stop",
            f"403: the key lacks the permission {permissions}; make one that has it in Braze, APIs and Identifiers",
        )
    if status in (400, 404, 410, 422):
        return ClassifiedResponse("object", f"{status}: Braze does not know it")
    return ClassifiedResponse(
        "stop", f"{status}: the URL does not answer as Braze's API does; check BRAZE_REST_URL"
    )


def _read(body: bytes) -> ClassifiedResponse:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ClassifiedResponse("invalid", "the answer is not valid JSON")
    if not isinstance(answer, dict):
        return ClassifiedResponse("invalid", "the answer is not a JSON object")
    message = answer.get("message")
    if not isinstance(message, str) or message.lower() != "success":
        return ClassifiedResponse("invalid", "2xx without success")
    return ClassifiedResponse("body", body=answer)
