"""The bucket that Currents writes into, behind a small interface, and a local folder that stands for one.

Google's bucket is in `google_bucket`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class BucketObject:
    """One object as a listing shows it."""

    key: str
    size_bytes: int
    #: Changes whenever the object's content is rewritten.
    generation: str
    #: When it was last written (aware, UTC).
    updated_at: datetime


class Bucket(Protocol):
    """What Currents loading needs of a bucket. Keys have `/` between their parts and none in front."""

    def objects(self, prefix: str, *, start_offset: str = "", end_offset: str = "") -> Iterator[BucketObject]:
        """Objects whose key starts with `prefix`, in key order and page by page as they are consumed.

        `start_offset` is the first key that may be listed, `end_offset` the first that may not (empty: none):
        a listing is resumed after a key by starting at `key + "\\0"`.
        """
        ...

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below `prefix`, which is empty or ends with `/`."""
        ...

    def uri(self, key: str) -> str:
        """Where the warehouse reads the object: a local path or a URI."""
        ...

    def open(self, key: str, generation: str) -> BinaryIO:
        """The object's bytes as a seekable stream, read in parts as they are asked for.

        Raises `FileNotFoundError` when that generation is gone, where the bucket can tell.
        """
        ...


class FolderBucket:
    """A local folder as bucket; files being written are those named `.…` or `….tmp` and are not listed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def objects(self, prefix: str, *, start_offset: str = "", end_offset: str = "") -> Iterator[BucketObject]:
        """See `Bucket.objects`; folders outside the asked range of keys are not opened."""
        folder = prefix.rpartition("/")[0]
        yield from self._walk(f"{folder}/" if folder else "", prefix, start_offset, end_offset)

    def folders(self, prefix: str) -> list[str]:
        """See `Bucket.folders`."""
        return [name.removesuffix("/") for name, _ in self._entries(prefix) if name.endswith("/")]

    def uri(self, key: str) -> str:
        """The object's absolute path."""
        return f"{self.root.absolute()}/{key}"

    def open(self, key: str, generation: str) -> BinaryIO:
        """See `Bucket.open`."""
        return (self.root / key).open("rb")

    def _walk(self, folder: str, prefix: str, start: str, end: str) -> Iterator[BucketObject]:
        for name, entry in self._entries(folder):
            key = folder + name
            if end and key >= end:
                return
            if name.endswith("/"):
                on_the_way = key.startswith(prefix) or prefix.startswith(key)
                all_before_start = key < start and not start.startswith(key)
                if on_the_way and not all_before_start:
                    yield from self._walk(key, prefix, start, end)
            elif key.startswith(prefix) and key >= start:
                try:
                    state = entry.stat()
                except FileNotFoundError:
                    continue
                except OSError:  # a link that leads to itself
                    state = entry.stat(follow_symlinks=False)
                yield BucketObject(
                    key=key,
                    size_bytes=state.st_size,
                    generation=f"{state.st_mtime_ns}-{state.st_size}",
                    updated_at=datetime.fromtimestamp(state.st_mtime, tz=timezone.utc),
                )

    def _entries(self, folder: str) -> list[tuple[str, os.DirEntry[str]]]:
        """A folder's entries in the order of their keys; sub-folders carry their trailing slash.

        A link to a folder that it lies in is an object like one that nobody recognises: to follow it would never end.
        So is a name that is no UTF-8, with its odd bytes written out.
        """
        try:
            with os.scandir(self.root / folder) as entries:
                found = [
                    (f"{_name(entry)}/" if _is_folder(entry) else _name(entry), entry)
                    for entry in entries
                    if not entry.name.startswith(".") and not entry.name.endswith(".tmp")
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda pair: pair[0])


def _name(entry: os.DirEntry[str]) -> str:
    return os.fsencode(entry.name).decode("utf-8", "backslashreplace")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        if not entry.is_dir():
            return False
    except OSError:  # a link that leads to itself
        return False
    if not entry.is_symlink():
        return True
    within = os.path.realpath(Path(entry.path).parent)
    return not f"{within}/".startswith(f"{os.path.realpath(entry.path)}/")
