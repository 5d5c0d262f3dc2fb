"""Which hours each model reprocesses."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.marts.builds import (
    hours_changed_after,
    latest_hour,
    read_builds,
    record_builds,
)
from braze_platform.marts.rebuild_window import (
    MAX_RANGES,
    Build,
    ChangedHour,
    Model,
    RebuildWindow,
    hour_ranges,
    models_of,
    rebuild_window,
    without_days,
)
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

START = datetime(2026, 11, 1)
HOUR = timedelta(hours=1)
OPEN, CLICK = "users.messages.email.Open", "users.messages.email.Click"


hours_of_days = st.sets(st.integers(0, 400).map(lambda number: START + number * HOUR), max_size=15)


def model(name: str, *parents: str, reads: tuple[str, ...] = (), incremental: bool = True) -> Model:
    return Model(name, frozenset(parents), frozenset(reads), incremental, code=f"code of {name}")


def chain() -> dict[str, Model]:
    """Two staging models, one that unites them, and a mart that is built as a whole."""
    models = [
        model("opens", reads=(OPEN,)),
        model("clicks", reads=(CLICK,)),
        model("events", "opens", "clicks", reads=(OPEN, CLICK)),
        model("mart", "events", reads=(OPEN, CLICK), incremental=False),
    ]
    return {one.name: one for one in models}


def built(load_id: int, *names: str) -> dict[str, Build]:
    return {name: Build(load_id, f"code of {name}") for name in names}


def latest_of(changes: list[ChangedHour]) -> dict[str, int]:
    return {
        event_type: max(one.load_id for one in changes if one.event_type == event_type)
        for event_type in {one.event_type for one in changes}
    }


def plan(
    selected: str, builds: dict[str, Build], changes: list[ChangedHour], latest: int = 9
) -> RebuildWindow:
    return rebuild_window(
        chain(),
        selected.split(),
        builds,
        changes,
        loads=latest_of(changes),
        latest_load_id=latest,
        latest_hour=START + 100 * HOUR,
        look_back=timedelta(0),
    )


def test_a_first_build_is_a_whole_one() -> None:
    window = plan("opens clicks events mart", {}, [])
    assert window.ranges == {}
    assert window.builds == built(9, "opens", "clicks", "events", "mart")
    assert json.loads(window.as_environment()) == {
        "models": {},
        "latest_hour": "2026-11-05 04:00:00",
        "latest_load_id": 9,
    }


def test_only_hours_of_its_event_types_that_were_loaded_since() -> None:
    changes = [ChangedHour(OPEN, START, 8), ChangedHour(CLICK, START + 5 * HOUR, 9)]
    window = plan(
        "opens clicks events mart", built(8, "opens") | built(7, "clicks", "events", "mart"), changes
    )
    assert window.ranges == {
        "opens": [],
        "clicks": [(START + 5 * HOUR, START + 5 * HOUR)],
        "events": [(START, START), (START + 5 * HOUR, START + 5 * HOUR)],
    }
    assert json.loads(window.as_environment())["models"]["events"] == [
        ["2026-11-01 00:00:00", "2026-11-01 00:00:00"],
        ["2026-11-01 05:00:00", "2026-11-01 05:00:00"],
    ]


def test_a_model_holds_no_more_than_its_parents() -> None:
    window = plan("events", built(5, "opens", "events") | built(7, "clicks"), [ChangedHour(OPEN, START, 8)])
    assert window.builds == built(5, "events")
    # a parent that was never built
    assert plan("events", built(7, "opens", "events"), []).builds == built(0, "events")


def test_an_event_type_without_news_holds_nothing_back() -> None:
    """Its staging model is not asked for, and stays as old as it is."""
    before = built(3, "opens", "clicks") | built(7, "events")
    changes = [ChangedHour(CLICK, START, 3), ChangedHour(OPEN, START + HOUR, 9)]
    window = plan("opens events", before, changes)
    assert window.ranges["events"] == [(START + HOUR, START + HOUR)]
    assert window.builds["events"].load_id == 9
    late = [*changes, ChangedHour(CLICK, START, 8)]
    assert plan("opens events", before, late).builds["events"].load_id == 3, (
        "now it has news, and lags behind"
    )


def test_what_was_built_before_the_file_ledger_began_anew_holds_nothing() -> None:
    before = built(12, "opens", "clicks", "events")
    changes = [ChangedHour(OPEN, START, 8), ChangedHour(CLICK, START, 9)]
    window = plan("clicks events", before, changes)
    assert window.ranges == {}
    assert window.builds == built(9, "clicks") | built(0, "events"), (
        "done as a whole until all below it is new"
    )


def comparing() -> dict[str, Model]:
    audit = Model(
        "audit", frozenset({"opens", "clicks"}), frozenset({OPEN, CLICK}), True, "code of audit", True
    )
    return {**chain(), "audit": audit}


def test_what_compares_raw_tables_with_models_leaves_out_days_that_its_models_are_behind_on() -> None:
    """A load of clicks came in while the run, asked for after a load of opens, waited for its turn."""
    changes = [ChangedHour(OPEN, START + number * 24 * HOUR, 8) for number in range(4)]
    changes.append(ChangedHour(CLICK, START + 26 * HOUR, 9))

    def audit_after(selected: str, before: dict[str, Build]) -> RebuildWindow:
        return rebuild_window(
            comparing(),
            selected.split(),
            before,
            changes,
            loads=latest_of(changes),
            latest_load_id=9,
            latest_hour=START + 100 * HOUR,
            look_back=24 * HOUR,
        )

    waited = audit_after("opens audit", built(7, "opens", "clicks", "audit"))
    assert waited.ranges["audit"] == [
        (START, START + 23 * HOUR),
        (START + 72 * HOUR, START + 96 * HOUR),
    ], "the days of the clicks and of their look-back stay as they are"
    assert waited.builds["audit"].load_id == 7, "and are reprocessed"
    behind = waited.builds | built(7, "clicks")
    caught_up = audit_after("clicks audit", behind)
    assert caught_up.ranges["audit"] == [(START, START + 96 * HOUR)]
    assert caught_up.builds["audit"].load_id == 9


@given(hours=hours_of_days, others=hours_of_days)
def test_whole_days_are_left_out(hours: set[datetime], others: set[datetime]) -> None:
    left = without_days(hour_ranges(hours, HOUR, None), hour_ranges(others, HOUR, None))
    assert all(first <= last for first, last in left)
    covered = {
        first + number * HOUR for first, last in left for number in range(int((last - first) / HOUR) + 1)
    }
    days = {hour.date() for hour in others}
    assert covered >= {hour for hour in hours if hour.date() not in days}
    assert not {hour.date() for hour in covered} & days


@pytest.mark.parametrize(
    "last",
    [Build(8, "other code"), Build(10, "code of opens"), Build(0, "code of opens")],
    ids=["its code changed", "the file registry was restarted", "its parents were not there"],
)
def test_what_cannot_be_kept_is_built_as_a_whole(last: Build) -> None:
    assert plan("opens", {"opens": last}, []).ranges == {}


hours = st.sets(st.integers(0, 400).map(lambda number: START + number * HOUR), max_size=80)


@given(hours=hours, look_back=st.integers(0, 60), latest=st.none() | st.integers(0, 400))
def test_ranges_cover_every_hour_and_its_look_back(
    hours: set[datetime], look_back: int, latest: int | None
) -> None:
    latest_hour = None if latest is None else START + latest * HOUR
    ranges = hour_ranges(hours, look_back * HOUR, latest_hour)
    assert len(ranges) <= MAX_RANGES
    assert all(first <= last for first, last in ranges)
    assert all(before[1] + HOUR < after[0] for before, after in pairwise(ranges)), "in order, and apart"
    wanted = {
        hour + later * HOUR
        for hour in hours
        for later in range(look_back + 1)
        if later == 0 or (latest_hour is not None and hour + later * HOUR <= latest_hour)
    }
    covered = {
        first + number * HOUR for first, last in ranges for number in range(int((last - first) / HOUR) + 1)
    }
    assert wanted <= covered
    if len(ranges) < MAX_RANGES:
        assert covered == wanted


def manifest(sql: str = "1", macro: str = "m", parent_sql: str = "p") -> dict[str, Any]:
    def node(name: str, checksum: str, *depends: str) -> dict[str, Any]:
        return {
            "resource_type": "model",
            "alias": name,
            "checksum": {"checksum": checksum},
            "config": {"materialized": "incremental", "meta": {}},
            "depends_on": {"nodes": list(depends), "macros": ["macro.braze_platform.one"]},
        }

    return {
        "nodes": {
            "model.a_child": node("a_child", sql, "model.parent"),
            "model.parent": node("parent", parent_sql, "source.opens"),
            "test.x": {"resource_type": "test"},
        },
        "sources": {"source.opens": {"config": {"meta": {"event_type": OPEN}}}},
        "macros": {
            "macro.braze_platform.one": {
                "macro_sql": "calls two and itself",
                "depends_on": {
                    "macros": ["macro.braze_platform.two", "macro.braze_platform.one", "macro.dbt.ref"]
                },
            },
            "macro.braze_platform.two": {"macro_sql": macro, "depends_on": {"macros": []}},
            "macro.dbt.ref": {"macro_sql": "dbt's", "depends_on": {"macros": []}},
        },
    }


def test_models_come_in_order_with_all_that_they_read() -> None:
    models = models_of(manifest(), {})
    assert list(models) == ["parent", "a_child"]
    assert models["a_child"].event_types == {OPEN}
    assert models["a_child"].parents == {"parent"}
    assert not any(one.compares for one in models.values())


def test_a_model_that_reads_raw_tables_beside_models_compares_them() -> None:
    found = manifest()
    found["nodes"]["model.a_child"]["depends_on"]["nodes"].append("source.opens")
    assert models_of(found, {})["a_child"].compares


@pytest.mark.parametrize(
    ("rebuild", "looks_at_hours"),
    [
        ({"column": "delivered_hour"}, True),
        ({"follows": True}, True),
        # The default of its folder, of a view that has no such column: its tests look at all of it.
        ({"column": "day"}, False),
        ({}, False),
    ],
    ids=["column", "follows", "no such column", "nothing"],
)
def test_views_over_models_of_hours_are_tested_by_hours(
    rebuild: dict[str, Any], looks_at_hours: bool
) -> None:
    found = manifest()
    view = found["nodes"]["model.a_child"]
    view["config"] = {"materialized": "view", "meta": {"rebuild": rebuild}}
    view["columns"] = {"delivered_hour": {}}
    models = models_of(found, {})
    planned = rebuild_window(
        models,
        list(models),
        {name: Build(1, one.code) for name, one in models.items()},
        [ChangedHour(OPEN, START, 2)],
        loads={OPEN: 2},
        latest_load_id=2,
        latest_hour=START,
        look_back=timedelta(0),
    )
    assert planned.ranges.get("a_child") == ([(START, START)] if looks_at_hours else None)
    assert not models["a_child"].is_incremental


@pytest.mark.parametrize(
    ("changed", "variables"),
    [
        (manifest(sql="2"), {}),
        (manifest(macro="n"), {}),
        (manifest(parent_sql="q"), {}),
        (manifest(), {"x": 1}),
    ],
    ids=["its SQL", "a macro of a macro", "its parent", "a variable"],
)
def test_code_changes_with_all_that_decides_the_rows(
    changed: dict[str, Any], variables: dict[str, int]
) -> None:
    before = models_of(manifest(), {})["a_child"].code
    assert models_of(manifest(), {})["a_child"].code == before
    assert models_of(changed, variables)["a_child"].code != before


def test_builds_and_loads_are_kept_in_the_warehouse(settings_of_either: Settings) -> None:
    with warehouse_of(settings_of_either).session() as session:
        assert latest_hour(session) is None
        assert read_builds(session) == {}
        record_builds(session, built(3, "opens", "clicks"))
        record_builds(session, built(4, "opens"))
        record_builds(session, {})
        assert read_builds(session) == built(4, "opens") | built(3, "clicks")
        session.create_schema("currents_ledger", "Loads.")
        files = session.sql.table("currents_ledger", "files")
        session.execute(
            f"create table {files} (event_type string, hour timestamp, size_bytes bigint, load_id bigint)"
        )
        session.execute(
            f"insert into {files} values ('{OPEN}', timestamp '2026-11-01 00:00:00', 10, 1), "
            f"('{OPEN}', timestamp '2026-11-01 00:00:00', 10, 2), "
            f"('{CLICK}', timestamp '2026-11-01 05:00:00', 0, 3)"
        )
        assert latest_hour(session) == START
        assert {(one.event_type, one.hour, one.load_id) for one in hours_changed_after(session, 1)} == {
            (OPEN, START, 2),
            (CLICK, START + 5 * HOUR, 3),
        }
