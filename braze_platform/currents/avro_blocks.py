"""Whether a block of an Avro file holds as many records as it says, and no more bytes than anybody should expand.

A reader takes the number of records from the block's head: one that says fewer than there are loses the others without
a word. Decoding all of a file to count would take longer than loading it, so the first block is decoded, of a large one
the first records, and of the others those of few records, or of records that differ much in size from the first ones.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cramjam
import fastavro
from fastavro import _read_py

#: Deflate makes at most so many bytes of one (https://zlib.net/zlib_tech.html), snappy fewer. A record has one byte at
#: least: one of nothing but nulls has none, and so there could be any number of them.
_EXPANSION = {"null": 1, "deflate": 1_032, "snappy": 1_032}
#: Blocks that say to hold no more records are decoded whole; so is a file's first one up to this length.
_FEW = 16
_SMALL = 32 * 1024
#: Records of a large first block that are decoded, and by which factor bytes a record may differ from theirs.
_SAMPLE = 64
_LIKE = 1.5


@dataclass(frozen=True)
class AvroLimits:
    """What a file may ask of who reads it; a larger one is unreadable."""

    #: Fields of its schema. BigQuery's tables have at most 10,000 columns
    #: (https://cloud.google.com/bigquery/quotas#all_tables).
    fields: int = 5_000
    #: Bytes of a block once it is expanded. Writers end a block after some ten thousand.
    block_bytes: int = 256 * 1024 * 1024


DEFAULT_LIMITS = AvroLimits()


class BlockFault(ValueError):
    """What is wrong with a block, in words that follow its number."""


class Blocks:
    """Judges the blocks of one file, one after the other."""

    def __init__(self, schema: str, codec: str, max_bytes: int, *, is_recursive: bool) -> None:
        self._schema = schema
        self._codec = codec
        self._max_bytes = max_bytes
        self._read = _read_py.schemaless_reader if is_recursive else fastavro.schemaless_reader
        #: Bytes a record in the file's first block, which was looked into.
        self._usual: float | None = None

    def check(self, count: int, length: int, read: Callable[[], bytes]) -> None:
        """Raise `BlockFault` where a block of `length` bytes, which `read` gives, cannot hold `count` records.

        Raises what `read` raises.
        """
        if count > length * _EXPANSION[self._codec]:
            raise BlockFault(f"says that it holds {count:,} records in {length:,} bytes")
        if not count:
            if length:
                raise BlockFault(f"says that it holds no records, in {length:,} bytes")
            return
        is_usual = self._usual is not None and self._usual / _LIKE <= length / count <= self._usual * _LIKE
        if count > _FEW and is_usual and length * _EXPANSION[self._codec] <= self._max_bytes:
            return
        content = _expanded(read(), self._codec, self._max_bytes)
        try:
            self._decode(content, count, whole=length <= _SMALL or self._usual is not None)
        except (BlockFault, MemoryError):
            raise
        except Exception as error:
            # No message: it may quote the values that it fails on.
            raise BlockFault(f"cannot be decoded ({type(error).__name__})") from error
        self._usual = self._usual or length / count

    def _decode(self, content: bytes, count: int, *, whole: bool) -> None:
        schema, stream = _parsed(self._schema), io.BytesIO(content)
        sample = count if whole else min(count, _SAMPLE)
        for _ in range(sample):
            self._read(stream, schema, None)
        read = stream.tell()
        if sample < count:
            expected = len(content) * sample / max(read, 1)
            if expected / _LIKE <= count <= expected * _LIKE:
                return
            for _ in range(count - sample):
                self._read(stream, schema, None)
        if stream.tell() < len(content):
            raise BlockFault(f"holds more than the {count:,} records that it says")


def _expanded(data: bytes, codec: str, max_bytes: int) -> bytes:
    """What a block holds; raises `BlockFault` where that is more than `max_bytes`, or cannot be told."""
    try:
        if codec == "deflate":
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            content = inflate.decompress(data, max_bytes)
            if not inflate.eof:
                # Either there is more to come, or the block's end is missing.
                raise BlockFault(_too_large(max_bytes) if len(content) == max_bytes else "cannot be expanded")
            return content
        if codec == "snappy":
            if cramjam.snappy.decompress_raw_len(data[:-4]) > max_bytes:
                raise BlockFault(_too_large(max_bytes))
            content = bytes(cramjam.snappy.decompress_raw(data[:-4]))
            if zlib.crc32(content) != int.from_bytes(data[-4:], "big"):
                raise BlockFault("does not have the checksum that it says")
            return content
    except (zlib.error, cramjam.DecompressionError) as error:
        raise BlockFault("cannot be expanded") from error
    return data


def _too_large(max_bytes: int) -> str:
    remedy = "BRAZE_PLATFORM_CURRENTS_MAX_BLOCK_MB; after a change reload its hour"
    return f"expands to more than {max_bytes:,} bytes ({remedy})"


@lru_cache(maxsize=64)
def _parsed(schema: str) -> Any:
    return fastavro.parse_schema(json.loads(schema))
