"""What a build after new hours reads on BigQuery follows the new hours and the settings, not the history."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from two_warehouses import LATER, TwoBuilds

from benchmarks.partitions_read import partitionings, per_node

#: Partitioned tables that statements read as a whole, and why that may be.
READ_AS_A_WHOLE = {
    "fct_conversions": "purchases that have a send: how many users bought cannot be added up by day",
    "fct_messages_daily": "a row per day, message and variation: names and totals of all time are made of it",
    "int_attribute_values": "a row for each value that Braze was sent again: the one before it may be of any age",
    "int_message_weeks": "a row per week and channel",
    "int_retention": "a row per cohort and period",
    "stg_currents__users_behaviors_custom_event": "the customers' favourite category looks at all their events",
    "stg_currents__users_behaviors_subscription_global_state_change": "a subscription's state may be of any age",
    "stg_currents__users_behaviors_subscriptiongroup_state_change": "a subscription's state may be of any age",
    "stg_currents__users_user_delete_request": "who was deleted at any time stays deleted",
    "stg_currents__users_user_orphan": "merges of any age lead to the profile that survives",
}
#: Partitions of a table that a statement may read after one new stretch of hours; the longest setting is
#: `engagement_snapshot_days` in dbt_project.yml.
MAX_PARTITIONS = 400


@pytest.mark.full
def test_statements_are_bounded_but_for_a_named_list(two_builds: TwoBuilds) -> None:
    found = per_node(
        [(one.node, one.sql) for one in two_builds.statements("incremental")],
        partitionings(two_builds.manifest("bigquery")),
        latest=LATER.replace(day=30, tzinfo=timezone.utc),
    )
    reads = [(node, read) for node, of_node in found.items() for read in of_node]
    assert len(reads) > 500
    unbounded = {read.table.rpartition(".")[2] for _, read in reads if read.partitions is None}
    assert unbounded == READ_AS_A_WHOLE.keys()
    assert not [(node, read) for node, read in reads if (read.partitions or 0) > MAX_PARTITIONS]
    raw = [read for _, read in reads if "_currents_raw." in read.table]
    assert raw
    assert max(read.partitions or 0 for read in raw) < 60, "the hours that came later, and the look-back"


@pytest.mark.full
def test_a_whole_build_is_not(two_builds: TwoBuilds) -> None:
    """The count sees the difference."""
    statements = [(one.node, one.sql) for one in two_builds.statements("whole")]
    found = per_node(
        statements,
        partitionings(two_builds.manifest("bigquery")),
        latest=datetime(2026, 11, 30, tzinfo=timezone.utc),
    )
    whole = {read.table for reads in found.values() for read in reads if read.partitions is None}
    assert len(whole) > 80
