"""Raw tables: made, completed, filled by name and proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from braze_platform.warehouse import raw_tables
from braze_platform.warehouse.duckdb import DuckDBSession, DuckDBWarehouse
from braze_platform.warehouse.interface import WarehouseError
from braze_platform.warehouse.raw_tables import Column, FileGroup, FilesUnreadable, Placement, SourceFile

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


def test_tables_are_made_described_and_completed(session: DuckDBSession) -> None:
    raw_tables.ensure_tables(session, {"a_b": COLUMNS[:1]})
    session.execute("insert into currents_raw.a_b (id) values ('kept')")
    raw_tables.ensure_tables(session, {"a_b": COLUMNS})
    raw_tables.ensure_tables(session, {"a_b": COLUMNS})
    assert raw_tables.data_columns(session, "a_b") == {"id": "VARCHAR", "n": "BIGINT"}
    assert session.fetch("select id, n from currents_raw.a_b") == [("kept", None)]
    described = dict(
        session.fetch("select column_name, comment from duckdb_columns() where table_name = 'a_b'")
    )
    assert described["n"] == "It's a number"
    assert all(described.values())


def test_files_go_in_by_name_and_come_out_by_hour_and_type(session: DuckDBSession, tmp_path: Path) -> None:
    raw_tables.ensure_tables(session, {"a_b": COLUMNS})
    files = [
        source(tmp_path, "one*[x]?.avro", [{"id": "x", "n": 1}]),
        source(tmp_path, "two.avro", [{"id": "y", "n": 2}]),
    ]
    other = source(tmp_path, "one.avro", [{"id": "z", "n": 3}], event_type="a_B")
    raw_tables.insert_files(session, "a_b", group(*files, other), datetime(2026, 11, 24))
    raw_tables.prove_rows(session, "a_b", "a.B", files)
    rows = session.fetch("select id, n, _hour, _file, _version from currents_raw.a_b order by id")
    assert rows[0] == ("x", 1, HOUR, files[0].key, "10")
    raw_tables.delete_hours(session, "a_b", "a.B", [HOUR])
    assert session.fetch("select id from currents_raw.a_b") == [("z",)]


def test_missing_and_surplus_rows_are_noticed(session: DuckDBSession, tmp_path: Path) -> None:
    raw_tables.ensure_tables(session, {"a_b": COLUMNS})
    file = source(tmp_path, "one.avro", [{"id": "x", "n": 1}])
    with pytest.raises(FilesUnreadable, match=r"one\.avro"):
        raw_tables.prove_rows(session, "a_b", "a.B", [file])
    for _ in range(2):
        raw_tables.insert_files(session, "a_b", group(file), HOUR)
    with pytest.raises(FilesUnreadable) as raised:
        raw_tables.prove_rows(session, "a_b", "a.B", [file])
    assert raised.value.reasons == {file.key: "it holds 1 records, but 2 rows came out of it"}


def test_the_file_that_the_reader_fails_on_is_singled_out(session: DuckDBSession, tmp_path: Path) -> None:
    raw_tables.ensure_tables(session, {"a_b": COLUMNS})
    files = [source(tmp_path, f"{n}.avro", [{"id": "x", "n": n}]) for n in range(5)]
    Path(files[3].uri).write_bytes(b"not avro")
    with pytest.raises(WarehouseError, match="loading a_b"):
        raw_tables.insert_files(session, "a_b", group(*files), HOUR)
    assert list(raw_tables.find_unreadable(session, group(*files))) == [files[3].key]
    assert raw_tables.find_unreadable(session, group(*files[:3])) == {}
