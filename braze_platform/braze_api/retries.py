"""How long, and how far apart, a request to Braze is tried again; for all callers."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from braze_platform.braze_api.client import Answer
from braze_platform.braze_api.pacing import wait_after
from braze_platform.braze_api.responses import ResponseClass, classify_response


@dataclass(frozen=True)
class RetryLimits:
    """How long a caller tries, in seconds: on faults (5xx, no answer), and on being told to wait (429)."""

    fault_seconds: float = 120.0
    rate_limit_seconds: float = 900.0
    first_backoff_seconds: float = 0.2
    max_backoff_seconds: float = 20.0

    def backoff(self, attempt: int) -> float:
        """Seconds before retry number `attempt` (from 1): doubling, up to its half less by chance."""
        pause = min(self.max_backoff_seconds, self.first_backoff_seconds * 2.0 ** min(attempt - 1, 30))
        return pause * (0.5 + random.random() / 2)

    def patience(self, status: int | None) -> float:
        """How long answers like this one are waited out."""
        return self.rate_limit_seconds if status == 429 else self.fault_seconds


async def retry_request(
    attempt: Callable[[], Awaitable[Answer]],
    limits: RetryLimits,
    *,
    is_final: Callable[[Answer], bool] = lambda answer: False,
) -> Answer:
    """Make attempts of a request that may be repeated, until one is answered; the last answer when patience ends.

    `is_final` names answers that are to be returned though another attempt might succeed. Exceptions of an attempt are
    raised.
    """

    def answer_of(state: RetryCallState) -> Answer:
        assert state.outcome is not None
        answer: Answer = state.outcome.result()
        return answer

    def pause(state: RetryCallState) -> float:
        answer = answer_of(state)
        backoff = limits.backoff(state.attempt_number)
        if answer.status is None:
            return backoff
        wait = wait_after(answer.status, answer.headers, time.time())
        # A limit says when it ends; a server in trouble may as well ask for nothing.
        return wait if wait is not None and answer.status == 429 else max(wait or 0.0, backoff)

    def is_over(state: RetryCallState) -> bool:
        answer = answer_of(state)
        waited = state.seconds_since_start or 0.0
        planned = state.upcoming_sleep if answer.status == 429 else 0.0
        return waited + planned >= limits.patience(answer.status)

    def is_repeated(answer: Answer) -> bool:
        found = classify_response(answer.status, written=answer.written)
        return found.is_retryable and not is_final(answer)

    retrying = AsyncRetrying(
        retry=retry_if_result(is_repeated), wait=pause, stop=is_over, retry_error_callback=answer_of
    )

    async def made() -> Answer:
        # tenacity awaits what such a function returns, and nothing else that can be called
        return await attempt()

    return await retrying(made)


def failure(answer: Answer, limits: RetryLimits) -> str:
    """How an answer that ended the patience is told: with its fault or status, and nothing of its body."""
    if classify_response(answer.status) is ResponseClass.RATE_LIMITED:
        return f"answered 429 (too many requests) for {limits.rate_limit_seconds:.0f} seconds"
    what = f"answered {answer.status}" if answer.status is not None else f"did not answer ({answer.fault})"
    return f"{what} for {limits.fault_seconds:.0f} seconds"
