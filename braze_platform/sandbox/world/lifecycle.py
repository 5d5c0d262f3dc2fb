"""What happens to profiles themselves: deletions, merges, uninstalls, and updates from app and dashboard."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

from braze_platform.sandbox.currents.event_log import DayLog
from braze_platform.sandbox.store.state import SimulationState
from braze_platform.sandbox.world.messages import EMAIL_GROUP_ID
from braze_platform.sandbox.world.people import CATEGORIES, Integers

#: Hours of the day in which the rare things are done: a nightly job, the silent push, office hours.
_DELETION_HOUR, _MERGE_HOUR, _UNINSTALL_HOUR, _PREFERENCE_HOUR, _DASHBOARD_HOUR = 3, 10, 9, 11, 14


@dataclass
class Departures:
    """People whose profile went away on a day: indexes of the deleted, and (orphan, survivor) pairs."""

    deleted: list[int] = field(default_factory=list)
    merged: list[tuple[int, int]] = field(default_factory=list)


def run_lifecycle(log: DayLog, state: SimulationState, day: int) -> Departures:
    """One day of it. Deleted and merged people are marked as gone in the state."""
    departures = Departures()
    n = len(log.people)
    there = ~state.gone & (log.people.joined < day)
    identified = np.flatnonzero(there[: log.people.identified])
    anonymous = np.flatnonzero(there[log.people.identified :]) + log.people.identified

    deleted = _some(log.rng, identified, max(1.0, n * 0.00012))
    log.add("users.UserDeleteRequest", deleted, _at(log, _DELETION_HOUR, len(deleted)))
    departures.deleted = deleted.tolist()

    orphans = _some(log.rng, anonymous, max(1.0, n * 0.0004))
    survivors = np.setdiff1d(identified, deleted)
    if len(orphans) and len(survivors) >= len(orphans):
        chosen = log.rng.choice(survivors, len(orphans), replace=False)
        columns = {"orphaned_by_id": log.people.columns["user_id"][chosen]}
        log.add("users.UserOrphan", orphans, _at(log, _MERGE_HOUR, len(orphans)), columns)
        departures.merged = list(zip(orphans.tolist(), chosen.tolist(), strict=True))
    else:
        orphans = orphans[:0]
    state.gone[deleted] = True
    state.gone[orphans] = True

    still = np.flatnonzero(
        ~state.gone & log.people.push_reachable & ~state.push_off & (log.people.joined < day)
    )
    uninstalls = _some(log.rng, still, n * 0.0008)
    log.add("users.behaviors.Uninstall", uninstalls, _at(log, _UNINSTALL_HOUR, len(uninstalls)))
    state.push_off[uninstalls] = True
    _preferences(log, state, identified)
    _profile_updates(log, np.flatnonzero(~state.gone[: log.people.identified]))
    return departures


def _preferences(log: DayLog, state: SimulationState, identified: Integers) -> None:
    """Some people leave or join the newsletter group in the preference centre."""
    who = _some(log.rng, identified[~state.gone[identified]], max(1.0, len(identified) * 0.0006))
    columns = {
        "subscription_group_id": EMAIL_GROUP_ID,
        "subscription_status": np.where(log.rng.random(len(who)) < 0.7, "Subscribed", "Unsubscribed"),
        "channel": "email",
        "state_change_source": "Preference Center",
    }
    log.add(
        "users.behaviors.subscriptiongroup.StateChange", who, _at(log, _PREFERENCE_HOUR, len(who)), columns
    )


def _profile_updates(log: DayLog, identified: Integers) -> None:
    """The app and the dashboard set attributes too, of other names than any sync's."""
    who = _some(log.rng, identified, max(1.0, len(identified) * 0.001))
    seconds = _at(log, _DASHBOARD_HOUR, len(who))
    dashboard = log.rng.random(len(who)) < 0.25
    wish = [CATEGORIES[c] for c in log.rng.integers(0, len(CATEGORIES), len(who)).tolist()]
    custom = [
        json.dumps({"service_note": "called"} if by_hand else {"last_wish_list": category})
        for by_hand, category in zip(dashboard.tolist(), wish, strict=True)
    ]
    columns = {
        "time_ms": (log.midnight + seconds) * 1000,
        "update_source": np.where(dashboard, "Dashboard", "SDK"),
        "custom_attributes": custom,
        **dict.fromkeys(("first_name", "last_name", "email_address", "gender", "phone_number", "dob")),
        **dict.fromkeys(("timezone", "country", "language", "app_id")),
    }
    log.add("users.profile.Update", who, seconds, columns)


def _some(rng: np.random.Generator, who: Integers, expected: float) -> Integers:
    """About as many of `who` as expected, at random, in order."""
    count = min(len(who), int(rng.poisson(expected)))
    return np.sort(rng.choice(who, count, replace=False)) if count else who[:0]


def _at(log: DayLog, hour: int, count: int) -> Integers:
    return hour * 3600 + log.rng.integers(0, 3600, count)
