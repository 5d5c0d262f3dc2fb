"""Who gets the credit for conversions and purchases, against the rule in plain Python over the Avro records."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal

import pytest
from simulated_warehouse import Record, SimulatedWarehouse

LOOK_BACK_HOURS = {"email": 120, "push": 24, "sms": 24, "in_app_message": 24}
MERGED_WITHIN = 30 * 86_400
SENDS = {
    "users.messages.email.Send": "email",
    "users.messages.pushnotification.Send": "push",
    "users.messages.inappmessage.Impression": "in_app_message",
    "users.messages.sms.Send": "sms",
}
RESPONSES = {
    "users.messages.email.Open": 2,
    "users.messages.email.Click": 1,
    "users.messages.pushnotification.Open": 2,
    "users.messages.inappmessage.Click": 1,
    "users.messages.sms.ShortLinkClick": 1,
}
METHODS = {1: "click", 2: "open", 3: "send"}


@dataclass(frozen=True)
class Touch:
    rank: int
    at: int
    send: Record
    channel: str
    user: str


def is_of_a_person(event: Record) -> bool:
    return event.get("machine_open") != "true" and not event.get("is_suspected_bot_click")


@pytest.fixture(scope="module")
def touches(simulated: SimulatedWarehouse) -> dict[str, list[Touch]]:
    """All that may get credit, by person. To which send a response belongs is taken from the links of the warehouse."""
    sends = {event["id"]: event for name in SENDS for event in simulated.records(name)}
    channels = {event["id"]: channel for name, channel in SENDS.items() for event in simulated.records(name)}
    links = {
        row["outcome_event_id"]: row["send_event_id"]
        for row in simulated.rows("select * from intermediate.int_message_links")
    }
    found: dict[str, list[Touch]] = defaultdict(list)
    for event_id, event in sends.items():
        touch = Touch(3, event["time"], event, channels[event_id], event["user_id"])
        found[simulated.person(event["user_id"])].append(touch)
    for name, rank in RESPONSES.items():
        for event in simulated.records(name):
            send_id = links[event["id"]]
            if send_id is not None and is_of_a_person(event):
                touch = Touch(rank, event["time"], sends[send_id], channels[send_id], event["user_id"])
                found[simulated.person(event["user_id"])].append(touch)
    return found


def known_as_one(simulated: SimulatedWarehouse, one: str, other: str, at: int) -> bool:
    """Whether two profiles of a person are the same, or were merged in time. The sandbox merges no chains."""
    merges = [
        simulated.merged_into[profile][1] for profile in (one, other) if profile in simulated.merged_into
    ]
    return one == other or all(merged <= at + MERGED_WITHIN for merged in merges)


def credit(
    simulated: SimulatedWarehouse, touches: dict[str, list[Touch]], event: Record
) -> set[tuple[str, str]]:
    """Method and send that may get the credit: several where touches of the same second are as good as another."""
    content = {name: event[name] for name in ("campaign_id", "canvas_id") if event.get(name)}
    reached = [
        touch
        for touch in touches[simulated.person(event["user_id"])]
        if touch.at <= event["time"]
        and touch.send["time"] <= event["time"]
        and event["time"] - touch.at < LOOK_BACK_HOURS[touch.channel] * 3600
        and all(touch.send[name] == value for name, value in content.items())
        and known_as_one(simulated, event["user_id"], touch.user, event["time"])
    ]
    if not reached:
        return {("none", "")}
    rank, at = min((touch.rank, -touch.at) for touch in reached)
    return {(METHODS[rank], touch.send["id"]) for touch in reached if (touch.rank, -touch.at) == (rank, at)}


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("campaign_conversion", "users.campaigns.Conversion"),
        ("canvas_conversion", "users.canvas.Conversion"),
        ("purchase", "users.behaviors.Purchase"),
    ],
)
def test_the_credit_goes_where_the_rule_says(
    simulated: SimulatedWarehouse, touches: dict[str, list[Touch]], kind: str, event_type: str
) -> None:
    rows = {
        row["conversion_event_id"]: row
        for row in simulated.rows(f"select * from marts.fct_conversions where kind = '{kind}'")
    }
    events = simulated.records(event_type)
    assert set(rows) == {event["id"] for event in events}
    methods = Counter[str]()
    for event in events:
        row = rows[event["id"]]
        given = (row["attribution_method"], row["attributed_send_event_id"] or "")
        assert given in credit(simulated, touches, event), event["id"]
        methods[given[0]] += 1
    assert set(methods) == {"click", "open", "send", "none"}


def test_revenue_is_the_sum_of_credited_purchases(simulated: SimulatedWarehouse) -> None:
    """In whole cents, where nothing is lost: the files carry 32-bit floats."""
    prices = {
        event["id"]: round(Decimal(event["price"]), 2)
        for event in simulated.records("users.behaviors.Purchase")
    }
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    buyers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in simulated.rows("select * from marts.fct_conversions where kind = 'purchase'"):
        if row["attributed_campaign_id"]:
            key = (row["attributed_campaign_id"], row["currency"])
            expected[key] += prices[row["conversion_event_id"]]
            buyers[key].add(row["user_key"])
    rows = simulated.rows("select * from marts.mart_campaign_revenue")
    assert {(row["campaign_id"], row["currency"]): row["users"] for row in rows} == {
        key: len(people) for key, people in buyers.items()
    }
    for row in rows:
        total = expected[row["campaign_id"], row["currency"]]
        assert row["revenue"] == float(total)
        parts = (row["revenue_by_click"], row["revenue_by_open"], row["revenue_by_send"])
        assert sum(round(Decimal(part), 2) for part in parts) == total
