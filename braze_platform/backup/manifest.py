"""A backup on disk: a folder named by its time (UTC), a Parquet file per table, and a manifest that is written last.

A folder without a manifest is what a killed backup left, and is no backup.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from braze_platform.settings import Settings
from braze_platform.warehouse.lost_file import MANIFEST

_TIME = "%Y-%m-%dT%H%M%S.%fZ"
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}\.\d{6}Z")
_CHUNK = 1 << 20
#: A backup that is older goes once there is a newer one: it may hold people who were erased since.
MAX_AGE = timedelta(days=30)


class BackupError(RuntimeError):
    """A backup cannot be made or brought back; the message names the place and the remedy."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableInBackup(_Strict):
    """One table: where its rows are, how many, and the types of its columns in the warehouse."""

    dataset: str
    name: str
    file: Annotated[str, Field(pattern=r"^[0-9]{4}\.parquet$")]
    rows: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    columns: Annotated[dict[str, str], Field(min_length=1)]
    #: Columns of types that Parquet does not have, which are texts in the file.
    as_text: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The table with its dataset."""
        return f"{self.dataset}.{self.name}"


class Manifest(_Strict):
    """What a backup holds."""

    format: Literal[1] = 1
    #: The release that made it.
    release: str
    made_at: datetime
    #: Numbers of the migrations that the tables have behind them.
    migrations: tuple[int, ...]
    tables: tuple[TableInBackup, ...]

    @property
    def made_at_text(self) -> str:
        """When it was made, for people."""
        return f"{self.made_at:%Y-%m-%d %H:%M:%S} UTC"


def new_folder(backups: Path, made_at: datetime) -> Path:
    """Make the folder of a new backup, which only its owner can read."""
    backups.mkdir(parents=True, exist_ok=True)
    backups.chmod(0o700)
    folder = backups / made_at.strftime(_TIME)
    folder.mkdir(mode=0o700)
    folder.chmod(0o700)
    return folder


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make a folder whose files are on disk a backup."""
    unfinished = folder / f"{MANIFEST}.unfinished"
    unfinished.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    unfinished.chmod(0o600)
    to_disk(unfinished)
    to_disk(folder)
    unfinished.replace(folder / MANIFEST)
    to_disk(folder)
    to_disk(folder.parent)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup whose files are all there as they were written. Raises `BackupError`."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise BackupError(
            f"{folder} is no backup: it has no {MANIFEST}, which is written last. {_OTHER}"
        ) from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or MANIFEST}: {one['msg']}" for one in error.errors()[:3]
        )
        raise BackupError(f"{folder / MANIFEST} is damaged ({wrong}). {_OTHER}") from error
    for table in manifest.tables:
        path = folder / table.file
        if not path.is_file() or digest(path) != table.sha256:
            raise BackupError(
                f"{path}, with {table.full_name}, is missing or is not as it was written. {_OTHER}"
            )
    if len({table.full_name for table in manifest.tables}) != len(manifest.tables):
        raise BackupError(f"{folder / MANIFEST} is damaged: it names a table twice. {_OTHER}")
    return manifest


_OTHER = "Choose another backup: `braze-platform restore <name of its folder>`."


def complete_backups(backups: Path) -> list[Path]:
    """The folders of all backups, the newest last."""
    return sorted(folder for folder in _folders(backups) if (folder / MANIFEST).is_file())


def made_at(folder: Path) -> datetime:
    """When a backup was made (UTC), by its name."""
    return datetime.strptime(folder.name, _TIME).replace(tzinfo=timezone.utc)


def sweep(backups: Path) -> None:
    """Remove what killed backups left; only for who holds the warehouse, since another may be at work."""
    for folder in _folders(backups):
        if not (folder / MANIFEST).is_file():
            shutil.rmtree(folder)


def rotate(backups: Path, keep: int, now: datetime) -> list[Path]:
    """Delete all backups but the newest `keep`, and those that are too old; the newest stays. Returns what went."""
    complete = complete_backups(backups)
    gone = [
        folder
        for place, folder in enumerate(reversed(complete))
        if place and (place >= keep or now - made_at(folder) > MAX_AGE)
    ]
    for folder in gone:
        # First, so that one that is killed half-way is not taken for a backup.
        (folder / MANIFEST).unlink()
        shutil.rmtree(folder)
    return gone


def has_expired(backups: Path, now: datetime) -> bool:
    """Whether a backup is there that is too old, and a newer one would take along."""
    return any(now - made_at(folder) > MAX_AGE for folder in complete_backups(backups))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _folders(backups: Path) -> list[Path]:
    return [folder for folder in backups.glob("*") if folder.is_dir() and _NAME.fullmatch(folder.name)]


def require_local(settings: Settings) -> None:
    """Raise `BackupError` on another target than the local one."""
    if settings.target != "local":
        raise BackupError(
            "Backups are those of the local target's DuckDB file. On BigQuery take snapshots of the datasets; "
            "docs/how-to/back-up-and-restore.md says of which, and for how long."
        )
