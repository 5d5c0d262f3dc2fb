"""Writes Currents objects: Avro files of one type and hour under the key grammar, each in one atomic step."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import fastavro

from braze_platform.currents.catalogue import Field, catalogue
from braze_platform.currents.layout import CurrentsFile, Layout

CLUSTER, CONNECTION, INTEGRATION_ID, ENVIRONMENT = "prod-03", "GCS", "6650f1c2a8b94d003c1e77d1", "eu-01"
#: An event type that the catalogue does not know, and its fields.
UNKNOWN_TYPE = "users.messages.hologram.Send"
_UNKNOWN_FIELDS = (
    Field("id", "string", nullable=False),
    Field("user_id", "string", nullable=False, personal=True),
    Field("external_user_id", "string", nullable=True, personal=True),
    Field("time", "int", nullable=False),
    Field("campaign_id", "string", nullable=True),
    Field("projector", "string", nullable=True),
    Field("brightness", "float", nullable=True),
)
#: Nullable fields that came with release 10, and those that the schemas before `version=` keys lacked as well.
_NEW_IN_RELEASE_10 = frozenset(
    {
        "locale_key",
        "message_extras",
        "ad_tracking_enabled",
        "is_sms_fallback",
        "channel_identifier",
        "browser",
    }
)
_NEW_IN_RELEASE_9 = frozenset({"ad_id_type", "ip_pool", "from_domain", "sdk_version", "mailbox_provider"})


@dataclass(frozen=True)
class Release:
    """A schema version as object keys distinguish it; `number` counts releases, or is the first schema id."""

    layout: Layout
    number: int

    def number_of(self, event_type: str) -> int:
        """The number in the key: the release, or the type's own schema id."""
        if self.layout == "version":
            return self.number
        names = list(catalogue())
        return self.number + (names.index(event_type) if event_type in names else len(names))


OLD = Release("schema_id", 1500)
RELEASE_9 = Release("version", 9)
RELEASE_10 = Release("version", 10)


@dataclass(frozen=True)
class FilePlan:
    """One object to be written; `hour` is an aware datetime."""

    event_type: str
    hour: datetime
    release: Release
    records: Sequence[dict[str, Any]]
    offset: int
    partition: int = 0


@dataclass
class Written:
    """Totals of what was written."""

    events: int = 0
    files: int = 0
    bytes: int = 0
    by_type: dict[str, int] = field(default_factory=dict)

    def add(self, event_type: str, events: int, size: int) -> None:
        """Count one object."""
        self.events += events
        self.files += 1
        self.bytes += size
        self.by_type[event_type] = self.by_type.get(event_type, 0) + events


def fields_of(event_type: str, release: Release) -> tuple[Field, ...]:
    """The fields of a type in a release: earlier ones miss some nullable fields and have another order."""
    fields = _UNKNOWN_FIELDS if event_type == UNKNOWN_TYPE else catalogue()[event_type].fields
    if release == RELEASE_10:
        return fields
    missing = _NEW_IN_RELEASE_10 if release == RELEASE_9 else _NEW_IN_RELEASE_10 | _NEW_IN_RELEASE_9
    kept = [f for f in fields if not (f.nullable and f.name in missing)]
    if release == RELEASE_9:
        return tuple(sorted(kept, key=lambda f: (f.nullable, f.name)))
    return tuple(kept)


@cache
def schema_of(event_type: str, release: Release) -> Any:
    """The parsed Avro schema of a type in a release."""
    space, _, name = event_type.rpartition(".")
    fields: list[dict[str, Any]] = []
    for described in fields_of(event_type, release):
        declared: Any = described.type
        if described.type.startswith("array"):
            declared = {"type": "array", "items": ["null", "string"] if "?" in described.type else "string"}
        if described.nullable:
            fields.append({"name": described.name, "type": ["null", declared], "default": None})
        else:
            fields.append({"name": described.name, "type": declared})
    return fastavro.parse_schema(
        {
            "type": "record",
            "name": name,
            "namespace": f"dataexport.{CONNECTION}.inner.{space}",
            "fields": fields,
        }
    )


class CurrentsWriter:
    """Writes into a folder that stands for a bucket; readers of it never see half an object, nor half a job.

    Objects take shape in `staging_dir`, outside the bucket but on the same disk, and wait there until `publish` moves
    them into the bucket. Simulated days take a second each: a reader that met them as they are written would load the
    same days again and again. What waits survives the process.
    """

    def __init__(self, bucket_dir: Path, prefix: str, staging_dir: Path) -> None:
        self._bucket_dir = bucket_dir
        self._prefix = prefix
        self._unfinished_dir = staging_dir / "unfinished"
        self._waiting_dir = staging_dir / "waiting"
        self._folders: set[Path] = set()

    def key(self, plan: FilePlan) -> str:
        """The object key of a planned file."""
        return CurrentsFile(
            prefix=self._prefix,
            cluster=CLUSTER,
            connection=CONNECTION,
            integration_id=INTEGRATION_ID,
            event_type=plan.event_type,
            hour=plan.hour,
            layout=plan.release.layout,
            number=plan.release.number_of(plan.event_type),
            environment=ENVIRONMENT,
            partition=plan.partition,
            offset=plan.offset,
        ).key

    def encode(self, plan: FilePlan) -> bytes:
        """The Avro bytes of a planned file: always the same for the same records, key and schema.

        As in the real export there is no compression. The sync marker leaves the date out, so that the bytes of
        two simulations differ only in their times.
        """
        buffer = io.BytesIO()
        marker = hashlib.md5(f"{plan.event_type}/{plan.offset}".encode(), usedforsecurity=False).digest()
        schema = schema_of(plan.event_type, plan.release)
        fastavro.writer(buffer, schema, plan.records, sync_marker=marker, sync_interval=64_000)
        return buffer.getvalue()

    def write(self, plan: FilePlan, written: Written) -> bytes:
        """Write one object and count it; its bytes are returned."""
        content = self.encode(plan)
        self.put(self.key(plan), content)
        written.add(plan.event_type, len(plan.records), len(content))
        return content

    def put(self, key: str, content: bytes) -> None:
        """Let an object wait for `publish`, replacing one of the same key."""
        waiting = self._waiting_dir / key
        self._make(waiting.parent)
        self._make(self._unfinished_dir)
        unfinished = self._unfinished_dir / hashlib.sha256(key.encode()).hexdigest()
        unfinished.write_bytes(content)
        unfinished.replace(waiting)

    def publish(self) -> int:
        """Move what waits into the bucket, replacing objects of the same keys; returns how many there were."""
        waiting = sorted(path for path in self._waiting_dir.rglob("*") if path.is_file())
        for path in waiting:
            final = self._bucket_dir / path.relative_to(self._waiting_dir)
            self._make(final.parent)
            path.touch()  # an object is as old as its place in the bucket
            path.replace(final)
        return len(waiting)

    def outside_key(self, name: str) -> str:
        """A key under the prefix that fits neither layout."""
        return "/".join(part for part in (self._prefix, "manual_export", name) if part)

    def _make(self, folder: Path) -> None:
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
