"""An incremental build gives exactly what a whole build gives, for every model, whatever hours changed."""

from __future__ import annotations

from random_events import DAY, HOUR
from random_warehouses import LAST_HOUR, Warehouses, rebuild_ranges


def test_every_model_is_equal_to_a_whole_build(random_warehouses: Warehouses) -> None:
    assert [
        line for model in random_warehouses.models.values() for line in random_warehouses.differences(model)
    ] == []


def test_the_comparison_is_of_rows_that_are_there(random_warehouses: Warehouses) -> None:
    """Empty tables would be equal, too."""
    empty = [
        name
        for name, model in random_warehouses.models.items()
        if not random_warehouses.rows(random_warehouses.whole, model)
    ]
    assert [name for name in empty if not name.startswith("stg_braze_workspace")] == []


def test_the_second_build_was_incremental(random_warehouses: Warehouses) -> None:
    """Each model that works by hours read the changed ones by constants, and earlier rows were left as they were."""
    by_hours = [
        name
        for name, model in random_warehouses.models.items()
        if model["config"]["materialized"] == "incremental" and "in_rebuild_window(" in model["raw_code"]
    ]
    assert len(by_hours) > 5
    without = [
        name for name in by_hours if "between timestamp '2026-" not in random_warehouses.compiled[name]
    ]
    assert [name for name in without if "between date '2026-" not in random_warehouses.compiled[name]] == []


def test_a_whole_build_writes_rows_in_the_order_of_their_hours(random_warehouses: Warehouses) -> None:
    """Or else DuckDB reads all of a table to find the rows of an hour."""
    ordered = {
        name: model["config"]["meta"]["rebuild"]["column"]
        for name, model in random_warehouses.models.items()
        if model["config"]["materialized"] == "incremental"
        and "column" in model["config"]["meta"].get("rebuild", {})
    }
    assert {"int_message_events", "int_message_links", "mart_deliverability"} <= ordered.keys()
    for name, column in ordered.items():
        relation = f"{random_warehouses.models[name]['schema']}.{name}"
        stored = random_warehouses.fetch(f"select {column} from {relation} order by rowid")
        assert stored == sorted(stored), name


def test_hours_are_passed_with_the_days_in_which_copies_may_lie() -> None:
    hours = [LAST_HOUR - 30 * DAY, LAST_HOUR - 27 * DAY, LAST_HOUR - 2 * HOUR]
    assert rebuild_ranges(hours) == [
        ["2026-10-15 23:00:00", "2026-10-25 23:00:00"],
        ["2026-11-14 21:00:00", "2026-11-14 23:00:00"],
    ]


def test_snapshots_of_earlier_days_stay(random_warehouses: Warehouses) -> None:
    """Each build took one of its own day; a whole build knows the latest only."""
    days = "select day, count(*), max(as_of) from marts.mart_user_engagement_daily group by day order by day"
    found = random_warehouses.increments.execute(days).fetchall()
    assert [(day, as_of) for day, _, as_of in found] == [
        ((LAST_HOUR - 3 * DAY).date(), LAST_HOUR - 3 * DAY),
        (LAST_HOUR.date(), LAST_HOUR),
    ]
    assert all(users > 100 for _, users, _ in found)
    assert random_warehouses.fetch(days) == found[1:]
