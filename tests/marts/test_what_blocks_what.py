"""A failing test of one event type stops no model of another; it stops the syncs that its events are in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loaded_hours import LoadedHours, event

from braze_platform.marts.manifest import prepare_manifest
from braze_platform.sync.declaration.declarations import read_syncs
from braze_platform.sync.upstream_tests import failed_tests, gating_tests

EMAIL, PUSH = "stg_currents__users_messages_email_send", "stg_currents__users_messages_pushnotification_send"
PUSH_SEND = "users.messages.pushnotification.Send"
KEY = f"is_key_{EMAIL}_event_id"


def stopped(hours: LoadedHours) -> dict[str, list[str]]:
    """By sync, the tests that it waits for."""
    manifest = json.loads(prepare_manifest(hours.settings).read_text(encoding="utf-8"))
    with hours.warehouse.session() as session:
        return {
            sync.name: failed_tests(session, gating_tests(sync, manifest)) for sync in read_syncs(manifest)
        }


@pytest.mark.full
def test_a_key_that_fails_in_email_stops_what_is_sent_of_email_alone(installation: Path) -> None:
    hours = LoadedHours(installation)
    hours.load("2026-03-01 10", event("a", "2026-03-01 10:00:00", campaign_id="c"))
    hours.load("2026-03-01 10", event("p", "2026-03-01 10:00:00", campaign_id="c"), event_type=PUSH_SEND)
    # a person who is named nowhere else
    hours.load("2026-03-01 10", event("u", "2026-03-01 10:00:00", "gil"), event_type="users.profile.Update")
    hours.execute("create schema company")
    hours.execute(
        "create table company.users (user_id varchar, email varchar, country varchar, signed_up_at timestamp, "
        "marketing_consent boolean)"
    )
    hours.execute(
        "create table company.orders as select 'o1' as order_id, 'ada' as user_id, "
        "timestamp '2026-02-01 12:00:00' as ordered_at, 'books' as category, 'KRW' as currency, "
        "390000.0::double as amount, 'completed' as status"
    )
    assert hours.build_all().success
    # an order of unknown value fails its check, which names it, and holds nobody else back
    assert hours.fetch("select lifetime_value from attributes.braze_customer_value") == [(None,)]
    assert hours.fetch("select external_id from intermediate.int_user_identity order by external_id") == [
        ("ada",),
        ("gil",),
    ]
    [money] = [name for name, passed in hours.last_checks.items() if not passed]
    assert money.startswith("values_are_known_")
    assert "KRW" in hours.descriptions[money]
    assert stopped(hours) == {"braze_customer_value": [], "braze_engagement": []}

    # two workspaces, and an event that staging has twice
    hours.execute(f"insert into staging.{EMAIL} select * from staging.{EMAIL}")
    hours.load("2026-03-01 11", event("b", "2026-03-01 11:00:00", campaign_id="c"))
    hours.load("2026-03-01 11", event("q", "2026-03-01 11:00:00", campaign_id="c"), event_type=PUSH_SEND)
    assert hours.build_all().success
    assert not hours.last_checks[KEY]
    assert hours.fetch("select count(*) from marts.fct_message_sends where channel = 'push'") == [(2,)]
    found = stopped(hours)
    assert found["braze_customer_value"] == []
    assert any(KEY in test for test in found["braze_engagement"])

    # months later: the rows that failed lie outside of the hours that are built, and fail all the same
    hours.load("2026-06-01 11", event("c", "2026-06-01 11:00:00", app_group_id="one"))
    hours.load("2026-06-01 12", event("d", "2026-06-01 12:00:00", app_group_id="two"))
    assert hours.build_all().success
    assert not hours.last_checks[KEY]
    [workspaces] = [name for name in hours.last_checks if name.startswith("one_workspace")]
    assert not hours.last_checks[workspaces]
    assert "one" in hours.descriptions[workspaces] and "two" in hours.descriptions[workspaces]
    assert all(any(workspaces in test for test in tests) for tests in stopped(hours).values())

    hours.execute(
        f"delete from staging.{EMAIL} where rowid not in (select min(rowid) from staging.{EMAIL} group by event_id)"
    )
    hours.load("2026-06-01 12", event("d", "2026-06-01 12:00:00", app_group_id="one"))
    assert hours.build_all().success
    assert hours.last_checks[KEY] and hours.last_checks[workspaces]
