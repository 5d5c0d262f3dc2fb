"""The one client of Braze's REST API: the guard on outward calls, kept connections, one attempt per request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

import aiohttp
import httpx

from braze_platform.braze_api.http_clients import (
    DEADLINE,
    NO_ANSWER,
    async_http_client,
    fault_name,
    is_proxy_fault,
)
from braze_platform.settings import Settings

_Client = TypeVar("_Client", bound="BrazeClient")


#: Bytes of an answer once it is expanded; the longest of Braze's, exports of users, have a few million.
_LARGEST = 64 * 1024 * 1024
_PART = 64 * 1024


class AnswerTooLarge(Exception):
    """An answer that nobody should keep in memory."""


class OutwardCallsOff(RuntimeError):
    """A call to another machine was asked for where it is not allowed."""


@dataclass(frozen=True)
class Answer:
    """What came back: status None when nothing did, with `fault` saying how it failed.

    `written` False: it failed before anything of the request left, so that Braze cannot have taken it; `at_proxy`: it
    failed at the environment's proxy.
    """

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: str = ""
    written: bool = True
    at_proxy: bool = False


class BrazeClient:
    """Requests to one Braze with its key; a transport is a client with words of its own.

    Its `repr`, its answers and its errors never hold the key. Use it as an asynchronous context manager. Refuses with
    `OutwardCallsOff` unless the settings allow calls; `nothing` says in that message what did not happen, e.g. "Nothing
    was sent to".
    """

    def __init__(
        self, settings: Settings, *, connections: int, nothing: str, timeout_seconds: float = 30.0
    ) -> None:
        if not settings.outward_calls_allowed:
            raise OutwardCallsOff(
                f"{nothing} {settings.braze_rest_url}: outward calls are off because the environment "
                f"is {settings.environment!r}. Set BRAZE_PLATFORM_ENVIRONMENT=production, or point "
                "BRAZE_REST_URL at the sandbox."
            )
        self.url = settings.braze_rest_url
        self._key = settings.braze_api_key
        self._connections = connections
        self._timeout = timeout_seconds
        self._client: httpx.AsyncClient | None = None
        #: Attempts so far, by path.
        self.requests: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r}, key=…)"

    async def __aenter__(self: _Client) -> _Client:
        self._client = async_http_client(
            self.url,
            connections=self._connections,
            timeout=self._timeout,
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(kind, error, trace)
            self._client = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """One attempt; network faults come back as an answer without status, nothing is retried here."""
        if self._client is None:
            raise RuntimeError("A client of Braze is used outside its context; write `async with ...:`.")
        self.requests[path] += 1
        try:
            return await asyncio.wait_for(
                self._whole(self._client.stream(method, path, params=parameters, content=content)),
                self._timeout * DEADLINE,
            )
        except httpx.HTTPError as error:
            # The transport calls a connection that closes after the request a ConnectTimeout, too: its cause tells.
            refused = isinstance(error.__cause__ or error.__context__, aiohttp.ClientConnectorError)
            at_proxy = is_proxy_fault(error)
            return Answer(None, fault=fault_name(error), written=not (refused or at_proxy), at_proxy=at_proxy)
        except (*NO_ANSWER, AnswerTooLarge) as error:
            return Answer(None, fault=type(error).__name__)

    @staticmethod
    async def _whole(answering: AbstractAsyncContextManager[httpx.Response]) -> Answer:
        body = bytearray()
        async with answering as response:
            async for part in response.aiter_bytes(_PART):
                body += part
                if len(body) > _LARGEST:
                    raise AnswerTooLarge
        return Answer(response.status_code, dict(response.headers), bytes(body))
