"""Classification of Braze's response, per object sent: delivered, rejected or due. Pure.

Braze documents that entries of `errors` exist, not what they hold; that they name `input_array` and `index`
is what live answers show. Choices made where nothing is documented stand beside the code.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from braze_platform.braze_api.pacing import wait_after
from braze_platform.braze_api.responses import ResponseClass, classify_response, describe_response, object_in
from braze_platform.sync.delivery.requests import Request

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
    """The result for one object. `reason` is Braze's own text and may hold personal data."""

    outcome: Outcome
    reason: str = ""
    next_step: NextStep = "resend"
    retry_after: float | None = None
    #: Of one that is due: Braze may have taken it all the same. Operators are not idempotent and must not be retried
    #: then.
    unclear: bool = False
    #: Of one that is rejected: the answer names no object, this one was alone in the request. It is at fault only if
    #: the endpoint takes another object.
    inferred: bool = False


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

    `status` None: no response (timeout, connection refused or reset); absolute values are idempotent and are retried.
    `written` False: not even the request was sent, e.g. because no connection could be opened.
    `now` is the Unix time in seconds, for headers that hold a time.
    """
    if request.oversized:
        return [Verdict("rejected", "the object alone is larger than a request may be")] * len(request)
    found = classify_response(status, written=written)
    unclear = found is ResponseClass.UNCLEAR
    if status is None:
        return _all(request, Verdict("due", "no response from Braze", unclear=unclear))
    answered = describe_response(status, headers, body)
    if found is ResponseClass.SUCCESS:
        return _accepted(request, body, answered)
    if found.is_retryable:
        reason = "429: too many requests" if status == 429 else f"{status}: Braze could not answer"
        wait = wait_after(status, headers, time.time() if now is None else now)
        return _all(request, Verdict("due", reason, retry_after=wait, unclear=unclear))
    if status == 413:
        return _split_request(request, f"{answered}: the request is too large")
    if status in _REFUSALS:
        return _refused(request, body, answered)
    reason = _STOPS.get(status, _NOT_BRAZE)
    return _all(request, Verdict("due", f"{answered}: {reason}", next_step="stop"))


def concerns_user(reason: str) -> bool:
    """Whether a rejection is about the user's identity, so that no attribute of the object can pass."""
    return _USER_ERRORS.search(reason) is not None


_STOPS = {
    401: "the key is wrong, or the URL belongs to another instance; check BRAZE_API_KEY and BRAZE_REST_URL",
    403: "the key lacks the permission users.track; give it in Braze under APIs and Identifiers",
    404: "there is no such endpoint; check BRAZE_REST_URL",
    405: "the URL does not take POST; check BRAZE_REST_URL",
    415: "the content type was refused; something between here and Braze removes the JSON header",
}
_NOT_BRAZE = (
    "the URL does not answer as Braze's API does; check BRAZE_REST_URL and what stands in front of it"
)
#: Statuses by which Braze refuses what a request holds (https://www.braze.com/docs/api/errors).
_REFUSALS = frozenset({400, 422})


def _accepted(request: Request, body: bytes, answered: str) -> list[Verdict]:
    """2xx is not success: `message` and `errors` decide.

    A body that was cut off leaves open what happened, so everything is sent again. Any other body without success says
    nothing of any object, and rejects none. Errors without a usable index may concern any object not named: those are
    sent in smaller requests until one is alone.
    """
    answer = object_in(body)
    if answer is None and _is_cut_off(body):
        return _all(request, Verdict("due", f"{answered}: the answer was cut off", unclear=True))
    message = (answer or {}).get("message")
    if answer is None or not isinstance(message, str) or message.lower() not in _ACCEPTED_MESSAGES:
        return _all(
            request, Verdict("due", f"{answered}: 2xx without success", next_step="split", unclear=True)
        )
    named, unnamed = _errors(request, answer.get("errors"))
    rest = _split_or_reject(request, "; ".join(unnamed), unclear=True) if unnamed else DELIVERED
    return [Verdict("rejected", named[i]) if i in named else rest for i in range(len(request))]


def _is_cut_off(body: bytes) -> bool:
    """Whether a body is the beginning of a JSON object, or nothing at all."""
    start = body.strip()
    return not start or (start.startswith(b"{") and object_in(body) is None)


def _refused(request: Request, body: bytes, answered: str) -> list[Verdict]:
    """Nothing was processed. Objects named by index are at fault, the others are not.

    An answer that is not Braze's, e.g. a firewall's page, may keep an object back but never rejects one.
    """
    answer = object_in(body) or {}
    named, unnamed = _errors(request, answer.get("errors"))
    if named:
        rest = Verdict("due", f"{answered}: refused for other objects of the request")
        return [Verdict("rejected", named[i]) if i in named else rest for i in range(len(request))]
    message = _text(answer["message"]) if answer.get("message") else "; ".join(unnamed)
    if message:
        return _split_request(request, f"{answered}: {message}")
    return _all(request, Verdict("due", f"{answered}: {_NOT_BRAZE}", next_step="split"))


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
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def _split_request(request: Request, reason: str) -> list[Verdict]:
    return _all(request, _split_or_reject(request, reason))


def _split_or_reject(request: Request, reason: str, *, unclear: bool = False) -> Verdict:
    """Split a refused request; an object that is alone in its request is rejected."""
    if len(request) == 1:
        return Verdict("rejected", reason, unclear=unclear, inferred=True)
    return Verdict("due", reason, next_step="split", unclear=unclear)


def _all(request: Request, verdict: Verdict) -> list[Verdict]:
    return [verdict] * len(request)


def _text(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:500]


def settled_at_once(verdict: Verdict) -> Verdict:
    """What becomes of a verdict on something that must not be sent twice."""
    if verdict.outcome != "due" or not verdict.unclear:
        return verdict
    return Verdict(
        "rejected",
        f"{verdict.reason}; an operator is not sent again after an unclear answer",
        unclear=True,
    )
