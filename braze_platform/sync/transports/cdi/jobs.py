"""What Braze reports of an integration's jobs, and what may be concluded from it. Pure.

Neither the trigger nor the list of jobs names a run (https://www.braze.com/docs/api/endpoints/cdi/post_job_sync,
.../get_job_sync_status): a job is ours when it started after our rows were written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

#: `delivered`: every row is known to be at Braze. `partial`: some are, nobody says which. `failed`: none is.
#: `waiting`: a job is still running, or none has started yet.
Conclusion = Literal["delivered", "partial", "failed", "waiting"]

#: Before every job.
NEVER = datetime.fromtimestamp(0, timezone.utc).replace(tzinfo=None)


@dataclass(frozen=True)
class Job:
    """One job of an integration as Braze lists it."""

    status: str
    started: datetime | None
    last_timestamp: datetime | None
    synced: int
    failed: int

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Job:
        """Read an entry of `results`; what is missing is taken as nothing."""
        return cls(
            str(entry.get("job_status") or "").lower(),
            parsed_time(entry.get("sync_start_time")),
            parsed_time(entry.get("last_timestamp_synced")),
            _count(entry.get("rows_synced")),
            _count(entry.get("rows_failed_with_errors")),
        )

    @property
    def running(self) -> bool:
        """Whether it has not finished."""
        return self.status == "running"


@dataclass(frozen=True)
class Reconciled:
    """The outcome of a run's rows; `ours` is how many jobs carried them."""

    conclusion: Conclusion
    synced: int = 0
    failed: int = 0
    reason: str = ""
    ours: int = 0


def newest_start(jobs: Sequence[Job]) -> datetime:
    """When the newest job started; the beginning of time when there is none."""
    return max((job.started for job in jobs if job.started is not None), default=NEVER)


def reconcile(jobs: Sequence[Job], after: datetime, *, rows: int) -> Reconciled:
    """Conclude from all jobs, newest first; those that started after `after` came after the rows were written.

    A job of Braze's own schedule may have taken the rows, or a part of them, before ours: the counts of all jobs since
    then are added up. Only when they cover every row and none failed is anything known of a single row.
    """
    ours = [job for job in jobs if job.started is not None and job.started > after]
    if not ours or any(job.running for job in ours):
        return Reconciled("waiting", ours=len(ours))
    synced, failed = sum(job.synced for job in ours), sum(job.failed for job in ours)
    broken = [job.status for job in ours if job.status not in ("success", "partial")]
    summary = f"{synced:,} of {rows:,} rows synced, {failed:,} failed"
    if not failed and synced >= rows and not broken:
        return Reconciled("delivered", synced, failed, ours=len(ours))
    if synced:
        return Reconciled("partial", synced, failed, f"CDI: {summary}; Braze does not say which", len(ours))
    status = broken[0] if broken else ours[0].status
    remedy = {
        "config_error": "; the integration is set up wrongly: check its table and its service account in Braze",
        "success": "; the job took none of the rows: check that the integration reads this table",
    }.get(status, "")
    return Reconciled("failed", synced, failed, f"CDI job {status}: {summary}{remedy}", len(ours))


def parsed_time(text: object) -> datetime | None:
    """A time of the API as naive UTC; None for what cannot be read."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace(" UTC", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is None else found.astimezone(timezone.utc).replace(tzinfo=None)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
