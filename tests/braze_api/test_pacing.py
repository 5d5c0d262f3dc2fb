from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.braze_api.pacing import backoff, wait_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (201, {}, None),
        (201, {"X-RateLimit-Remaining": "10", "X-RateLimit-Reset": "30"}, None),
        (201, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30),
        (201, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 3)}, 3),
        (201, {"X-RateLimit-Remaining": "0"}, None),
        (503, {"Retry-After": "3"}, None),
        (None, {}, None),
    ],
)
def test_when_an_answer_asks_for_a_wait(
    status: int | None, headers: dict[str, str], wait: float | None
) -> None:
    assert wait_after(status, headers, NOW) == wait


@given(attempt=st.integers(1, 10_000), spread=st.floats(0, 1))
def test_backoff_grows_and_is_bounded(attempt: int, spread: float) -> None:
    assert 0.1 <= backoff(attempt, spread) <= 20
    assert backoff(attempt + 1, spread) >= backoff(attempt, spread)
