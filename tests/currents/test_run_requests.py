"""What one run is requested for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.currents.run_requests import Period, RunScope, next_run_scope, period_of

START = date(2026, 11, 1)


def days(*numbers: int) -> list[Period]:
    return [Period(START + timedelta(days=n), START + timedelta(days=n)) for n in numbers]


@pytest.mark.parametrize(
    ("pending", "planned"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"a": []}, None, id="nothing of a type"),
        pytest.param({"a": days(0)}, (("a",), 0, 0), id="one day"),
        pytest.param({"a": days(0, 1, 2), "b": days(1)}, (("a", "b"), 0, 2), id="mostly full"),
        pytest.param(
            {"a": days(0), "b": days(30)}, (("b",), 30, 30), id="a late file does not drag all along"
        ),
        pytest.param({"a": days(*range(40))}, (("a",), 9, 39), id="no more than 31 days"),
        pytest.param({"a": days(5), "b": days(3)}, (("a",), 5, 5), id="newest first"),
    ],
)
def test_plans(pending: dict[str, list[Period]], planned: tuple[tuple[str, ...], int, int] | None) -> None:
    expected = None
    if planned is not None:
        event_types, first, last = planned
        expected = RunScope(event_types, START + timedelta(days=first), START + timedelta(days=last))
    assert next_run_scope(pending) == expected


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sets(st.integers(0, 90), max_size=20).map(lambda s: days(*s))
    ),
    st.integers(1, 31),
)
def test_asking_until_nothing_is_left_asks_for_everything_in_bounded_runs(
    pending: dict[str, list[Period]], max_days: int
) -> None:
    left = {(name, period) for name, periods in pending.items() for period in periods}
    runs = 0
    while scope := next_run_scope(
        {name: [period for of_type, period in left if of_type == name] for name, _ in left}, max_days=max_days
    ):
        done = {
            (name, period)
            for name, period in left
            if name in scope.event_types
            and scope.first_day <= period.first_day <= period.last_day <= scope.last_day
        }
        assert done, "every run makes progress"
        assert scope.last_day == max(period.last_day for _, period in left)
        assert scope.period.days <= max_days
        assert len(done) * 2 >= len(scope.event_types) * scope.period.days
        left -= done
        runs += 1
        assert runs < 1000
    assert not left


def test_a_period_longer_than_a_run_may_be_is_a_run_for_few_event_types() -> None:
    year, month = Period(date(2024, 1, 1), date(2024, 12, 31)), Period(date(2025, 1, 1), date(2025, 1, 31))
    pending = {name: [year, month] for name in "abcdefghij"}
    assert next_run_scope(pending) == RunScope(tuple("abcdefghij"), month.first_day, month.last_day)
    scope = next_run_scope({name: [year] for name in pending})
    assert scope == RunScope(tuple("abcdefgh"), year.first_day, year.last_day)


@settings(deadline=None)
@given(st.dates(date(2025, 1, 1), date(2026, 12, 31)), st.dates(date(2025, 1, 1), date(2026, 12, 31)))
def test_periods_are_a_partition_of_the_days(start_day: date, detail_from: date) -> None:
    day = date(2025, 1, 1)
    while day < date(2027, 1, 1):
        period = period_of(day, start_day, detail_from)
        assert period.first_day == day, "a period begins where the last one ended"
        assert not (period.first_day < start_day <= period.last_day)
        assert period.days <= (31 if period.first_day >= detail_from - timedelta(days=365) else 366)
        assert all(
            period_of(day + timedelta(days=n), start_day, detail_from) == period for n in range(period.days)
        )
        day = period.last_day + timedelta(days=1)
