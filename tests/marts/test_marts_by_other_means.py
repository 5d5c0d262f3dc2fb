"""What the marts say of the random events, beside a calculation in plain Python over the same events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from random_events import DAY, RawEvent
from random_warehouses import LAST_HOUR, Warehouses

EPOCH = datetime(1970, 1, 1)
WEEK = timedelta(days=7)


class Events:
    """Events by type as the platform counts them: each once, without what a clock that runs ahead made up."""

    def __init__(self, warehouses: Warehouses) -> None:
        by_type: dict[str, list[RawEvent]] = defaultdict(list)
        for event in warehouses.events:
            if happened(event) < event.hour + 2 * DAY:
                by_type[event.event_type.name].append(event)
        self._by_type = by_type
        self.user_key = dict(
            warehouses.fetch("select braze_user_id, user_key from intermediate.int_user_identity")
        )
        self.deleted = {
            braze_id
            for [braze_id] in warehouses.fetch(
                "select braze_user_id from intermediate.int_user_identity where is_deleted"
            )
        }

    def of(self, event_type: str) -> Iterator[RawEvent]:
        seen: set[str] = set()
        for event in sorted(self._by_type[event_type], key=lambda event: (event.hour, event.file)):
            if event.values["id"] not in seen:
                seen.add(event.values["id"])
                yield event


def happened(event: RawEvent) -> datetime:
    return EPOCH + timedelta(seconds=event.values["time"])


def day_of(event: RawEvent) -> date:
    """The reporting day: late events count on the earliest day that is open, seven days back."""
    return max(happened(event).date(), (event.hour - WEEK).date())


@pytest.fixture(scope="module")
def events(random_warehouses: Warehouses) -> Events:
    return Events(random_warehouses)


def test_custom_events(random_warehouses: Warehouses, events: Events) -> None:
    expected = Counter(
        (e.values["name"], day_of(e), events.user_key[e.values["user_id"]])
        for e in events.of("users.behaviors.CustomEvent")
    )
    found = random_warehouses.fetch("select event_name, day, user_key from marts.fct_custom_events")
    assert Counter(found) == expected


def test_sessions(random_warehouses: Warehouses, events: Events) -> None:
    ends: dict[str, list[RawEvent]] = defaultdict(list)
    for end in events.of("users.behaviors.app.SessionEnd"):
        ends[end.values["session_id"]].append(end)
    expected = {}
    for start in events.of("users.behaviors.app.SessionStart"):
        seconds = [
            end.values["time"] - start.values["time"]
            for end in ends[start.values["session_id"]]
            if timedelta(0) <= happened(end) - happened(start) <= 2 * DAY
            and -WEEK <= end.hour - start.hour <= 2 * DAY + WEEK
        ]
        expected[start.values["id"]] = max(seconds, default=None)
    found = dict(
        random_warehouses.fetch("select session_start_event_id, duration_seconds from marts.fct_sessions")
    )
    assert found == expected
    assert 0 < sum(length is None for length in found.values()) < len(found) / 2


def test_message_pressure(random_warehouses: Warehouses, events: Events) -> None:
    sent: dict[tuple[str, date], list[datetime]] = defaultdict(list)
    for send in events.of("users.messages.email.Send"):
        if send.values["user_id"] not in events.deleted:
            day = day_of(send)
            key = (events.user_key[send.values["user_id"]], day - timedelta(days=day.weekday()))
            sent[key].append(happened(send))
    expected = {
        (*key, len(times), max(times), min(times) - max(earlier) if earlier else None)
        for key, times in sent.items()
        for earlier in [
            [t for (u, w), ts in sent.items() if u == key[0] and w == last_week(sent, key) for t in ts]
        ]
    }
    found = {
        (user, week, messages, last, None if gap is None else timedelta(seconds=round(gap * 86_400)))
        for user, week, messages, last, gap in random_warehouses.fetch(
            "select user_key, week, messages, last_sent_at, days_since_previous_message "
            "from marts.mart_message_pressure where channel = 'email'"
        )
    }
    assert found == expected


def last_week(sent: dict[tuple[str, date], list[datetime]], key: tuple[str, date]) -> date | None:
    """The user's latest week with a message before this one."""
    return max((week for user, week in sent if user == key[0] and week < key[1]), default=None)


def test_deliverability_counts_every_send_and_each_delivered_one_once(
    random_warehouses: Warehouses, events: Events
) -> None:
    links = dict(
        random_warehouses.fetch(
            "select outcome_event_id, send_event_id from intermediate.int_message_links "
            "where send_event_id is not null"
        )
    )
    sends = {send.values["id"]: send for send in events.of("users.messages.email.Send")}
    fates: dict[str, set[str]] = {}
    for name in ("Delivery", "Bounce", "Deferral", "MarkAsSpam", "Open"):
        fates[name] = {
            links[e.values["id"]]
            for e in events.of(f"users.messages.email.{name}")
            if links.get(e.values["id"]) in sends
            and e.hour <= sends[links[e.values["id"]]].hour + WEEK
            and (name != "Open" or e.values["machine_open"] is None)
        }
    expected = Counter(day_of(send) for send in sends.values())
    found = random_warehouses.fetch(
        "select day, sum(sends), sum(delivered), sum(hard_bounced + dropped), sum(deferred), sum(marked_as_spam), "
        "sum(human_opened) from marts.mart_deliverability group by day"
    )
    assert {day: number for day, number, *_ in found if number} == expected
    totals = [sum(row[column] for row in found) for column in range(2, 7)]
    assert totals[0] == len(fates["Delivery"])
    assert totals[1] >= len(fates["Bounce"])
    assert totals[2:] == [len(fates["Deferral"]), len(fates["MarkAsSpam"]), len(fates["Open"])]


def test_failures(random_warehouses: Warehouses, events: Events) -> None:
    expected: Counter[tuple[date, str, str]] = Counter()
    for event_type, channel, action in (
        ("users.messages.email.Bounce", "email", "bounce"),
        ("users.messages.email.Deferral", "email", "deferral"),
        ("users.messages.pushnotification.Abort", "push", "abort"),
        ("users.messages.webhook.Failure", "webhook", "failure"),
    ):
        expected.update((day_of(e), channel, action) for e in events.of(event_type))
    found = random_warehouses.fetch(
        "select day, channel, action, sum(events) from marts.mart_failures "
        "where (channel, action) in (('email', 'bounce'), ('email', 'deferral'), ('push', 'abort'), "
        "('webhook', 'failure')) group by all"
    )
    assert {(day, channel, action): number for day, channel, action, number in found} == expected


def test_mailbox_providers(random_warehouses: Warehouses, events: Events) -> None:
    expected: Counter[tuple[str, bool]] = Counter()
    for opened in events.of("users.messages.email.Open"):
        provider = opened.values["mailbox_provider"] or "unknown"
        expected[provider, opened.values["machine_open"] == "true"] += 1
    found = random_warehouses.fetch(
        "select mailbox_provider, sum(human_opens), sum(machine_opens) from marts.mart_mailbox_providers group by 1"
    )
    assert {(p, False): people for p, people, _ in found} | {(p, True): m for p, _, m in found} == {
        (p, machine): expected[p, machine] for p, _, _ in found for machine in (False, True)
    }
    assert sum(expected.values()) == sum(people + machines for _, people, machines in found)


def test_subscriptions(random_warehouses: Warehouses, events: Events) -> None:
    changes: dict[tuple[str, bool, str], dict[datetime, tuple[datetime, str, str]]] = defaultdict(dict)
    for change in events.of("users.behaviors.subscriptiongroup.StateChange"):
        user = change.values["user_id"]
        key = (events.user_key[user], user in events.deleted, change.values["subscription_group_id"])
        status = change.values["subscription_status"].lower().replace(" ", "_")
        at = (change.hour, change.values["id"], status)
        changes[key][happened(change)] = max(at, changes[key].get(happened(change), at))
    versions = []
    for (user, is_deleted, group), states in changes.items():
        status = None
        for moment, (_, _, new) in sorted(states.items()):
            if new != status and not is_deleted:
                versions.append((user, group, new, status, moment))
            status = new
    found = random_warehouses.fetch(
        "select user_key, subscription_group_id, status, previous_status, valid_from "
        "from marts.mart_subscription_state where subject_kind = 'subscription_group'"
    )
    assert Counter(found) == Counter(versions)
    current = random_warehouses.fetch(
        "select count(*), count(distinct (user_key, subscription_group_id)) from marts.mart_subscription_state "
        "where is_current and subject_kind = 'subscription_group'"
    )
    assert current == [(current[0][1], current[0][1])]
    net = random_warehouses.fetch(
        "select sum(net_opt_ins), sum(opt_ins) - sum(opt_outs) from marts.mart_subscription_flow"
    )
    assert net[0][0] == net[0][1]


def test_push_reach(random_warehouses: Warehouses, events: Events) -> None:
    latest: dict[tuple[str, str, str | None], RawEvent] = {}
    for change in events.of("users.behaviors.pushnotification.TokenStateChange"):
        v = change.values
        if v["push_token"] is not None:
            key = (v["push_token"], v["user_id"], v["app_id"])
            latest[key] = max(
                change, latest.get(key, change), key=lambda e: (e.values["time_ms"], e.values["id"])
            )
    uninstalls = list(events.of("users.behaviors.Uninstall"))
    reached = set()
    for (_, user, app), change in latest.items():
        v = change.values
        removed = v["push_token_state_change_type"] == "remove" or v["push_token_foreground_push_disabled"]
        gone = any(
            u.values["user_id"] == user
            and u.values["app_id"] == app
            and u.values["time"] >= v["time"]
            and (
                None in (u.values["device_id"], v["push_token_device_id"])
                or u.values["device_id"] == v["push_token_device_id"]
            )
            for u in uninstalls
        )
        if not removed and not gone and user not in events.deleted:
            reached.add(events.user_key[user])
    unsubscribed = {
        user
        for [user] in random_warehouses.fetch(
            "select user_key from marts.mart_subscription_state "
            "where is_current and subject_kind = 'channel' and channel = 'push' and status = 'unsubscribed'"
        )
    }
    found = random_warehouses.fetch(
        "select user_key from marts.mart_user_channels where channel = 'push' and is_reachable"
    )
    assert {user for [user] in found} == reached - unsubscribed
    assert len(found) > 10


def test_counts_of_user_channels(random_warehouses: Warehouses, events: Events) -> None:
    expected = Counter(
        events.user_key[send.values["user_id"]]
        for send in events.of("users.messages.email.Send")
        if send.values["user_id"] not in events.deleted and happened(send) > LAST_HOUR - 30 * DAY
    )
    found = random_warehouses.fetch(
        "select user_key, sends_30d from marts.mart_user_channels where channel = 'email' and sends_30d > 0"
    )
    assert dict(found) == expected
    daily = random_warehouses.fetch(
        "select count(*) from marts.mart_user_engagement_daily as daily join marts.mart_user_engagement as now "
        "on daily.user_key = now.user_key and daily.sends_90d = now.sends_90d "
        "and daily.reachable_channel_count = now.reachable_channel_count"
    )
    assert daily == random_warehouses.fetch("select count(*) from marts.mart_user_engagement")


def test_retention(random_warehouses: Warehouses, events: Events) -> None:
    """Users that no merge touched, against the cohort's numbers where it has none that one did."""
    merged = {
        profile
        for e in events.of("users.UserOrphan")
        for profile in (e.values["user_id"], e.values["orphaned_by_id"])
    }
    first_days: dict[str, set[date]] = defaultdict(set)
    for first in events.of("users.behaviors.app.FirstSession"):
        first_days[first.values["user_id"]].add(day_of(first))
    active: dict[str, set[date]] = defaultdict(set)
    for session in events.of("users.behaviors.app.SessionStart"):
        active[session.values["user_id"]].add(day_of(session))
    cohorts: dict[date, set[str]] = defaultdict(set)
    for profile, days in first_days.items():
        for day in days:
            if not any(timedelta(0) < day - other <= 90 * DAY for other in days):
                cohorts[day].add(profile)
    touched = {day for profile in merged for day in first_days[profile]}
    expected = {}
    for day, profiles in cohorts.items():
        for number in range(91):
            then = day + timedelta(days=number)
            if day not in touched and then < LAST_HOUR.date():
                on = sum(then in active[p] for p in profiles)
                by = sum(any(day < d <= then for d in active[p]) for p in profiles)
                expected[day, number] = (len(profiles), on, by)
    found = {
        (day, number): (users, on, by)
        for day, number, users, on, by in random_warehouses.fetch(
            "select cohort_start, period_number, users, retained_users, returned_users "
            "from marts.mart_retention where period = 'day'"
        )
    }
    assert {key: numbers for key, numbers in found.items() if key[0] not in touched} == expected
    assert len(expected) > 500
    [(users, weekly)] = random_warehouses.fetch(
        "select sum(users) filter (where period = 'day'), sum(users) filter (where period = 'week') "
        "from intermediate.int_retention where period_number = 0"
    )
    assert users == weekly
