"""A real sandbox on a free port, and a warehouse beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from installation import Installation
from served_sandbox import sandbox, url_of

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.settings import Settings
from braze_platform.workspace_metadata import reader
from braze_platform.workspace_metadata.reader import ReadLimits
from braze_platform.workspace_metadata.update import WorkspaceUpdate, update_workspace

KEY = "the-key-of-these-tests-91c4"


class Workspace(Installation):
    """An installation whose Braze is a sandbox with a few days of history."""

    def __init__(self, settings: Settings, client: httpx.Client) -> None:
        super().__init__(settings.replace(braze_rest_url=url_of(client)))
        self.client = client

    def simulate(self, path: str, **body: Any) -> None:
        assert self.client.post(path, json=body).status_code == 202
        for _ in range(1200):
            if self.client.get("/sandbox/state").json()["phase"] == "idle":
                return
            time.sleep(0.05)
        raise AssertionError("the sandbox did not become idle")

    def advance(self, days: int = 1) -> None:
        self.simulate("/sandbox/advance", days=days)

    def post(self, path: str, body: dict[str, Any]) -> None:
        self.client.post(path, json=body).raise_for_status()

    def update(self, now: datetime | None = None) -> WorkspaceUpdate:
        """An update, where it matters as if it were another time."""
        with pytest.MonkeyPatch.context() as patch:
            if now is not None:
                patch.setattr("braze_platform.workspace_metadata.update.now_utc", lambda: now)
            return update_workspace(self.warehouse, self.settings)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables of the room."""
        tables = self.fetch(
            "select table_name from information_schema.tables where table_schema = 'braze_workspace'"
        )
        return {
            table: sorted(self.fetch(f'select * from braze_workspace."{table}"'), key=repr)
            for (table,) in tables
        }


@pytest.fixture(autouse=True)
def read_limits(monkeypatch: pytest.MonkeyPatch) -> ReadLimits:
    """Limits under which these tests do not wait."""
    retry = RetryLimits(fault_seconds=0.5, rate_limit_seconds=3.0, first_backoff_seconds=0.01)
    limits = ReadLimits(requests_per_second=2_000, retry=retry, own_share=0.9)
    monkeypatch.setattr(reader, "LIMITS", limits)
    return limits


@pytest.fixture
def workspace_with(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """Makes workspaces, by what the sandbox's contract allows."""
    with contextlib.ExitStack() as stack:

        def make(**contract: Any) -> Workspace:
            settings = Settings(state_dir=tmp_path, braze_api_key=KEY, duckdb_memory_limit="500MB")
            client = stack.enter_context(sandbox(settings, **contract))
            made = Workspace(settings, client)
            made.simulate("/sandbox/history", days=2, until="2026-09-20")
            return made

        yield make


@pytest.fixture
def workspace(workspace_with: Callable[..., Workspace]) -> Workspace:
    return workspace_with()
