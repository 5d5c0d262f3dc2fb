"""What the export endpoints' responses are to the reader. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from braze_platform.braze_api.responses import ResponseClass, classify_response, object_in

#: `body`: it can be used. `retry`: transient. `invalid`: transient too, but after a few attempts a fault of the object.
#: `object`: this object cannot be read, others can. `stop`: terminal for the endpoint.
Kind = Literal["body", "retry", "invalid", "object", "stop"]


@dataclass(frozen=True)
class InterpretedResponse:
    """What one response is to the reader. `reason` never holds anything that Braze wrote."""

    kind: Kind
    reason: str = ""
    body: Mapping[str, Any] | None = None


def interpret_response(
    status: int | None, body: bytes, *, fault: str = "", permissions: str = ""
) -> InterpretedResponse:
    """Interpret one response; `status` None: no response; `permissions`: what the endpoint requires of the API key.

    https://www.braze.com/docs/api/errors: 2xx is not success without its message; 401 also comes from the wrong
    instance; 5xx are worth another attempt.
    """
    if status is None:
        return InterpretedResponse("retry", f"no response from Braze ({fault or 'connection lost'})")
    found = classify_response(status)
    if found is ResponseClass.SUCCESS:
        return _read(body)
    if found.is_retryable:
        return InterpretedResponse(
            "retry", "429: too many requests" if status == 429 else f"{status}: Braze could not answer"
        )
    if status == 401:
        return InterpretedResponse(
            "stop",
            "401: the key is wrong, or the URL belongs to another instance; check BRAZE_API_KEY and BRAZE_REST_URL",
        )
    if status == 403:
        return InterpretedResponse(
            "stop",
            f"403: the key lacks the permission {permissions}; make one that has it in Braze, APIs and Identifiers",
        )
    if found is ResponseClass.REFUSED:
        return InterpretedResponse("object", f"{status}: Braze does not know it")
    return InterpretedResponse(
        "stop", f"{status}: the URL does not answer as Braze's API does; check BRAZE_REST_URL"
    )


def _read(body: bytes) -> InterpretedResponse:
    answer = object_in(body)
    if answer is None:
        return InterpretedResponse("invalid", "the answer is not a JSON object")
    message = answer.get("message")
    if not isinstance(message, str) or message.lower() != "success":
        return InterpretedResponse("invalid", "2xx without success")
    return InterpretedResponse("body", body=answer)
