"""Listing the bucket by event type, resumable: a part ends with its time budget, and the next one resumes there.

Two walks share this: the *recent* one lists each event type from the look-back's first hour, so that it costs requests
for what is new and not for the history; the *full* one lists everything before that, and all keys elsewhere under the
prefix. In both layouts keys sort by date inside a folder `event_type=…/`, which is what a start offset needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from braze_platform.currents.bucket import Bucket, BucketObject
from braze_platform.currents.fingerprints import combined, fingerprint
from braze_platform.currents.layout import parse_key
from braze_platform.currents.run_requests import Period, period_of

_EXAMPLES = 3


@dataclass(frozen=True)
class Seen:
    """What is known of one event type's objects in one period; all zero where there are none (any more)."""

    fingerprint: int
    files: int


NOTHING = Seen(0, 0)


@dataclass
class UnrecognisedKeys:
    """Keys that are in neither layout of Currents, as a walk found them."""

    fingerprint: int = 0
    keys: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, found: BucketObject) -> None:
        """Count one more."""
        self.fingerprint = combined([self.fingerprint, fingerprint([found])])
        self.keys += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(found.key)


@dataclass
class Walk:
    """How far a walk is, and what it saw of the event type at which it is."""

    #: Event type that is being listed, or was last; event types are taken in the order of their names.
    event_type: str = ""
    event_type_is_done: bool = False
    #: Key after which the listing resumes; empty at the beginning of an event type.
    position: str = ""
    seen: dict[Period, Seen] = field(default_factory=dict)
    unrecognised_keys: UnrecognisedKeys = field(default_factory=UnrecognisedKeys)
    objects: int = 0
    #: Event types that had an object, and all that were looked at.
    with_objects: int = 0
    event_types: int = 0
    #: When the newest object that it saw was written, in Unix seconds by the bucket's clock.
    newest: float = 0.0
    #: All event types are done; only a full walk continues from here, with keys outside of their folders.
    outside: bool = False


@dataclass(frozen=True)
class ListingRange:
    """Which hours a walk lists, and how it groups them into periods."""

    start_day: date
    detail_from: date
    #: First and last hour as they stand in keys; empty for no bound. The last is not included.
    first: str = ""
    end: str = ""
    #: Whether keys outside of the event types' folders are listed too.
    outside: bool = False


def recent(first_day: date, start_day: date, detail_from: date) -> ListingRange:
    """From a day's first hour on, without an end: a clock behind the bucket's misses nothing."""
    return ListingRange(start_day, detail_from, first=f"date={first_day}-00")


def full(until: date, start_day: date, detail_from: date) -> ListingRange:
    """Everything before a day, and what lies elsewhere under the prefix."""
    return ListingRange(start_day, detail_from, end=f"date={until}-00", outside=True)


def resume_listing(
    walk: Walk,
    bucket: Bucket,
    root: str,
    folders: Mapping[str, Sequence[str]],
    within: ListingRange,
    *,
    known: Sequence[str] = (),
    out_of_time: Callable[[], bool],
    done: Callable[[str, Mapping[Period, Seen]], None],
) -> bool:
    """Resume the walk by at least one object or folder; whether it reached its end.

    `folders` are those of each event type (`listing.event_type_folders`), `known` event types that had objects once
    and may have none now. `done` receives what was seen of each event type that was listed to its end.
    """
    for event_type in sorted(folders.keys() | set(known)):
        behind = event_type < walk.event_type or (event_type == walk.event_type and walk.event_type_is_done)
        if behind or walk.outside:
            continue
        if event_type != walk.event_type:
            walk.event_type, walk.event_type_is_done, walk.position, walk.seen = event_type, False, "", {}
        for folder in sorted(folders.get(event_type, ())):
            if walk.position > folder and not walk.position.startswith(folder):
                continue
            for found in _of_folder(bucket, folder, within, walk.position):
                _see(walk, found, event_type, within)
                if out_of_time():
                    return False
            walk.position = _after(folder)
        walk.event_types += 1
        walk.with_objects += bool(walk.seen)
        done(event_type, walk.seen)
        walk.event_type_is_done, walk.seen = True, {}
        if out_of_time():
            return False
    if not within.outside:
        return True
    if not walk.outside:
        walk.outside, walk.position = True, ""
    return _list_outside(walk, bucket, root, folders, out_of_time)


def _of_folder(bucket: Bucket, folder: str, within: ListingRange, position: str) -> Iterator[BucketObject]:
    start = f"{folder}{within.first}" if within.first else ""
    return bucket.objects(
        folder,
        start_offset=max(start, f"{position}\0" if position.startswith(folder) else ""),
        end_offset=f"{folder}{within.end}" if within.end else "",
    )


def _see(walk: Walk, found: BucketObject, event_type: str, within: ListingRange) -> None:
    walk.objects += 1
    walk.position = found.key
    walk.newest = max(walk.newest, found.updated_at.timestamp())
    file = parse_key(found.key)
    if file is None or file.event_type != event_type:
        walk.unrecognised_keys.add(found)
        return
    period = period_of(file.hour.date(), within.start_day, within.detail_from)
    before = walk.seen.get(period, NOTHING)
    walk.seen[period] = Seen(combined([before.fingerprint, fingerprint([found])]), before.files + 1)


def _list_outside(
    walk: Walk,
    bucket: Bucket,
    root: str,
    folders: Mapping[str, Sequence[str]],
    out_of_time: Callable[[], bool],
) -> bool:
    """List the gaps between the event types' folders: one request each where nothing lies between them."""
    inside = sorted(folder for of_type in folders.values() for folder in of_type)
    starts = ["", *(_after(folder) for folder in inside)]
    ends = [*inside, ""]
    for start, end in zip(starts, ends, strict=True):
        if end and walk.position >= end:
            continue
        resumed = f"{walk.position}\0" if walk.position else ""
        for found in bucket.objects(root, start_offset=max(start, resumed), end_offset=end):
            walk.objects += 1
            walk.position = found.key
            if parse_key(found.key) is None:
                walk.unrecognised_keys.add(
                    found
                )  # else: a folder that appeared since the folders were listed
            if out_of_time():
                return False
        if end:
            walk.position = max(walk.position, end)
        if out_of_time():
            return not end
    return True


def _after(folder: str) -> str:
    """The first key behind a folder: `0` follows `/`."""
    return f"{folder[:-1]}0"
