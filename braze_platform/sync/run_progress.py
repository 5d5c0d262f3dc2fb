"""How far a sync is, in the run's log and on its page."""

import time

import dagster as dg

from braze_platform.sync.report import DeliveryReport
from braze_platform.sync.run import Progress

_PROGRESS_SECONDS = 5.0
#: The tag of a run that says how far a sync is.
PROGRESS_TAG = "braze/progress"


class RunProgress:
    """Writes progress to the run's log and into a tag of the run, which its page shows, at most every few seconds."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Say how far it is, unless that was said a moment ago."""
        if time.monotonic() - self._last < _PROGRESS_SECONDS:
            return
        self._last = time.monotonic()
        left = "unknown" if progress.seconds_left is None else f"{max(0, progress.seconds_left):,.0f} s"
        self._context.log.info(
            f"{progress.delivered:,} of {progress.total:,} objects delivered, {progress.per_second:,.0f} a second, "
            f"time left {left}"
        )
        # Objects whose attributes are sent one by one count more than once.
        share = min(1.0, progress.delivered / progress.total) if progress.total else 1.0
        self._tag(f"{share:.0%} of {progress.total:,}, {progress.per_second:,.0f}/s, {left} left")

    def finish(self, report: DeliveryReport | None) -> None:
        """Say the outcome of it."""
        if report is not None and report.requests:
            rate = report.objects_delivered / report.seconds if report.seconds else 0.0
            due = sum(report.due.values())
            self._tag(
                f"{report.objects_delivered:,} delivered, {sum(report.rejected.values()):,} values rejected, "
                f"{due:,} due, {rate:,.0f}/s"
            )

    def _tag(self, text: str) -> None:
        self._context.instance.add_run_tags(self._context.run.run_id, {PROGRESS_TAG: text})
