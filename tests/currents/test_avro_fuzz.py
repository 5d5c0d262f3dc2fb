"""Files with a bit flipped, cut short, or lying about themselves: described in full or refused, and nothing else."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cramjam
import fastavro
import pytest
from currents_files import avro_bytes, opens

from braze_platform.currents.avro_files import AvroFile, UnreadableFile, inspect, inspect_ends
from braze_platform.currents.catalogue import EventType, catalogue
from braze_platform.currents.columns import map_columns
from braze_platform.currents.plain_avro import write_plain
from braze_platform.warehouse.avro_staging import staging_columns

_VALUES: dict[str, Any] = {
    "string": "a text",
    "int": 1,
    "long": 2**40,
    "float": 0.5,
    "boolean": True,
    "array<string>": ["a", "b"],
    "array<string?>": ["a", None],
}


def file_of(event_type: EventType, codec: str, records: int = 2) -> bytes:
    """A file of an event type as the catalogue has it."""
    fields: list[tuple[str, Any]] = []
    for field in event_type.fields:
        kind: Any = field.type
        if kind.startswith("array"):
            kind = {"type": "array", "items": ["null", "string"] if "?" in kind else "string"}
        fields.append((field.name, ["null", kind] if field.nullable else kind))
    record = {field.name: _VALUES[field.type] for field in event_type.fields}
    return avro_bytes([record] * records, fields, codec=codec)


def damaged(cases: int, seed: int) -> Iterator[bytes]:
    """Files of all types, each damaged many times: a bit flipped, or cut."""
    chance = random.Random(seed)
    types = list(catalogue().values())
    while cases > 0:
        for event_type in chance.sample(types, len(types)):
            whole = file_of(event_type, chance.choice(["null", "deflate", "snappy"]))
            for _ in range(min(cases, 30)):
                cases -= 1
                if chance.random() < 0.1:
                    yield whole[: chance.randrange(len(whole))]
                else:
                    flipped, bit = bytearray(whole), chance.randrange(len(whole) * 8)
                    flipped[bit // 8] ^= 1 << (bit % 8)
                    yield bytes(flipped)


def looked_at(look: Callable[[Any], AvroFile], data: bytes) -> AvroFile | None:
    try:
        return look(io.BytesIO(data))
    except UnreadableFile:
        return None


@pytest.mark.parametrize(
    ("cases", "seed"),
    [pytest.param(2_000, 1, id="some"), pytest.param(60_000, 2, id="many", marks=pytest.mark.full)],
)
def test_whatever_is_damaged_is_described_in_full_or_refused(cases: int, seed: int) -> None:
    described = 0
    for data in damaged(cases, seed):
        for look in (inspect, inspect_ends):
            found = looked_at(look, data)
            if found is None:
                continue
            described += 1
            map_columns({}, found.fields)
            if found.is_plain:
                staging_columns(found.schema, "gs://bucket/key")
            if found.row_count is not None:
                assert len(list(fastavro.reader(io.BytesIO(data)))) == found.row_count
    assert 0 < described < 2 * cases


def with_block(records: int, says: int, codec: str, *, content: bytes | None = None) -> bytes:
    """A file of small opens whose one block says that it holds another number of records."""
    return framed(compressed(opens_of(records) if content is None else content, codec), says, codec)


def opens_of(records: int) -> bytes:
    """Small opens as they stand in a block."""
    honest = avro_bytes(opens(*map(str, range(records))), codec="null", records_per_block=1 << 30)
    [block] = fastavro.block_reader(io.BytesIO(honest))
    return bytes(block.bytes_.getvalue())


def compressed(content: bytes, codec: str) -> bytes:
    if codec == "deflate":
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return deflate.compress(content) + deflate.flush()
    if codec == "snappy":
        return bytes(cramjam.snappy.compress_raw(content)) + zlib.crc32(content).to_bytes(4, "big")
    return content


def framed(body: bytes, says: int, codec: str) -> bytes:
    """A file of one block."""
    header = avro_bytes([], codec=codec)
    return header + long(says) + long(len(body)) + body + header[-16:]


def long(value: int) -> bytes:
    """Avro's variable-length integer."""
    value, out = value << 1, b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
@pytest.mark.parametrize(
    ("records", "says", "reason"),
    [
        (2, 1, "holds more than the 1 records"),
        (1, 2, "cannot be decoded"),
        (3, 0, "says that it holds no records"),
        (40_000, 20_000, "holds more than the 20,000 records"),
        (40_000, 400_000, "cannot be decoded"),
        (1, 30_000_000, "says that it holds 30,000,000 records"),
    ],
)
def test_a_block_that_lies_about_its_records_is_refused(
    codec: str, records: int, says: int, reason: str
) -> None:
    assert inspect(io.BytesIO(with_block(records, records, codec))).row_count == records
    with pytest.raises(UnreadableFile, match=reason):
        inspect(io.BytesIO(with_block(records, says, codec)))


@pytest.mark.parametrize("codec", ["deflate", "snappy"])
def test_a_block_that_expands_without_measure_is_refused(codec: str) -> None:
    bomb = with_block(1, 1, codec, content=b"\0" * (257 << 20))
    assert len(bomb) < 20 << 20
    with pytest.raises(UnreadableFile, match="expands to more than"):
        inspect(io.BytesIO(bomb))


@pytest.mark.parametrize("codec", ["deflate", "snappy"])
def test_a_compressed_block_without_its_end_is_refused(codec: str) -> None:
    body = compressed(opens_of(2), codec)
    assert inspect(io.BytesIO(framed(body, 2, codec))).row_count == 2
    changed = body[:-4] + bytes(4) if codec == "snappy" else body[:-1]
    with pytest.raises(UnreadableFile, match="checksum" if codec == "snappy" else "cannot be expanded"):
        inspect(io.BytesIO(framed(changed, 2, codec)))


def test_later_blocks_are_held_against_the_first() -> None:
    honest = avro_bytes(opens(*map(str, range(100_000))), records_per_block=500_000)
    assert inspect(io.BytesIO(honest)).row_count == 100_000
    blocks = [
        (block.num_records, block.bytes_.getvalue()) for block in fastavro.block_reader(io.BytesIO(honest))
    ]
    assert len(blocks) > 3
    header = avro_bytes([])
    for lying in range(1, len(blocks)):
        said = [count // (2 if number == lying else 1) for number, (count, _) in enumerate(blocks)]
        data = header + b"".join(
            long(count) + long(len(body)) + body + header[-16:]
            for count, (_, body) in zip(said, blocks, strict=True)
        )
        with pytest.raises(UnreadableFile, match=f"block {lying + 1} .* holds more than"):
            inspect(io.BytesIO(data))


def test_records_of_nothing_are_refused() -> None:
    nothing = {"type": "record", "name": "Nothing", "fields": [{"name": "n", "type": "null"}]}
    around = {"type": "record", "name": "Around", "fields": [{"name": "inside", "type": nothing}]}
    for items, item in (
        ("null", None),
        (nothing, {"n": None}),
        (around, {"inside": {"n": None}}),
        ({"type": "fixed", "name": "Empty", "size": 0}, b""),
    ):
        for kind in (
            {"type": "array", "items": items},
            {"type": "map", "values": {"type": "array", "items": items}},
        ):
            value = [item] if kind["type"] == "array" else {"k": [item]}
            with pytest.raises(UnreadableFile, match="array of nothing"):
                inspect(io.BytesIO(avro_bytes([{"a": value}], [("a", kind)])))
    # An entry of a map has its key, and a value that may be null its branch.
    for kind, value in (
        ({"type": "map", "values": "null"}, {"k": None}),
        ({"type": "array", "items": ["null", nothing]}, [None]),
    ):
        assert inspect(io.BytesIO(avro_bytes([{"a": value}], [("a", kind)]))).row_count == 1
    with pytest.raises(UnreadableFile, match="says that it holds 3 records in 0 bytes"):
        inspect(io.BytesIO(avro_bytes([{"a": None}] * 3, [("a", "null")])))


@pytest.mark.parametrize("look", [inspect, inspect_ends])
def test_values_nested_without_end_do_not_end_the_process(
    look: Callable[[Any], AvroFile], tmp_path: Path
) -> None:
    link = {"type": "record", "name": "Link", "fields": [{"name": "next", "type": ["null", "Link"]}]}
    header = avro_bytes([], [("id", "string"), ("chain", link)])
    body = b"\x02a" + b"\x02" * 100_000 + b"\x00"
    data = header + long(1) + long(len(body)) + body + header[-16:]

    def read() -> None:
        found = look(io.BytesIO(data))
        assert found.is_recursive
        write_plain(io.BytesIO(data), found, tmp_path / "plain.avro")

    with pytest.raises(UnreadableFile, match="decoded"):
        read()


def test_an_error_is_a_record() -> None:
    kind = {"type": "error", "name": "Wrong", "fields": [{"name": "a", "type": "int"}]}
    found = inspect(io.BytesIO(avro_bytes([{"id": "a", "e": {"a": 1}}], [("id", "string"), ("e", kind)])))
    assert map_columns({}, found.fields).new_columns == {"id": "VARCHAR", "e": "VARCHAR"}
