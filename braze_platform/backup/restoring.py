"""Bringing a backup back: in one transaction, under the leases of all syncs, with nobody in it who was erased.

What comes back is older than the world. Braze may have got newer values since, so each sync is held until a person has
looked. The file registry says only what the raw tables hold. People who were erased after the backup go again, as far
as their tombstones are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from braze_platform.backup.kept_tables import kept_table
from braze_platform.backup.making import DRIVER_ERRORS, kept_tables, make_backup, value_of
from braze_platform.backup.manifest import (
    BackupError,
    Manifest,
    TableInBackup,
    complete_backups,
    read_manifest,
    require_local,
    to_disk,
)
from braze_platform.currents.raw_tables import raw_table_of
from braze_platform.erasure.restored import erase_restored
from braze_platform.settings import Settings
from braze_platform.sync.ledger.holds import RESTORED, hold
from braze_platform.warehouse.duckdb import DuckDBSession, DuckDBWarehouse, local_warehouse
from braze_platform.warehouse.interface import PATIENCE_SECONDS, Session
from braze_platform.warehouse.leases import COMMAND_WAIT_SECONDS, hold_lease, leased_syncs
from braze_platform.warehouse.migrations import ALL, migrate
from braze_platform.warehouse.registry import (
    APPROVALS,
    DECLARATIONS,
    ERASURE_APPROVALS,
    FILE_SCHEMAS,
    FILES,
    LEDGER,
    LOADS,
    MIGRATIONS,
    PENDING,
    PROGRESS,
    TOMBSTONES,
)
from braze_platform.warehouse.tables import Column, Table, ensure, now_utc

#: Tables whose rows stay beside those of the backup: who was, or is being, erased must not be forgotten.
_ADDED_TO = (TOMBSTONES, PENDING, ERASURE_APPROVALS)
_RAW = "currents_raw"


@dataclass
class Restored:
    """What came back."""

    folder: Path
    manifest: Manifest
    #: The backup of what was there before, where it was replaced.
    before: Path | None = None
    held_syncs: list[str] = field(default_factory=list)
    #: Identities of people who were erased after the backup, by table from which they went again.
    erased: dict[str, int] = field(default_factory=dict)
    #: Objects that the registry of the backup has and no raw table holds: they are loaded again.
    not_loaded: int = 0
    #: Descriptions of the migrations that were applied afterwards.
    migrated: list[str] = field(default_factory=list)


def restore(
    settings: Settings,
    name: str | None = None,
    *,
    replacing: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Restored:
    """Bring back a backup (its folder, or the folder's name under `settings.backups_dir`; default: the newest).

    Refuses with `BackupError` where the tables hold something, unless `replacing`: then that is backed up first.
    Raises `LeaseHeld` while a sync is being sent, and `WarehouseBusy`. When it is killed, all is as it was before.
    """
    require_local(settings)
    folder = _chosen(settings, name)
    manifest = read_manifest(folder)
    _raise_if_of_another_release(folder, manifest)
    restored = Restored(folder, manifest)
    try:
        with FileLock(settings.backups_dir / "restore.lock", timeout=0):
            _restore_as_told(settings, restored, replacing=replacing, patience_seconds=patience_seconds)
    except Timeout as error:
        raise BackupError("Another `braze-platform restore` is under way: wait for its end.") from error
    return restored


def _restore_as_told(
    settings: Settings, restored: Restored, *, replacing: bool, patience_seconds: float
) -> None:
    path = settings.duckdb_path
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.restored")
        for left in _with_log(unfinished):
            left.unlink(missing_ok=True)
        warehouse = DuckDBWarehouse(
            unfinished, threads=settings.duckdb_threads, memory_limit=settings.duckdb_memory_limit
        )
        _restore_into(warehouse, restored, replacing=False)
        to_disk(unfinished)
        for log in _with_log(path)[1:]:
            # Of the file that is lost: DuckDB would apply it to this one.
            log.unlink(missing_ok=True)
        unfinished.replace(path)
        to_disk(path.parent)
        return
    if replacing:
        restored.before = make_backup(settings, patience_seconds=patience_seconds, rotating=False).folder
    _restore_into(local_warehouse(settings, patience_seconds), restored, replacing=replacing)


def _with_log(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.name}.wal")


def _chosen(settings: Settings, name: str | None) -> Path:
    backups = complete_backups(settings.backups_dir)
    if name is None:
        if not backups:
            raise BackupError(f"There is no backup in {settings.backups_dir}.")
        return backups[-1]
    folder = Path(name) if Path(name).is_dir() else settings.backups_dir / name
    if not folder.is_dir():
        known = ", ".join(one.name for one in reversed(backups)) or "none"
        raise BackupError(f"There is no backup {name}. Backups in {settings.backups_dir}: {known}.")
    return folder


def _raise_if_of_another_release(folder: Path, manifest: Manifest) -> None:
    unknown = [table.full_name for table in manifest.tables if kept_table(table.dataset, table.name) is None]
    newer = set(manifest.migrations) - {migration.number for migration in ALL}
    if unknown or newer:
        what = f"the tables {', '.join(unknown)}" if unknown else "its changes of the tables"
        raise BackupError(
            f"{folder} was made by release {manifest.release}, and this one does not know {what}. Install a release "
            "that is not older, and restore with that."
        )


def _restore_into(warehouse: DuckDBWarehouse, restored: Restored, *, replacing: bool) -> None:
    manifest = restored.manifest
    try:
        with warehouse.session() as session:
            if not replacing:
                _raise_if_not_empty(session, warehouse.path)
            with _leased(session, manifest) as (leased, syncs):
                ensure(leased, *_ADDED_TO, LOADS, PROGRESS, DECLARATIONS)
                with leased.transaction():
                    _put_back(leased, session, restored)
                    for sync in syncs:
                        hold(leased, sync, f"{RESTORED}{manifest.made_at_text}")
            restored.held_syncs = syncs
            restored.migrated = [migration.description for migration in migrate(session)]
    except DRIVER_ERRORS as error:
        # DuckDB's text may have a value in it.
        raise BackupError(
            f"{restored.folder} cannot be brought back, and nothing was changed: DuckDB cannot read it as its manifest "
            f"describes it ({type(error).__name__}). Choose another backup."
        ) from error


def _raise_if_not_empty(session: DuckDBSession, path: Path) -> None:
    filled = [
        table.full_name
        for table in kept_tables(session)
        # Its rows say nothing but how the tables look.
        if table.full_name != MIGRATIONS.full_name
        and session.fetch(f"select 1 from {table.ref(session.sql)} limit 1")
    ]
    if filled:
        raise BackupError(
            f"{path} holds rows in {', '.join(filled)}, which the backup would replace. If that is what you want, "
            "call it with --replace: what is there is backed up first."
        )


@contextmanager
def _leased(session: Session, manifest: Manifest) -> Iterator[tuple[Session, list[str]]]:
    """The leases of all syncs that the warehouse or the backup knows, and their names."""
    prefix = LEDGER.name.removesuffix("<sync>")
    of_backup = [
        table.name.removeprefix(prefix)
        for table in manifest.tables
        if table.dataset == LEDGER.dataset.name and table.name.startswith(prefix)
    ]
    syncs = sorted({*of_backup, *LEDGER.found_syncs(session), *_of_syncs(leased_syncs(session))})
    with ExitStack() as leases:
        for sync in syncs:
            session = leases.enter_context(
                hold_lease(session, sync, "braze-platform restore", wait_seconds=COMMAND_WAIT_SECONDS)
            )
        yield session, syncs


def _of_syncs(names: Sequence[str]) -> list[str]:
    """Names without those of leases that are no sync's."""
    return [name for name in names if not name.startswith("_")]


def _put_back(leased: Session, session: DuckDBSession, restored: Restored) -> None:
    """Everything that changes, inside the transaction."""
    manifest, folder = restored.manifest, restored.folder
    added_to = {table.full_name for table in _ADDED_TO}
    latest: dict[str, int] = dict(leased.fetch(f"select event_type, load_id from {LOADS.ref(leased.sql)}"))
    for table in list(kept_tables(session)):
        if table.full_name not in added_to:
            leased.execute(f"drop table {table.ref(leased.sql)}")
    for dataset in {table.dataset for table in manifest.tables}:
        leased.execute(f"create schema if not exists {leased.sql.schema(dataset)}")
    for held in manifest.tables:
        _put_back_table(leased, held, folder / held.file, keeping_rows=held.full_name in added_to)
    for table in (LOADS, DECLARATIONS):
        leased.execute(leased.sql.create_table(table))
    _number_on(leased, latest)
    if APPROVALS.exists(leased):
        # They were for plans over another ledger.
        leased.execute(
            f"update {APPROVALS.ref(leased.sql)} set ended_at = $at where ended_at is null", {"at": now_utc()}
        )
    restored.not_loaded = _forget_unloaded(leased)
    restored.erased = erase_restored(leased)


def _put_back_table(leased: Session, held: TableInBackup, path: Path, *, keeping_rows: bool) -> None:
    sql = leased.sql
    table, file = _as_backed_up(held), f"read_parquet({sql.literal(str(path))})"
    values = ", ".join(
        value_of(sql.quoted(name), kind) if name in held.as_text else f"cast({sql.quoted(name)} as {kind})"
        for name, kind in held.columns.items()
    )
    [(found,)] = leased.fetch(f"select count(*) from {file}")
    if found != held.rows:
        raise BackupError(
            f"{path} has {found:,} rows and not the {held.rows:,} of its manifest. Choose another backup."
        )
    rows = f"select {values} from {file}"
    if keeping_rows:
        names = sql.listed(held.columns)
        leased.execute(
            f"insert into {table.ref(sql)} ({names}) {rows} except select {names} from {table.ref(sql)}"
        )
        return
    leased.execute(sql.create_table(table))
    leased.execute(f"insert into {table.ref(sql)} {rows}")


def _as_backed_up(held: TableInBackup) -> Table:
    """The table with the columns that the backup has, which may be those of an earlier release."""
    table = kept_table(held.dataset, held.name)
    assert table is not None  # `_raise_if_of_another_release`
    known: Mapping[str, Column] = {column.name: column for column in table.columns}
    columns = tuple(
        replace(known[name], type=kind)
        if name in known
        else Column(name, kind, "As it was when it was backed up.")
        for name, kind in held.columns.items()
    )
    return replace(table, columns=columns)


def _number_on(session: Session, before: Mapping[str, int]) -> None:
    """Loads are numbered on from whichever is later: models know the numbers that were given since the backup."""
    loads = LOADS.ref(session.sql)
    for event_type, load_id in before.items():
        number = {"event_type": event_type, "load_id": load_id}
        if session.fetch(f"select 1 from {loads} where event_type = $event_type", {"event_type": event_type}):
            session.execute(
                f"update {loads} set load_id = $load_id where event_type = $event_type and load_id < $load_id",
                number,
            )
        else:
            LOADS.append(session, [(event_type, load_id)])


def _forget_unloaded(session: Session) -> int:
    """Take out of the file registry what no raw table holds, so that it is loaded again; returns how many objects."""
    if not FILES.exists(session):
        return 0
    files, forgotten = FILES.ref(session.sql), 0
    for (event_type,) in session.fetch(
        f"select distinct event_type from {files} where event_type is not null"
    ):
        table = raw_table_of(event_type)
        held = "row_count = 0" if session.columns(_RAW, table) else "false"
        if session.columns(_RAW, table):
            held += f" or object_key in (select _file from {session.sql.table(_RAW, table)})"
        gone = f"event_type = $event_type and object_key <> '' and not ({held})"
        [(count,)] = session.fetch(f"select count(*) from {files} where {gone}", {"event_type": event_type})
        session.execute(f"delete from {files} where {gone}", {"event_type": event_type})
        forgotten += int(count)
    if FILE_SCHEMAS.exists(session):
        session.execute(
            f"delete from {FILE_SCHEMAS.ref(session.sql)} as known where not exists (select 1 from {files} as files "
            "where files.event_type = known.event_type and files.object_key = known.object_key)"
        )
    return forgotten
