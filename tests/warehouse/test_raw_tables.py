"""Raw tables: made, completed, filled by name and proven."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from braze_platform.warehouse.duckdb import DuckDBSession, DuckDBWarehouse
from braze_platform.warehouse.duckdb_raw_tables import prove_rows
from braze_platform.warehouse.raw_tables import (
    FileGroup,
    FilesUnreadable,
    Placement,
    SourceFile,
    raw_tables_of,
)
from braze_platform.warehouse.tables import Column

HOUR = datetime(2026, 11, 10, 5)
COLUMNS = [Column("id", "VARCHAR", "The event's identifier"), Column("n", "BIGINT", "It's a number")]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[DuckDBSession]:
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb", threads=1).session() as session:
        yield session


def source(folder: Path, name: str, records: list[dict[str, Any]], event_type: str = "a.B") -> SourceFile:
    schema = {
        "type": "record",
        "name": "B",
        "fields": [{"name": "n", "type": "int"}, {"name": "id", "type": "string"}],
    }
    key = f"event_type={event_type}/date=2026-11-10-05/{name}"
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        fastavro.writer(out, schema, records)
    return SourceFile(key, str(path), HOUR, "10", len(records))


def group(*files: SourceFile) -> FileGroup:
    return FileGroup(files, (Placement("n", "BIGINT", "n", "cast"), Placement("id", "VARCHAR", "id", "cast")))


def replace(session: DuckDBSession, *groups: FileGroup, event_type: str = "a.B") -> dict[str, int]:
    """Replace the hour by the files, as a load does."""
    tables = raw_tables_of(session)
    with tables.staged("a_b", event_type, groups, {}) as staged, session.transaction():
        return dict(staged.replace(event_type, [HOUR], datetime(2026, 11, 24)))


def test_tables_are_made_described_and_completed(session: DuckDBSession) -> None:
    tables = raw_tables_of(session)
    tables.ensure_tables({"a_b": COLUMNS[:1]})
    session.execute("insert into currents_raw.a_b (id) values ('kept')")
    tables.ensure_tables({"a_b": COLUMNS})
    tables.ensure_tables({"a_b": COLUMNS})
    assert tables.data_columns("a_b") == {"id": "VARCHAR", "n": "BIGINT"}
    assert session.fetch("select id, n from currents_raw.a_b") == [("kept", None)]
    described = dict(
        session.fetch("select column_name, comment from duckdb_columns() where table_name = 'a_b'")
    )
    assert described["n"] == "It's a number"
    assert all(described.values())


def test_tables_that_are_not_at_hand_are_made_and_not_looked_at(session: DuckDBSession) -> None:
    tables = raw_tables_of(session)
    tables.ensure_tables({"a_b": COLUMNS[:1], "c_d": COLUMNS[:1]}, [])
    tables.ensure_tables({"a_b": COLUMNS, "c_d": COLUMNS}, ["c_d"])
    assert [len(tables.data_columns(name)) for name in ("a_b", "c_d")] == [1, 2]


def test_files_go_in_by_name_and_come_out_by_hour_and_type(session: DuckDBSession, tmp_path: Path) -> None:
    raw_tables_of(session).ensure_tables({"a_b": COLUMNS})
    files = [
        source(tmp_path, "one*[x]?.avro", [{"id": "x", "n": 1}]),
        source(tmp_path, "two.avro", [{"id": "y", "n": 2}]),
    ]
    other = source(tmp_path, "one.avro", [{"id": "z", "n": 3}], event_type="a_B")
    assert replace(session, group(*files)) == {files[0].key: 1, files[1].key: 1}
    replace(session, group(other), event_type="a_B")
    rows = session.fetch("select id, n, _hour, _file, _version from currents_raw.a_b order by id")
    assert rows[0] == ("x", 1, HOUR, files[0].key, "10")
    assert len(rows) == 3
    replace(session)
    assert session.fetch("select id from currents_raw.a_b") == [("z",)]


def test_missing_rows_are_noticed(session: DuckDBSession, tmp_path: Path) -> None:
    raw_tables_of(session).ensure_tables({"a_b": COLUMNS})
    file = dataclasses.replace(source(tmp_path, "one.avro", [{"id": "x", "n": 1}]), row_count=2)
    with pytest.raises(FilesUnreadable) as raised:
        replace(session, group(file))
    assert raised.value.reasons == {file.key: "it holds 2 records, but 1 rows came out of it"}
    assert session.fetch("select count(*) from currents_raw.a_b") == [(0,)]


def test_the_file_that_the_reader_fails_on_is_singled_out(session: DuckDBSession, tmp_path: Path) -> None:
    raw_tables_of(session).ensure_tables({"a_b": COLUMNS})
    files = [source(tmp_path, f"{n}.avro", [{"id": "x", "n": n}]) for n in range(5)]
    Path(files[3].uri).write_bytes(b"not avro")
    with pytest.raises(FilesUnreadable) as raised:
        replace(session, group(*files))
    assert list(raised.value.reasons) == [files[3].key]
    assert len(replace(session, group(*files[:3]))) == 3


def test_an_hour_of_millions_of_rows_is_proven_within_little_memory(tmp_path: Path) -> None:
    key = f"event_type=a.B/date=2026-11-10-05/{'long' * 30}.avro"
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb", threads=1, memory_limit="80MB").session() as session:
        tables = raw_tables_of(session)
        tables.ensure_tables({"a_b": []})
        # In the transaction that wrote them the rows are not in the table's statistics yet.
        with session.transaction():
            session.execute(
                "insert into currents_raw.a_b select $hour, $key, '10', $hour from range(3000000)",
                {"hour": HOUR, "key": key},
            )
            file = SourceFile(key, "nowhere", HOUR, "10", 3_000_000)
            assert prove_rows(session, "a_b", "a.B", [file]) == {key: 3_000_000}
