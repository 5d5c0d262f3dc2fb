"""What holds for all tests: emulators start when a test of a worker needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import google_emulators
import pytest
from google_emulators import GoogleEmulators

from braze_platform.settings import Settings


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleEmulators]:
    with google_emulators.running(tmp_path_factory.mktemp("emulators")) as running:
        yield running


@pytest.fixture
def google_settings(emulators: GoogleEmulators, tmp_path: Path) -> Iterator[Settings]:
    settings = emulators.settings(tmp_path / "google-state")
    yield settings
    emulators.forget(settings)


@pytest.fixture(params=["local", "bigquery"])
def settings_of_either(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An installation without anything in it, on each target in turn."""
    if request.param == "local":
        return Settings(state_dir=tmp_path)
    settings: Settings = request.getfixturevalue("google_settings")
    return settings
