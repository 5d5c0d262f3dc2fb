"""Which hours each incremental model has to reprocess, from what was loaded since it was last built. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

#: First and last hour, both reprocessed.
HourRange: TypeAlias = tuple[datetime, datetime]

_HOUR = timedelta(hours=1)
#: Each range becomes a condition in the SQL of many models; beyond this many, the nearest are joined.
MAX_RANGES = 20


@dataclass(frozen=True)
class Model:
    """What matters of a dbt model: its parents among models, the event types below it, and how it is built.

    `code` stands for all that decides its rows beside the data: SQL, macros, configuration, variables, parents' code.
    `compares` says that it reads raw tables beside models over them, `is_view_of_hours` that it is a view whose tests
    look at the hours that changed.
    """

    name: str
    parents: frozenset[str]
    event_types: frozenset[str]
    is_incremental: bool
    code: str
    compares: bool = False
    is_view_of_hours: bool = False
    #: The event types of the raw tables that it reads itself.
    reads: frozenset[str] = frozenset()

    @property
    def follows_hours(self) -> bool:
        """Whether hours that changed are enough for it to be built and tested."""
        return self.is_incremental or self.is_view_of_hours


@dataclass(frozen=True)
class Build:
    """A finished build of a model: all loads up to `load_id` are in it."""

    load_id: int
    code: str


@dataclass(frozen=True)
class ChangedHour:
    """An hour of an event type that was loaded, by the file registry's latest load of it."""

    event_type: str
    hour: datetime
    load_id: int


@dataclass(frozen=True)
class RebuildWindow:
    """What a run has to do: ranges by model (one that is not named is built, and tested, as a whole), and the loads
    that each built model will hold afterwards. `latest_load_id` is the last load that the run knows of.

    `copies` says by model where copies of late events in its ranges may lie (see `late_hours`), `tested_as_whole` which
    models had a failing test, whose rows may lie outside of the ranges.
    """

    ranges: Mapping[str, Sequence[HourRange]]
    builds: Mapping[str, Build]
    latest_hour: datetime | None
    latest_load_id: int | None = None
    copies: Mapping[str, Sequence[HourRange]] = field(default_factory=dict)
    tested_as_whole: Collection[str] = ()

    def as_environment(self) -> str:
        """The JSON that `dbt_project/macros/rebuild_window.sql` reads."""
        found: dict[str, object] = {"models": _texts(self.ranges)}
        if self.copies:
            found["copies"] = _texts(self.copies)
        if self.tested_as_whole:
            found["tested_as_whole"] = sorted(self.tested_as_whole)
        if self.latest_hour is not None:
            found["latest_hour"] = _text(self.latest_hour)
        if self.latest_load_id is not None:
            found["latest_load_id"] = self.latest_load_id
        return json.dumps(found, separators=(",", ":"))


def rebuild_window(
    models: Mapping[str, Model],
    selected: Collection[str],
    built: Mapping[str, Build],
    changes: Iterable[ChangedHour],
    *,
    loads: Mapping[str, int],
    latest_load_id: int,
    latest_hour: datetime | None,
    look_back: timedelta,
) -> RebuildWindow:
    """What building `selected` takes.

    `models` in the order in which they are built. `built` are the last builds of any of them, `changes` the hours of
    all loads after the oldest of these (more do no harm), `loads` the latest load of each event type. A changed hour is
    reprocessed along with the hours after it within `look_back`: which copy of a repeated event counts may have changed
    there.

    While a run waits for its turn, raw tables may be loaded that are not below the models it was asked for. A model
    that compares raw tables with models keeps its rows of the days concerned until those models are built too. What is
    loaded while the run goes on, such a model finds in the file registry by itself (`latest_load_id`).
    """
    wanted = set(selected)
    builds: dict[str, Build] = {}
    ranges: dict[str, Sequence[HourRange]] = {}
    known = list(changes)
    for name, model in models.items():
        last = built.get(name)
        if name not in wanted:
            builds[name] = _as_it_is(model, last, loads, latest_load_id)
            continue
        parents = [builds[parent].load_id for parent in model.parents if parent in builds]
        builds[name] = Build(min(parents, default=latest_load_id), model.code)
        # A file registry that was restarted counts from one again: what was built before says nothing then.
        if not model.follows_hours or not is_usable(last, model, latest_load_id):
            continue
        assert last is not None
        own = [one for one in known if one.load_id > last.load_id and one.event_type in model.event_types]
        ranges[name] = hour_ranges({change.hour for change in own}, look_back, latest_hour)
        if model.compares:
            behind = [
                (models[parent].event_types, builds[parent].load_id)
                for parent in model.parents
                if parent in builds
            ]
            ahead = {
                change.hour
                for change in own
                if any(change.event_type in read and change.load_id > load_id for read, load_id in behind)
            }
            ranges[name] = without_days(ranges[name], hour_ranges(ahead, look_back, latest_hour))
    return RebuildWindow(
        ranges, {name: builds[name] for name in models if name in wanted}, latest_hour, latest_load_id
    )


def _as_it_is(model: Model, last: Build | None, loads: Mapping[str, int], latest_load_id: int) -> Build:
    """What a model that is not built now holds for its children."""
    if last is None or last.load_id > latest_load_id:
        # It holds nothing that a child could stand on, or what was loaded before the file registry was restarted.
        return Build(0, "")
    if last.load_id > 0 and all(loads.get(event_type, 0) <= last.load_id for event_type in model.event_types):
        # Nothing of it was loaded since. Taken as old, an event type that is never delivered would make its children
        # reprocess all hours for ever.
        return Build(latest_load_id, last.code)
    return last


def is_usable(build: Build | None, model: Model, latest_load_id: int) -> bool:
    """Whether a model's table can be kept but for some hours."""
    return build is not None and build.code == model.code and 0 < build.load_id <= latest_load_id


def hour_ranges(
    hours: Collection[datetime], look_back: timedelta, latest_hour: datetime | None
) -> list[HourRange]:
    """Hours, each with those after it within `look_back` (none after `latest_hour`), as ranges in order.

    At most `MAX_RANGES`; ranges that are joined for that cover more than was asked for.
    """
    return joined_ranges(
        (hour, max(hour, min(hour + look_back, latest_hour or hour))) for hour in sorted(hours)
    )


def joined_ranges(ranges: Iterable[HourRange], max_ranges: int = MAX_RANGES) -> list[HourRange]:
    """Ranges that come in the order of their first hours, those that touch each other as one; at most `max_ranges`."""
    joined: list[HourRange] = []
    for first, last in ranges:
        if joined and first <= joined[-1][1] + _HOUR:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    while len(joined) > max_ranges:
        nearest = min(range(len(joined) - 1), key=lambda index: joined[index + 1][0] - joined[index][1])
        joined[nearest : nearest + 2] = [(joined[nearest][0], joined[nearest + 1][1])]
    return joined


def without_days(ranges: Sequence[HourRange], others: Sequence[HourRange]) -> list[HourRange]:
    """The parts of ranges on whole days that other ranges do not touch."""
    days = {day for other in others for day in _days(other)}
    found: list[HourRange] = []
    for first, last in ranges:
        for day in _days((first, last)):
            if day in days:
                continue
            start, end = max(first, day), min(last, day + timedelta(hours=23))
            if found and start == found[-1][1] + _HOUR:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
    return found


def _days(hours: HourRange) -> list[datetime]:
    """The days that a range touches, each by its first hour."""
    first = hours[0].replace(hour=0)
    return [first + timedelta(days=number) for number in range((hours[1] - first).days + 1)]


def models_of(manifest: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Model]:
    """The models of a dbt manifest by name, parents before children."""
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    sources = manifest["sources"]
    macros = _macro_hashes(manifest["macros"])
    settings = json.dumps(variables, sort_keys=True, default=str)
    found: dict[str, Model] = {}

    def visit(unique_id: str) -> Model:
        node = nodes[unique_id]
        if node["alias"] in found:
            return found[node["alias"]]
        parents = [visit(parent) for parent in node["depends_on"]["nodes"] if parent in nodes]
        read = {
            str(sources[parent]["config"]["meta"]["event_type"])
            for parent in node["depends_on"]["nodes"]
            if parent in sources and "event_type" in sources[parent]["config"]["meta"]
        }
        config = node["config"]
        code = [
            node["checksum"]["checksum"],
            settings,
            json.dumps(
                [
                    config["materialized"],
                    config.get("unique_key"),
                    config.get("partition_by"),
                    config["meta"],
                ],
                sort_keys=True,
            ),
            *sorted(macros[macro] for macro in node["depends_on"]["macros"] if macro in macros),
            *sorted(parent.code for parent in parents),
        ]
        model = Model(
            name=node["alias"],
            parents=frozenset(parent.name for parent in parents),
            event_types=frozenset(read).union(*(parent.event_types for parent in parents)),
            is_incremental=config["materialized"] == "incremental",
            is_view_of_hours=config["materialized"] == "view" and _shows_hours(node),
            code=hashlib.sha256("\n".join(code).encode()).hexdigest()[:32],
            compares=bool(read and parents),
            reads=frozenset(read),
        )
        found[model.name] = model
        return model

    for unique_id in sorted(nodes):
        visit(unique_id)
    return found


def code_versions(manifest: Mapping[str, Any], models: Mapping[str, Model]) -> dict[str, str]:
    """For each model a hash of all that a build of it depends on beside the data: `Model.code`, and its contract.

    A contract decides whether a build succeeds, not what rows it has: mending one is a reason to try again, and none to
    build as a whole. Descriptions are no part of it.
    """
    found = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model":
            columns = [
                [column["name"], column.get("data_type"), column.get("constraints")]
                for column in node["columns"].values()
            ]
            contract = json.dumps([node["config"].get("contract"), columns], sort_keys=True, default=str)
            code = f"{models[node['alias']].code}\n{contract}"
            found[str(node["alias"])] = hashlib.sha256(code.encode()).hexdigest()[:32]
    return found


def _shows_hours(node: Mapping[str, Any]) -> bool:
    """Whether a view has the column by which its tests are bounded, or leaves that to the models below it."""
    rebuild = node["config"]["meta"].get("rebuild", {})
    return bool(rebuild.get("follows")) or rebuild.get("column") in node["columns"]


def _macro_hashes(macros: Mapping[str, Any]) -> dict[str, str]:
    """A hash of each macro of the project and of all macros of the project that it calls.

    dbt's own macros change with its version, and so does the environment: a build of everything is asked for by hand.
    """
    own = {key: macro for key, macro in macros.items() if not key.startswith(("macro.dbt.", "macro.dbt_"))}

    def reach(unique_id: str) -> set[str]:
        found, to_visit = {unique_id}, [unique_id]
        while to_visit:
            calls = set(own[to_visit.pop()]["depends_on"]["macros"]) & own.keys()
            to_visit.extend(calls - found)
            found |= calls
        return found

    return {
        key: hashlib.sha256(
            "\n".join(own[name]["macro_sql"] for name in sorted(reach(key))).encode()
        ).hexdigest()
        for key in own
    }


def _texts(ranges: Mapping[str, Sequence[HourRange]]) -> dict[str, list[list[str]]]:
    return {
        name: [[_text(first), _text(last)] for first, last in of_name] for name, of_name in ranges.items()
    }


def _text(hour: datetime) -> str:
    return hour.strftime("%Y-%m-%d %H:%M:%S")
