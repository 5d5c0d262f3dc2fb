"""What a restore does beside bringing rows back: nobody erased returns, nothing is sent, nothing counts as loaded."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from backup_room import contents, fill, warehouse
from click.testing import CliRunner
from filelock import FileLock

from braze_platform.backup import making, restoring
from braze_platform.backup.making import make_backup
from braze_platform.backup.manifest import BackupError, complete_backups, new_folder
from braze_platform.backup.restoring import restore
from braze_platform.cli import main
from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import LeaseHeld, hold_lease
from braze_platform.warehouse.migrations import ALL, migrate
from braze_platform.warehouse.registry import (
    APPROVALS,
    DELIVERIES,
    FILES,
    LEDGER,
    LOADS,
    MIGRATIONS,
    PENDING,
    TOMBSTONES,
)
from braze_platform.warehouse.sql import DuckDBSql
from braze_platform.warehouse.tables import ensure

NOW = datetime(2026, 11, 20, 10)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def write(settings: Settings, *statements: str) -> None:
    with warehouse(settings).session() as session:
        for statement in statements:
            session.execute(statement)


def read(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with warehouse(settings).session() as session:
        return session.fetch(query)


def two_users(settings: Settings) -> None:
    """A sync that delivered to two users."""
    with warehouse(settings).session() as session:
        migrate(session)
        ledger = LEDGER.of("value").only("_user", "_acknowledged_at")
        ensure(session, ledger, DELIVERIES, APPROVALS, TOMBSTONES, PENDING)
        ledger.append(session, [("gone@x", NOW), ("stays@x", NOW)])
        DELIVERIES.append(
            session,
            [("value", "r", 1, user, "", '[{"value": 1}]', "delivered", 201, 1, None, NOW) for user in USERS],
        )


USERS = ("gone@x", "stays@x")


def erased(session: Session, user: str) -> None:
    hashed = session.sql.text_hash(session.sql.literal(user))
    session.execute(
        f"insert into {TOMBSTONES.ref(session.sql)} select 'erased:token', {hashed}, 'email', $at, $at",
        {"at": NOW},
    )


def test_who_was_erased_after_the_backup_does_not_come_back(settings: Settings) -> None:
    two_users(settings)
    make_backup(settings)
    with warehouse(settings).session() as session:
        erased(session, "gone@x")
        session.execute("delete from braze_sync.ledger_value where _user = 'gone@x'")
    restored = restore(settings, complete_backups(settings.backups_dir)[0].name, replacing=True)
    assert restored.erased == {"braze_sync.ledger_value": 1, "braze_sync.deliveries": 1}
    assert read(settings, "select _user from braze_sync.ledger_value") == [("stays@x",)]
    assert sorted(read(settings, "select _user, attribute_values from braze_sync.deliveries")) == [
        ("erased:token", None),
        ("stays@x", '[{"value": 1}]'),
    ]
    assert read(settings, "select person from privacy.tombstones") == [("erased:token",)]
    assert b"gone@x" not in rewritten(settings)


def rewritten(settings: Settings) -> bytes:
    """The bytes of the file after the next erasure."""
    erase(warehouse(settings), PersonalColumns(frozenset(), {}, {}), limit=0)
    return settings.duckdb_path.read_bytes()


def test_an_erasure_that_was_begun_goes_on(settings: Settings) -> None:
    """Identities in the clear come back with the backup, and the next run erases them."""
    two_users(settings)
    with warehouse(settings).session() as session:
        PENDING.append(session, [("b-1", "gone@x", "email", NOW)])
    make_backup(settings)
    settings.duckdb_path.unlink()
    restore(settings)
    assert read(settings, "select identity from privacy.pending") == [("gone@x",)]
    done = erase(warehouse(settings), PersonalColumns(frozenset(), {}, {}), limit=0)
    assert done.people == 1
    assert read(settings, "select _user from braze_sync.ledger_value") == [("stays@x",)]
    assert read(settings, "select count(*) from privacy.pending") == [(0,)]


def test_the_registry_says_only_what_raw_tables_hold(settings: Settings) -> None:
    opened = "users.messages.email.Open"
    with warehouse(settings).session() as session:
        migrate(session)
        ensure(session, FILES, LOADS)
        rows = [("held", 3), ("lost", 3), ("empty", 0), ("", 0)]
        FILES.append(session, [(opened, NOW, key, "g", 1, count, "1", 7, NOW) for key, count in rows])
        FILES.append(session, [("app.Unknown", NOW, "other", "g", 1, 1, "1", 8, NOW)])
        LOADS.append(session, [(opened, 7), ("app.Unknown", 8)])
    made = make_backup(settings)
    write(
        settings,
        "create schema currents_raw",
        "create table currents_raw.users_messages_email_open as select 'held' as _file",
        f"update currents_ledger.loads set load_id = 12 where event_type = '{opened}'",
        "insert into currents_ledger.loads values ('app.New', 11)",
    )
    assert restore(settings, made.folder.name, replacing=True).not_loaded == 2
    keys = read(settings, "select object_key from currents_ledger.files order by 1")
    assert keys == [("",), ("empty",), ("held",)]
    loads = read(settings, "select event_type, load_id from currents_ledger.loads order by 1")
    assert loads == [("app.New", 11), ("app.Unknown", 8), (opened, 12)], "no number is given twice"
    settings.duckdb_path.unlink()
    assert restore(settings, made.folder.name).not_loaded == 4
    assert read(settings, "select object_key from currents_ledger.files") == [("",)]
    assert dict(read(settings, "select * from currents_ledger.loads")) == {opened: 7, "app.Unknown": 8}


def test_an_approval_of_before_lets_nothing_be_sent(settings: Settings) -> None:
    two_users(settings)
    with warehouse(settings).session() as session:
        APPROVALS.append(session, [("value", "p", NOW, None)])
    make_backup(settings)
    settings.duckdb_path.unlink()
    restore(settings)
    assert read(settings, "select count(*) from braze_sync.approvals where ended_at is null") == [(0,)]


def test_what_is_there_is_replaced_only_when_told_and_backed_up_before(settings: Settings) -> None:
    two_users(settings)
    made = make_backup(settings)
    with warehouse(settings).session() as session:
        ensure(session, LEDGER.of("added").only("_user"))
        session.execute("delete from braze_sync.ledger_value where _user = 'gone@x'")
    later = contents(settings)
    with pytest.raises(
        BackupError, match=r"holds rows in braze_sync.deliveries, braze_sync.ledger_value.*--replace"
    ):
        restore(settings)
    assert contents(settings) == later
    restored = restore(settings, replacing=True)
    assert restored.folder == made.folder and restored.held_syncs == ["added", "value"]
    ledgers = {name for name in contents(settings) if "ledger_" in name}
    assert ledgers == {"braze_sync.ledger_value"}
    assert restored.before is not None
    restore(settings, str(restored.before), replacing=True)
    again = contents(settings)
    assert again["braze_sync.ledger_value"] == later["braze_sync.ledger_value"]
    assert "braze_sync.ledger_added" in again


def test_an_empty_warehouse_is_filled_in_place(settings: Settings) -> None:
    two_users(settings)
    make_backup(settings)
    settings.duckdb_path.unlink()
    with warehouse(settings).session() as session:
        migrate(session)
        ensure(session, TOMBSTONES)
    assert restore(settings).before is None
    assert len(read(settings, "select * from braze_sync.ledger_value")) == 2


def test_a_sync_that_is_being_sent_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    two_users(settings)
    make_backup(settings)
    monkeypatch.setattr(restoring, "COMMAND_WAIT_SECONDS", 0.05)
    before = contents(settings)
    held = warehouse(settings)
    monkeypatch.setattr(restoring, "local_warehouse", lambda *_: held)
    monkeypatch.setattr(making, "local_warehouse", lambda *_: held)
    with (
        held.session() as session,
        hold_lease(session, "value", "the run 6f2c", wait_seconds=0),
        pytest.raises(LeaseHeld, match="the run 6f2c"),
    ):
        restore(settings, replacing=True)
    assert contents(settings) == before


def test_two_restores_do_not_run_at_once(settings: Settings) -> None:
    two_users(settings)
    make_backup(settings)
    settings.duckdb_path.unlink()
    with (
        FileLock(settings.backups_dir / "restore.lock"),
        pytest.raises(BackupError, match=r"Another .* under way"),
    ):
        restore(settings)
    assert not settings.duckdb_path.exists()
    restore(settings)


def test_an_error_of_values_tells_none(settings: Settings) -> None:
    two_users(settings)
    folder = make_backup(settings).folder
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace('"_user": "VARCHAR"', '"_user": "BIGINT"'))
    settings.duckdb_path.unlink()
    with pytest.raises(BackupError, match="ConversionException") as raised:
        restore(settings)
    assert "gone@x" not in str(raised.value)


def test_tables_of_an_earlier_release_are_migrated(settings: Settings) -> None:
    two_users(settings)
    write(
        settings,
        f"delete from {MIGRATIONS.ref(DuckDBSql())} where number = 1",
        "alter table braze_sync.ledger_value add column score bigint",
    )
    made = make_backup(settings)
    assert made.manifest.migrations == (2,)
    settings.duckdb_path.unlink()
    assert restore(settings).migrated == [ALL[0].description]
    columns = contents(settings)["braze_sync.ledger_value"][0]
    assert set(columns) == {"_user", "_acknowledged_at", "score", "_resend_score"}


def test_a_backup_of_a_later_release_is_refused(settings: Settings) -> None:
    two_users(settings)
    write(settings, "insert into braze_platform.migrations values (99, 'Later.', '9.9.9', now()::timestamp)")
    make_backup(settings)
    settings.duckdb_path.unlink()
    with pytest.raises(BackupError, match=r"does not know its changes of the tables\. Install"):
        restore(settings)
    assert not settings.duckdb_path.exists()


def test_only_the_owner_can_read_it(settings: Settings) -> None:
    two_users(settings)
    before = os.umask(0o000)
    try:
        folder = make_backup(settings).folder
    finally:
        os.umask(before)
    modes = {
        path: stat.S_IMODE(path.stat().st_mode) for path in (settings.backups_dir, folder, *folder.iterdir())
    }
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_the_newest_are_kept_and_none_that_is_old(settings: Settings) -> None:
    two_users(settings)
    settings = settings.replace(backups_kept=3)
    start = datetime(2026, 11, 1, tzinfo=timezone.utc)
    for day in range(5):
        make_backup(settings, now=start + timedelta(days=day))
    assert [folder.name[:10] for folder in complete_backups(settings.backups_dir)] == [
        "2026-11-03",
        "2026-11-04",
        "2026-11-05",
    ]
    made = make_backup(settings, now=start + timedelta(days=33, hours=1))
    assert [folder.name[:10] for folder in complete_backups(settings.backups_dir)] == [
        "2026-11-05",
        "2026-12-04",
    ]
    assert len(made.rotated) == 2


def test_what_a_killed_backup_left_is_no_backup_and_goes(settings: Settings) -> None:
    two_users(settings)
    left = new_folder(settings.backups_dir, datetime(2027, 1, 1, tzinfo=timezone.utc))
    (left / "0001.parquet").write_bytes(b"half")
    foreign = settings.backups_dir / "mine"
    foreign.mkdir()
    with pytest.raises(BackupError, match="There is no backup in"):
        restore(settings)
    made = make_backup(settings)
    assert complete_backups(settings.backups_dir) == [made.folder]
    assert not left.exists() and foreign.exists()


def test_a_full_disk_leaves_the_backups_before(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    two_users(settings)
    first = make_backup(settings).folder

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making, "write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        make_backup(settings)
    assert list(settings.backups_dir.iterdir()) == [first]


def test_the_commands(settings: Settings) -> None:
    def call(*arguments: str) -> Any:
        return CliRunner().invoke(main, list(arguments), env=settings.as_environment())

    nothing = call("backup")
    assert nothing.exit_code == 1 and "There is no warehouse at" in nothing.output
    two_users(settings)
    made = call("backup")
    assert made.exit_code == 0, made.output
    [folder] = complete_backups(settings.backups_dir)
    assert str(folder) in made.output and "stays@x" not in made.output
    assert call("restore").exit_code == 1
    settings.duckdb_path.unlink()
    unknown = call("restore", "yesterday")
    assert (
        unknown.exit_code == 1
        and f"There is no backup yesterday. Backups in {settings.backups_dir}: " in unknown.output
    )
    assert folder.name in unknown.output
    back = call("restore", folder.name)
    assert back.exit_code == 0, back.output
    assert "ledger rebuild <sync> --restart" in back.output and "value" in back.output
    google = Settings(
        state_dir=settings.state_dir, target="bigquery", bigquery_project="p", bucket_name="bucket-1"
    )
    refused = CliRunner().invoke(main, ["backup"], env=google.as_environment())
    assert refused.exit_code == 1 and "snapshots" in refused.output


def test_random_tables_are_brought_back_over_others(settings: Settings, tmp_path: Path) -> None:
    """A restore over tables of other columns leaves nothing of them, but who was or is being erased."""
    fill(settings, 3)
    made = make_backup(settings)
    alone = Settings(state_dir=tmp_path / "alone")
    restore(alone, str(made.folder))
    settings.duckdb_path.unlink()
    fill(settings, 4)
    restore(settings, str(made.folder), replacing=True)
    of_both = {"privacy.tombstones", "privacy.pending", "privacy.erasure_approvals", "currents_ledger.loads"}
    expected, found = contents(alone), contents(settings)
    # Those that were open ended when each was restored.
    before, after = expected.pop("braze_sync.approvals"), found.pop("braze_sync.approvals")
    assert (before[0], len(before[2])) == (after[0], len(after[2]))
    assert {name: found[name] for name in expected.keys() - of_both} == {
        name: expected[name] for name in expected.keys() - of_both
    }
    for name in of_both:
        assert set(expected[name][2]) <= set(found[name][2]) or name.endswith("loads")
