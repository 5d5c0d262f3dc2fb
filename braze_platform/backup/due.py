"""When a backup is due: at most once a day, and only after something changed. Looks at files, and opens none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from braze_platform.backup.manifest import complete_backups, has_expired, made_at
from braze_platform.settings import Settings

#: How old the newest backup is before another is made, and before somebody is told that none was.
EVERY = timedelta(days=1)
LATE = timedelta(days=2)


@dataclass(frozen=True)
class BackupState:
    """What files tell: when the newest backup was made, and when the DuckDB file was last written (UTC)."""

    newest: datetime | None
    changed_at: datetime | None
    #: Whether an old backup, which may hold people who were erased since, waits for a newer one.
    has_expired: bool

    @property
    def has_changed(self) -> bool:
        """Whether the file was written since the newest backup, or there is none."""
        return self.changed_at is not None and (self.newest is None or self.changed_at > self.newest)

    def is_due(self, now: datetime) -> bool:
        """Whether a backup is to be made."""
        if self.changed_at is None or not (self.has_changed or self.has_expired):
            return False
        return self.newest is None or now - self.newest >= EVERY

    def is_late(self, now: datetime, begun: datetime | None) -> bool:
        """Whether one should have been made long ago; `begun` is when the warehouse was made, as far as it knows."""
        since = self.newest or begun
        return self.has_changed and since is not None and now - since > LATE


def backup_state(settings: Settings, now: datetime) -> BackupState:
    """The state of the local target's backups."""
    path, backups = settings.duckdb_path, complete_backups(settings.backups_dir)
    written = [
        file.stat().st_mtime
        for file in (path, path.with_name(f"{path.name}.wal"))
        if path.exists() and file.exists()
    ]
    return BackupState(
        newest=made_at(backups[-1]) if backups else None,
        changed_at=datetime.fromtimestamp(max(written), timezone.utc) if written else None,
        has_expired=has_expired(settings.backups_dir, now),
    )
