"""Reads the export endpoints: lists page by page, then the details that are due, many at a time.

One bad object is reported and stops nothing. An endpoint that will not answer (permission, outage) leaves the others
alone. What the hour's share of requests does not suffice for is left to the next run.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.limiter import Limiter, NoTurn
from braze_platform.braze_api.retries import RetryLimits, retry_request
from braze_platform.settings import Settings
from braze_platform.workspace_metadata.answers import interpret_response
from braze_platform.workspace_metadata.due import Reading, due_objects, entry_hash, missing_objects
from braze_platform.workspace_metadata.objects import ENDPOINTS, Endpoint, ObjectUnreadable, ReadObject
from braze_platform.workspace_metadata.paging import has_next_page, next_cursor

#: Readings known from earlier runs: by endpoint, then by object id.
Known = Mapping[str, Mapping[str, Reading]]

_INVALID_ATTEMPTS = 3
#: Share of an hour's requests that is left to others, by what Braze's headers say remains.
_RESERVE = 0.25


@dataclass(frozen=True)
class ReadLimits:
    """How fast the room reads, how long it tries, and its share of the requests of an hour."""

    concurrency: int = 8
    requests_per_second: float = 50.0
    retry: RetryLimits = field(default_factory=lambda: RetryLimits(60.0, 120.0))
    #: Requests of an hour and the share of them that this room uses. 250,000 are shared by most endpoints, sends
    #: included; 1,000 by `/custom_attributes` and the events' lists (https://www.braze.com/docs/api/api_limits).
    requests_per_hour: int = 250_000
    attribute_requests_per_hour: int = 1_000
    own_share: float = 0.2


LIMITS = ReadLimits()


@dataclass
class EndpointReading:
    """What was read of one endpoint."""

    endpoint: Endpoint
    #: The whole list, by id; None when it could not be read to its end.
    entries: dict[str, Mapping[str, Any]] | None = None
    objects: dict[str, ReadObject] = field(default_factory=dict)
    #: Reasons by id, or by place in the list for entries without one.
    unreadable: dict[str, str] = field(default_factory=dict)
    #: Ids that an earlier run read and that the list does not name, looked for twice.
    gone: set[str] = field(default_factory=set)
    #: Details that are due and were not asked for: the hour's share of requests was used up, or Braze was away.
    postponed: int = 0
    #: Why the endpoint was not read in full; empty when it was.
    failure: str = ""
    #: Whether trying again soon is of no use.
    permanent: bool = False

    def hash_of(self, object_id: str) -> str:
        """The hash of an object's list entry."""
        return entry_hash((self.entries or {})[object_id])


@dataclass
class WorkspaceReading:
    """What was read of the workspace, and how many requests that took, by path."""

    endpoints: dict[str, EndpointReading]
    requests: Counter[str]

    @property
    def failures(self) -> dict[str, str]:
        """Endpoints that were not read in full, and why."""
        return {name: found.failure for name, found in self.endpoints.items() if found.failure}


class _EndpointStopped(Exception):
    """No more requests of this endpoint make sense in this run; the message says why."""

    def __init__(self, reason: str, *, permanent: bool = False, budget: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.budget = budget


async def read_workspace(settings: Settings, known: Known, *, now: datetime) -> WorkspaceReading:
    """Read all endpoints, within `LIMITS`. `now` (naive UTC) decides what is due.

    Raises `OutwardCallsOff` before any request where calls are not allowed.
    """
    client = BrazeClient(settings, connections=LIMITS.concurrency, nothing="The workspace was not read from")
    async with client:
        reader = _Reader(client, LIMITS)
        # All lists before any detail: where an hour's share ends early, every endpoint's names are known and what is
        # left is counted.
        found = await asyncio.gather(
            *(reader.read_list(endpoint, known.get(endpoint.name, {})) for endpoint in ENDPOINTS)
        )
        await asyncio.gather(
            *(reader.read_details(reading, known.get(reading.endpoint.name, {}), now) for reading in found)
        )
    return WorkspaceReading({reading.endpoint.name: reading for reading in found}, client.requests)


class _Reader:
    """One run's reading by one client."""

    def __init__(self, client: BrazeClient, limits: ReadLimits) -> None:
        self._client = client
        self._retry = limits.retry
        self._turns = asyncio.Semaphore(limits.concurrency)
        self._shared, self._attributes = (
            Limiter(
                per_second=limits.requests_per_second,
                per_hour=per_hour,
                share=limits.own_share,
                reserve=_RESERVE,
            )
            for per_hour in (limits.requests_per_hour, limits.attribute_requests_per_hour)
        )
        self._away = asyncio.Event()
        self._last_success = float("-inf")

    async def read_list(self, endpoint: Endpoint, known: Mapping[str, Reading]) -> EndpointReading:
        """Read one endpoint's list."""
        reading = EndpointReading(endpoint)
        try:
            entries = await self._list(reading)
            if missing_objects(entries, known):
                # A list by page number can pass over an entry when another is deleted meanwhile: look once more.
                entries |= await self._list(reading)
                reading.gone = missing_objects(entries, known)
            reading.entries = entries
        except _EndpointStopped as stopped:
            reading.failure, reading.permanent = f"the list: {stopped}", stopped.permanent
        return reading

    async def read_details(
        self, reading: EndpointReading, known: Mapping[str, Reading], now: datetime
    ) -> None:
        """Read the details that are due of an endpoint whose list was read."""
        if reading.entries is not None:
            due = due_objects(reading.entries, known, now)
            await asyncio.gather(*(self._details(reading, object_id) for object_id in due))

    async def _list(self, reading: EndpointReading) -> dict[str, Mapping[str, Any]]:
        endpoint, entries = reading.endpoint, dict[str, Mapping[str, Any]]()
        page, first_size, cursor = 0, 0, None
        while True:
            page_parameters: dict[str, str] = {"page": str(page)}
            if endpoint.by_cursor:
                page_parameters = {} if cursor is None else {"cursor": cursor}
            try:
                body, headers = await self._get(
                    endpoint, endpoint.list_path, {**(endpoint.list_parameters or {}), **page_parameters}
                )
            except ObjectUnreadable as unreadable:
                raise _EndpointStopped(f"page {page}: {unreadable}") from None
            found = self._entries(reading, body, page)
            earlier = set(entries)
            entries |= found
            first_size = first_size or len(found)
            if endpoint.by_cursor:
                following = next_cursor(headers)
                if following is None:
                    return entries
                if following == cursor:
                    raise _EndpointStopped(f"page {page}: its link leads to itself")
                cursor = following
            elif not has_next_page(set(found), earlier, first_size, page=page):
                return entries
            page += 1

    def _entries(
        self, reading: EndpointReading, body: Mapping[str, Any], page: int
    ) -> dict[str, Mapping[str, Any]]:
        endpoint = reading.endpoint
        listed = body.get(endpoint.list_field)
        if not isinstance(listed, list):
            raise _EndpointStopped(f"page {page}: '{endpoint.list_field}' is not an array")
        found: dict[str, Mapping[str, Any]] = {}
        for number, entry in enumerate(listed):
            object_id = entry.get(endpoint.id_field) if isinstance(entry, Mapping) else None
            if isinstance(object_id, str) and object_id:
                found[object_id] = entry
            else:
                where = f"entry {number} of page {page}"
                reading.unreadable[where] = f"'{endpoint.id_field}' is missing or not text"
        return found

    async def _details(self, reading: EndpointReading, object_id: str) -> None:
        endpoint, entry = reading.endpoint, (reading.entries or {})[object_id]
        try:
            details: Mapping[str, Any] = entry
            if endpoint.details_path is not None:
                async with self._turns:
                    if reading.failure:
                        reading.postponed += 1
                        return
                    parameters = {endpoint.details_parameter: object_id}
                    details, _ = await self._get(endpoint, endpoint.details_path, parameters)
            reading.objects[object_id] = endpoint.read(entry, details)
        except ObjectUnreadable as unreadable:
            reading.unreadable[object_id] = str(unreadable)
        except _EndpointStopped as stopped:
            reading.postponed += 1
            if not stopped.budget:
                reading.failure = reading.failure or f"details: {stopped}"
                reading.permanent = reading.permanent or stopped.permanent

    async def _get(
        self, endpoint: Endpoint, path: str, parameters: Mapping[str, str]
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """An answer's body and headers, by as many attempts as it takes.

        Raises `ObjectUnreadable` for what concerns this request alone, `_EndpointStopped` for what does not.
        """
        limiter = self._attributes if endpoint.by_cursor else self._shared

        async def attempt() -> Answer:
            await limiter.turn(self._away, max_wait_seconds=self._retry.rate_limit_seconds)
            answer = await self._client.request("GET", path, parameters=parameters)
            limiter.observe_rate_limit_headers(answer.headers)
            return answer

        began = time.monotonic()
        for number in range(1, _INVALID_ATTEMPTS + 1):
            try:
                answer = await retry_request(attempt, self._retry)
            except NoTurn as refused:
                if refused.wait_seconds is None:
                    raise _EndpointStopped("Braze does not answer") from None
                raise _EndpointStopped("this hour's share of requests is used up", budget=True) from None
            response = interpret_response(
                answer.status, answer.body, fault=answer.fault, permissions=endpoint.permissions
            )
            if response.kind == "body" and response.body is not None:
                self._last_success = time.monotonic()
                return response.body, answer.headers
            if response.kind != "invalid":
                break
            await asyncio.sleep(self._retry.backoff(number))
        if response.kind == "stop":
            raise _EndpointStopped(response.reason, permanent=True)
        if answer.status == 429:
            raise _EndpointStopped("Braze's rate limit is used up", budget=True)
        if response.kind == "retry" and self._last_success <= began:
            # nobody was answered in all that time: the others need not wait as long
            self._away.set()
            raise _EndpointStopped(response.reason)
        raise ObjectUnreadable(response.reason)
