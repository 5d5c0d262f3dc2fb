"""The sandbox over HTTP: Braze's endpoints behind key, limits and faults, and the steering endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from braze_platform.sandbox.api.cdi import CloudDataIngestion
from braze_platform.sandbox.api.contract import Contract
from braze_platform.sandbox.api.control import REFUSALS, Control, Runner
from braze_platform.sandbox.api.export import export_ids
from braze_platform.sandbox.api.faults import Faults
from braze_platform.sandbox.api.ingest import ingest
from braze_platform.sandbox.api.rate_limits import RateLimit
from braze_platform.sandbox.api.track import RequestRefused, TrackRequest, read_request
from braze_platform.sandbox.api.workspace_export import WorkspaceExport
from braze_platform.sandbox.world.people import make_people
from braze_platform.sandbox.world.simulation import Simulation
from braze_platform.settings import Settings

MAX_BODY_BYTES = 4 * 1024 * 1024
#: https://www.braze.com/docs/api/endpoints/user_data/post_user_track_bulk
MAX_BULK_BODY_BYTES = 2 * 1024 * 1024
MAX_BULK_OBJECTS = 1_000
MAX_BULK_OBJECTS_OF_A_USER = 100
_DROP = "sandbox.drop"

Handler = Callable[[Request], Awaitable[Response]]


class ConnectionDropped(Exception):
    """There is no connection to break here: the caller sees this in place of an answer."""


class _Drop(Response):
    """In place of an answer: the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": _DROP})
        while (await receive())["type"] != "http.disconnect":
            pass


class _BodyTooLarge(Exception):
    """A request body is over the limit."""


class Dropping:
    """An ASGI application in which a connection can break without an answer, as on a bad network."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        # Under uvicorn `send` belongs to a request cycle that holds the transport.
        transport = getattr(getattr(send, "__self__", None), "transport", None)

        async def send_or_drop(message: Message) -> None:
            if message["type"] != _DROP:
                await send(message)
            elif transport is None:
                raise ConnectionDropped(
                    "The fault 'drop' met a request that came without a network connection."
                )
            else:
                transport.abort()

        await self.app(scope, receive, send_or_drop)


class Api:
    """Braze's endpoints over one simulation's profiles."""

    def __init__(
        self,
        simulation: Simulation,
        key: str,
        faults: Faults,
        contract: Contract,
    ) -> None:
        self._store = simulation.store
        self._key = f"Bearer {key}".encode()
        self._faults = faults
        self._contract = contract
        self._numbers = itertools.count()
        #: Accepted requests that are not applied yet.
        self._queued: dict[int, tuple[TrackRequest, asyncio.TimerHandle]] = {}

    def guarded(self, handler: Handler) -> Handler:
        """A handler behind the key; what it refuses becomes an answer."""

        async def with_key(request: Request) -> Response:
            if not self._has_key(request):
                return _refusal(401, "Invalid API key.")
            try:
                return await handler(request)
            except tuple(REFUSALS) as refused:
                return _refusal(REFUSALS[type(refused)], str(refused))

        return with_key

    async def track(self, request: Request) -> Response:
        """`POST /users/track`."""
        return await self.serve(
            request, self._contract.track_limit, self._decoded(self._answer_track), self._store.count_request
        )

    async def track_bulk(self, request: Request) -> Response:
        """`POST /users/track/bulk`: larger requests, for those to whom Braze gave it."""

        async def answer(request: Request) -> Response:
            if not self._contract.bulk_permitted:
                return _refusal(403, "The key lacks the permission users.track.bulk.")
            if int(request.headers.get("content-length", "0")) > MAX_BULK_BODY_BYTES:
                return _refusal(400, f"The request body is over {MAX_BULK_BODY_BYTES} bytes.")
            return await self._decoded(self._answer_bulk)(request)

        return await self.serve(request, self._contract.bulk_limit, answer, self._store.count_request)

    async def export(self, request: Request) -> Response:
        """`POST /users/export/ids`."""
        return await self.serve(
            request,
            self._contract.export_limit,
            self._decoded(self._answer_export),
            self._store.count_request,
        )

    async def serve(
        self, request: Request, limit: RateLimit, answer: Handler, count: Callable[[str], None]
    ) -> Response:
        """Answer a request behind key, faults and a limit; `count` is told the outcome of it.

        `answer` itself counts what it accepts; a `RequestRefused` that it raises becomes a 400.
        """
        fault = self._faults.choose()
        if fault == "gateway":
            count("faulted")
            status, content_type, body = self._faults.gateway_answer()
            return Response(body, status, media_type=content_type)
        if not self._has_key(request):
            count("rejected")
            return _refusal(401, "Invalid API key.")
        if self._faults.settings.latency_ms:
            await asyncio.sleep(self._faults.settings.latency_ms / 1000)
        if fault in ("drop_before", "error_before"):
            count("faulted")
            if fault == "drop_before":
                return _Drop()
            return _refusal(self._faults.error_status(fault), "The service is not available.")
        passed, headers = (False, {"X-Ratelimit-Retry-After": "1"}) if fault == "limited" else limit.take()
        if not passed:
            count("limited")
            return JSONResponse({"message": "Rate limit exceeded."}, 429, headers=headers)
        try:
            response = await answer(request)
        except RequestRefused as refused:
            response = _refusal(400, str(refused))
        if response.status_code >= 400:
            count("rejected")
        if fault is not None:
            count("faulted")
            if fault == "drop_after":
                return _Drop()
            return _refusal(self._faults.error_status(fault), "The service did not answer in time.")
        response.headers.update(headers)
        return response

    def _decoded(self, answer: Callable[[Any], Response]) -> Handler:
        """What answers a decoded JSON body, as a handler of requests."""

        async def answering(request: Request) -> Response:
            try:
                if (
                    request.headers.get("content-type", "").split(";")[0].strip().lower()
                    != "application/json"
                ):
                    return _refusal(415, "The content type must be application/json.")
                return answer(json.loads(await _read(request), parse_constant=_no_constant))
            except _BodyTooLarge:
                return _refusal(413, f"The request body is over {MAX_BODY_BYTES} bytes.")
            except (ValueError, RecursionError):
                return _refusal(400, "The request body is not valid JSON.")

        return answering

    def _answer_track(self, body: Any) -> Response:
        return self._ingested(read_request(body))

    def _answer_bulk(self, body: Any) -> Response:
        request = read_request(body, MAX_BULK_OBJECTS)
        users = Counter(entry.identifier for entry in request.attributes)
        users.update(entry.identifier for entry in request.occurrences)
        most = max(users.values(), default=0)
        if most > MAX_BULK_OBJECTS_OF_A_USER:
            raise RequestRefused(f"{most} objects of one user, at most {MAX_BULK_OBJECTS_OF_A_USER}.")
        return self._ingested(request)

    def _ingested(self, read: TrackRequest) -> Response:
        request = self._faults.spoil(read)
        seconds = self._faults.queue_seconds()
        if seconds:
            number = next(self._numbers)
            timer = asyncio.get_running_loop().call_later(seconds, self._apply_queued, number)
            self._queued[number] = (request, timer)
        else:
            ingest(self._store, request)
        return JSONResponse(request.answer(), 201)

    def _apply_queued(self, number: int) -> None:
        request, timer = self._queued.pop(number)
        timer.cancel()
        ingest(self._store, request)

    def apply_all_queued(self) -> None:
        """Apply what still waits; nothing accepted is lost when the sandbox stops."""
        for number in list(self._queued):
            self._apply_queued(number)

    def _answer_export(self, body: Any) -> Response:
        exported = export_ids(self._store, body)
        self._store.count_request("accepted")
        return JSONResponse(exported, 201)

    def _has_key(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, self._key)


def create_app(
    settings: Settings,
    contract: Contract,
    *,
    seed: int,
    users: int,
) -> Dropping:
    """The sandbox as an ASGI application; its state lies in `settings.sandbox_dir` and survives it.

    Starting up opens (or creates) the profiles and resumes a run that was stopped; shutting down stops a run
    after its current day.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        people = make_people(seed, users)
        simulation = Simulation(settings, seed, users, people)
        runner = Runner(lambda: Simulation(settings, seed, users, people))
        faults = Faults(random=random.Random(seed))
        api = Api(simulation, settings.braze_api_key, faults, contract)
        workspace = WorkspaceExport(simulation, faults, api.serve, contract)
        ingestion = CloudDataIngestion(
            simulation.store, faults, api.serve, settings.cdi_exports_dir, contract.cdi_start_seconds
        )
        app.router.routes.extend(
            [
                *ingestion.routes(),
                Route("/users/track", api.track, methods=["POST"]),
                Route("/users/track/bulk", api.track_bulk, methods=["POST"]),
                Route("/users/export/ids", api.export, methods=["POST"]),
                *workspace.routes(),
                *Control(simulation, runner, faults).routes(api.guarded),
                Route("/{path:path}/", _trailing_slash, methods=["GET", "POST"]),
            ]
        )
        stopped = simulation.job()
        if stopped is not None:
            runner.start(stopped)
        try:
            yield
        finally:
            await ingestion.stop()
            api.apply_all_queued()
            await asyncio.to_thread(runner.stop)
            simulation.close()

    app = Starlette(lifespan=lifespan)
    app.router.redirect_slashes = False
    return Dropping(app)


async def _trailing_slash(_request: Request) -> Response:
    """Braze answers 403 to an address with a slash too many (https://www.braze.com/docs/api/errors)."""
    return _refusal(403, "The request was refused: remove the slash at the end of the address.")


async def _read(request: Request) -> bytes:
    """The body, given up as soon as it is over the limit."""
    if int(request.headers.get("content-length", "0")) > MAX_BODY_BYTES:
        raise _BodyTooLarge
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise _BodyTooLarge
            parts.append(part)
    except ClientDisconnect:
        raise RequestRefused("The request ended before its body did.") from None
    return b"".join(parts)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
