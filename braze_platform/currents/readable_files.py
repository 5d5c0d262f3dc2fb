"""What is learnt of files before the warehouse reads them: whole or not, which fields, and a copy where needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from braze_platform.currents.avro_blocks import AvroLimits
from braze_platform.currents.avro_files import AvroFile, UnreadableFile, inspect, inspect_ends
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.listing import ListedFile
from braze_platform.currents.plain_avro import write_plain

#: Files whose ends or blocks are looked at side by side.
_OPENED_AT_ONCE = 8


@dataclass(frozen=True)
class ReadableFile:
    """A whole file, and where its copy is when it was rewritten for the warehouse."""

    listed: ListedFile
    avro: AvroFile
    copy: Path | None = None

    @property
    def key(self) -> str:
        """Its object key."""
        return self.listed.object.key


def read_heads(
    bucket: Bucket, files: Sequence[ListedFile], folder: Path, limits: AvroLimits, *, counting: bool
) -> tuple[dict[str, ReadableFile], dict[str, tuple[ListedFile, str]]]:
    """What files hold, and those that are not whole with the reason, by key; files that are gone are in neither.

    Records are counted where `counting`. Files that the warehouses would read differently are rewritten into the
    folder. What reading the bucket raises passes through: it says nothing of a file.
    """
    look = inspect if counting else inspect_ends

    def read(numbered: tuple[int, ListedFile]) -> ReadableFile | str | None:
        number, listed = numbered
        try:
            with bucket.open(listed.object.key, listed.object.generation) as stream:
                avro = look(stream, limits)
                if avro.is_plain:
                    return ReadableFile(listed, avro)
                copy = folder / f"{number}.avro"
                return ReadableFile(listed, write_plain(stream, avro, copy), copy)
        except FileNotFoundError:
            return None  # deleted since it was listed; the next load sees the hour without it
        except UnreadableFile as unreadable:
            return unreadable.reason

    good: dict[str, ReadableFile] = {}
    bad: dict[str, tuple[ListedFile, str]] = {}
    with ThreadPoolExecutor(_OPENED_AT_ONCE) as pool:
        for listed, found in zip(files, pool.map(read, enumerate(files)), strict=True):
            if isinstance(found, ReadableFile):
                good[listed.object.key] = found
            elif found is not None:
                bad[listed.object.key] = (listed, found)
    return good, bad
