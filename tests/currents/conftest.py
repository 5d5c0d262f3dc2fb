"""A bucket, a warehouse and settings in a folder of the test's own."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
from currents_files import Deliveries
from installation import Installation

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", currents_start_day=date(2026, 11, 1))


@pytest.fixture
def installation(installation: Installation, made_tables: Path) -> Installation:
    """On DuckDB with all raw tables."""
    installation.configure(currents_start_day=date(2026, 11, 1))
    if installation.settings.target == "local":
        installation.settings.bucket_dir.mkdir(parents=True)
        shutil.copyfile(made_tables, installation.settings.duckdb_path)
    return installation


@pytest.fixture
def deliveries(settings: Settings) -> Deliveries:
    settings.bucket_dir.mkdir(parents=True)
    return Deliveries(settings.bucket_dir)


@pytest.fixture
def bucket(settings: Settings) -> FolderBucket:
    return FolderBucket(settings.bucket_dir)


@pytest.fixture(scope="session")
def made_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with all raw tables, made once: making them takes seconds."""
    path = tmp_path_factory.mktemp("made") / "warehouse.duckdb"
    with DuckDBWarehouse(path, threads=1).session() as session:
        ensure_raw_tables(session)
    return path


@pytest.fixture
def warehouse(settings: Settings, made_tables: Path) -> DuckDBWarehouse:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made_tables, settings.duckdb_path)
    return DuckDBWarehouse(settings.duckdb_path, threads=1)
