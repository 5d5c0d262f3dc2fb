"""When an attribute is sent without anyone asking, and what Dagster remembers of the runs that failed."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.declarative_automation.operators.dep_operators import EntityMatchesCondition

from braze_platform.sync.retries import (
    BACKED_OFF_CRON,
    BACKOFF_CHECK,
    MAX_FAILURES,
    RETRIES_CHECK,
    RETRY_CRON,
    PastRun,
)

#: The tag of a run that automation asked for.
_AUTOMATED_TAG = "dagster/from_automation_condition"


def attribute_automation(key: dg.AssetKey) -> dg.AutomationCondition:  # type: ignore[type-arg]
    """After the model was updated, and again after a failed run, less and less often (see `retries`).

    Waits for models in progress, and is held back by a blocking check of the model that failed, unless the model is
    about to be built again in the same run. A dependency that was never materialised does not hold it: only an update
    of the model starts a run. The asset's code version is a fingerprint of its declaration and of the settings: a sync
    that failed is tried as soon as one of them changes.
    """
    condition = dg.AutomationCondition
    updated = condition.any_deps_updated().since_last_handled()
    handled = condition.newly_requested() | condition.newly_updated() | condition.initial_evaluation()
    has_stopped = _check_failed(key, RETRIES_CHECK)
    is_backed_off = _check_failed(key, BACKOFF_CHECK)
    retried = (
        (condition.cron_tick_passed(RETRY_CRON) & ~is_backed_off)
        | (condition.cron_tick_passed(BACKED_OFF_CRON) & ~has_stopped)
        | condition.code_version_changed().since(handled)
    )
    failed_before = condition.execution_failed() & retried
    # Not `all_deps_blocking_checks_passed`: it takes a check that has never run for a failed one.
    blocked = condition.any_deps_match(
        condition.any_checks_match(condition.check_failed(), blocking_only=True)
        & ~condition.will_be_requested()
    )
    return (
        (updated | failed_before) & ~condition.any_deps_in_progress() & ~condition.in_progress() & ~blocked
    ).with_label("after the model changed, or again after a failure, less and less often")


def _check_failed(key: dg.AssetKey, check: str) -> dg.AutomationCondition:  # type: ignore[type-arg]
    """Whether a check failed, or the process died that was to evaluate it."""
    condition = dg.AutomationCondition
    failed = condition.check_failed() | condition.execution_failed()
    # Not `any_checks_match(failed).allow(...)`, which takes all other checks out of the asset graph (dagster 1.13).
    return EntityMatchesCondition(key=dg.AssetCheckKey(key, check), operand=failed)


def is_automated(run: dg.DagsterRun) -> bool:
    """Whether automation asked for a run, and not a person."""
    return _AUTOMATED_TAG in run.tags


def past_runs(instance: dg.DagsterInstance, key: dg.AssetKey, run_id: str) -> Sequence[PastRun]:
    """What the runs before this one came to for an attribute, newest first."""
    found = []
    history = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(key, RETRIES_CHECK), limit=MAX_FAILURES + 1
    )
    for record in history:
        if record.run_id == run_id:
            continue
        evaluation = record.event.asset_check_evaluation if record.event is not None else None
        if evaluation is None:
            found.append(PastRun(failed=True))
            continue
        metadata = {name: value.value for name, value in evaluation.metadata.items()}
        found.append(
            PastRun(
                failed=bool(metadata.get("failed")),
                fingerprint=str(metadata.get("fingerprint")),
                is_progress=bool(metadata.get("is_progress")),
                by_person=bool(metadata.get("by_person")),
            )
        )
    return found
