"""Listing the Currents files of some event types and days, without listing the rest of the bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from braze_platform.currents.bucket import Bucket, BucketObject
from braze_platform.currents.layout import CurrentsFile, parse_key


@dataclass(frozen=True)
class ListedFile:
    """One Currents object: as the listing shows it, and what its key says."""

    object: BucketObject
    file: CurrentsFile


def root_of(prefix: str) -> str:
    """The prefix under which Braze writes, with a slash at its end unless it is the bucket itself."""
    return f"{prefix.strip('/')}/" if prefix.strip("/") else ""


def event_type_folders(bucket: Bucket, prefix: str) -> dict[str, list[str]]:
    """The folders of each event type, by its name: one for each connector that ever wrote it."""
    found: dict[str, list[str]] = {}
    for connector in _connector_folders(bucket, root_of(prefix)):
        for name in bucket.folders(connector):
            if name.startswith("event_type="):
                found.setdefault(name.removeprefix("event_type="), []).append(f"{connector}{name}/")
    return found


def list_days(
    bucket: Bucket, prefix: str, wanted: Callable[[str], bool], first_day: date, last_day: date
) -> Iterator[ListedFile]:
    """All Currents files of the wanted event types whose hour lies in the days, both included."""
    for event_type, folders in event_type_folders(bucket, prefix).items():
        if not wanted(event_type):
            continue
        for folder in folders:
            for found in bucket.objects(
                f"{folder}date=",
                start_offset=f"{folder}date={first_day}-00",
                end_offset=f"{folder}date={last_day + timedelta(days=1)}-00",
            ):
                file = parse_key(found.key)
                if file is not None:
                    yield ListedFile(found, file)


def _connector_folders(bucket: Bucket, folder: str) -> Iterator[str]:
    if folder.rstrip("/").rpartition("/")[2].startswith("dataexport."):
        yield folder
        return
    for name in bucket.folders(folder):
        if not name.startswith("event_type="):
            yield from _connector_folders(bucket, f"{folder}{name}/")
