"""When the workspace is read without anyone asking."""

from __future__ import annotations

from typing import Any, TypeAlias

import dagster as dg

Condition: TypeAlias = "dg.AutomationCondition[Any]"

#: Once an hour, away from the quarters at which other automation tries again.
READING_CRON = "7 * * * *"
#: What was read after this time is new enough for the hour.
NEW_ENOUGH_CRON = "37 * * * *"


def reading_condition() -> Condition:
    """At once in a new installation, then every hour, unless it was read less than half an hour before.

    Whatever is built from these tables waits for a reading that is requested or in progress (see
    `braze_platform.marts.automation`), so that a reading is a run of its own: when Braze is away, no mart waits.
    """
    condition = dg.AutomationCondition
    handled = condition.newly_requested() | condition.newly_updated()
    never_read = condition.missing().newly_true().since(handled).with_label("never_read")
    read_lately = handled.since(condition.cron_tick_passed(NEW_ENOUGH_CRON)).with_label("read_lately")
    hourly = (condition.cron_tick_passed(READING_CRON) & ~read_lately).since(handled).with_label("hourly")
    return ((never_read | hourly) & ~condition.in_progress()).with_label("every_hour")
