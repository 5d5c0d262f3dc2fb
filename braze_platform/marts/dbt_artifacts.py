"""What dbt writes in a run: some 9 MB of manifest, compiled SQL and logs, in a folder for each run."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

#: Folders that stay for people who look into a failure. A run in progress may be older, but writes into its own.
KEPT, _SECONDS_IN_USE = 5, 3600.0


def discard(folder: Path) -> None:
    """Remove the folder of a run that built all; that of a failed run stays for a while, its error names it."""
    shutil.rmtree(folder)


def sweep(target_dir: Path, operation: str) -> list[Path]:
    """Remove what failed and killed runs of an operation left, but for the last ones; returns the removed folders."""
    folders = {folder: _written_at(folder) for folder in target_dir.glob(f"{operation}-*") if folder.is_dir()}
    newest_first = sorted(folders, key=lambda folder: folders[folder], reverse=True)
    before = time.time() - _SECONDS_IN_USE
    removed = [folder for folder in newest_first[KEPT:] if folders[folder] < before]
    for folder in removed:
        # Two runs that begin at once sweep the same.
        shutil.rmtree(folder, ignore_errors=True)
    return removed


def _written_at(folder: Path) -> float:
    """When something was last written right into a folder, as dbt does with its log; 0 when it has just gone."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return 0.0
