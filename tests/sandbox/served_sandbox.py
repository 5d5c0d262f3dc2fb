"""A sandbox in a thread of a test, and what tests ask of it."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn

from braze_platform.sandbox.api.contract import Contract
from braze_platform.sandbox.api.server import create_app
from braze_platform.settings import Settings

KEY = {"Authorization": "Bearer sandbox-key"}


@contextlib.contextmanager
def sandbox(settings: Settings, **options: Any) -> Iterator[httpx.Client]:
    """A sandbox of 40 people served in a thread, on a port that was free."""
    config = uvicorn.Config(
        create_app(settings, Contract(**options), seed=7, users=40),
        host="127.0.0.1",
        port=0,
        log_level="critical",
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY, timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def track(client: httpx.Client, *attributes: dict[str, Any], **arrays: Any) -> httpx.Response:
    return client.post("/users/track", json=({"attributes": list(attributes)} if attributes else {}) | arrays)


def custom(client: httpx.Client, external_id: str) -> dict[str, Any] | None:
    users = client.post("/users/export/ids", json={"external_ids": [external_id]}).json()["users"]
    return users[0].get("custom_attributes", {}) if users else None
