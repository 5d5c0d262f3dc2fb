"""dbt waits while an analyst has the DuckDB file open, and says for whom."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.environments import create

from braze_platform.settings import PROJECT_ROOT
from braze_platform.warehouse import duckdb_lock


@pytest.fixture
def analyst(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the file open until it gets a line."""
    path = tmp_path / "warehouse.duckdb"
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def credentials(folder: Path) -> DuckDBCredentials:
    """The file, with the plugins and the retries of the project's profile."""
    profile = yaml.safe_load((PROJECT_ROOT / "dbt_project/profiles.yml").read_text(encoding="utf-8"))
    local = profile["braze_platform"]["outputs"]["local"]
    return DuckDBCredentials.from_dict(
        {
            "path": str(folder / "warehouse.duckdb"),
            "schema": "main",
            "database": "warehouse",
            "plugins": local["plugins"],
            "retries": local["retries"],
        }
    )


def test_dbt_waits_and_names_the_process(
    tmp_path: Path,
    analyst: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(duckdb_lock, "_SAY_AFTER", 0.0)
    slept: list[float] = []
    released = threading.Event()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if not released.is_set():
            analyst.communicate(b"\n")
            released.set()

    monkeypatch.setattr(duckdb_lock.time, "sleep", sleep)
    handle = create(credentials(tmp_path)).handle()
    assert handle.cursor().execute("select 42").fetchall() == [(42,)]
    handle.close()
    assert slept
    assert f"(process {analyst.pid}) has it open" in capsys.readouterr().out


def test_dbt_gives_up_with_the_process_s_name(
    tmp_path: Path, analyst: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(*arguments: Any, **options: Any) -> Any:
        return duckdb_lock.connect_waiting(*arguments, **{**options, "patience_seconds": 0.1})

    monkeypatch.setattr("braze_platform.marts.dbt_plugin.connect_waiting", impatient)
    with pytest.raises(Exception, match=rf"process {analyst.pid}\) has it open"):
        create(credentials(tmp_path)).handle()


def test_dbt_goes_on_waiting_when_another_process_is_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    code = (
        f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('open', flush=True); time.sleep(1.5)"
    )
    quicker: list[subprocess.Popen[bytes]] = []

    class Turn:
        """Given back as the plugin does it, to a process that waits for it, too."""

        def close(self) -> None:
            quicker.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
            assert quicker[0].stdout is not None
            assert quicker[0].stdout.readline() == b"open\n"

    monkeypatch.setattr("braze_platform.marts.dbt_plugin.connect_waiting", lambda *_, **__: Turn())
    handle = create(credentials(tmp_path)).handle()
    assert handle.cursor().execute("select 42").fetchall() == [(42,)]
    handle.close()
    quicker[0].communicate()


def test_other_errors_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock" / "warehouse.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(duckdb.Error):
        duckdb_lock.connect_waiting(path, {})
    path.unlink()
    path.mkdir()
    with pytest.raises(duckdb.IOException):
        duckdb_lock.connect_waiting(path, {})
