"""How long, and how far apart, requests are tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.braze_api.client import Answer
from braze_platform.braze_api.responses import ResponseClass, classify_response
from braze_platform.braze_api.retries import RetryLimits, failure, retry_request

QUICK = RetryLimits(fault_seconds=0.05, rate_limit_seconds=0.2, first_backoff_seconds=0.001)
LIMITED = Answer(429, {"X-Ratelimit-Retry-After": "0.01"})


def tried(answers: list[Answer], limits: RetryLimits = QUICK, **options: object) -> tuple[Answer, int]:
    """The answer that came out of these, the last of which is repeated, and how many attempts that took."""
    count = 0

    async def attempt() -> Answer:
        nonlocal count
        count += 1
        return answers[min(count, len(answers)) - 1]

    return asyncio.run(retry_request(attempt, limits, **options)), count  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "first", [Answer(None), Answer(None, written=False), Answer(503), Answer(500), LIMITED]
)
def test_it_is_tried_until_it_is_answered(first: Answer) -> None:
    assert tried([first, first, Answer(200)]) == (Answer(200), 3)


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 413])
def test_an_answer_is_not_asked_for_again(status: int) -> None:
    assert tried([Answer(status)]) == (Answer(status), 1)


@pytest.mark.parametrize("last", [Answer(None, fault="ReadTimeout"), Answer(502), LIMITED])
def test_the_last_answer_comes_back_when_patience_ends(last: Answer) -> None:
    found, attempts = tried([last])
    assert found == last and attempts > 1
    told = failure(found, QUICK)
    assert str(last.status or "ReadTimeout") in told


def test_a_limit_that_lasts_longer_than_patience_is_not_waited_for() -> None:
    assert tried([Answer(429, {"Retry-After": "3600"})]) == (Answer(429, {"Retry-After": "3600"}), 1)


def test_a_final_answer_is_not_asked_for_again() -> None:
    assert tried([LIMITED, Answer(200)], is_final=lambda answer: answer.status == 429) == (LIMITED, 1)


def test_an_exception_is_raised() -> None:
    async def attempt() -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(retry_request(attempt, QUICK))


@given(attempt=st.integers(1, 10_000))
def test_backoff_grows_and_is_bounded(attempt: int) -> None:
    limits = RetryLimits()
    assert 0.1 <= limits.backoff(attempt) <= 20
    assert limits.backoff(attempt) <= 0.2 * 2.0 ** min(attempt - 1, 30)


def statuses() -> Iterator[int | None]:
    yield None
    yield from range(200, 600)


@pytest.mark.parametrize("written", [True, False])
def test_every_status_has_one_class(written: bool) -> None:
    found = {status: classify_response(status, written=written) for status in statuses()}
    assert found[None] is (ResponseClass.UNCLEAR if written else ResponseClass.TRANSIENT)
    assert {found[status] for status in (200, 201, 204, 299)} == {ResponseClass.SUCCESS}
    assert {found[status] for status in (408, 500, 504, 599)} == {ResponseClass.UNCLEAR}
    assert {found[status] for status in (502, 503)} == {ResponseClass.TRANSIENT}
    assert found[429] is ResponseClass.RATE_LIMITED
    assert {found[status] for status in (300, 302, 401, 403, 405, 415, 451)} == {ResponseClass.TERMINAL}
