"""Edge cases of Currents that a loader must survive, injected on purpose and counted.

A day's records become files here: with duplicates in the same hour and in later ones, with two key layouts and
schema versions in one hour, with truncated, empty, text and misplaced objects, test events and an unknown type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from braze_platform.currents.catalogue import EventType, catalogue
from braze_platform.sandbox.currents.currents_writer import (
    OLD,
    RELEASE_9,
    RELEASE_10,
    UNKNOWN_TYPE,
    CurrentsWriter,
    FilePlan,
    Release,
    Written,
)
from braze_platform.sandbox.currents.event_log import DayLog, TypeRecords
from braze_platform.sandbox.world.people import generator, uuids

#: Braze writes a file at the latest at so many events.
EVENTS_PER_FILE = 15_000
#: Offsets of a day start here: far more than a type has events in a day.
_OFFSETS_PER_DAY = 10_000_000
_BUSY = 40
#: Types of which a first try is left broken on some days, beside the complete file.
_TRUNCATED_TYPES = (
    "users.messages.email.Delivery",
    "users.behaviors.CustomEvent",
    "users.campaigns.EnrollInControl",
)
_TEST_TYPES = (
    "users.messages.email.Open",
    "users.messages.email.Send",
    "users.messages.pushnotification.Send",
    "users.messages.sms.Send",
    "users.messages.inappmessage.Impression",
    "users.behaviors.Purchase",
    "users.behaviors.CustomEvent",
    "users.campaigns.Conversion",
    "users.canvas.Entry",
    "users.profile.Update",
)


@dataclass(frozen=True)
class DaySetting:
    """Where a day lies. Days count from the simulation's start; `history_days` says when releases change."""

    day: int
    midnight: datetime
    history_days: int
    seed: int

    def hour(self, hour: int) -> datetime:
        """The start of an hour of the day."""
        return self.midnight + timedelta(hours=hour)

    def releases(self) -> tuple[Release, ...]:
        """The releases in which files of the day are written; two on a day of change."""
        first = max(1, self.history_days * 3 // 10)
        second = max(2, self.history_days * 6 // 10)
        if self.day < first:
            return (OLD,)
        if self.day == first:
            return (OLD, RELEASE_9)
        if self.day < second:
            return (RELEASE_9,)
        return (RELEASE_9, RELEASE_10) if self.day == second else (RELEASE_10,)


def write_day(writer: CurrentsWriter, log: DayLog, setting: DaySetting) -> tuple[Written, Counter[str]]:
    """Write a day's events with everything that belongs to Currents; returns totals and what was injected.

    The same log and setting always give the same keys and bytes, so a day cut short can simply be written again.
    """
    # The label belongs to the seed: another one would give other files.
    rng = generator(setting.seed, "awkward", setting.day)
    written, injected = Written(), Counter[str]()
    for event_type in sorted(log.by_type):
        _count_kinds(event_type, log.by_type[event_type], setting, injected)
        _write_type(writer, setting, rng, event_type, log.by_type[event_type], written, injected)
    if setting.day % 6 == 1:
        _write_test_events(writer, setting, rng, written, injected)
    if setting.day % 5 == 2:
        _write_unknown_type(writer, setting, rng, log, written, injected)
    if setting.day % 9 == 2:
        _write_unreadable(writer, setting, log, written, injected)
    return written, injected


def _write_type(
    writer: CurrentsWriter,
    setting: DaySetting,
    rng: np.random.Generator,
    event_type: str,
    kept: TypeRecords,
    written: Written,
    injected: Counter[str],
) -> None:
    by_hour: dict[int, list[dict[str, Any]]] = {}
    for record, hour in zip(kept.records, kept.hours, strict=True):
        by_hour.setdefault(hour, []).append(record)
    repeated = _duplicates(rng, by_hour, injected)
    offset = setting.day * _OFFSETS_PER_DAY
    largest = max(by_hour, key=lambda hour: len(by_hour[hour]))
    for hour in sorted(by_hour):
        files = list(_files(rng, by_hour[hour], setting.releases(), injected))
        if hour in repeated:
            files.append((setting.releases()[-1], repeated[hour]))
        for release, records in files:
            plan = FilePlan(event_type, setting.hour(hour), release, records, offset)
            content = writer.write(plan, written)
            if hour == largest and setting.day % 5 == 1 and event_type in _TRUNCATED_TYPES:
                _truncate(writer, plan, content, written, injected)
                largest = -1
            offset += len(records)


def _duplicates(
    rng: np.random.Generator, by_hour: dict[int, list[dict[str, Any]]], injected: Counter[str]
) -> dict[int, list[dict[str, Any]]]:
    """Choose events to deliver twice: added to a later hour in place, or returned as one more file of their hour."""
    same_hour: dict[int, list[dict[str, Any]]] = {}
    later: list[tuple[int, list[dict[str, Any]]]] = []
    for hour in sorted(by_hour):
        records = by_hour[hour]
        draw, count = rng.random(2), max(1, len(records) // 20)
        if len(records) < _BUSY // 2:
            continue
        if draw[0] < 0.05:
            same_hour[hour] = [records[i] for i in rng.choice(len(records), count, replace=False).tolist()]
            injected["duplicates_in_same_hour"] += count
        if draw[1] < 0.05 and hour < 23:
            again = [records[i] for i in rng.choice(len(records), count, replace=False).tolist()]
            after = [other for other in by_hour if other > hour] or [hour + 1]
            later.append((min(after), again))
            injected["duplicates_in_later_hour"] += count
    for hour, again in later:
        by_hour[hour] = by_hour.get(hour, []) + again
    injected["duplicate_events"] = injected["duplicates_in_same_hour"] + injected["duplicates_in_later_hour"]
    return same_hour


def _files(
    rng: np.random.Generator,
    records: list[dict[str, Any]],
    releases: tuple[Release, ...],
    injected: Counter[str],
) -> Iterator[tuple[Release, list[dict[str, Any]]]]:
    """Cut an hour's records into files: by size, in two now and then, and by release on a day of change."""
    if len(releases) == 2 and len(records) >= _BUSY:
        middle = len(records) // 2
        parts = [(releases[0], records[:middle]), (releases[1], records[middle:])]
        injected["hours_with_two_versions"] += 1
        injected["hours_with_two_layouts"] += releases[0].layout != releases[1].layout
    elif len(records) > 400 and rng.random() < 0.1:
        middle = len(records) // 3
        parts = [(releases[-1], records[:middle]), (releases[-1], records[middle:])]
    else:
        parts = [(releases[-1], records)]
    for release, part in parts:
        for start in range(0, len(part), EVENTS_PER_FILE):
            yield release, part[start : start + EVENTS_PER_FILE]


def _truncate(
    writer: CurrentsWriter, plan: FilePlan, content: bytes, written: Written, injected: Counter[str]
) -> None:
    """The broken first try of a file, left beside the complete one."""
    broken = FilePlan(plan.event_type, plan.hour, plan.release, plan.records, plan.offset + 9_000_000)
    cut = content[: len(content) * 3 // 5]
    writer.put(writer.key(broken), cut)
    written.add(plan.event_type, 0, len(cut))
    injected["truncated_files"] += 1


def _write_test_events(
    writer: CurrentsWriter,
    setting: DaySetting,
    rng: np.random.Generator,
    written: Written,
    injected: Counter[str],
) -> None:
    """One event of right types and nonsense values for each of some event types."""
    hour = setting.hour(15)
    for event_type in _TEST_TYPES:
        record = _nonsense(catalogue()[event_type], int(hour.timestamp()) + 1234, uuids(rng, 40))
        offset = setting.day * _OFFSETS_PER_DAY + 8_000_000
        writer.write(FilePlan(event_type, hour, setting.releases()[-1], [record], offset), written)
        injected["test_events"] += 1


def _nonsense(event: EventType, second: int, values: list[str]) -> dict[str, Any]:
    by_type: dict[str, Any] = {"int": 42, "long": 42, "float": 4.25, "boolean": True}
    record: dict[str, Any] = {}
    for described, value in zip(event.fields, values, strict=False):
        is_array = described.type.startswith("array")
        record[described.name] = [value] if is_array else by_type.get(described.type, value)
    times = {"time": second, "time_ms": second * 1000}
    return record | {name: value for name, value in times.items() if name in record}


def _write_unknown_type(
    writer: CurrentsWriter,
    setting: DaySetting,
    rng: np.random.Generator,
    log: DayLog,
    written: Written,
    injected: Counter[str],
) -> None:
    for at, hour in enumerate((9, 10)):
        who = rng.integers(0, log.people.identified, 12).tolist()
        records = [
            {
                "id": event_id,
                "user_id": log.people.columns["user_id"][person],
                "external_user_id": log.people.columns["external_user_id"][person],
                "time": log.midnight + hour * 3600 + number,
                "campaign_id": None,
                "projector": "window",
                "brightness": 0.5,
            }
            for number, (person, event_id) in enumerate(zip(who, uuids(rng, len(who)), strict=True))
        ]
        offset = setting.day * _OFFSETS_PER_DAY + at
        writer.write(
            FilePlan(UNKNOWN_TYPE, setting.hour(hour), setting.releases()[-1], records, offset), written
        )
        injected["unknown_type_events"] += len(records)


def _write_unreadable(
    writer: CurrentsWriter, setting: DaySetting, log: DayLog, written: Written, injected: Counter[str]
) -> None:
    """An empty object and a text under good keys, and a good file under a key of neither layout."""
    event_type = "users.behaviors.app.SessionStart"
    release, offset = setting.releases()[-1], setting.day * _OFFSETS_PER_DAY + 7_000_000
    empty = FilePlan(event_type, setting.hour(11), release, [], offset)
    text = FilePlan(event_type, setting.hour(12), release, [], offset + 1)
    note = b"Export interrupted, see the operations log.\n"
    for plan, content, name in ((empty, b"", "empty_files"), (text, note, "text_files")):
        writer.put(writer.key(plan), content)
        written.add(event_type, 0, len(content))
        injected[name] += 1
    copied = log.by_type.get(event_type, TypeRecords()).records[:5]
    content = writer.encode(FilePlan(event_type, setting.hour(12), release, copied, offset + 2))
    writer.put(writer.outside_key(f"sessions-{setting.midnight:%Y-%m-%d}.avro"), content)
    written.files += 1
    written.bytes += len(content)
    injected["keys_of_neither_layout"] += 1


def _count_kinds(event_type: str, kept: TypeRecords, setting: DaySetting, injected: Counter[str]) -> None:
    """Count edge cases of events among a day's records (each once, however often it is delivered)."""
    midnight = int(setting.midnight.timestamp())
    injected["late_events"] += sum(record["time"] < midnight for record in kept.records)
    if event_type == "users.messages.email.Open":
        injected["machine_opens"] += sum(record["machine_open"] == "true" for record in kept.records)
    elif event_type in ("users.messages.email.Click", "users.messages.sms.ShortLinkClick"):
        injected["bot_clicks"] += sum(record["is_suspected_bot_click"] is True for record in kept.records)
        injected["clicks_without_bot_check"] += sum(r["is_suspected_bot_click"] is None for r in kept.records)
    elif event_type == "users.UserOrphan":
        injected["merged_users"] += len(kept.records)
    elif event_type == "users.UserDeleteRequest":
        injected["deleted_users"] += len(kept.records)
    if event_type != "users.UserDeleteRequest":
        injected["events_of_anonymous_users"] += sum(r["external_user_id"] is None for r in kept.records)
