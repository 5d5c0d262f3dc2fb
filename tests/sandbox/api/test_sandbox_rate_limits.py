"""Windows on the clock, and the headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sandbox.api.rate_limits import RateLimit


def test_an_hour_of_the_clock() -> None:
    now = [3600.0 * 100 + 3000]
    limit = RateLimit(per_hour=2, burst=100, clock=lambda: now[0])
    passed, headers = limit.take()
    assert passed
    assert headers == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "1",
        "X-RateLimit-Reset": str(3600 * 101),
    }
    assert limit.take()[1]["X-RateLimit-Remaining"] == "0"
    assert limit.take() == (False, {"X-Ratelimit-Retry-After": "600"})
    now[0] = 3600.0 * 101
    assert limit.take()[0], "a new hour of the clock begins"


def test_a_burst() -> None:
    now = [9.5]
    limit = RateLimit(burst=1, burst_seconds=3, clock=lambda: now[0])
    assert limit.take()[0]
    assert limit.take() == (False, {"X-Ratelimit-Retry-After": "3"})
    now[0] = 12.0
    assert limit.take()[0]


def test_reset_in_seconds() -> None:
    limit = RateLimit(reset_as="seconds_left", clock=lambda: 3600.0 * 5 + 3590)
    assert limit.take()[1]["X-RateLimit-Reset"] == "10"


@pytest.mark.parametrize("per_hour", [1, 7])
@given(moments=st.lists(st.integers(0, 20_000), max_size=60))
def test_no_hour_has_more_than_its_limit(per_hour: int, moments: list[int]) -> None:
    now = [0.0]
    limit = RateLimit(per_hour=per_hour, burst=1000, clock=lambda: now[0])
    passed: dict[int, int] = {}
    for moment in sorted(moments):
        now[0] = float(moment)
        hour = moment // 3600
        if limit.take()[0]:
            passed[hour] = passed.get(hour, 0) + 1
    wanted = {hour: sum(m // 3600 == hour for m in moments) for hour in {m // 3600 for m in moments}}
    assert passed == {hour: min(per_hour, count) for hour, count in wanted.items()}
