from __future__ import annotations

import pytest

from braze_platform.braze_api.pacing import wait_after

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
