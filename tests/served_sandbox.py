"""A sandbox in a thread of a test, and what tests ask of it."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import uvicorn

from braze_platform.sandbox.api.contract import Contract
from braze_platform.sandbox.api.server import create_app
from braze_platform.settings import Settings


@contextlib.contextmanager
def sandbox(settings: Settings, users: int = 40, **contract: Any) -> Iterator[httpx.Client]:
    """A sandbox served in a thread, on a port that was free; the client has its key."""
    app = create_app(settings, Contract(**contract), seed=7, users=users)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with sandbox_client(settings, f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def sandbox_client(settings: Settings, url: str = "") -> httpx.Client:
    key = {"Authorization": f"Bearer {settings.braze_api_key}"}
    return httpx.Client(base_url=url or settings.braze_rest_url, headers=key, timeout=60)


def url_of(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def track(client: httpx.Client, *attributes: dict[str, Any], **arrays: Any) -> httpx.Response:
    return client.post("/users/track", json=({"attributes": list(attributes)} if attributes else {}) | arrays)


def profiles(client: httpx.Client, external_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Custom attributes of the users whom it has."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(external_ids), 50):
        wanted = {
            "external_ids": external_ids[start : start + 50],
            "fields_to_export": ["external_id", "custom_attributes"],
        }
        answer = client.post("/users/export/ids", json=wanted).raise_for_status()
        for user in answer.json()["users"]:
            found[user["external_id"]] = user.get("custom_attributes") or {}
    return found


def custom(client: httpx.Client, external_id: str) -> dict[str, Any] | None:
    return profiles(client, [external_id]).get(external_id)
