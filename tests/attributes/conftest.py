from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of


def _load(name: str) -> ModuleType:
    """The helpers beside these tests, without putting this folder on the path of all tests."""
    full = f"attributes_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


_load("fake_braze")
_load("braze_value_rules")
_load("sync_room")
_load("sandbox_room")


@pytest.fixture
def braze() -> Iterator[Any]:
    """A fake Braze on a free port."""
    fake = sys.modules["attributes_tests_fake_braze"]
    server = fake.FakeBraze()
    with fake.serve(server):
        yield server


@pytest.fixture
def room(tmp_path: Path, braze: Any) -> Any:
    """A warehouse with a customer model, a sync over it and settings that point at the fake Braze."""
    return sys.modules["attributes_tests_sync_room"].SyncRoom(tmp_path, braze.url)


@pytest.fixture
def google_room(room: Any, google_settings: Settings) -> Any:
    """The room of the other tests, its warehouse exchanged for BigQuery."""
    room.settings = google_settings.but(
        braze_rest_url=room.settings.braze_rest_url, braze_api_key=room.settings.braze_api_key
    )
    room.warehouse = warehouse_of(room.settings)
    with room.warehouse.session() as session:
        session.create_schema("attributes", "Tests")
    return room
