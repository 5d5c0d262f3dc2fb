"""A bucket of millions of keys that exist only while they are listed, and that counts what a listing would cost."""

from __future__ import annotations

import heapq
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import BinaryIO

from braze_platform.currents.bucket import BucketObject

#: Google Cloud Storage returns at most so many names a page (JSON API, objects.list, maxResults).
PAGE = 1_000
CONNECTOR = "dataexport.prod-01.GCS.integration.64f0a1b2c3d4e5f607182930"
_DATE = re.compile(r"date=(\d{4}-\d{2}-\d{2}-\d{2})")
_WRITTEN = datetime(2026, 11, 24, tzinfo=timezone.utc)


class SimulatedBucket:
    """Some event types with the same number of files in each of so many hours, and single objects besides.

    The hours follow one another by `every`: by the day, a history needs fewer keys for as many days.

    `requests` counts list requests as Cloud Storage would charge them: one a page, one for an empty listing.
    """

    def __init__(
        self,
        event_types: Sequence[str],
        first_hour: datetime,
        hours: int,
        *,
        files_an_hour: int = 1,
        every: timedelta = timedelta(hours=1),
        prefix: str = "currents/",
    ) -> None:
        self.root = f"{prefix}{CONNECTOR}/"
        self.event_types = sorted(event_types)
        self.first_hour = first_hour
        self.hours = hours
        self.files_an_hour = files_an_hour
        self.every = every
        #: Generation of single objects by key; they come on top of the regular ones or stand in for them.
        self.others: dict[str, str] = {}
        self.removed: set[str] = set()
        self.requests = 0

    def key(self, event_type: str, hour: datetime, offset: int = 0) -> str:
        """The key of a file, in the layout of today."""
        return (
            f"{self.root}event_type={event_type}/date={hour:%Y-%m-%d-%H}/version=10/us-01/"
            f"{CONNECTOR}+0+{offset:08d}.avro"
        )

    def objects(self, prefix: str, *, start_offset: str = "", end_offset: str = "") -> Iterator[BucketObject]:
        """See `Bucket.objects`."""
        self.requests += 1
        start = max(prefix, start_offset)
        listed = 0
        others = sorted(key for key in self.others if key >= start)
        regular = (key for key in self._regular(start) if key not in self.others)
        for key in heapq.merge(regular, others):
            if not key.startswith(prefix) or (end_offset and key >= end_offset):
                return
            if key in self.removed:
                continue
            if listed and listed % PAGE == 0:
                self.requests += 1
            listed += 1
            yield BucketObject(key, 20_000, self.others.get(key, "1"), _WRITTEN)

    def folders(self, prefix: str) -> list[str]:
        """See `Bucket.folders`."""
        event_types = [f"{self.root}event_type={name}/" for name in self.event_types] if self.hours else []
        names = {
            key[len(prefix) :].partition("/")[0]
            for key in itertools.chain(event_types, self.others)
            if key.startswith(prefix) and "/" in key[len(prefix) :]
        }
        self.requests += 1 + len(names) // PAGE
        return sorted(names)

    def uri(self, key: str) -> str:
        """Nowhere: the objects have no content."""
        return f"simulated://{key}"

    def open(self, key: str) -> BinaryIO:
        """An empty stream: the objects have no content."""
        return io.BytesIO()

    def _regular(self, start: str) -> Iterator[str]:
        for event_type in self.event_types:
            folder = f"{self.root}event_type={event_type}/"
            if start > folder and not start.startswith(folder):
                continue
            begin = 0
            dated = _DATE.match(start, len(folder)) if start.startswith(folder) else None
            if dated:
                hour = datetime.strptime(dated[1], "%Y-%m-%d-%H").replace(tzinfo=timezone.utc)
                begin = max((hour - self.first_hour) // self.every, 0)
            for number in range(begin, self.hours):
                hour = self.first_hour + self.every * number
                for offset in range(self.files_an_hour):
                    key = self.key(event_type, hour, offset)
                    if key >= start:
                        yield key
