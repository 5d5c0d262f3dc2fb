"""A minimal Braze for these tests: real HTTP on a free port, profiles in memory, faults on request."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = "secret-key-of-the-tests-5f1c"
Fault = Callable[[int, list[dict[str, Any]]], Response | None]


class FakeBraze:
    """Profiles by external id; `fault` may answer in place of Braze; `partial` names objects to refuse."""

    def __init__(self) -> None:
        self.profiles: dict[str, dict[str, Any]] = {}
        self.received: list[list[dict[str, Any]]] = []
        #: What came in, as it was written.
        self.bodies: list[bytes] = []
        self.in_flight: set[str] = set()
        self.overlaps = 0
        self.max_in_flight = 0
        self.fault: Fault | None = None
        self.rejects: Callable[[dict[str, Any]], str | None] = lambda entry: None
        self.delay = 0.0
        self.url = ""
        #: Every value that was ever applied, by user and attribute.
        self.taken: set[tuple[str, str, str]] = set()

    def has_taken(self, user: str, name: str, value: Any) -> bool:
        """Whether a value was ever applied; nothing is what every profile begins with."""
        return value is None or (user, name, json.dumps(value)) in self.taken

    def user(self, entry: dict[str, Any]) -> str:
        if "user_alias" in entry:
            return f"{entry['user_alias']['alias_label']}:{entry['user_alias']['alias_name']}"
        return str(entry.get("external_id"))

    async def track(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"message": "Invalid API Key"}, 401)
        self.bodies.append(await request.body())
        objects = json.loads(self.bodies[-1])["attributes"]
        users = [self.user(entry) for entry in objects]
        if len(users) > 75:
            return JSONResponse({"message": "Max Input Length Exceeded"}, 400)
        self.overlaps += len(self.in_flight.intersection(users)) + len(users) - len(set(users))
        self.in_flight.update(users)
        self.max_in_flight = max(self.max_in_flight, len(self.in_flight))
        self.received.append(objects)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.fault is not None:
                answer = self.fault(len(self.received), objects)
                if answer is not None:
                    return answer
            errors = []
            for index, entry in enumerate(objects):
                reason = self.rejects(entry)
                if reason is not None:
                    errors.append({"type": reason, "input_array": "attributes", "index": index})
                    continue
                self.apply(users[index], entry)
            content: dict[str, Any] = {
                "message": "success",
                "attributes_processed": len(objects) - len(errors),
            }
            return JSONResponse(content | ({"errors": errors} if errors else {}), 201)
        finally:
            self.in_flight.difference_update(users)

    def apply(self, user: str, entry: dict[str, Any]) -> None:
        profile = self.profiles.setdefault(user, {})
        for name, value in entry.items():
            if name in ("external_id", "user_alias") or name.startswith("_"):
                continue
            self.taken.add((user, name, json.dumps(value)))
            if value is None:
                profile.pop(name, None)
            else:
                profile[name] = value

    @property
    def objects_received(self) -> int:
        return sum(len(objects) for objects in self.received)

    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.profiles, sort_keys=True).encode()).hexdigest()


@contextmanager
def serve(braze: FakeBraze, port: int = 0, routes: Sequence[Route] = ()) -> Iterator[str]:
    """Run the fake on a loopback port while the context lasts, with more `routes` than its own."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    app = Starlette(routes=[Route("/users/track", braze.track, methods=["POST"]), *routes])
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    braze.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield braze.url
    finally:
        server.should_exit = True
        # uvicorn ends within a fifth of a second; only a server on the same port has to wait for that
        thread.join(timeout=10 if port else 0)
