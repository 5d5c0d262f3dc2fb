"""dbt is the process's that started it: what it says is dbt's, and it ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from braze_platform.marts.dbt_environment import dbt_environment
from braze_platform.marts.dbt_process import dbt_command
from braze_platform.process_table import command_of
from braze_platform.settings import Settings

#: What a run does: it starts dbt and reads what dbt says. Here it says whose process dbt is, and waits.
RUN = """
import subprocess, sys
from braze_platform.marts.dbt_process import dbt_command
dbt = subprocess.Popen([*dbt_command(), *sys.argv[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(dbt.pid, flush=True)
for line in dbt.stdout:
    print(line.decode(), end="", flush=True)
"""
#: For ever, as far as a test is concerned.
LONG = "select count(*) from range(1000000000000) as a where hash(a.range) = 0"


def test_it_is_dbt() -> None:
    done = subprocess.run([*dbt_command(), "--version"], capture_output=True, text=True, check=True)
    assert "duckdb" in done.stdout
    wrong = subprocess.run([*dbt_command(), "bild"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "Usage: dbt" in wrong.stderr


@pytest.mark.full
def test_it_ends_with_a_killed_run_and_gives_the_file_back(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    settings.duckdb_path.parent.mkdir()
    duckdb.connect(str(settings.duckdb_path)).close()
    show = ["show", "--quiet", "--target", "local", "--limit", "-1", "--inline", LONG]
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, *show],
        cwd=settings.dbt_project_dir,
        env={**os.environ, **dbt_environment(settings)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    dbt = int(run.stdout.readline())
    deadline = time.monotonic() + 120
    while not _locked(settings.duckdb_path):
        assert run.poll() is None and time.monotonic() < deadline, run.stdout.read()
        time.sleep(0.1)
    run.kill()
    run.wait(10)
    deadline = time.monotonic() + 30
    while command_of(dbt) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert command_of(dbt) == ""
    duckdb.connect(str(settings.duckdb_path)).close()
    run.stdout.close()


def _locked(path: Path) -> bool:
    code = f"import duckdb; duckdb.connect({str(path)!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0
