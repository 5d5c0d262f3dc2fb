"""A sync against the real sandbox: served in a thread, its people as the customers of the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import sync_room
import uvicorn

from braze_platform.sandbox.api.contract import Contract
from braze_platform.sandbox.api.server import create_app
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec

KEY = "secret-key-of-the-tests-5f1c"


@contextmanager
def serve(folder: Path, people: int, **options: Any) -> Iterator[Any]:
    """A sandbox over `folder`, and a room whose syncs send to it."""
    settings = Settings(state_dir=folder, braze_api_key=KEY)
    app = create_app(settings, Contract(**options), seed=7, users=people)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield SandboxRoom(folder, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()


class SandboxRoom(sync_room.SyncRoom):  # type: ignore[misc]
    """A sync room whose Braze is the sandbox."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self.declare(
            attributes=(AttributeSpec("score", "integer"), AttributeSpec("channel", "string")),
            existing_only=True,
        )

    def request(self, method: str, path: str, body: Any = None) -> Any:
        with httpx.Client(base_url=self.settings.braze_rest_url) as client:
            answer = client.request(method, path, json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code < 300, answer.text
        return answer.json()

    def faults(self, **shares: float) -> None:
        self.request("POST", "/sandbox/faults", shares)

    def people(self, users: Sequence[str], channel: str = "'email'", score: str = "i") -> Sequence[str]:
        values = ", ".join(f"('{user}', {i})" for i, user in enumerate(users))
        self.model(
            f"select u as external_id, cast({score} as bigint) as score, {channel} as channel "
            f"from (values {values}) t(u, i)"
        )
        return users

    def profiles(self, users: Sequence[str]) -> dict[str, Any]:
        """Custom attributes of users who have any."""
        found: dict[str, Any] = {}
        for start in range(0, len(users), 50):
            answer = self.request(
                "POST",
                "/users/export/ids",
                {
                    "external_ids": list(users[start : start + 50]),
                    "fields_to_export": ["external_id", "custom_attributes"],
                },
            )
            for user in answer["users"]:
                if user.get("custom_attributes"):
                    found[user["external_id"]] = user["custom_attributes"]
        return found
