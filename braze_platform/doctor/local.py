"""The folder and the DuckDB file on the local target."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone

from braze_platform.backup.due import backup_state
from braze_platform.doctor.findings import Finding, missing, ok
from braze_platform.doctor.tables import check_ledgers, check_tables
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session, WarehouseBusy, WarehouseUnusable
from braze_platform.warehouse.lost_file import is_missing
from braze_platform.warehouse.registry import MIGRATIONS
from braze_platform.warehouse.targets import warehouse_of


def check_local(settings: Settings) -> Iterator[Finding]:
    """Whether the state can be written, the bucket is there and the warehouse opens."""
    folder = settings.state_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(existing, os.W_OK):
        yield ok(f"Folder {folder}", "it can be written.")
    else:
        yield missing(
            f"Folder {folder}", "it cannot be written. Set BRAZE_PLATFORM_STATE_DIR to one that can."
        )
    if settings.bucket_dir.is_dir():
        yield ok(f"Bucket {settings.bucket_dir}", "it is there.")
    else:
        yield missing(
            f"Bucket {settings.bucket_dir}", "it is not there. The sandbox makes it: braze-platform sandbox."
        )
    path = settings.duckdb_path
    if not path.exists() and not is_missing(path, settings.backups_dir):
        yield ok(f"Warehouse {path}", "it is not there; the first load makes it.")
        return
    try:
        with warehouse_of(settings, patience_seconds=10).session() as session:
            of_tables = [
                check_tables(session),
                check_ledgers(session, settings),
                _check_backups(session, settings),
            ]
    except (WarehouseBusy, WarehouseUnusable) as error:
        yield missing(f"Warehouse {path}", str(error))
    else:
        yield ok(f"Warehouse {path}", "it opens.")
        yield from of_tables


def _check_backups(session: Session, settings: Settings) -> Finding:
    """Whether the newest backup is of these days, or nothing changed since."""
    what, now = f"Backups {settings.backups_dir}", datetime.now(timezone.utc)
    state = backup_state(settings, now)
    begun = None
    if MIGRATIONS.exists(session):
        [(applied_at,)] = session.fetch(f"select min(applied_at) from {MIGRATIONS.ref(session.sql)}")
        begun = applied_at.replace(tzinfo=timezone.utc) if applied_at else None
    newest = f"the newest is of {state.newest:%Y-%m-%d %H:%M} UTC" if state.newest else "there is none"
    if state.is_late(now, begun):
        return missing(
            what,
            f"{newest}, and the warehouse has changed since. Switch the sensor daily_backup on, look at the runs of "
            "platform/backup, or call `braze-platform backup`.",
        )
    return ok(what, f"{newest}; the sensor daily_backup has one made a day, when something changed.")
