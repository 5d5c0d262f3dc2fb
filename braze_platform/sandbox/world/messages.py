"""What happens to sent messages: delivery, opens, clicks, bounces, unsubscribes, by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from braze_platform.sandbox.currents.event_log import SECONDS_PER_DAY, DayLog
from braze_platform.sandbox.store.state import SimulationState
from braze_platform.sandbox.world.campaigns import NEAR_HOURS
from braze_platform.sandbox.world.people import (
    CATEGORIES,
    CHANNELS,
    Flags,
    Floats,
    Integers,
    Objects,
    hexadecimal_id,
)

FROM_DOMAIN = "mail.harbourandfield.example"
SMS_GROUP_ID = "7d0a5d02-6d36-4c7e-8f13-9a1a1f6a2f01"
EMAIL_GROUP_ID = "7d0a5d02-6d36-4c7e-8f13-9a1a1f6a2f02"
SMS_SENDER = "+447700900100"
_SHOP = "https://www.harbourandfield.example"
_EMAIL = {"ip_pool": "marketing", "esp": "SPARKPOST", "from_domain": FROM_DOMAIN, "sending_ip": "192.0.2.17"}
_USER_AGENT = "Mozilla/5.0 (compatible; HarbourMail)"
_BOT_AGENT = "LinkScanner/2.1"

EMAIL = "users.messages.email."
PUSH = "users.messages.pushnotification."
IN_APP = "users.messages.inappmessage."
SMS = "users.messages.sms."


@dataclass(frozen=True)
class Sends:
    """Messages of one campaign or canvas step that go out: parallel arrays.

    `columns` names campaign or canvas (object arrays, or one value for all). `bots_known` says whether the
    workspace's bot detection is on: until then `is_suspected_bot_click` is null.
    """

    channel: str
    who: Integers
    seconds: Integers
    category: Integers
    columns: dict[str, Any]
    bots_known: bool

    def only(self, mask: Flags) -> Sends:
        """The part of the sends where the mask is true."""
        columns = {
            name: value[mask] if isinstance(value, np.ndarray) else value
            for name, value in self.columns.items()
        }
        return Sends(
            self.channel, self.who[mask], self.seconds[mask], self.category[mask], columns, self.bots_known
        )


def reaction_seconds(rng: np.random.Generator, seconds: Integers, active_hour: Integers) -> Integers:
    """When people react to something of `seconds`: mostly in their active hour if it is to come, else soon.

    Always later than `seconds` and before the UTC day ends.
    """
    count = len(seconds)
    soon = seconds + 30 + rng.exponential(1500, count).astype(np.int64)
    in_active_hour = active_hour * 3600 + rng.integers(0, 3600, count)
    waits = (in_active_hour > seconds) & (rng.random(count) < 0.8)
    chosen = np.where(waits, in_active_hour, soon)
    left = SECONDS_PER_DAY - 1 - seconds
    overflow = seconds + (rng.random(count) * np.maximum(left, 1)).astype(np.int64)
    return np.where(chosen >= SECONDS_PER_DAY, np.minimum(overflow, SECONDS_PER_DAY - 1), chosen)


def engagement(log: DayLog, sends: Sends) -> Floats:
    """Probability that each person opens the message: high on the preferred channel, low elsewhere."""
    people = log.people
    preferred = people.channel[sends.who] == CHANNELS.index(sends.channel)
    fits = people.favourite[sends.who] == sends.category
    distance = np.abs(people.active_hour[sends.who] - sends.seconds // 3600)
    near = np.minimum(distance, 24 - distance) <= NEAR_HOURS
    chance = np.where(preferred, 0.62, 0.1) * np.where(fits, 1.15, 0.95) * np.where(near, 1.0, 0.85)
    return np.asarray(np.clip(chance * (1 - 0.45 * people.fatigue[sends.who]), 0, 0.95), dtype=np.float64)


def send(log: DayLog, state: SimulationState, sends: Sends) -> None:
    """Send the messages: every person gets a Send (in-app: an Impression) and what follows from it."""
    {"email": _email, "push": _push, "in_app_message": _in_app, "sms": _sms}[sends.channel](log, state, sends)


def abort(log: DayLog, sends: Sends) -> None:
    """These messages are not sent after all: one Abort each, and a Retry before it where the channel has them."""
    prefix = {"email": EMAIL, "push": PUSH, "in_app_message": IN_APP, "sms": SMS}[sends.channel]
    columns = sends.columns | {
        "abort_type": "liquid_abort_message",
        "abort_log": "stock ended",
        "retry_type": "CONNECTED_CONTENT",
        "retry_log": "stock service answered 503",
        "subscription_group_id": SMS_GROUP_ID,
        "version": "1",
    }
    if sends.channel in ("email", "push"):
        log.add(prefix + "Retry", sends.who, sends.seconds, columns)
    log.add(prefix + "Abort", sends.who, sends.seconds + 5, columns)


def urls(category: Integers) -> Objects:
    """The shop's page of each category."""
    return np.asarray([f"{_SHOP}/{name}" for name in CATEGORIES], dtype=object)[category]


def _email(log: DayLog, state: SimulationState, sends: Sends) -> None:
    rng, who = log.rng, sends.who
    log.add(EMAIL + "Send", who, sends.seconds, sends.columns | _EMAIL)
    outcome = rng.random(len(who))
    failures = (
        ("Bounce", outcome < 0.006, {"bounce_reason": "550 no such mailbox", "is_drop": False}),
        ("SoftBounce", (outcome >= 0.006) & (outcome < 0.014), {"bounce_reason": "452 mailbox full"}),
        (
            "Deferral",
            (outcome >= 0.014) & (outcome < 0.018),
            {"deferral_reason": "421 try later", "attempt_count": 1},
        ),
    )
    for name, mask, columns in failures:
        part = sends.only(mask)
        log.add(EMAIL + name, part.who, part.seconds + 8, part.columns | _EMAIL | columns)
    state.email_off[who[outcome < 0.006]] = True
    delivered = sends.only(outcome >= 0.014)
    arrived = delivered.seconds + rng.integers(5, 90, len(delivered.who))
    log.add(EMAIL + "Delivery", delivered.who, arrived, delivered.columns | _EMAIL)
    page = {"url": urls(delivered.category), "user_agent": _USER_AGENT, "device_model": None, "is_amp": False}

    machine = rng.random(len(arrived)) < 0.12
    _react(
        log, "email.Open", delivered, machine, arrived, page | {"machine_open": "true", "user_agent": "Proxy"}
    )
    opens = rng.random(len(arrived)) < engagement(log, delivered)
    opened = reaction_seconds(rng, arrived, log.people.active_hour[delivered.who])
    human = page | {"machine_open": None, "browser": "Mail", "mailbox_provider": None}
    _react(log, "email.Open", delivered, opens, opened, human)
    _react(log, "email.Open", delivered, opens & (rng.random(len(opens)) < 0.18), opened + 1800, human)
    clicks = opens & (rng.random(len(opens)) < 0.4)
    link = {"link_id": hexadecimal_id(0, "link"), "link_alias": "hero"}
    clean = {
        "is_suspected_bot_click": False if delivered.bots_known else None,
        "suspected_bot_click_reason": None,
    }
    _react(log, "email.Click", delivered, clicks, opened + 40, page | link | clean)
    bots = rng.random(len(opens)) < 0.03
    reasons: dict[str, Any] = {
        "is_suspected_bot_click": True if delivered.bots_known else None,
        "suspected_bot_click_reason": [["user_agent", "ip_address"]] * int(bots.sum()),
        "user_agent": _BOT_AGENT,
    }
    _react(log, "email.Click", delivered, bots, arrived + 3, page | link | reasons)
    leaves = opens & (rng.random(len(opens)) < 0.004 + 0.03 * log.people.fatigue[delivered.who] ** 2)
    _react(log, "email.Unsubscribe", delivered, leaves, opened + 60, page)
    change = {
        "subscription_status": "Unsubscribed",
        "channel": "email",
        "state_change_source": "Subscription Page",
    }
    _react(log, "unsubscribed", delivered, leaves, opened + 61, change)
    spam = opens & (rng.random(len(opens)) < 0.002)
    _react(log, "email.MarkAsSpam", delivered, spam, opened + 90, page)
    state.email_off[delivered.who[leaves | spam]] = True


def _push(log: DayLog, state: SimulationState, sends: Sends) -> None:
    rng = log.rng
    log.add(PUSH + "Send", sends.who, sends.seconds, sends.columns)
    bounced = rng.random(len(sends.who)) < 0.012
    _react(log, "pushnotification.Bounce", sends, bounced, sends.seconds + 4, {})
    state.push_off[sends.who[bounced]] = True
    delivered = sends.only(~bounced)
    ios = log.people.columns["platform"][delivered.who] == "ios"
    foreground = ios & (rng.random(len(ios)) < 0.02)
    _react(log, "pushnotification.IosForeground", delivered, foreground, delivered.seconds + 2, {})
    opens = rng.random(len(ios)) < engagement(log, delivered)
    opened = reaction_seconds(rng, delivered.seconds, log.people.active_hour[delivered.who])
    button = {"button_action_type": "URI", "button_string": "Look"}
    _react(log, "pushnotification.Open", delivered, opens, opened, button)


def _in_app(log: DayLog, _state: SimulationState, sends: Sends) -> None:
    log.add(IN_APP + "Impression", sends.who, sends.seconds + 5, sends.columns | {"locale_key": None})
    clicks = log.rng.random(len(sends.who)) < engagement(log, sends) * 0.8
    _react(log, "inappmessage.Click", sends, clicks, sends.seconds + 25, {"button_id": "0"})


def _sms(log: DayLog, state: SimulationState, sends: Sends) -> None:
    rng = log.rng
    base = {
        "subscription_group_id": SMS_GROUP_ID,
        "from_phone_number": SMS_SENDER,
        "inbound_phone_number": SMS_SENDER,
        "category": "marketing",
        "is_sms_fallback": False,
    }
    log.add(SMS + "Send", sends.who, sends.seconds, sends.columns | base)
    outcome = rng.random(len(sends.who))
    rejected = {"error": "carrier rejected", "provider_error_code": "30007"}
    _react(log, "sms.Rejection", sends, outcome < 0.008, sends.seconds + 6, base | rejected)
    carried = sends.only(outcome >= 0.008)
    log.add(SMS + "CarrierSend", carried.who, carried.seconds + 3, carried.columns | base)
    failed = rng.random(len(carried.who)) < 0.012
    unreachable = {"error": "handset unreachable", "provider_error_code": "30003"}
    _react(log, "sms.DeliveryFailure", carried, failed, carried.seconds + 20, base | unreachable)
    delivered = carried.only(~failed)
    log.add(SMS + "Delivery", delivered.who, delivered.seconds + 9, delivered.columns | base)
    clicked = reaction_seconds(rng, delivered.seconds + 9, log.people.active_hour[delivered.who])
    clicks = rng.random(len(clicked)) < engagement(log, delivered) * 0.8
    page = {"url": urls(delivered.category), "short_url": "https://hf.example/s1", "user_agent": _USER_AGENT}
    clean = {"is_suspected_bot_click": False if delivered.bots_known else None}
    _react(log, "sms.ShortLinkClick", delivered, clicks, clicked, page | clean)
    bots = rng.random(len(clicked)) < 0.02
    suspected = {
        "is_suspected_bot_click": True if delivered.bots_known else None,
        "suspected_bot_click_reason": [["user_agent"]] * int(bots.sum()),
        "user_agent": _BOT_AGENT,
    }
    _react(log, "sms.ShortLinkClick", delivered, bots, delivered.seconds + 15, page | suspected)
    stops = rng.random(len(clicked)) < 0.004
    inbound = base | {"action": "Unsubscribed", "message_body": "STOP", "media_urls": None}
    _react(log, "sms.InboundReceive", delivered, stops, clicked + 30, inbound)
    change = base | {
        "subscription_status": "Unsubscribed",
        "channel": "sms",
        "state_change_source": "Inbound Message",
    }
    _react(log, "group unsubscribed", delivered, stops, clicked + 31, change)
    state.sms_off[delivered.who[stops]] = True


_STATE_CHANGES = {
    "unsubscribed": "users.behaviors.subscription.GlobalStateChange",
    "group unsubscribed": "users.behaviors.subscriptiongroup.StateChange",
}


def _react(
    log: DayLog, name: str, sends: Sends, mask: Flags, seconds: Integers, columns: dict[str, Any]
) -> None:
    """Log one event for each send where the mask is true; arrays in `columns` run along the sends."""
    part = sends.only(mask)
    along = {n: v[mask] if isinstance(v, np.ndarray) else v for n, v in columns.items()}
    log.add(_STATE_CHANGES.get(name, f"users.messages.{name}"), part.who, seconds[mask], part.columns | along)
