"""Completeness of Avro files: whole ones are counted, everything else is refused with a reason."""

from __future__ import annotations

import io

import pytest
from currents_files import avro_bytes, opens
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.currents.avro_files import AvroField, UnreadableFile, inspect

WHOLE = avro_bytes(opens(*map(str, range(60))), records_per_block=500)
_PREFIX_AT_BLOCK_ENDS = {
    end
    for end in range(len(WHOLE) + 1)
    if WHOLE[:end].endswith(WHOLE[-16:]) and end > WHOLE.index(WHOLE[-16:])
}


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_counts_the_records_and_reads_the_fields(codec: str, count: int) -> None:
    data = avro_bytes(opens(*map(str, range(count))), codec=codec, records_per_block=700)
    found = inspect(io.BytesIO(data))
    assert found.row_count == count
    assert found.fields[0] == AvroField("id", "string", False)
    assert found.fields[2] == AvroField("external_user_id", "string", True)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_cut_anywhere_but_between_blocks_is_refused(length: int) -> None:
    cut = io.BytesIO(WHOLE[:length])
    if length in _PREFIX_AT_BLOCK_ENDS and length > min(_PREFIX_AT_BLOCK_ENDS):
        assert inspect(cut).row_count < 60
    else:
        with pytest.raises(UnreadableFile):
            inspect(cut)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    for content in (data, b"Obj\x01" + data):
        with pytest.raises(UnreadableFile):
            inspect(io.BytesIO(content))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"hello, this is text\n", "not an Avro container", id="text"),
        pytest.param(WHOLE[:-1], "truncated inside block", id="last byte missing"),
        pytest.param(WHOLE[:40], "truncated inside its header", id="half a header"),
        pytest.param(avro_bytes([]), "no events", id="header only"),
        pytest.param(WHOLE[:-16] + b"x" * 16, "sync marker", id="wrong sync marker"),
        pytest.param(avro_bytes(opens("a"), codec="bzip2"), "bzip2", id="unknown codec"),
    ],
)
def test_says_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        inspect(io.BytesIO(data))


def test_names_the_types_that_decide_where_a_field_goes() -> None:
    fields = [
        ("plain", "string"),
        ("java", {"type": "string", "avro.java.string": "String"}),
        ("day", {"type": "int", "logicalType": "date"}),
        ("list", ["null", {"type": "array", "items": ["null", "string"]}]),
        ("numbers", {"type": "array", "items": "int"}),
        ("map", ["null", {"type": "map", "values": "string"}]),
        ("kind", {"type": "enum", "name": "Kind", "symbols": ["a"]}),
        ("either", ["string", "long"]),
        ("nothing", "null"),
    ]
    record = {
        "plain": "a",
        "java": "b",
        "day": 1,
        "list": [],
        "numbers": [1],
        "map": None,
        "kind": "a",
        "either": 1,
        "nothing": None,
    }
    found = inspect(io.BytesIO(avro_bytes([record], fields)))
    assert {field.name: field.type for field in found.fields} == {
        "plain": "string",
        "java": "string",
        "day": "text",
        "list": "array<string>",
        "numbers": "json",
        "map": "json",
        "kind": "enum",
        "either": "json",
        "nothing": "null",
    }
