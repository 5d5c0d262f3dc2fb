"""A DuckDB file that is missing or damaged is named, with what to do; nothing is made in its place unasked."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_platform.backup.making import make_backup
from braze_platform.cli import main
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseUnusable
from braze_platform.warehouse.targets import warehouse_of

#: Bytes before which DuckDB keeps its headers.
_HEADERS = 3 * 4096


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with some data in its file."""
    settings = Settings(state_dir=tmp_path)
    with warehouse_of(settings).session() as session:
        session.execute("create table main.numbers as select range as n, hash(range) as h from range(200000)")
    return settings


def opened(settings: Settings) -> None:
    with warehouse_of(settings).session() as session:
        session.fetch("select sum(n), max(h) from main.numbers")


DAMAGE = {
    "garbage": lambda content: random.Random(1).randbytes(len(content)),
    "empty": lambda content: b"",
    "text": lambda content: b"not a database\n" * 1000,
    "cut off in the headers": lambda content: content[:5000],
    "a flipped header": lambda content: content[:4200] + bytes([content[4200] ^ 0xFF]) + content[4201:],
    "flipped blocks": lambda content: content[:_HEADERS] + bytes(byte ^ 0xFF for byte in content[_HEADERS:]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_with_what_to_do(settings: Settings, damage: object) -> None:
    path = settings.duckdb_path
    damaged = damage(path.read_bytes())  # type: ignore[operator]
    path.write_bytes(damaged)
    with pytest.raises(WarehouseUnusable) as without_backup:
        opened(settings)
    said = str(without_backup.value)
    assert str(path) in said and "move it away, and the next run starts over: there is no backup" in said
    assert "\n" not in said
    backup = settings.backups_dir / "2026-11-20T101112.000000Z"
    backup.mkdir(parents=True)
    (backup / "manifest.json").write_text("{}")
    with pytest.raises(
        WarehouseUnusable, match=r"move it away, then .* by `braze-platform restore`\. To start over"
    ):
        opened(settings)
    assert path.read_bytes() == damaged


def test_a_block_that_is_damaged_is_told_where_it_is_read(settings: Settings) -> None:
    content = bytearray(settings.duckdb_path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = random.Random(2).randbytes(20_000)
    settings.duckdb_path.write_bytes(content)
    with pytest.raises(WarehouseUnusable, match=r"cannot be read \(.*checksum"):
        opened(settings)


def test_other_errors_of_statements_stay_what_they_are(settings: Settings) -> None:
    with (
        pytest.raises(Exception, match="does not exist") as raised,
        warehouse_of(settings).session() as session,
    ):
        session.fetch("select * from nowhere")
    assert not isinstance(raised.value, WarehouseUnusable)


def test_a_missing_file_is_not_made_again_while_there_is_a_backup_of_it(settings: Settings) -> None:
    def call(*arguments: str) -> str:
        done = CliRunner().invoke(main, list(arguments), env=settings.as_environment())
        assert done.exit_code == (1 if arguments[0] != "restore" else 0), done.output
        assert not done.exception or isinstance(done.exception, SystemExit), done.exception
        return done.output

    make_backup(settings)
    settings.duckdb_path.unlink()
    for command in (("upgrade",), ("backup",), ("erasure", "plan"), ("doctor",), ("dbt", "build")):
        said = call(*command)
        assert f"{settings.duckdb_path} is missing" in said, command
        assert "`braze-platform restore`" in said and str(settings.backups_dir) in said
        assert "Traceback" not in said
    assert not settings.duckdb_path.exists()
    call("restore")
    assert settings.duckdb_path.exists()
    with warehouse_of(settings).session():
        pass


def test_a_new_installation_and_one_that_starts_over_get_a_file(settings: Settings) -> None:
    make_backup(settings)
    settings.duckdb_path.unlink()
    settings.backups_dir.rename(settings.state_dir / "old_backups")
    with warehouse_of(settings).session() as session:
        assert session.table_names("main") == []


def test_a_killed_backup_is_no_reason_to_refuse(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    (settings.backups_dir / "2026-11-20T101112.000000Z").mkdir(parents=True)
    with warehouse_of(settings).session() as session:
        assert session.table_names("main") == []
