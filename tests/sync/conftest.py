from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fake_braze
import pytest
import sandbox_room
from contended_sync import PEOPLE, Room, SharedDuckDB
from fake_braze import FakeBraze
from sync_room import SyncRoom

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.settings import Settings
from braze_platform.sync.transports.cdi.integration import CdiPatience
from braze_platform.warehouse.migrations import migrate


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Braze refuses is soon given up, in place of being tried again for minutes; a job is asked about often."""
    quick = RetryLimits(fault_seconds=0.4, rate_limit_seconds=5.0, first_backoff_seconds=0.01)
    monkeypatch.setattr("braze_platform.sync.run.RETRY", quick)
    patience = CdiPatience(first_poll_seconds=0.05, max_poll_seconds=0.2, fault_seconds=10, job_seconds=60)
    monkeypatch.setattr("braze_platform.sync.transports.cdi.integration.PATIENCE", patience)


@pytest.fixture
def braze() -> Iterator[FakeBraze]:
    """A fake Braze on a free port."""
    server = FakeBraze()
    with fake_braze.serve(server):
        yield server


@pytest.fixture
def room(tmp_path: Path, braze: FakeBraze) -> SyncRoom:
    """A warehouse with a customer model, a sync over it and settings that point at the fake Braze."""
    return SyncRoom(tmp_path, braze.url)


@pytest.fixture
def google_room(room: SyncRoom, google_settings: Settings) -> SyncRoom:
    """The room of the other tests, its warehouse exchanged for BigQuery."""
    room.move_to(google_settings)
    with room.warehouse.session() as session:
        session.create_schema("attributes", "Tests")
    return room


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.full)])
def sending(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    with sandbox_room.serve(tmp_path, PEOPLE, cdi_start_seconds=0.1) as inner:
        if request.param == "bigquery":
            inner.move_to(request.getfixturevalue("google_settings"))
            yield _begun(Room(inner))
        else:
            inner.warehouse = SharedDuckDB(inner.settings.duckdb_path)
            yield _begun(Room(inner))
            inner.warehouse.connection.close()


def _begun(room: Room) -> Room:
    """With what every writer does first, for tests that hold leases themselves."""
    with room.warehouse.session() as session:
        migrate(session)
    return room
