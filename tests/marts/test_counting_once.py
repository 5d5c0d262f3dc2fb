"""An event counts once, however long its copies lie apart and in whatever order their hours are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from loaded_hours import LoadedHours, event

STAGED = "staging/stg_currents__users_messages_email_send"
AUDIT = "marts/audit_message_counts"
SAMPLE = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
A, B = event("a", "2026-03-01 09:20:00"), event("b", "2026-03-01 09:30:00")
C = event("c", "2026-03-09 12:10:00")


def staged(hours: LoadedHours) -> dict[str, str]:
    found = hours.fetch(
        "select event_id, strftime(delivered_hour, '%m-%d %H') from staging.stg_currents__users_messages_email_send"
    )
    assert len(found) == len(dict(found)), "an event counts once"
    return dict(found)


@pytest.mark.full
def test_copies_months_apart_count_once_hour_by_hour_and_as_a_whole(installation: Path) -> None:
    hours = LoadedHours(installation)
    hours.load("2026-03-01 10", A, B)
    assert hours.build(STAGED).success
    # the send again 8 days later, and both again after months
    hours.load("2026-03-09 12", A, C)
    hours.load("2026-06-20 05", B, A)
    assert hours.build(STAGED).success
    assert staged(hours) == {"a": "03-01 10", "b": "03-01 10", "c": "03-09 12"}
    # the hour loses the first copy of one: the next copy stands for it
    hours.load("2026-03-01 10", B)
    assert hours.build(STAGED).success
    assert staged(hours) == {"a": "03-09 12", "b": "03-01 10", "c": "03-09 12"}
    # an earlier copy of both comes last
    hours.load("2026-03-01 09", A, B)
    assert hours.build(STAGED).success
    by_hours = staged(hours)
    assert by_hours == {"a": "03-01 09", "b": "03-01 09", "c": "03-09 12"}
    assert all(hours.last_checks.values())
    hours.forget_builds()
    assert hours.build(STAGED).success
    assert staged(hours) == by_hours
    assert all(hours.last_checks.values())


@pytest.mark.full
def test_what_was_built_from_expired_hours_stays(installation: Path) -> None:
    """Whatever asks for a whole build; and a copy of an expired event is still known as a copy."""
    hours = LoadedHours(installation)
    hours.load("2026-03-01 10", A, B)
    hours.load("2026-03-09 12", C)
    hours.load("2026-06-20 05", event("d", "2026-06-20 05:10:00"), event("e", "2026-06-20 05:11:00"))
    assert hours.build(STAGED).success
    hours.execute("delete from currents_raw.users_messages_email_send where _hour < timestamp '2026-03-05'")
    # one hour lost its file in the bucket, which is not an expiry
    hours.load("2026-03-09 12")
    # of an hour that raw still has, one event is gone
    hours.load("2026-06-20 05", event("d", "2026-06-20 05:10:00"))
    hours.load("2026-07-15 08", A, event("f", "2026-07-15 08:01:00"))
    hours.forget_builds()
    assert hours.build(STAGED).success
    assert staged(hours) == {"a": "03-01 10", "b": "03-01 10", "d": "06-20 05", "f": "07-15 08"}
    hours.load("2026-08-01 00", B)
    assert hours.build(STAGED).success
    kept = {"a": "03-01 10", "b": "03-01 10", "d": "06-20 05", "f": "07-15 08"}
    assert staged(hours) == kept
    name = STAGED.removeprefix("staging/")
    assert "keeps what was built from 1 hours" in hours.build_by_hand(name, "--full-refresh")
    assert staged(hours) == kept
    hours.build_by_hand(name, "--full-refresh", "--vars", "{forget_expired_hours: true}")
    assert staged(hours) == {"a": "07-15 08", "b": "08-01 00", "d": "06-20 05", "f": "07-15 08"}


@pytest.mark.full
def test_what_cannot_be_counted_is_left_out_and_told(installation: Path) -> None:
    """Impossible times overflow nothing, sample records repeat nothing, and empty identifiers name nobody."""
    hours = LoadedHours(installation)
    time = "2026-03-01 09:20:00"
    hours.load(
        "2026-03-01 10",
        A,
        *(
            event(f"impossible {number}", value)
            for number, value in enumerate(
                (2**62, -(2**62), -1, 1772356800_000, 1772356800_000_000, 253402300800)
            )
        ),
        event("", time),
        {**event("blank", time), "external_user_id": "", "user_id": "  ", "dispatch_id": ""},
        event(SAMPLE, time),
        event(SAMPLE, "2026-03-01 09:25:00"),
        event("again", time),
        event("again", "2026-03-01 09:25:00"),
    )
    assert hours.build(STAGED, "marts/audit_event_counts").success
    assert staged(hours).keys() == {"a", "blank", "again"}
    assert hours.fetch(
        "select braze_user_id, external_id, dispatch_id from staging.stg_currents__users_messages_email_send "
        "where event_id = 'blank'"
    ) == [(None, None, None)]
    assert hours.fetch(
        "select delivered_events, unusable_events from marts.audit_event_counts where unusable_events > 0"
    ) == [(13, 7)]


@pytest.mark.full
def test_a_late_file_into_expired_hours_takes_nothing_away(installation: Path) -> None:
    """What is loaded again replaces what was built from it; the expired days after it stay."""
    hours = LoadedHours(installation)
    d, e = event("d", "2026-03-02 11:10:00"), event("e", "2026-03-03 12:10:00")
    hours.load("2026-03-01 10", A, B)
    hours.load("2026-03-02 12", d)
    hours.load("2026-03-03 12", e)
    hours.load("2026-06-20 05", event("f", "2026-06-20 05:10:00"))
    # the audit reads staging of all types of messages, and identity the company's own tables
    hours.execute("create schema company")
    hours.execute(
        "create table company.users (user_id varchar, email varchar, country varchar, signed_up_at timestamp, "
        "marketing_consent boolean)"
    )
    hours.execute(
        "create table company.orders (order_id varchar, user_id varchar, ordered_at timestamp, category varchar, "
        "currency varchar, amount double, status varchar)"
    )
    assert hours.build_all().success
    audit = "select * from marts.audit_message_counts where channel = 'email' order by audit_key"
    told = hours.fetch(audit)
    hours.execute("delete from currents_raw.users_messages_email_send where _hour < timestamp '2026-03-10'")
    # one hour comes again from the bucket with a late file, which holds a copy of an event of a day that is expired
    late = event("g", "2026-03-02 00:20:00")
    hours.load("2026-03-02 12", d, late, e)
    assert hours.build(STAGED, AUDIT).success
    kept = {
        "a": "03-01 10",
        "b": "03-01 10",
        "d": "03-02 12",
        "e": "03-03 12",
        "g": "03-02 12",
        "f": "06-20 05",
    }
    assert staged(hours) == kept
    # a reload of hours whose partitions are expired leaves nothing in the raw table: it is dropped at once
    hours.load("2026-03-01 10", A, B)
    hours.execute("delete from currents_raw.users_messages_email_send where _hour < timestamp '2026-03-10'")
    assert hours.build(STAGED, AUDIT).success
    assert staged(hours) == kept
    assert all(hours.last_checks.values())
    assert [row for row in hours.fetch(audit) if row in told] == told


@pytest.mark.full
def test_a_reload_that_finds_no_files_of_expired_hours_takes_nothing_away(installation: Path) -> None:
    """The bucket expires, too: the file registry then says that the hour is empty, as if it had lost its files."""
    hours = LoadedHours(installation, raw_partition_expiry_days=60)
    hours.load("2026-03-01 10", A, B)
    assert hours.build(STAGED).success
    hours.load("2026-03-01 10")
    assert hours.build(STAGED).success
    assert staged(hours) == {"a": "03-01 10", "b": "03-01 10"}
    hours.forget_builds()
    assert hours.build(STAGED).success
    assert staged(hours) == {"a": "03-01 10", "b": "03-01 10"}
