"""The grammar of Currents object keys, both layouts, as one pure function and its inverse.

Source: Braze's page "Event delivery semantics" (today's wording and the one before it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Literal

_KEY = re.compile(
    r"(?:(?P<prefix>.+)/)?"
    r"(?P<connector>dataexport\.(?P<cluster>[^/.]+)\.(?P<connection>[^/.]+)\.integration\.(?P<integration_id>[^/+]+))/"
    r"event_type=(?P<event_type>[A-Za-z0-9_.]+)/"
    r"date=(?P<date>\d{4}-\d{2}-\d{2}-\d{2})/"
    r"(?:version=(?P<release>\d+)|(?P<schema_id>\d+))/"
    r"(?P<environment>[^/]+)/"
    r"(?P=connector)\+(?P<partition>\d+)\+(?P<offset>\d+)\.avro"
)

Layout = Literal["version", "schema_id"]


@dataclass(frozen=True)
class CurrentsFile:
    """What the key of a Currents object says about it."""

    #: Folder in the bucket under which the connector writes; empty when it writes at the root.
    prefix: str
    cluster: str
    #: `GCS`, `S3` or `AzureBlob`.
    connection: str
    integration_id: str
    #: e.g. `users.messages.email.Open`
    event_type: str
    #: UTC hour in which Braze queued the events (aware datetime).
    hour: datetime
    #: `version`: `version=<n>/<environment>` (today's); `schema_id`: `<schema-id>/<zone>` (before).
    layout: Layout
    #: Release number (layout `version`) or global schema id (layout `schema_id`).
    number: int
    #: Braze's environment or zone, e.g. `us-01`.
    environment: str
    partition: int
    offset: int

    @property
    def version(self) -> str:
        """The version as the raw tables carry it: `12` for release 12, `schema-1523` for schema id 1523."""
        return str(self.number) if self.layout == "version" else f"schema-{self.number}"

    @property
    def naive_hour(self) -> datetime:
        """The hour as the warehouse keeps times: UTC without a zone."""
        return self.hour.replace(tzinfo=None)

    @property
    def connector(self) -> str:
        """The connector's name, which is both its folder and the start of its file names."""
        return f"dataexport.{self.cluster}.{self.connection}.integration.{self.integration_id}"

    @property
    def key(self) -> str:
        """The object key; `parse_key(file.key) == file`."""
        middle = f"version={self.number}" if self.layout == "version" else str(self.number)
        parts = [
            self.connector,
            f"event_type={self.event_type}",
            f"date={self.hour:%Y-%m-%d-%H}",
            middle,
            self.environment,
            f"{self.connector}+{self.partition}+{self.offset}.avro",
        ]
        return "/".join([self.prefix, *parts] if self.prefix else parts)


@lru_cache(maxsize=4096)
def _hour(date: str) -> datetime:
    return datetime.strptime(date, "%Y-%m-%d-%H").replace(tzinfo=timezone.utc)


def parse_key(key: str) -> CurrentsFile | None:
    """Read an object key; `None` when it fits neither layout, names an hour that does not exist, or lies inside another
    connector's or event type's folder, where nobody lists it."""
    found = _KEY.fullmatch(key)
    if found is None or any(
        part.startswith(("dataexport.", "event_type=")) for part in (found["prefix"] or "").split("/")
    ):
        return None
    try:
        hour = _hour(found["date"])
    except ValueError:
        return None
    return CurrentsFile(
        prefix=found["prefix"] or "",
        cluster=found["cluster"],
        connection=found["connection"],
        integration_id=found["integration_id"],
        event_type=found["event_type"],
        hour=hour,
        layout="version" if found["release"] else "schema_id",
        number=int(found["release"] or found["schema_id"]),
        environment=found["environment"],
        partition=int(found["partition"]),
        offset=int(found["offset"]),
    )
