"""What became of an attribute in a run, as Dagster is told: materialised or observed, its checks, why the run fails."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from braze_platform.sync.asset_keys import attribute_key
from braze_platform.sync.asset_metadata import plan_metadata, run_metadata
from braze_platform.sync.checks import (
    DELIVERED_CHECK,
    PLAN_CHECK,
    REJECTIONS_CHECK,
    TYPE_CHECK,
    existence_results,
    proof_results,
)
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.origin import Origin, origins_markdown
from braze_platform.sync.plan.presentation import (
    approval_remedy,
)
from braze_platform.sync.run import SyncRun
from braze_platform.warehouse.registry import REJECTIONS


def attribute_results(
    sync: Sync, spec: AttributeSpec, run: SyncRun, origins: Sequence[Origin], selected: Any
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetObservation | dg.AssetCheckResult]:
    """What became of an attribute and its checks among `selected`; observed, not materialised, while values are due."""
    plan, report, key = run.plan, run.report, attribute_key(spec.name)
    counts = plan.attributes[spec.name]
    checks = [
        *proof_results(sync, spec, key, run),
        *existence_results(sync, key, run),
        dg.AssetCheckResult(passed=True, asset_key=key, check_name=TYPE_CHECK),
        dg.AssetCheckResult(
            passed=report is not None,
            asset_key=key,
            check_name=PLAN_CHECK,
            severity=dg.AssetCheckSeverity.ERROR,
            description=None if report is not None else "; ".join(plan.limit_violations),
            metadata={
                "objects": plan.objects,
                "requests": plan.requests,
                "minutes_at_the_limit": round(plan.minutes, 2),
                **plan_metadata(plan),
            },
        ),
    ]
    if report is not None:
        due = report.due[spec.name]
        refused = report.rejected[spec.name] + counts.known_rejected + counts.trimmed
        checks += [
            dg.AssetCheckResult(
                passed=due == 0,
                asset_key=key,
                check_name=DELIVERED_CHECK,
                severity=dg.AssetCheckSeverity.WARN,
                description=report.stopped or None,
                metadata={"due": due},
            ),
            dg.AssetCheckResult(
                passed=refused == 0,
                asset_key=key,
                check_name=REJECTIONS_CHECK,
                severity=dg.AssetCheckSeverity.WARN,
                description=None
                if not refused
                else f"{refused:,} values; they are listed in {REJECTIONS.full_name}.",
                metadata={"rejected": refused},
            ),
        ]
        metadata = {
            **run_metadata(sync, spec, run, report),
            "comes_from": dg.MetadataValue.md(origins_markdown(origins)),
        }
        if due:
            yield dg.AssetObservation(key, metadata=metadata)
        else:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    for check in checks:
        if (
            check.asset_key is not None
            and dg.AssetCheckKey(check.asset_key, str(check.check_name)) in selected
        ):
            yield check


def failure(spec: AttributeSpec, run: SyncRun) -> str:
    """Why an attribute is not sent in full; empty when it is."""
    if run.report is None:
        return f"the plan {run.plan.plan_id} waits for approval."
    if spec.name in run.stopped:
        return f"{run.stopped[spec.name]}."
    due = run.report.due[spec.name]
    return f"{due:,} values are due. {run.report.stopped}".rstrip(" .") + "." if due else ""


def raise_if_a_test_failed(sync: Sync, failed: Sequence[str]) -> None:
    """Fail the run, for good, when tests of what the sync is computed from fail."""
    if failed:
        raise dg.Failure(
            f"{sync.name} was not sent, because tests of what it is computed from fail: {'; '.join(failed)}. "
            "Mend the data or the model, and build the models named here again; automation then sends what changed. "
            "Other syncs continue.",
            allow_retries=False,
        )


def raise_if_unfinished(sync: Sync, run: SyncRun) -> None:
    """Fail the run for what a person or a later run has to settle."""
    if run.report is None:
        raise dg.Failure(
            f"The plan {run.plan.plan_id} of {sync.name} exceeds its limits and was not sent: "
            f"{'; '.join(run.plan.limit_violations)}. {approval_remedy(run.plan)}",
            allow_retries=False,
        )
    if run.stopped:
        raise dg.Failure(
            f"{sync.name}: attributes were stopped before sending, the others went out: "
            f"{'; '.join(run.stopped.values())}.",
            allow_retries=False,
        )
    if not run.report.complete:
        due = ", ".join(f"{name} {count:,}" for name, count in run.report.due.items() if count)
        why = f" Sending stopped: {run.report.stopped}." if run.report.stopped else ""
        raise dg.Failure(
            f"{sync.name} is not delivered in full; due: {due}.{why} What Braze acknowledged is in the ledger; "
            "the next run sends the rest.",
            allow_retries=False,
        )
