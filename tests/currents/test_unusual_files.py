"""Files that are not as Braze writes them: read with the right values on both targets, or quarantined one by one."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from currents_files import OPEN_FIELDS, avro_bytes, currents_file, opens
from google.cloud import bigquery
from installation import TABLE, Installation

from braze_platform.currents import loader
from braze_platform.currents.targets import load_options
from braze_platform.warehouse.bigquery import BigQueryOptions, BigQuerySession
from braze_platform.warehouse.bigquery_raw_tables import BigQueryRawTables
from braze_platform.warehouse.duckdb_raw_tables import find_unreadable
from braze_platform.warehouse.raw_tables import FileGroup, Placement, SourceFile

UTC = dt.timezone.utc
KIND = {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}
POINT = {"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}
LIST = {
    "type": "record",
    "name": "Link",
    "fields": [{"name": "n", "type": "int"}, {"name": "next", "type": ["null", "Link"]}],
}

#: Fields of one event (name, type, value), and what the raw table holds of them.
VALUES: dict[str, tuple[list[tuple[str, Any, Any]], tuple[Any, ...]]] = {
    "an enum named once and used in unions": (
        [
            ("first", KIND, "A"),
            ("again", ["null", "Kind"], "B"),
            ("both", ["null", "string", "dataexport.GCS.inner.test.Kind"], "B"),
        ],
        ("A", "B", "B"),
    ),
    "a record and a fixed named once": (
        [
            ("p", POINT, {"x": 1}),
            ("q", ["null", "Point"], {"x": 2}),
            ("r", {"type": "array", "items": "Point"}, [{"x": 3}]),
            ("f", {"type": "fixed", "name": "Two", "namespace": "other.space", "size": 2}, b"\x00a"),
            ("g", ["null", "other.space.Two"], b"bc"),
        ],
        ('{"x":1}', '{"x":2}', '[{"x":3}]', b"\x00a", b"bc"),
    ),
    "a record that holds itself": (
        [("list", LIST, {"n": 1, "next": {"n": 2, "next": None}})],
        ('{"n":1,"next":{"n":2,"next":null}}',),
    ),
    "decimals": (
        [
            (
                "b",
                {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
                Decimal("12.34"),
            ),
            (
                "f",
                {
                    "type": "fixed",
                    "name": "D",
                    "size": 16,
                    "logicalType": "decimal",
                    "precision": 38,
                    "scale": 0,
                },
                Decimal(-(10**37)),
            ),
            (
                "u",
                ["null", "string", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 4}],
                Decimal("0.0005"),
            ),
        ],
        ("12.34", f"-1{'0' * 37}", "0.0005"),
    ),
    "unions of several types": (
        [
            ("i", ["null", "int", "string"], 5),
            ("s", ["null", "int", "string"], "noon"),
            ("d", ["double", "boolean", "null"], 0.5),
            ("b", ["null", "boolean", "long"], True),
            ("n", ["null", "boolean", "long"], None),
            ("r", ["string", POINT, {"type": "array", "items": "string"}], {"x": 1}),
            ("a", ["string", "Point", {"type": "array", "items": "string"}], ["a", "é"]),
            ("m", ["null", {"type": "map", "values": ["null", "int", "string"]}], {"k": 1, "l": "x"}),
        ],
        ("5", "noon", "0.5", "true", None, '{"x":1}', '["a","é"]', '{"k":1,"l":"x"}'),
    ),
    "dates and times": (
        [
            ("day", {"type": "int", "logicalType": "date"}, dt.date(2026, 1, 2)),
            (
                "at",
                ["null", {"type": "long", "logicalType": "timestamp-millis"}],
                dt.datetime(2026, 1, 2, 3, 4, 5, 6000, UTC),
            ),
            (
                "us",
                {"type": "long", "logicalType": "timestamp-micros"},
                dt.datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
            ),
            (
                "local",
                {"type": "long", "logicalType": "local-timestamp-micros"},
                dt.datetime(2026, 1, 2, 3, 4, 5, 6),
            ),
            ("hour", {"type": "int", "logicalType": "time-millis"}, dt.time(1, 2, 3, 4000)),
            ("micro", {"type": "long", "logicalType": "time-micros"}, dt.time(1, 2, 3, 4)),
        ],
        (
            "2026-01-02",
            "2026-01-02 03:04:05.006000+00:00",
            "2026-01-02 03:04:05.000006+00:00",
            "2026-01-02 03:04:05.000006",
            "01:02:03.004000",
            "01:02:03.000004",
        ),
    ),
    "logical types that are their underlying type": (
        [
            (
                "u",
                {"type": "string", "logicalType": "uuid"},
                "00000000-0000-0000-0000-000000000001",
            ),
            ("nanos", {"type": "long", "logicalType": "timestamp-nanos"}, 7),
            ("mine", {"type": "int", "logicalType": "of-the-company"}, 8),
            (
                "d",
                {"type": "fixed", "name": "Months", "size": 12, "logicalType": "duration"},
                b"\x01\0\0\0" * 3,
            ),
            ("raw", "bytes", b"\xff\x00"),
        ],
        ("00000000-0000-0000-0000-000000000001", 7, 8, b"\x01\0\0\0" * 3, b"\xff\x00"),
    ),
    "names of readers and of the platform": (
        [
            ("_uri_of_file", "string", "a"),
            ("data", "string", "b"),
            ("files", ["null", "string"], "c"),
            ("_event", "string", "d"),
            ("_staged_file", "int", 9),
            ("f0", "string", "e"),
        ],
        ("a", "b", "c", "d", 9, "e"),
    ),
}


def put(installation: Installation, data: bytes, offset: int) -> str:
    return installation.deliveries.put_bytes(currents_file(offset=offset).key, data)


def test_values_are_what_the_files_hold(installation: Installation) -> None:
    """Each case a file of its own schema, and a good one beside them, all in one hour."""
    quoted = "`{}`" if installation.settings.target == "bigquery" else '"{}"'
    columns: dict[str, list[str]] = {}
    for number, (name, (fields, _)) in enumerate(VALUES.items()):
        before = "" if name.startswith("names") else f"v{number}_"
        data = avro_bytes(
            [{"id": name, **{before + field: value for field, _, value in fields}}],
            [("id", "string"), *((before + field, kind) for field, kind, _ in fields)],
            codec=["deflate", "snappy", "null"][number % 3],
        )
        put(installation, data, number)
        columns[name] = [quoted.format(before + field) for field, _, _ in fields]
    put(installation, avro_bytes(opens("good")), len(VALUES))
    found = installation.load_opens()
    assert (found.error, found.quarantined, found.rows_loaded) == (None, [], len(VALUES) + 1)
    for name, (_, expected) in VALUES.items():
        rows = installation.fetch(f"select {', '.join(columns[name])} from {TABLE} where id = '{name}'")
        assert rows == [expected], name
    assert installation.load_opens().files_unchanged == len(VALUES) + 1


def test_a_field_named_like_a_folder_of_its_key_keeps_its_value(installation: Installation) -> None:
    """`version=10/` and `date=2026-11-10-05/` are folders of the key."""
    fields = [*OPEN_FIELDS, ("version", "string"), ("date", ["null", "string"])]
    put(
        installation,
        avro_bytes([{**event, "version": "the file's", "date": "too"} for event in opens("a")], fields),
        1,
    )
    put(installation, avro_bytes(opens("b")), 2)
    assert installation.load_opens().quarantined == []
    rows = installation.fetch(f"select id, version, date, _version from {TABLE} order by id")
    assert rows == [("a", "the file's", "too", "10"), ("b", None, None, "10")]


def zigzag(number: int) -> bytes:
    """Avro's variable-length integer, of one that is not negative."""
    out, left = bytearray(), number << 1
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def text(value: bytes) -> bytes:
    return zigzag(len(value)) + value


def container(schema: bytes, record: bytes = text(b"odd")) -> bytes:
    """A file of one record whose schema and bytes may be anything."""
    metadata = (
        zigzag(2) + text(b"avro.codec") + text(b"null") + text(b"avro.schema") + text(schema) + zigzag(0)
    )
    sync = b"0123456789abcdef"
    return b"Obj\x01" + metadata + sync + zigzag(1) + text(record) + sync


def broken(*fields: Any, record: bytes = text(b"odd")) -> bytes:
    declared = {"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"}, *fields]}
    return container(json.dumps(declared).encode(), record)


def of(kind: Any, name: str = "x") -> dict[str, Any]:
    return {"name": name, "type": kind}


DEEP = '{"type":"array","items":' * 3000 + '"int"' + "}" * 3000
BROKEN = {
    "a type that nothing defines": broken(of("Unheard")),
    "a type that is none": broken(of(3)),
    "a field without a type": broken({"name": "x"}),
    "a field without a name": broken({"type": "string"}),
    "a field that is none": broken("x"),
    "fields that are not list": container(b'{"type":"record","name":"E","fields":7}'),
    "a record without a name": broken(of({"type": "record", "fields": []})),
    "a type that is not a text": broken(of({"type": "enum", "name": "K", "symbols": 7})),
    "an empty name": broken(of("string", "")),
    "a name that is none": broken(of("string", 7)),  # type: ignore[arg-type]
    "a name with blanks": broken(of("string", "a b")),
    "a name of a thousand letters": broken(of("string", "a" * 1000)),
    "names that differ in case": broken(of("string", "Kind"), of("string", "kind")),
    "too many fields": broken(*(of("string", f"x{number}") for number in range(6000))),
    "a schema that is no UTF-8": container(
        b'{"type":"record","name":"E\xff","fields":[{"name":"id","type":"string"}]}'
    ),
    "a schema in UTF-16": container('{"type":"record","name":"E","fields":[]}'.encode("utf-16")),
    "a schema nested too deep": container(
        f'{{"type":"record","name":"E","fields":[{{"name":"id","type":{DEEP}}}]}}'.encode()
    ),
    "a time after all years": broken(
        of({"type": "long", "logicalType": "timestamp-millis"}), record=text(b"odd") + zigzag(2**62)
    ),
    "a branch that a union does not have": broken(
        of(["null", "int", "string"]), record=text(b"odd") + zigzag(7)
    ),
    "a symbol that an enum does not have": broken(
        of({"type": "enum", "name": "K", "symbols": ["A"]}),
        of(["null", "K"], "y"),
        record=text(b"odd") + zigzag(9) * 2,
    ),
    "text that is no UTF-8": broken(
        of(["null", "int", "string"]), record=text(b"odd") + zigzag(2) + text(b"\xff\xfe")
    ),
    "plain text that is no UTF-8": broken(of("string"), record=text(b"odd") + text(b"\xff\xfe")),
    "a record that ends too early": broken(of(["null", "int", "string"])),
    "a plain record that ends too early": broken(of("string")),
}


def test_bad_files_are_quarantined_and_those_beside_them_load(installation: Installation) -> None:
    put(installation, avro_bytes(opens("good")), len(BROKEN))
    assert installation.load_opens().rows_loaded == 1
    columns = installation.types(TABLE)
    keys = {name: put(installation, data, offset) for offset, (name, data) in enumerate(BROKEN.items())}
    loaded = installation.load_opens()
    assert (loaded.error, loaded.rows_loaded) == (None, 1)
    reasons = {bad.object_key: bad.reason for bad in loaded.quarantined}
    assert {name for name, key in keys.items() if not reasons.get(key)} == set()
    assert installation.fetch(f"select id from {TABLE}") == [("good",)]
    assert installation.types(TABLE).keys() == columns.keys(), "no column for what was not read"


def test_what_a_file_may_ask_for_is_a_setting(installation: Installation) -> None:
    key = put(installation, avro_bytes(opens("many")), 1)
    few = load_options(installation.settings.replace(currents_max_fields=2, currents_max_block_mb=1))
    assert few.avro.block_bytes == 1024 * 1024
    found = installation.load_opens(options=few)
    [bad] = found.quarantined
    assert (bad.object_key, found.error) == (key, None)
    assert "fields; at most 2 can be loaded" in bad.reason
    assert (
        installation.load_opens(
            options=load_options(installation.settings), is_forced=lambda *_: True
        ).rows_loaded
        == 1
    )


def test_fields_that_fit_into_no_table_are_their_file_s_fault(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def file_of(prefix: str) -> bytes:
        names = [f"{prefix}{number}" for number in range(8)]
        return avro_bytes(
            [{"id": prefix, **dict.fromkeys(names, prefix)}],
            [("id", "string"), *((name, "string") for name in names)],
        )

    put(installation, avro_bytes(opens("good")), 0)
    assert installation.load_opens().rows_loaded == 1
    monkeypatch.setattr(loader, "_MAX_COLUMNS", len(installation.types(TABLE)) + 10)
    put(installation, file_of("a"), 1)
    too_much = put(installation, file_of("b"), 2)
    found = installation.load_opens()
    assert (found.error, found.rows_loaded) == (None, 2)
    assert [bad.object_key for bad in found.quarantined] == [too_much]
    assert "its 8 new fields do not fit beside the" in found.quarantined[0].reason
    assert installation.fetch(f"select id from {TABLE} order by 1") == [("a",), ("good",)]


def test_a_full_memory_and_the_database_s_own_faults_are_no_file_s(tmp_path: Path) -> None:
    """They end the load of the event type, and the file is tried again."""
    file = SourceFile("k", str(tmp_path / "k.avro"), dt.datetime(2026, 11, 10, 5), "10", 1)

    class Failing:
        def __init__(self, error: duckdb.Error) -> None:
            self.error = error

        def attached(self, name: str, data: Any) -> Any:
            return contextlib.nullcontext(name)

        def execute(self, sql: str, parameters: Any = None) -> None:
            raise self.error

    group = FileGroup((file,), (Placement("id", "VARCHAR", "id", "cast"),))
    for passing in (
        duckdb.OutOfMemoryException("full"),
        duckdb.InterruptException("stopped"),
        duckdb.IOException("Could not write file warehouse.duckdb.tmp: No space left on device"),
        duckdb.FatalException("invalidated"),
    ):
        with pytest.raises(type(passing)):
            find_unreadable(Failing(passing), group)  # type: ignore[arg-type]
    for said in (
        duckdb.NotImplementedException("Unknown Avro logical type"),
        duckdb.BinderException("Referenced column"),
        duckdb.IOException(f"Could not read {file.uri}"),
    ):
        assert list(find_unreadable(Failing(said), group)) == ["k"]  # type: ignore[arg-type]


def test_a_field_of_the_platform_s_own_names_in_any_case_has_a_column_beside(
    installation: Installation,
) -> None:
    names = ["_Hour", "_FILE", "_version", "_Loaded_At", "_PartitionTime", "_table_suffix", "__ROOT__x"]
    record = {"id": "odd", **{name: f"the {name}" for name in names}}
    put(installation, avro_bytes([record], [("id", "string"), *((name, "string") for name in names)]), 1)
    put(installation, avro_bytes(opens("good")), 2)
    found = installation.load_opens()
    assert (found.error, found.quarantined, found.rows_loaded) == (None, [], 2)
    columns = ["_Hour__field", "_FILE__field", "_version__field", "_Loaded_At__field"]
    columns += ["field__PartitionTime", "field__table_suffix", "field___ROOT__x"]
    assert installation.fetch(f"select {', '.join(columns)}, _version from {TABLE} where id = 'odd'") == [
        (*(f"the {name}" for name in names), "10")
    ]


def test_no_load_job_asks_for_folders_as_columns() -> None:
    """Hive partitioning is off unless a job's `hivePartitioningOptions` turn it on: "When set, configures hive
    partitioning support" (https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad)."""
    sent: list[bigquery.LoadJobConfig] = []

    class Client:
        project = "p"

        def load_table_from_uri(self, uri: str, table: Any, *, job_config: Any, **_: Any) -> None:
            sent.append(job_config)

        def load_table_from_file(self, file: Any, table: Any, *, job_config: Any, **_: Any) -> None:
            sent.append(job_config)

    session = BigQuerySession(Client(), BigQueryOptions())  # type: ignore[arg-type]
    table = bigquery.Table("p.d.t", schema=[bigquery.SchemaField("version", "STRING")])
    key = currents_file().key
    of_bucket = SourceFile(key, f"gs://b/{key}", dt.datetime(2026, 11, 10, 5), "10", None, "1")
    for file in (of_bucket, dataclasses.replace(of_bucket, copy=Path(__file__))):
        BigQueryRawTables(session)._submit(file, table, "job")
    for config in sent:
        load_options = config.to_api_repr()["load"]
        assert "hivePartitioningOptions" not in load_options
        assert "autodetect" not in load_options
        assert [field["name"] for field in load_options["schema"]["fields"]] == ["version"]
    assert len(sent) == 2
