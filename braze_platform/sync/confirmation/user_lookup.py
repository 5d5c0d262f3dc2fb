"""Asks Braze for users by `/users/export/ids`, and reads no more out of an answer than it says.

The endpoint takes 50 external ids or aliases a request, or one e-mail address, phone number or Braze id; it lists those
of the request that no user has in `invalid_user_ids`
(https://www.braze.com/docs/api/endpoints/export/user_data/post_users_identifier). A user in neither list is not proven
to be unknown.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from braze_platform.braze_api.connection import Answer, BrazeConnection
from braze_platform.braze_api.pacing import backoff, wait_after
from braze_platform.braze_api.shared_budget import SharedBudget
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import IdentifierKind
from braze_platform.sync.delivery.verdicts import described
from braze_platform.sync.values.json_text import decode

PATH = "/users/export/ids"
USERS_PER_REQUEST = 50
#: 250 requests per minute, for workspaces made since August 2024, as windows of 3 seconds.
PER_BURST = 12
PER_HOUR = 15_000
_FAULT_SECONDS = 120.0
_RATE_LIMIT_SECONDS = 900.0
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
        # One was asked for, and Braze reports addresses apart by neither case nor notation.
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
    response = described(answer.status or 0, answer.headers, answer.body)
    return LookupFailed(
        f"Braze answered {response} to {PATH}, {what}. Check BRAZE_REST_URL and what stands in front of it."
    )


class UserLookup:
    """Looks users up in the workspace of `settings`, within its own budget. Use it as an asynchronous context manager.

    Raises `OutwardCallsOff` where calls are off.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        patience_seconds: float = _FAULT_SECONDS,
        wait_seconds: float = _RATE_LIMIT_SECONDS,
    ) -> None:
        self._connection = BrazeConnection(settings, connections=1, nothing="Nothing was read from")
        self._budget = SharedBudget(
            settings.state_dir / "braze_budget.sqlite", PATH, per_burst=PER_BURST, per_hour=PER_HOUR
        )
        self._patience = patience_seconds
        self._wait = wait_seconds
        self.requests = 0

    async def __aenter__(self) -> UserLookup:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._connection.__aexit__(*error)

    async def find(self, kind: IdentifierKind, keys: Sequence[Key], fields: Sequence[str] = ()) -> FoundUsers:
        """Which of some users exist, at most `users_per_request` of them. Raises `LookupFailed`."""
        return read_users(kind, keys, await self._ask(lookup_body(kind, keys, fields)))

    async def _ask(self, body: bytes) -> Answer:
        """One response with 2xx; 429, 5xx and timeouts are retried."""
        since, attempt = time.monotonic(), 0
        while True:
            while not (grant := self._budget.take()).requests:
                if grant.wait_seconds > self._wait:
                    raise LookupFailed(f"The hour's budget of {PATH} is used up.")
                await asyncio.sleep(grant.wait_seconds)
            self.requests += 1
            answer = await self._connection.request("POST", PATH, content=body)
            status = answer.status
            if status is not None and 200 <= status < 300:
                return answer
            if status is not None and status < 500 and status not in (408, 429):
                response = described(status, answer.headers, answer.body)
                raise LookupFailed(
                    f"Braze answered {response} to {PATH}. The key needs the permission users.export.ids; check "
                    "BRAZE_API_KEY and BRAZE_REST_URL."
                )
            patience = self._wait if status == 429 else self._patience
            if time.monotonic() - since > patience:
                raise LookupFailed(f"Braze did not answer {PATH} for {patience:.0f} seconds.")
            attempt += 1
            wait = None if status is None else wait_after(status, answer.headers, time.time())
            await asyncio.sleep(backoff(attempt, 0.5) if wait is None else wait)
