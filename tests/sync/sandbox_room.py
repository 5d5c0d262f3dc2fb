"""A sync against the real sandbox, its people as the customers of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import served_sandbox
from fake_braze import KEY
from sync_room import SyncRoom

from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec


@contextmanager
def serve(folder: Path, people: int, **contract: Any) -> Iterator[SandboxRoom]:
    """A sandbox over `folder`, and a room whose syncs send to it."""
    settings = Settings(state_dir=folder, braze_api_key=KEY)
    with served_sandbox.sandbox(settings, people, **contract) as client:
        yield SandboxRoom(folder, client)


class SandboxRoom(SyncRoom):
    """A sync room whose Braze is the sandbox."""

    def __init__(self, folder: Path, client: httpx.Client) -> None:
        super().__init__(folder, served_sandbox.url_of(client))
        self.client = client
        self.declare(
            attributes=(AttributeSpec("score", "integer"), AttributeSpec("channel", "string")),
            existing_only=True,
        )

    def request(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.request(method, path, json=body).raise_for_status().json()

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
        found = served_sandbox.profiles(self.client, users)
        return {user: attributes for user, attributes in found.items() if attributes}
