"""When an attribute is sent without anyone asking."""

from __future__ import annotations

import dagster as dg

#: How often a sync that failed is tried again by itself.
RETRY_CRON = "*/15 * * * *"


def attribute_automation() -> dg.AutomationCondition:  # type: ignore[type-arg]
    """After the model was updated, or again every quarter of an hour after a failed run.

    Waits for models in progress, and is held back by a blocking check of the model that failed, unless the model is
    about to be built again in the same run. A dependency that was never materialised does not hold it: only an update
    of the model starts a run.
    """
    condition = dg.AutomationCondition
    updated = condition.any_deps_updated().since_last_handled()
    failed_before = condition.execution_failed() & condition.cron_tick_passed(RETRY_CRON)
    # Not `all_deps_blocking_checks_passed`: it takes a check that has never run for a failed one.
    blocked = condition.any_deps_match(
        condition.any_checks_match(condition.check_failed(), blocking_only=True)
        & ~condition.will_be_requested()
    )
    return (
        (updated | failed_before) & ~condition.any_deps_in_progress() & ~condition.in_progress() & ~blocked
    ).with_label("after the model changed, or every 15 minutes after a failure")
