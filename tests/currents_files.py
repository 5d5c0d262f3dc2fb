"""Currents files for the tests of this room, written with fastavro."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fastavro

from braze_platform.currents.layout import CurrentsFile
from braze_platform.settings import Settings
from braze_platform.warehouse.google_clients import storage_client

OPEN = "users.messages.email.Open"
CLICK = "users.messages.email.Click"
SEND = "users.messages.sms.Send"

#: Name and Avro type of the fields of a small `email.Open`; the real one has more.
OPEN_FIELDS: Sequence[tuple[str, Any]] = (
    ("id", "string"),
    ("user_id", "string"),
    ("external_user_id", ["null", "string"]),
    ("time", "int"),
    ("machine_open", ["null", "string"]),
)


def currents_file(
    event_type: str = OPEN, hour: str = "2026-11-10-05", offset: int = 0, **changes: Any
) -> CurrentsFile:
    """The key parts of a Currents file; `hour` as in the key."""
    return replace(
        CurrentsFile(
            prefix="currents",
            cluster="prod-01",
            connection="GCS",
            integration_id="64f0a1b2c3d4e5f607182930",
            event_type=event_type,
            hour=datetime.strptime(hour, "%Y-%m-%d-%H").replace(tzinfo=timezone.utc),
            layout="version",
            number=10,
            environment="us-01",
            partition=0,
            offset=offset,
        ),
        **changes,
    )


def avro_bytes(
    records: Iterable[Mapping[str, Any]],
    fields: Sequence[tuple[str, Any]] = OPEN_FIELDS,
    *,
    codec: str = "null",
    records_per_block: int = 16_000,
) -> bytes:
    """An Avro object container."""
    schema = {
        "type": "record",
        "name": "Event",
        "namespace": "dataexport.GCS.inner.test",
        "fields": [
            {"name": name, "type": kind, **({"default": None} if "null" in kind else {})}
            for name, kind in fields
        ],
    }
    out = io.BytesIO()
    fastavro.writer(out, schema, records, codec=codec, sync_interval=records_per_block)
    return out.getvalue()


def opens(*ids: str, time: int = 1_762_750_000) -> list[dict[str, Any]]:
    """Small `email.Open` records."""
    return [
        {"id": name, "user_id": f"u-{name}", "external_user_id": None, "time": time, "machine_open": None}
        for name in ids
    ]


class Deliveries:
    """Puts files into the folder that stands for the bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = 0

    def put_bytes(self, key: str, data: bytes) -> str:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        # every write gets a modification time of its own, so that a rewritten object has another generation
        self._written += 1
        at = 1_790_000_000_000_000_000 + self._written * 1_000_000
        os.utime(path, ns=(at, at))
        return key

    def put(self, file: CurrentsFile, records: Iterable[Mapping[str, Any]], **options: Any) -> str:
        return self.put_bytes(file.key, avro_bytes(records, **options))

    def remove(self, key: str) -> None:
        (self.folder / key).unlink()


class GoogleDeliveries(Deliveries):
    """The same for a bucket of Cloud Storage."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = storage_client(settings).bucket(settings.bucket_name)

    def put_bytes(self, key: str, data: bytes) -> str:
        self._bucket.blob(key).upload_from_string(data, content_type="application/octet-stream")
        return key

    def remove(self, key: str) -> None:
        self._bucket.blob(key).delete()
