"""A DuckDB file that is gone or damaged: named, with what brings back what cannot be rebuilt. Pure."""

from __future__ import annotations

from pathlib import Path

#: The file in a backup's folder that is written last: without it, the folder is no backup.
MANIFEST = "manifest.json"
_START_OVER = (
    "To start over instead, without its ledgers, tombstones and approvals, move {folder} away: raw tables and models "
    "are built again from the bucket either way."
)


def is_missing(path: Path, backups: Path | None) -> bool:
    """Whether the file is not there although it was: there are backups of it."""
    return backups is not None and not path.exists() and any(backups.glob(f"*/{MANIFEST}"))


def missing_message(path: Path, backups: Path) -> str:
    """What is wrong and what to do about a file that is missing."""
    return (
        f"The DuckDB file {path} is missing, and {backups} has backups of it. Bring back what cannot be rebuilt by "
        f"`braze-platform restore`. {_START_OVER.format(folder=backups)}"
    )


def damaged_message(path: Path, backups: Path | None, said: object) -> str:
    """What is wrong and what to do about a file that DuckDB cannot read; `said` is its error."""
    first_line = str(said).partition("\n")[0]
    restore = (
        f"then bring back what cannot be rebuilt by `braze-platform restore`. {_START_OVER.format(folder=backups)}"
        if backups is not None and any(backups.glob(f"*/{MANIFEST}"))
        else "and the next run starts over: there is no backup of it, so ledgers, tombstones and approvals are lost."
    )
    return f"The DuckDB file {path} cannot be read ({first_line}). If it is damaged, move it away, {restore}"
