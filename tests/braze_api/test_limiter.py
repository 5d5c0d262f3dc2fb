"""The limits of one endpoint: a rate, windows of 3 seconds, the hour, and what Braze says of it."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.braze_api.limiter import HOUR_SECONDS, Limiter, NoTurn

NOON = 1_800_000_000 // 3600 * 3600


class Clock:
    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


def limiter(
    clock: Clock, per_burst: int = 60, per_hour: int | None = None, share: float = 1.0, reserve: float = 0.0
) -> Limiter:
    return Limiter(per_second=per_burst / 3, per_hour=per_hour, share=share, reserve=reserve, clock=clock)


def taken(found: Limiter, most: int = 10_000) -> int:
    count = 0
    while count < most and not found.take():
        count += 1
    return count


def test_the_hour_is_kept_and_the_next_one_is_new() -> None:
    clock = Clock()
    found = limiter(clock, per_hour=100)
    assert taken(found) == 60
    clock.now += 3
    assert taken(found) == 40
    clock.now += 3
    assert found.take() == HOUR_SECONDS - 6
    clock.now = NOON + HOUR_SECONDS
    assert taken(found) == 60


def test_what_an_earlier_process_used_of_the_hour_counts() -> None:
    clock = Clock()
    first, second = limiter(clock, per_hour=100), limiter(clock, per_hour=100)
    assert taken(first) == 60
    clock.now += 3
    second.resume(*first.use_of_hour())
    assert taken(second) == 40
    assert second.use_of_hour() == (NOON, 100)
    clock.now = NOON + HOUR_SECONDS
    third = limiter(clock, per_hour=100)
    third.resume(NOON, 100)
    assert taken(third) == 60


def test_what_the_server_says_of_the_hour_takes_precedence() -> None:
    clock = Clock()
    found = limiter(clock, per_hour=1000)
    found.take()
    found.observe_rate_limit_headers(
        {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "10", "X-RateLimit-Reset": "3000"}
    )
    clock.now += 3
    assert taken(found) == 10
    clock.now = NOON + HOUR_SECONDS
    assert taken(found) == 60


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-limit": "3000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"},
        {"x-ratelimit-limit": "soon", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "3000"},
        {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "3000"},
        {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "0"},
    ],
)
def test_a_window_of_seconds_and_headers_that_make_no_sense_change_nothing(headers: dict[str, str]) -> None:
    found = limiter(Clock())
    found.observe_rate_limit_headers(headers)
    assert taken(found) == 60


def test_a_share_of_the_hour_is_used_and_a_reserve_is_left() -> None:
    clock = Clock()
    found = limiter(clock, per_hour=10, share=0.5, reserve=0.2)
    assert taken(found) == 5
    clock.now += HOUR_SECONDS
    assert taken(found, 1) == 1
    found.observe_rate_limit_headers(
        {"X-RateLimit-Limit": "100", "x-ratelimit-remaining": "20", "x-ratelimit-reset": "3000"}
    )
    assert found.take() > 0, "the rest is for sends"
    clock.now += HOUR_SECONDS
    assert taken(found, 1) == 1


@settings(max_examples=50, deadline=None)
@given(
    per_hour=st.integers(1, 500),
    share=st.floats(0.01, 1),
    moments=st.lists(st.integers(0, 3 * 3600), max_size=300).map(sorted),
)
def test_no_hour_takes_more_than_its_share(per_hour: int, share: float, moments: list[int]) -> None:
    clock = Clock()
    found = limiter(clock, per_hour=per_hour, share=share)
    used: dict[int, int] = {}
    for moment in moments:
        clock.now = NOON + moment
        if not found.take():
            used[moment // 3600] = used.get(moment // 3600, 0) + 1
    assert all(count <= per_hour * share + 1 for count in used.values())


@settings(max_examples=50, deadline=None)
@given(
    moves=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5)), max_size=12),
    per_burst=st.integers(1, 100),
    per_hour=st.integers(1, 200),
)
def test_no_window_is_ever_exceeded(moves: list[tuple[int, int]], per_burst: int, per_hour: int) -> None:
    clock = Clock()
    found = limiter(clock, per_burst, per_hour)
    used: dict[int, int] = {}
    for wanted, seconds in moves:
        window = int(clock.now) // 3
        used[window] = used.get(window, 0) + taken(found, wanted)
        clock.now += seconds
    assert all(count <= per_burst for count in used.values())
    assert sum(used.values()) <= per_hour


def test_turns_are_spaced_held_and_stopped() -> None:
    async def turns() -> None:
        found, stop = Limiter(per_second=200.0), asyncio.Event()
        began = time.monotonic()
        for _ in range(100):
            await found.turn(stop)
        assert time.monotonic() - began >= 0.5 - 0.25 - 0.01, "a quarter of a second may be made up for"
        found.hold(0.1)
        began = time.monotonic()
        await found.turn(stop)
        assert time.monotonic() - began >= 0.099
        stop.set()
        with pytest.raises(NoTurn) as stopped:
            await found.turn(stop)
        assert stopped.value.wait_seconds is None

    asyncio.run(turns())


def test_an_hour_that_is_used_up_is_not_waited_for() -> None:
    async def turns() -> None:
        found = limiter(Clock(), per_hour=1)
        await found.turn(max_wait_seconds=60.0)
        with pytest.raises(NoTurn) as refused:
            await found.turn(max_wait_seconds=60.0)
        assert refused.value.wait_seconds == HOUR_SECONDS

    asyncio.run(turns())
