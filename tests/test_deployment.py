"""What a deployment adds to the base install works at the pinned versions."""

from __future__ import annotations

import importlib
import re

import pytest
import sqlalchemy
from dagster._core.storage.sql import create_engine
from packaging.requirements import Requirement
from packaging.version import Version

from braze_platform.demo.processes import free_port
from braze_platform.settings import PROJECT_ROOT


def test_postgresql_is_a_storage_of_dagster() -> None:
    """With sqlalchemy 2.1, `postgresql://` means psycopg 3, and every process of Dagster ended at its import."""
    for name in ("DagsterPostgresStorage", "PostgresRunStorage", "PostgresEventLogStorage"):
        assert "postgres_db" in getattr(importlib.import_module("dagster_postgres"), name).config_type()
    parts = {"username": "dagster", "password": "a-password", "hostname": "127.0.0.1", "db_name": "dagster"}
    url_of = importlib.import_module("dagster_postgres.utils").pg_url_from_config
    engine = create_engine(url_of({"postgres_db": {**parts, "port": free_port()}}))
    # The driver is there and tries: nothing listens.
    with pytest.raises(sqlalchemy.exc.OperationalError, match="refused"):
        engine.connect()


def test_the_pins_fit_postgresql_on_every_python() -> None:
    pins = [
        Requirement(line)
        for line in (PROJECT_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if re.match(r"(sqlalchemy|dagster|dagster-postgres|psycopg2-binary)==", line)
    ]
    assert sorted(pin.name for pin in pins) == [
        "dagster",
        "dagster-postgres",
        "psycopg2-binary",
        "sqlalchemy",
    ]
    assert all(pin.marker is None for pin in pins)
    [release] = [next(iter(pin.specifier)).version for pin in pins if pin.name == "sqlalchemy"]
    assert Version("2") <= Version(release) < Version("2.1")
