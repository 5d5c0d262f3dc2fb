"""Making a backup of the local warehouse: one reading of all tables that nothing can rebuild, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import duckdb

from braze_platform.backup.kept_tables import datasets, kept_table
from braze_platform.backup.manifest import (
    BackupError,
    Manifest,
    TableInBackup,
    digest,
    new_folder,
    require_local,
    rotate,
    sweep,
    to_disk,
    write_manifest,
)
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBSession, local_warehouse
from braze_platform.warehouse.interface import PATIENCE_SECONDS
from braze_platform.warehouse.lost_file import is_missing
from braze_platform.warehouse.registry import MIGRATIONS
from braze_platform.warehouse.tables import Table


@dataclass(frozen=True)
class Made:
    """A backup that was made."""

    folder: Path
    manifest: Manifest
    size_bytes: int
    #: Older backups that were deleted.
    rotated: tuple[Path, ...]


def make_backup(
    settings: Settings,
    *,
    now: datetime | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    rotating: bool = True,
) -> Made:
    """Copy all tables that nothing can rebuild into a new folder under `settings.backups_dir`.

    Everything is as of one moment. When it is killed, or the disk is full, the backups before are as they were.
    Raises `BackupError` where there is nothing to back up, and `WarehouseBusy` when another process keeps the file.
    """
    require_local(settings)
    path, backups = settings.duckdb_path, settings.backups_dir
    if not path.exists() and not is_missing(path, backups):
        raise BackupError(f"There is no warehouse at {path} yet, so there is nothing to back up.")
    with local_warehouse(settings, patience_seconds).session() as session:
        # Not before: who had the file until now may have written to it.
        made_at = now or datetime.now(timezone.utc)
        sweep(backups)
        folder = new_folder(backups, made_at)
        try:
            manifest = _copied(session, folder, made_at)
            write_manifest(folder, manifest)
        except BaseException:
            shutil.rmtree(folder)
            raise
        rotated = rotate(backups, settings.backups_kept, made_at) if rotating else []
    size = sum(file.stat().st_size for file in folder.iterdir())
    return Made(folder, manifest, size, tuple(rotated))


def kept_tables(session: DuckDBSession) -> Iterator[Table]:
    """The tables in the warehouse that backups hold."""
    for dataset in datasets():
        for name in session.table_names(dataset.name):
            if (table := kept_table(dataset.name, name)) is not None:
                yield table


def _copied(session: DuckDBSession, folder: Path, made_at: datetime) -> Manifest:
    with session.transaction():
        tables = tuple(
            _copy(session, table, folder / f"{number:04}.parquet")
            for number, table in enumerate(kept_tables(session), start=1)
        )
        applied = (
            session.fetch(f"select number from {MIGRATIONS.ref(session.sql)} order by number")
            if MIGRATIONS.exists(session)
            else []
        )
    return Manifest(
        release=version("braze-platform"),
        made_at=made_at,
        migrations=tuple(number for (number,) in applied),
        tables=tables,
    )


def _copy(session: DuckDBSession, table: Table, path: Path) -> TableInBackup:
    columns = table.found_columns(session)
    source = table.ref(session.sql)
    as_text = _without_parquet(session, source, columns, path)
    values = ", ".join(
        _text_of(session.sql.quoted(name), columns[name]) if name in as_text else session.sql.quoted(name)
        for name in columns
    )
    [(rows,)] = session.fetch(_copying(session, f"select {values} from {source}", path))
    path.chmod(0o600)
    to_disk(path)
    return TableInBackup(
        dataset=table.dataset.name,
        name=table.name,
        file=path.name,
        rows=int(rows),
        sha256=digest(path),
        columns=columns,
        as_text=as_text,
    )


def _without_parquet(
    session: DuckDBSession, source: str, columns: dict[str, str], path: Path
) -> tuple[str, ...]:
    """The columns whose types come back from Parquet as others, such as a HUGEINT, which becomes a DOUBLE."""
    session.execute(_copying(session, f"select * from {source} limit 0", path))
    read = {
        name: kind
        for name, kind, *_ in session.fetch(
            f"describe select * from read_parquet({session.sql.literal(str(path))})"
        )
    }
    return tuple(name for name, kind in columns.items() if read[name] != kind)


def _copying(session: DuckDBSession, query: str, path: Path) -> str:
    return f"copy ({query}) to {session.sql.literal(str(path))} (format parquet, compression zstd)"


def _text_of(column: str, kind: str) -> str:
    """The column as text that `value_of` reads; nested values as JSON."""
    text = f"to_json({column})" if is_nested(kind) else column
    return f"cast({text} as varchar) as {column}"


def value_of(column: str, kind: str) -> str:
    """The value behind a text of `as_text`."""
    text = f"cast({column} as json)" if is_nested(kind) else column
    return f"cast({text} as {kind})"


def is_nested(kind: str) -> bool:
    """Whether values of a type hold others."""
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP(", "UNION("))


#: What DuckDB raises where a file or a value is not what it should be.
DRIVER_ERRORS = (duckdb.Error,)
