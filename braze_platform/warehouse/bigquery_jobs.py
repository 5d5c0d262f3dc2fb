"""Jobs of BigQuery, each under an id of ours: what was submitted is found again, and never submitted twice."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import requests
from google.api_core import exceptions
from google.auth.exceptions import TransportError
from google.cloud import bigquery

from braze_platform.warehouse.interface import RelationGone, StatementFailed

Job: TypeAlias = "bigquery.QueryJob | bigquery.LoadJob"

#: Answers after which the same request may be recreated
#: (https://cloud.google.com/bigquery/docs/error-messages: backendError, internalError, rateLimitExceeded).
_TRANSIENT = (
    exceptions.ServerError,
    exceptions.TooManyRequests,
    requests.exceptions.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.Timeout,
    TransportError,
)
_TRANSIENT_REASONS = frozenset(
    {"backendError", "internalError", "rateLimitExceeded", "jobRateLimitExceeded", "jobBackendError"}
)
#: BigQuery ends one of two transactions that change the same table
#: (https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency).
_CONCURRENT = ("aborted due to concurrent update", "could not serialize access")


@dataclass(frozen=True)
class Patience:
    """How long, and how often, a request to BigQuery is retried."""

    seconds: float = 600.0
    first_pause: float = 1.0
    longest_pause: float = 32.0


PATIENCE = Patience()
#: How long one answer may take.
REQUEST_SECONDS = 120.0


class Jobs:
    """Runs jobs to their end, through lost answers, refusals for a while, and aborted transactions."""

    def __init__(self, client: bigquery.Client) -> None:
        self.client = client

    def query(self, sql: str, job_id: str | None = None) -> bigquery.QueryJob:
        """Run a statement or a script to its end."""

        def submit(name: str) -> Job:
            # No retry by the client: it would submit again what may have arrived.
            return self.client.query(
                sql,
                job_id=name,
                retry=None,  # type: ignore[arg-type]
                job_retry=None,
                timeout=REQUEST_SECONDS,
            )

        job = self.run(submit, job_id or f"braze_{uuid.uuid4().hex}")
        if not isinstance(job, bigquery.QueryJob):
            raise StatementFailed(f"The job {job.job_id} is not a query; its id belongs to something else.")
        return job

    def run(self, submit: Callable[[str], Job], job_id: str) -> Job:
        """Submit a job, or take up the one that already has the id, and wait for its end.

        A job that failed for a passing reason is followed by one whose id ends in `_2`, `_3` and so on; so is one
        that BigQuery lost. Raises `StatementFailed`.
        """
        deadline = time.monotonic() + PATIENCE.seconds
        pause = PATIENCE.first_pause
        attempt = 1
        while True:
            name = job_id if attempt == 1 else f"{job_id}_{attempt}"
            try:
                job = self.existing(name) if attempt > 1 else None
                job = job or self._submitted(submit, name)
                job.result(timeout=max(deadline - time.monotonic(), 1.0))
                return job
            except _TRANSIENT as error:
                reason: Exception = error
            except exceptions.GoogleAPICallError as error:
                if isinstance(error, exceptions.NotFound) and not _passes(error):
                    raise RelationGone(f"{name}: {first_line(error)}") from error
                if not _passes(error):
                    raise StatementFailed(f"{name}: {first_line(error)}") from error
                reason = error
                attempt += 1
            if time.monotonic() + pause > deadline:
                raise StatementFailed(
                    f"{name}: BigQuery still refuses after {PATIENCE.seconds:.0f} s: {first_line(reason)}"
                ) from reason
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, PATIENCE.longest_pause)

    def existing(self, job_id: str) -> Job | None:
        """The job of that id, in whatever state, or None."""
        try:
            return self.client.get_job(job_id)  # type: ignore[return-value]
        except exceptions.NotFound:
            return None

    def _submitted(self, submit: Callable[[str], Job], name: str) -> Job:
        try:
            return submit(name)
        except exceptions.Conflict:
            job = self.existing(name)
            if job is None:
                raise
            return job
        except _TRANSIENT:
            # The answer got lost, perhaps not the job.
            job = self.existing(name)
            if job is None:
                raise
            return job


def _passes(error: exceptions.GoogleAPICallError) -> bool:
    reasons: set[Any] = {detail.get("reason") for detail in error.errors if isinstance(detail, dict)}
    said = str(error).lower()
    lost = isinstance(error, exceptions.NotFound) and "not found: job" in said
    return bool(reasons & _TRANSIENT_REASONS) or lost or any(words in said for words in _CONCURRENT)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """A request to the API that is no job, whose errors are the warehouse's own and say what was asked.

    The client repeats what passes by itself. Raises `RelationGone` for what is not there, else `StatementFailed`.
    """
    try:
        yield
    except exceptions.NotFound as error:
        raise RelationGone(f"{what}: {first_line(error)}") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, *_TRANSIENT) as error:
        raise StatementFailed(f"{what}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """The first line of what the service said: the lines after it repeat the statement, with its values."""
    text = error.message if isinstance(error, exceptions.GoogleAPICallError) else str(error)
    return str(text).splitlines()[0][:400] if str(text) else type(error).__name__


def is_about_data(error: StatementFailed) -> bool:
    """Whether a load job failed because of what its file holds, and not because of rights, names or quotas."""
    cause = error.__cause__
    reasons = {detail.get("reason") for detail in getattr(cause, "errors", []) if isinstance(detail, dict)}
    return "invalid" in reasons or "Error while reading data" in str(error)
