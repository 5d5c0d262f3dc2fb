"""A bucket of Google Cloud Storage, read by its JSON API."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, cast

import google.cloud.storage as storage
from google.api_core import exceptions

from braze_platform.currents.bucket import BucketObject

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: One ranged read; it holds the header of any Currents file, and a small file as a whole.
_PART_BYTES = 64 * 1024
#: What a page of a listing may hold at most (https://cloud.google.com/storage/docs/json_api/v1/objects/list).
_PAGE = 1000
_FIELDS = "items(name,size,generation,updated),nextPageToken"


class GoogleBucket:
    """See `bucket.Bucket`. A client is made on first use, so that definitions load without credentials."""

    def __init__(self, client: Callable[[], storage.Client], name: str) -> None:
        self._make_client = client
        self.name = name

    @cached_property
    def _client(self) -> storage.Client:
        return self._make_client()

    def objects(self, prefix: str, *, start_offset: str = "", end_offset: str = "") -> Iterator[BucketObject]:
        """See `Bucket.objects`; one request a page of 1,000 objects."""
        for blob in self._client.list_blobs(
            self.name,
            prefix=prefix,
            start_offset=start_offset or None,
            end_offset=end_offset or None,
            page_size=_PAGE,
            fields=_FIELDS,
        ):
            # Asked for above; a server that does not know the offsets sends more, which is left out here.
            if blob.name < start_offset or (end_offset and blob.name >= end_offset):
                continue
            yield BucketObject(
                key=blob.name,
                size_bytes=blob.size or 0,
                generation=str(blob.generation),
                updated_at=blob.updated,
            )

    def folders(self, prefix: str) -> list[str]:
        """See `Bucket.folders`."""
        listing = self._client.list_blobs(
            self.name, prefix=prefix, delimiter="/", page_size=_PAGE, fields="prefixes,nextPageToken"
        )
        found: set[str] = set()
        for page in listing.pages:
            found.update(listing.prefixes)
            del page
        found.update(listing.prefixes)
        return sorted(name.removeprefix(prefix).removesuffix("/") for name in found)

    def uri(self, key: str) -> str:
        """The object's `gs://` URI."""
        return f"gs://{self.name}/{key}"

    def open(self, key: str, generation: str) -> BinaryIO:
        """See `Bucket.open`: 64 KB a request, and only the parts that are read."""
        blob = self._client.bucket(self.name).blob(key, generation=int(generation))
        return cast(BinaryIO, io.BufferedReader(_Parts(blob, key), _PART_BYTES))


class _Parts(io.RawIOBase):
    """One generation of an object, each read a ranged request."""

    def __init__(self, blob: storage.Blob, key: str) -> None:
        self._blob = blob
        self._key = key
        self._position = 0
        self._first = self._fetch(0, _PART_BYTES)
        # A part that is not full is the whole object; otherwise its size is asked for.
        self._size = len(self._first) if len(self._first) < _PART_BYTES else self._ask_size()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        end = min(self._position + len(view), self._size)
        if self._position >= end:
            return 0
        if end <= len(self._first) or self._position < len(self._first):
            data = self._first[self._position : end]
        else:
            data = self._fetch(self._position, end)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            return cast(bytes, self._blob.download_as_bytes(start=start, end=end - 1))
        except exceptions.RequestRangeNotSatisfiable:
            return b""  # the object is empty
        except exceptions.NotFound as error:
            raise FileNotFoundError(f"{self._key} is gone, or was rewritten") from error

    def _ask_size(self) -> int:
        try:
            self._blob.reload()
        except exceptions.NotFound as error:
            raise FileNotFoundError(f"{self._key} is gone, or was rewritten") from error
        return int(self._blob.size or 0)
