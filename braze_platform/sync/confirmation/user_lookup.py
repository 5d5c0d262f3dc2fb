"""Asks Braze for users by `/users/export/ids`, and reads no more out of an answer than it says.

The endpoint takes 50 external ids or aliases a request, or one e-mail address, phone number or Braze id; it lists those
of the request that no user has in `invalid_user_ids`
(https://www.braze.com/docs/api/endpoints/export/user_data/post_users_identifier). A user in neither list is not proven
to be unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.limiter import Limiter, NoTurn
from braze_platform.braze_api.responses import ResponseClass, classify_response, describe_response
from braze_platform.braze_api.retries import RetryLimits, failure, retry_request
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import IdentifierKind
from braze_platform.sync.values.json_text import decode

#: How long a request is tried again.
RETRY = RetryLimits()
PATH = "/users/export/ids"
USERS_PER_REQUEST = 50
#: 250 requests per minute, for workspaces made since August 2024, as windows of 3 seconds.
REQUESTS_PER_SECOND = 4.0
PER_HOUR = 15_000
#: Where the request names users of whom it takes one, by kind of identifier.
_SINGLE = {"email": "email_address", "phone": "phone", "braze_id": "braze_id"}
#: The field of an exported user that holds the identifier.
IDENTIFIER_FIELDS: dict[IdentifierKind, str] = {
    "external_id": "external_id",
    "user_alias": "user_aliases",
    "braze_id": "braze_id",
    "email": "email",
    "phone": "phone",
}

Key = tuple[str, ...]


class LookupFailed(RuntimeError):
    """Braze did not say who exists; the message says what it answered and what to do, and nothing of the body."""


@dataclass
class FoundUsers:
    """What an answer says of the users asked for. Who is in neither is not known to exist nor to be missing."""

    profiles: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    unknown: set[Key] = field(default_factory=set)


def users_per_request(kind: IdentifierKind) -> int:
    """How many users of this kind one request takes."""
    return 1 if kind in _SINGLE else USERS_PER_REQUEST


def lookup_body(kind: IdentifierKind, keys: Sequence[Key], fields: Sequence[str]) -> bytes:
    """The request for these users, with the identifier and `fields` of each."""
    asked: dict[str, object] = {"fields_to_export": sorted({IDENTIFIER_FIELDS[kind], *fields})}
    if kind == "user_alias":
        asked["user_aliases"] = [{"alias_name": name, "alias_label": label} for name, label in keys]
    elif kind == "external_id":
        asked["external_ids"] = [key[0] for key in keys]
    else:
        [(asked[_SINGLE[kind]],)] = keys
    return json.dumps(asked).encode()


def read_users(kind: IdentifierKind, keys: Sequence[Key], answer: Answer) -> FoundUsers:
    """Who exists by an answer with 2xx. Raises `LookupFailed` for every answer that contradicts the request."""
    asked = set(keys)
    found = FoundUsers()
    body = _object(answer)
    users, invalid = body.get("users"), body.get("invalid_user_ids")
    if not isinstance(users, list):
        raise _failed(answer, "without a list of users")
    if invalid is not None and not isinstance(invalid, list):
        raise _failed(answer, "whose list of unknown users is none")
    for user in users:
        named = _keys_of(kind, user, asked)
        if not named:
            raise _failed(answer, "with a user who was not asked for, or whose identifier cannot be read")
        if named & found.profiles.keys():
            raise _failed(answer, "with one user twice")
        for key in named:
            found.profiles[key] = user
    for entry in invalid or []:
        missing = _missing(kind, entry, asked)
        if not missing or missing & found.profiles.keys():
            raise _failed(answer, "whose list of unknown users does not fit the request")
        found.unknown |= missing
    return found


def _object(answer: Answer) -> dict[str, Any]:
    try:
        body: object = decode(answer.body)
    except (ValueError, RecursionError):
        raise _failed(answer, "that is not JSON") from None
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(message, str) or message.lower() != "success":
        raise _failed(answer, "without success")
    return body


def _keys_of(kind: IdentifierKind, user: Any, asked: set[Key]) -> set[Key]:
    """Which of the identifiers asked for an exported user has."""
    if not isinstance(user, dict):
        return set()
    held = user.get(IDENTIFIER_FIELDS[kind])
    if kind == "user_alias":
        aliases = held if isinstance(held, list) else []
        pairs = [(a.get("alias_name"), a.get("alias_label")) for a in aliases if isinstance(a, dict)]
        return {key for key in asked if key in pairs}
    if kind in ("email", "phone") and isinstance(held, str):
        # One was asked for, and Braze ignores case and notation of addresses.
        return set(asked)
    return {key for key in asked if key == (held,)}


def _missing(kind: IdentifierKind, entry: object, asked: set[Key]) -> set[Key]:
    """Whom an entry of `invalid_user_ids` names; nobody when it is ambiguous or was not asked for."""
    if kind == "user_alias" and isinstance(entry, dict):
        return {key for key in asked if key == (entry.get("alias_name"), entry.get("alias_label"))}
    if not isinstance(entry, str):
        return set()
    if kind in _SINGLE:
        return set(asked)
    named = {key for key in asked if key[0] == entry}
    return named if len(named) == 1 else set()


def _failed(answer: Answer, what: str) -> LookupFailed:
    response = describe_response(answer.status or 0, answer.headers, answer.body)
    return LookupFailed(
        f"Braze answered {response} to {PATH}, {what}. Check BRAZE_REST_URL and what stands in front of it."
    )


class UserLookup(BrazeClient):
    """Looks users up in the workspace of `settings`. Raises `OutwardCallsOff` where calls are off."""

    def __init__(self, settings: Settings, retry: RetryLimits | None = None) -> None:
        super().__init__(settings, connections=1, nothing="Nothing was read from")
        self._limiter = Limiter(per_second=REQUESTS_PER_SECOND, per_hour=PER_HOUR)
        self._retry = retry or RETRY

    async def find(self, kind: IdentifierKind, keys: Sequence[Key], fields: Sequence[str] = ()) -> FoundUsers:
        """Which of some users exist, at most `users_per_request` of them. Raises `LookupFailed`."""
        return read_users(kind, keys, await self._ask(lookup_body(kind, keys, fields)))

    async def _ask(self, body: bytes) -> Answer:
        """One answer with 2xx; after 429, 5xx and timeouts the request is retried."""

        async def attempt() -> Answer:
            await self._limiter.turn(max_wait_seconds=self._retry.rate_limit_seconds)
            answer = await self.request("POST", PATH, content=body)
            self._limiter.observe_rate_limit_headers(answer.headers)
            return answer

        try:
            answer = await retry_request(attempt, self._retry)
        except NoTurn:
            raise LookupFailed(f"The hour's requests of {PATH} are used up.") from None
        found = classify_response(answer.status, written=answer.written)
        if found is ResponseClass.SUCCESS:
            return answer
        if answer.status is None or found.is_retryable:
            raise LookupFailed(f"Braze {failure(answer, self._retry)} to {PATH}.")
        response = describe_response(answer.status, answer.headers, answer.body)
        raise LookupFailed(
            f"Braze answered {response} to {PATH}. The key needs the permission users.export.ids; check "
            "BRAZE_API_KEY and BRAZE_REST_URL."
        )
