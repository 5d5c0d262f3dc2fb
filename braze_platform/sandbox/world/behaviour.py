"""What people do of their own accord: sessions, product views, purchases, locations, first appearances."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from braze_platform.sandbox.currents.event_log import DayLog
from braze_platform.sandbox.store.state import SimulationState
from braze_platform.sandbox.world.people import CATEGORIES, Flags, Floats, Integers, Objects, generator, uuids

_BEHAVIOURS = "users.behaviors."
#: Hours in which people use the shop at all, besides their active hour.
_OPEN_HOURS = (6, 22)
_LOCATION_HOURS = (8, 18)
_FAVOURITE_SHARE_OF_VIEWS = 0.66
_FAVOURITE_SHARE_OF_PURCHASES = 0.78
_REFUND_SHARE = 0.04
_PRICES = (14.0, 32.0, 27.0, 45.0, 19.0)


@dataclass
class Orders:
    """Orders of the shop: parallel lists. `ordered_at` is in Unix seconds."""

    order_id: list[str] = field(default_factory=list)
    user_id: list[str] = field(default_factory=list)
    ordered_at: list[int] = field(default_factory=list)
    category: list[str] = field(default_factory=list)
    currency: list[str] = field(default_factory=list)
    amount: list[float] = field(default_factory=list)
    status: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sessions:
    """A day's sessions: parallel arrays; `first` has each person's first session's second, or -1."""

    who: Integers
    seconds: Integers
    first: Integers


def buy(log: DayLog, orders: Orders, who: Integers, seconds: Integers, category: Integers) -> None:
    """One Purchase each; those of identified people are the shop's orders too."""
    if len(who) == 0:
        return
    order_ids = [f"HF-{value[:8]}{value[9:13]}" for value in uuids(log.rng, len(who))]
    amounts = prices(log.rng, log.people.value[who], category)
    names = [CATEGORIES[index] for index in category.tolist()]
    properties = [
        json.dumps({"category": name, "order_id": order_id})
        for name, order_id in zip(names, order_ids, strict=True)
    ]
    product = [
        f"{name}-{number:03d}" for name, number in zip(names, log.rng.integers(1, 120, len(who)), strict=True)
    ]
    currency = log.people.currency[who]
    columns = {"product_id": product, "price": amounts, "currency": currency, "properties": properties}
    log.add(_BEHAVIOURS + "Purchase", who, seconds, columns)
    known = np.flatnonzero(who < log.people.identified)
    refunded = log.rng.random(len(who)) < _REFUND_SHARE
    external = log.people.columns["external_user_id"][who]
    for at in known.tolist():
        orders.order_id.append(order_ids[at])
        orders.user_id.append(external[at])
        orders.ordered_at.append(log.midnight + int(seconds[at]))
        orders.category.append(names[at])
        orders.currency.append(currency[at])
        orders.amount.append(amounts[at])
        orders.status.append("refunded" if refunded[at] else "completed")


def prices(rng: np.random.Generator, value: Floats, category: Integers) -> list[float]:
    """What people pay, to the cent: more in dear categories and by people of a higher value."""
    typical = np.asarray(_PRICES)[category] * (0.6 + 1.6 * value)
    paid: list[float] = np.round(typical * rng.lognormal(0, 0.35, len(value)), 2).tolist()
    return paid


def choose_category(
    rng: np.random.Generator, favourite: Integers, favourite_share: float = _FAVOURITE_SHARE_OF_PURCHASES
) -> Integers:
    """A category for each: the favourite in the given share of cases, else any."""
    return np.where(
        rng.random(len(favourite)) < favourite_share, favourite, rng.integers(0, 5, len(favourite))
    )


def run_sessions(log: DayLog, state: SimulationState, day: int) -> Sessions:
    """People open the app or the shop: FirstSession, SessionStart, SessionEnd, Location."""
    people, rng = log.people, log.rng
    n = len(people)
    there = ~state.gone & (people.joined <= day)
    opens = there & ((rng.random(n) < people.activity) | (people.joined == day))
    again = opens & (rng.random(n) < 0.25 * people.activity)
    who = np.concatenate([np.flatnonzero(opens), np.flatnonzero(again)])
    habit = rng.random(len(who))
    active = people.active_hour[who]
    hour = np.where(habit < 0.66, active, np.where(habit < 0.75, active - 1, active + 1))
    hour = np.where(habit < 0.86, hour, rng.integers(*_OPEN_HOURS, len(who)))
    seconds = hour * 3600 + rng.integers(0, 3600, len(who))
    first = np.full(n, 86_400, dtype=np.int64)
    np.minimum.at(first, who, seconds)
    first = np.where(first == 86_400, -1, first)
    session_ids: Objects = np.empty(len(who), dtype=object)
    session_ids[:] = uuids(rng, len(who))
    new = ~state.seen[who] & (people.joined[who] >= 0) & (seconds == first[who])
    log.add(_BEHAVIOURS + "app.FirstSession", who[new], seconds[new], {"session_id": session_ids[new]})
    state.seen[who] = True
    log.add(_BEHAVIOURS + "app.SessionStart", who, seconds, {"session_id": session_ids})
    # The end of a session often waits for the next opening of the app and may never come.
    ends = rng.random(len(who)) < 0.72
    duration = np.round(rng.gamma(2.0, 150.0, len(who)), 1)
    columns = {"session_id": session_ids[ends], "duration": duration[ends]}
    late = np.where(rng.random(len(who)) < 0.01, rng.integers(1, 4, len(who)), 0)
    log.add(
        _BEHAVIOURS + "app.SessionEnd",
        who[ends],
        (seconds + duration.astype(np.int64))[ends],
        columns,
        days_late=late[ends] if day else None,
    )
    located = np.isin(hour, _LOCATION_HOURS) & (rng.random(len(who)) < 0.08)
    places = who[located]
    spot = {"latitude": people.latitude[places], "longitude": people.longitude[places], "ll_accuracy": 25.0}
    log.add(_BEHAVIOURS + "Location", places, seconds[located], spot)
    return Sessions(who, seconds, first)


def run_shopping(log: DayLog, orders: Orders, sessions: Sessions, day: int) -> Flags:
    """What people do in their sessions; returns, for each session, whether a basket was left without buying."""
    people, rng, who = log.people, log.rng, sessions.who
    for share in (0.75, 0.3):
        _view(log, sessions, rng.random(len(who)) < share, day)
    basket = rng.random(len(who)) < 0.1 + 0.15 * people.value[who]
    category = choose_category(rng, people.favourite[who])
    basket_properties = [json.dumps({"category": CATEGORIES[c]}) for c in category[basket].tolist()]
    log.add(
        _BEHAVIOURS + "CustomEvent",
        who[basket],
        sessions.seconds[basket] + 150,
        {"name": "added_to_basket", "properties": basket_properties},
    )
    buys = basket & (rng.random(len(who)) < 0.35 + 0.3 * people.value[who])
    buy(log, orders, who[buys], np.minimum(sessions.seconds[buys] + 320, 86_399), category[buys])
    return np.asarray(basket & ~buys)


def _view(log: DayLog, sessions: Sessions, mask: Flags, day: int) -> None:
    who = sessions.who[mask]
    category = choose_category(log.rng, log.people.favourite[who], _FAVOURITE_SHARE_OF_VIEWS)
    properties = [json.dumps({"category": CATEGORIES[c]}) for c in category.tolist()]
    seconds = sessions.seconds[mask] + log.rng.integers(10, 140, len(who))
    # A device without a connection keeps its events and sends them days later.
    late = np.where(log.rng.random(len(who)) < 0.006, log.rng.integers(1, 6, len(who)), 0)
    columns = {"name": "product_viewed", "properties": properties}
    log.add(_BEHAVIOURS + "CustomEvent", who, seconds, columns, days_late=late if day else None)


def run_arrivals(log: DayLog, sessions: Sessions, day: int) -> None:
    """New people of the day: random bucket, install attribution and push token, all in their first session's hour."""
    people, rng = log.people, log.rng
    who = np.flatnonzero((people.joined == day) & (sessions.first >= 0))
    seconds = sessions.first[who]
    buckets = rng.integers(0, 10_000, len(who))
    log.add("users.RandomBucketNumberUpdate", who, seconds, {"random_bucket_number": buckets})
    source = np.asarray(["organic", "search", "social"], dtype=object)[rng.integers(0, 3, len(who))]
    log.add(_BEHAVIOURS + "InstallAttribution", who, seconds + 2, {"source": source})
    _tokens(log, who[people.push_reachable[who]], seconds[people.push_reachable[who]], "add")
    refreshed = np.flatnonzero(
        (sessions.first >= 7 * 3600) & (sessions.first < 8 * 3600) & people.push_reachable
    )
    refreshed = refreshed[rng.random(len(refreshed)) < 0.03]
    _tokens(log, refreshed, sessions.first[refreshed] + 4, "update")


def _tokens(log: DayLog, who: Integers, seconds: Integers, change: str) -> None:
    happened = log.midnight + np.clip(seconds, 0, 86_399)
    columns: dict[str, Any] = {
        "time_ms": happened * 1000 + log.rng.integers(0, 1000, len(who)),
        "push_token_device_id": log.people.columns["device_id"][who],
        "push_token_created_at": happened,
        "push_token_updated_at": happened,
        "push_token_state_change_type": change,
        "push_token_provisionally_opted_in": False,
        "push_token_foreground_push_disabled": False,
    }
    log.add(_BEHAVIOURS + "pushnotification.TokenStateChange", who, seconds, columns)


def earlier_orders(log: DayLog, seed: int) -> Orders:
    """What the identified people bought in the 400 days before the simulation starts (orders only, no events)."""
    people = log.people
    rng = generator(seed, "earlier orders")
    n = people.identified
    counts = rng.poisson(0.4 + 7.0 * people.value[:n])
    counts[people.joined[:n] >= 0] = 0
    who = np.repeat(np.arange(n), counts)
    category = choose_category(rng, people.favourite[who])
    days_ago = rng.integers(1, 400, len(who))
    seconds = people.active_hour[who] * 3600 + rng.integers(0, 3600, len(who))
    refunded = rng.random(len(who)) < _REFUND_SHARE
    return Orders(
        order_id=[f"HF-old{number:09d}" for number in range(len(who))],
        user_id=people.columns["external_user_id"][who].tolist(),
        ordered_at=(log.midnight - days_ago * 86_400 + seconds).tolist(),
        category=[CATEGORIES[index] for index in category.tolist()],
        currency=people.currency[who].tolist(),
        amount=prices(rng, people.value[who], category),
        status=["refunded" if back else "completed" for back in refunded.tolist()],
    )
