"""What BigQuery refuses fails a run of tests, though the emulator accepts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from google_emulators import INSTALLATION_LOG, ROOT, STATEMENT_LOG, GoogleEmulators
from sent_statements import refused_statements

from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

A_TEST = """
from braze_platform.warehouse.targets import warehouse_of

def test_of_a_reserved_word(google_settings):
    with warehouse_of(google_settings).session() as session:
        session.create_schema("words", "Tests.")
        session.execute(f"create table {{session.sql.table('words', 'reserved')}} as select 'a' as {alias}")
"""
_FIELDS = {"n": "INTEGER", "names": "STRING", "data": "JSON"}


@pytest.mark.full
@pytest.mark.parametrize(("alias", "workers"), [("hash", ("-n", "1")), ("hashed", ())])
def test_a_refused_statement_fails_the_run_and_is_named(
    tmp_path: Path, alias: str, workers: tuple[str, ...]
) -> None:
    """Of real emulators and a real run, with and without workers."""
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(A_TEST.format(alias=alias))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *workers,
            f"--basetemp={tmp_path / 'base'}",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in result.stdout, result.stdout + result.stderr
    assert result.returncode == (1 if alias == "hash" else 0), result.stdout + result.stderr
    assert ("Syntax error: Unexpected keyword HASH" in result.stdout) is (alias == "hash")
    assert ("as select 'a' as hash" in result.stdout) is (alias == "hash")
    assert ("test_one.py::test_of_a_reserved_word" in result.stdout) is (alias == "hash")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select n as `hash` from `t0123456789_d`.`t`", ""),
        ("select n as hash from `t0123456789_d`.`t`", "Unexpected keyword HASH"),
        ("select n as new from `t0123456789_d`.`t`", "Unexpected keyword NEW"),
        (
            "select cast(names as string) from `t0123456789_d`.`t`",
            "Invalid cast from ARRAY<STRING> to STRING",
        ),
        ("select cast(data as string) from `t0123456789_d`.`t`", "Invalid cast from JSON to STRING"),
        ("select m from `t0123456789_d`.`t`", "Unrecognized name: m"),
        ("select 1 from `t0123456789_d`.`u`", "Table not found"),
        ("update `t0123456789_d`.`t` set n = 1", "must have a WHERE clause"),
        (
            "begin transaction;\ninsert into `t0123456789_d`.`t` (n) values ('x');\ncommit transaction;",
            "INT64",
        ),
        ("create table `t0123456789_d`.`v` (n bigint);\nselect n from `t0123456789_d`.`v`;", ""),
        ("alter table `t0123456789_d`.`t` add column if not exists `o` bigint", ""),
        ("select s.a from `t0123456789_d`.`t`, unnest(structs) as s", ""),
    ],
)
def test_statements_are_judged_with_the_columns_of_their_tables(
    tmp_path: Path, sql: str, reason: str
) -> None:
    folder = tmp_path / "emulators0"
    folder.mkdir()
    fields = [
        {"name": name, "type": kind, "mode": "REPEATED" if name == "names" else "NULLABLE"}
        for name, kind in _FIELDS.items()
    ]
    inner = [{"name": "a", "type": "STRING", "mode": "NULLABLE"}]
    fields.append({"name": "structs", "type": "RECORD", "mode": "REPEATED", "fields": inner})
    line = {"kind": "k", "sql": sql, "tables": {"t0123456789_d.t": fields}}
    (folder / STATEMENT_LOG).write_text(f"{json.dumps(line)}\n" * 2)
    (folder / INSTALLATION_LOG).write_text(json.dumps({"prefix": "t0123456789_", "test": "test_of_it"}))
    refused, judged = refused_statements(tmp_path)
    assert judged == 1
    assert [reason in one.reason and one.test == "test_of_it" for one in refused] == (
        [True] if reason else []
    )


def test_a_kind_of_statement_is_written_down_once(
    emulators: GoogleEmulators, google_settings: Settings
) -> None:
    log = emulators.objects.parent / STATEMENT_LOG
    with warehouse_of(google_settings).session() as session:
        session.create_schema("kinds", "Tests.")
        name = session.sql.table("kinds", "t")
        session.execute(f"create table {name} (n bigint)")
        before = log.read_text().count("\n")
        for number in range(3):
            session.execute(f"insert into {name} (n) select length('a{number}') + {number}")
        session.execute(f"alter table {name} add column m string")
        session.execute(f"insert into {name} (n) select length('a3') + 3")
    written = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    assert [len(columns) for line in written for columns in line["tables"].values()] == [1, 1, 2]
