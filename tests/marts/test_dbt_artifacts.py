"""Failed runs leave the last few folders of dbt, not one each for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

from braze_platform.marts.dbt_artifacts import KEPT, discard, sweep

HOUR = 3600.0


def left_behind(target_dir: Path, name: str, hours_ago: float, log_hours_ago: float | None = None) -> Path:
    folder = target_dir / name
    (folder / "compiled").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "dbt.log").write_text("")
    for path in (folder, *folder.iterdir()):
        os.utime(path, times=(time.time() - hours_ago * HOUR,) * 2)
    if log_hours_ago is not None:
        os.utime(folder / "dbt.log", times=(time.time() - log_hours_ago * HOUR,) * 2)
    return folder


def test_the_last_failures_stay(tmp_path: Path) -> None:
    made = [left_behind(tmp_path, f"dbt_models-{number}", hours_ago=20 - number) for number in range(10)]
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "dbt_models-file").write_text("")
    left_behind(tmp_path, "compiled", hours_ago=100)
    assert sorted(sweep(tmp_path, "dbt_models")) == made[: 10 - KEPT]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"manifest.json", "dbt_models-file", "compiled", *(path.name for path in made[-KEPT:])}
    assert sweep(tmp_path, "dbt_models") == []


def test_what_a_run_still_writes_into_stays(tmp_path: Path) -> None:
    running = left_behind(tmp_path, "dbt_models-long", hours_ago=30, log_hours_ago=0.5)
    for number in range(10):
        left_behind(tmp_path, f"dbt_models-{number}", hours_ago=0.1)
    assert sweep(tmp_path, "dbt_models") == [] and running.is_dir()


def test_nothing_was_left(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none", "dbt_models") == []
    gone = left_behind(tmp_path, "dbt_models-1", hours_ago=0)
    discard(gone)
    assert not gone.exists()
