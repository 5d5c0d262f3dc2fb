from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.braze_api.shared_budget import HOUR_SECONDS, SharedBudget

NOON = 1_800_000_000 // 3600 * 3600


class Clock:
    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


def budget(path: Path, clock: Clock, per_burst: int = 60, per_hour: int | None = None) -> SharedBudget:
    return SharedBudget(
        path / "budget.sqlite", "/users/track", per_burst=per_burst, per_hour=per_hour, clock=clock
    )


def taken(found: SharedBudget, most: int = 10_000) -> int:
    count = 0
    while count < most and found.take().requests:
        count += 1
    return count


def test_two_senders_share_one_burst(tmp_path: Path) -> None:
    clock = Clock()
    one, two = budget(tmp_path, clock), budget(tmp_path, clock)
    assert taken(one, 40) == 40
    assert taken(two) <= 20
    assert taken(one) + 40 <= 60
    assert two.take().wait_seconds == 3
    clock.now += 3
    assert taken(two) == 60


def test_the_hour_is_kept_and_the_next_one_is_new(tmp_path: Path) -> None:
    clock = Clock()
    found = budget(tmp_path, clock, per_hour=100)
    assert taken(found) == 60
    clock.now += 3
    assert taken(found) == 40
    clock.now += 3
    assert found.take().wait_seconds == HOUR_SECONDS - 6
    clock.now = NOON + HOUR_SECONDS
    assert taken(found) == 60


def test_a_higher_priority_comes_first_in_every_window(tmp_path: Path) -> None:
    clock = Clock()
    high, low = (
        SharedBudget(tmp_path / "b.sqlite", "/users/track", per_burst=20, priority=rank, clock=clock)
        for rank in (0, 2)
    )
    clock.now = 900_000.0
    assert low.take().requests == 1
    low.give_back()
    assert high.take().requests == 1
    refused = low.take()
    assert (refused.requests, refused.wait_seconds) == (0, 2.0)
    clock.now += 2.0
    assert low.take().requests == 1
    clock.now += 1.0
    high.give_back()
    assert low.take().requests == 1


def test_a_lower_priority_leaves_a_tenth_of_the_hour(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = 900_002.5
    high, low = (
        SharedBudget(
            tmp_path / "b.sqlite", "/users/track", per_burst=1_000, per_hour=100, priority=rank, clock=clock
        )
        for rank in (0, 1)
    )
    assert high.take().requests == 1
    high.give_back()
    taken = 0
    while low.take().requests:
        taken += 1
    assert taken == 89
    low.give_back()
    assert sum(high.take().requests for _ in range(20)) == 10


def test_what_was_not_sent_is_given_back(tmp_path: Path) -> None:
    clock = Clock()
    one, two = budget(tmp_path, clock, per_hour=60), budget(tmp_path, clock, per_hour=60)
    one.take()
    one.give_back()
    clock.now += 3
    assert taken(two) == 59


def test_what_the_server_says_of_the_hour_holds_over_our_count(tmp_path: Path) -> None:
    clock = Clock()
    found = budget(tmp_path, clock, per_hour=1000)
    found.take()
    found.hear({"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "10", "X-RateLimit-Reset": "3000"})
    clock.now += 3
    assert taken(found) == 10
    assert budget(tmp_path, clock).take().requests == 0
    clock.now = NOON + HOUR_SECONDS
    assert taken(found) == 60


def test_a_window_of_seconds_is_none_of_the_hour(tmp_path: Path) -> None:
    clock = Clock()
    found = budget(tmp_path, clock)
    found.hear({"x-ratelimit-limit": "3000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"})
    found.hear({"x-ratelimit-limit": "soon"})
    assert taken(found) == 60


@settings(max_examples=25, deadline=None)
@given(
    moves=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50), st.integers(0, 5)), max_size=12),
    per_burst=st.integers(1, 100),
    per_hour=st.integers(1, 200),
)
def test_no_window_is_ever_exceeded(moves: list[tuple[int, int, int]], per_burst: int, per_hour: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        senders = [budget(Path(folder), clock, per_burst, per_hour) for _ in range(3)]
        used: dict[int, int] = {}
        for sender, wanted, seconds in moves:
            window = int(clock.now) // 3
            used[window] = used.get(window, 0) + taken(senders[sender], wanted)
            clock.now += seconds
        assert all(count <= per_burst for count in used.values())
        assert sum(used.values()) <= per_hour
