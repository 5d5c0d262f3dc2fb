"""The transport `cdi`: writes the table, asks Braze to read it, and learns the outcome of the rows."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.responses import classify_response, object_in
from braze_platform.braze_api.retries import RetryLimits, failure, retry_request
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.transports.cdi.jobs import (
    NEVER,
    Job,
    Reconciled,
    newest_start,
    parsed_time,
    reconcile,
)
from braze_platform.sync.transports.cdi.table import CdiTable
from braze_platform.warehouse.tables import now_utc

_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class CdiError(RuntimeError):
    """Cloud Data Ingestion cannot be used as things are; the message says what to do."""


@dataclass(frozen=True)
class CdiPatience:
    """How often Braze is asked, and how long it may take: to answer at all, and to finish a job."""

    first_poll_seconds: float = 0.5
    max_poll_seconds: float = 15.0
    fault_seconds: float = 120.0
    job_seconds: float = 3600.0


#: What every run has.
PATIENCE = CdiPatience()


class CdiApi(BrazeClient):
    """The endpoints of one workspace's integrations. Retries after faults and 429, as `PATIENCE` says."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, connections=1, nothing="Nothing was sent to")
        self._retry = RetryLimits(
            fault_seconds=PATIENCE.fault_seconds,
            rate_limit_seconds=PATIENCE.fault_seconds,
            first_backoff_seconds=PATIENCE.first_poll_seconds,
            max_backoff_seconds=PATIENCE.max_poll_seconds,
        )

    async def integration(self, name: str) -> dict[str, Any]:
        """The integration of that name. Raises `CdiError` when there is none."""
        for entry in await self._all("/cdi/integrations"):
            if entry.get("integration_name") == name:
                return entry
        raise CdiError(
            f"Braze has no Cloud Data Ingestion integration named {name!r}. Make one in the dashboard under Data "
            f"Settings > Cloud Data Ingestion: user attributes, over the table {name} in the data set braze_sync, "
            "without a schedule (a sync starts it), updating existing users only unless the sync may create users."
        )

    async def jobs(self, integration: str) -> list[Job]:
        """All jobs that Braze lists of an integration, newest first."""
        found = [
            Job.from_json(entry)
            for entry in await self._all(f"/cdi/integrations/{integration}/job_sync_status")
        ]
        return sorted(found, key=lambda job: job.started or NEVER, reverse=True)

    async def trigger(self, integration: str) -> bool:
        """Start a job; False when Braze runs one already. Starting twice is harmless: the second finds no rows."""
        status, _, body = await self._ask(
            "POST", f"/cdi/integrations/{integration}/sync", busy_is_answer=True
        )
        if status == 429:
            return False
        if not 200 <= status < 300:
            raise CdiError(_error_message("start a CDI job", status, body, "cdi.integration_sync"))
        return True

    async def _all(self, path: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        parameters: dict[str, str] = {}
        seen: set[str] = set()
        while True:
            status, headers, body = await self._ask("GET", path, parameters=parameters)
            permission = (
                "cdi.integration_list" if path.endswith("/integrations") else "cdi.integration_job_status"
            )
            if not 200 <= status < 300:
                raise CdiError(_error_message("list CDI integrations and jobs", status, body, permission))
            results = (object_in(body) or {}).get("results")
            entries += (
                [entry for entry in results if isinstance(entry, dict)] if isinstance(results, list) else []
            )
            link = _NEXT.search({name.lower(): value for name, value in headers.items()}.get("link", ""))
            parameters = dict(parse_qsl(urlsplit(link[1]).query)) if link else {}
            cursor = parameters.get("cursor", "")
            if not cursor or cursor in seen:
                return entries
            seen.add(cursor)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        busy_is_answer: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """One answer; after no answer, 5xx and 429 the request is retried."""

        def is_busy(answer: Answer) -> bool:
            return busy_is_answer and answer.status == 429 and b"another job" in answer.body.lower()

        answer = await retry_request(
            lambda: self.request(method, path, parameters=parameters), self._retry, is_final=is_busy
        )
        status = answer.status
        if status is None or (classify_response(status).is_retryable and not is_busy(answer)):
            raise CdiError(f"Braze {failure(answer, self._retry)} to {method} {path}.")
        return status, answer.headers, answer.body


async def settle_interrupted(table: CdiTable, settings: Settings) -> None:
    """Deal with a run whose process was killed: once no job runs, its rows go, and its values count as unknown."""
    async with CdiApi(settings) as api:
        integration = await api.integration(table.name)
        await _until_idle(api, str(integration["integration_id"]), table.store.keep_lease)
    table.mark_unsettled_values()
    table.settle("abandoned", 0, 0, now_utc())


async def ingest_plan(
    table: CdiTable, specs: Sequence[AttributeSpec], settings: Settings, run_id: str
) -> tuple[Reconciled, int]:
    """Write the plan's objects, have Braze read them, and conclude; also how many requests that took.

    The run stays unsettled: the caller acknowledges first and settles then. Raises `CdiError`.
    """
    table.prepare()
    async with CdiApi(settings) as api:
        integration = await api.integration(table.name)
        number = str(integration["integration_id"])
        before = newest_start(await _until_idle(api, number, table.store.keep_lease))
        rows = table.planned_rows()
        first = await _first_watermark(
            table.last_updated_at(), parsed_time(integration.get("last_updated_at")), rows
        )
        written = table.write(specs, run_id, first, now_utc())
        started, pause = time.monotonic(), PATIENCE.first_poll_seconds
        asked_after: datetime | None = None
        while True:
            table.store.keep_lease()
            jobs = await api.jobs(number)
            if asked_after is None and not any(job.running for job in jobs):
                # Braze's own schedule may have been first, and may have read the table before our rows were in it.
                asked_after = newest_start(jobs) if await api.trigger(number) else None
            elif asked_after is not None and newest_start(jobs) > asked_after:
                found = reconcile(jobs, before, rows=written.rows)
                if found.conclusion != "waiting":
                    return found, api.requests.total()
            if time.monotonic() - started > PATIENCE.job_seconds:
                return Reconciled("waiting", reason="the CDI job did not end in time"), api.requests.total()
            await asyncio.sleep(pause)
            pause = min(PATIENCE.max_poll_seconds, pause * 2)


async def _until_idle(api: CdiApi, integration: str, keep_lease: Callable[[], None]) -> list[Job]:
    """Wait until no job runs, so that nothing is written under one; the jobs so far."""
    started, pause = time.monotonic(), PATIENCE.first_poll_seconds
    while True:
        keep_lease()
        jobs = await api.jobs(integration)
        if not any(job.running for job in jobs):
            return jobs
        if time.monotonic() - started > PATIENCE.job_seconds:
            raise CdiError(
                f"A CDI job has been running for {PATIENCE.job_seconds:.0f} seconds; look at its log in Braze."
            )
        await asyncio.sleep(pause)
        pause = min(PATIENCE.max_poll_seconds, pause * 2)


async def _first_watermark(ours: datetime | None, braze: datetime | None, rows: int) -> datetime:
    """The first `UPDATED_AT` of a run: above every earlier one, so that the last lies in the past."""
    last = max((found for found in (ours, braze) if found is not None), default=None)
    now = now_utc()
    if last is not None and last > now:
        raise CdiError(
            f"The last UPDATED_AT that Braze synced, {last.isoformat()} UTC, lies in the future: Braze takes no row "
            "until then. Correct the clock that wrote it and make a new integration over the table."
        )
    first = now - timedelta(microseconds=rows)
    if last is not None:
        first = max(first, last + timedelta(microseconds=1))
    ahead = (first + timedelta(microseconds=rows) - now_utc()).total_seconds()
    if ahead > 0:
        await asyncio.sleep(ahead)
    return first


def _error_message(what: str, status: int, body: bytes, permission: str) -> str:
    remedy = f"; the key needs the permission {permission}" if status in (401, 403) else ""
    return (
        f"Braze did not {what}: {status} {str((object_in(body) or {}).get('message') or '')[:200]}{remedy}."
    )
