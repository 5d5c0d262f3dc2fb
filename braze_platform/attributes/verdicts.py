"""What an answer of Braze means for each object that was sent: delivered, rejected or due. Pure.

Braze documents that entries of `errors` exist, not what they hold; that they name `input_array` and `index`
is what live answers show. Choices made where nothing is documented stand beside the code.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from braze_platform.attributes.requests import Request
from braze_platform.braze_api.pacing import wait_after

Outcome = Literal["delivered", "rejected", "due"]
#: What the sender does with an object that is due: send it again as it is, send it in a smaller request, or
#: stop the whole sync.
NextStep = Literal["resend", "split", "stop"]

#: Messages under which Braze accepts a request; `queued` is how it answered during maintenance.
_ACCEPTED_MESSAGES = frozenset({"success", "queued"})
_USER_ERRORS = re.compile(
    r"external_?\s?(user_)?id|braze_id|user_alias|alias_(name|label)|identifier|BLACKLISTED", re.IGNORECASE
)


@dataclass(frozen=True)
class Verdict:
    """What became of one object. `reason` is Braze's own text and may hold personal data."""

    outcome: Outcome
    reason: str = ""
    next_step: NextStep = "resend"
    retry_after: float | None = None
    #: Of one that is due: Braze may have taken it all the same. What is no absolute value must not be sent again then.
    unclear: bool = False


DELIVERED = Verdict("delivered")


def interpret(
    request: Request,
    status: int | None,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    written: bool = True,
) -> list[Verdict]:
    """One verdict for each object of the request, in order.

    `status` None means that no answer came (timeout, connection refused or reset): absolute values are safe to send
    again. `written` False says that not even the request left, e.g. because no connection came about.
    `now` is the epoch in seconds, for headers that name a moment.
    """
    if request.oversized:
        return [Verdict("rejected", "the object alone is larger than a request may be")] * len(request)
    if status is None:
        return _all(request, Verdict("due", "no answer from Braze", unclear=written))
    wait = wait_after(status, headers, time.time() if now is None else now)
    if 200 <= status < 300:
        return _accepted(request, body)
    message = _message(body)
    if status == 429:
        return _all(request, Verdict("due", "429: too many requests", retry_after=wait))
    if status >= 500 or status == 408:
        unclear = status not in _NOT_PROCESSED
        return _all(
            request, Verdict("due", f"{status}: Braze could not answer", retry_after=wait, unclear=unclear)
        )
    if status in _STOPS or 300 <= status < 400 or status < 200:
        reason = _STOPS.get(status, "the URL does not answer as Braze's API does; check BRAZE_REST_URL")
        return _all(request, Verdict("due", f"{status}: {reason}", next_step="stop"))
    if status == 413:
        return _split(request, f"413: {message or 'the request is too large'}")
    return _refused(request, status, message, body)


def concerns_user(reason: str) -> bool:
    """Whether a rejection is about the user's identity, so that no attribute of the object can pass."""
    return _USER_ERRORS.search(reason) is not None


def shown_reason(reason: str) -> str:
    """A reason without what may be personal: quoted text, addresses, numbers and long tokens are masked."""
    text = re.sub(r"\S+@\S+", "…", reason)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|‘[^’]*’|“[^”]*”", "…", text)
    text = re.sub(r"\b(?=\w*\d)[\w-]{6,}\b", "…", text)
    return text[:200]


#: 502: the request never reached a server; 503: no server took it (https://www.braze.com/docs/api/errors).
_NOT_PROCESSED = frozenset({502, 503})
_STOPS = {
    401: "the key is wrong, or the URL belongs to another instance; check BRAZE_API_KEY and BRAZE_REST_URL",
    403: "the key lacks the permission users.track; give it in Braze under APIs and Identifiers",
    404: "there is no such endpoint; check BRAZE_REST_URL",
    405: "the URL does not take POST; check BRAZE_REST_URL",
    415: "the content type was refused; something between here and Braze removes the JSON header",
}


def _accepted(request: Request, body: bytes) -> list[Verdict]:
    """2xx is not success: `message` and `errors` decide.

    A body that cannot be read leaves open what happened, so everything is sent again. Errors without a
    usable index may concern any object not named: those are sent in smaller requests until one is alone.
    """
    answer = _object(body)
    if answer is None:
        return _all(request, Verdict("due", "2xx with a body that is not a JSON object", unclear=True))
    message = answer.get("message")
    named, unnamed = _errors(request, answer.get("errors"))
    succeeded = isinstance(message, str) and message.lower() in _ACCEPTED_MESSAGES
    if succeeded and not unnamed:
        rest = DELIVERED
    elif unnamed or not named:
        reason = "; ".join(unnamed) or (
            f"2xx without success: {message}" if message else "2xx without message"
        )
        rest = _apart(request, reason, unclear=True)
    else:
        rest = Verdict("due", f"2xx without success: {message}", unclear=True)
    return [Verdict("rejected", named[i]) if i in named else rest for i in range(len(request))]


def _refused(request: Request, status: int, message: str, body: bytes) -> list[Verdict]:
    """400 and its like: nothing was processed. Objects named by index are at fault, the others are not."""
    named, _ = _errors(request, (_object(body) or {}).get("errors"))
    if not named:
        return _split(request, f"{status}: {message or 'refused without a reason'}")
    rest = Verdict("due", f"{status}: refused for other objects of the request")
    return [Verdict("rejected", named[i]) if i in named else rest for i in range(len(request))]


def _errors(request: Request, errors: object) -> tuple[dict[int, str], list[str]]:
    """Reasons by the index of the object concerned, and reasons that name no object of this request."""
    named: dict[int, str] = {}
    unnamed: list[str] = []
    if errors is None:
        return named, unnamed
    for entry in errors if isinstance(errors, list) else [errors]:
        index, reason = None, _text(entry)
        if isinstance(entry, dict):
            reason = _text(entry.get("type") or entry.get("message") or entry.get("error") or "unknown error")
            if entry.get("input_array", request.array) == request.array:
                index = _index(entry.get("index"))
        if index is not None and index < len(request):
            named[index] = f"{named[index]}; {reason}" if index in named else reason
        else:
            unnamed.append(reason)
    return named, unnamed


def _index(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def _split(request: Request, reason: str) -> list[Verdict]:
    return _all(request, _apart(request, reason))


def _apart(request: Request, reason: str, *, unclear: bool = False) -> Verdict:
    """A fault of the request becomes a fault of the object once the object is alone in it."""
    if len(request) == 1:
        return Verdict("rejected", reason)
    return Verdict("due", reason, next_step="split", unclear=unclear)


def _all(request: Request, verdict: Verdict) -> list[Verdict]:
    return [verdict] * len(request)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _message(body: bytes) -> str:
    answer = _object(body)
    return _text(answer["message"]) if answer and answer.get("message") else ""


def _text(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:500]
