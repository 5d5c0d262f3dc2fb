"""The sandbox's twelve campaigns and the true effect they have on people.

**What is true.** A conversion is a purchase of the message's category within 48 hours of enrolment
(`users.campaigns.Conversion`, `conversion_behavior_index` 0). Everybody who converts does so before the UTC day
of the enrolment ends, so the truth is complete at every midnight.

A person is enrolled in a campaign once: at the first time its audience reaches them, as treated or as control.
Which of the two is a hash of person and campaign, so it does not depend on any trait. Treated people have a Send
(in-app: an Impression) of the campaign, even if it bounces; control people have an EnrollInControl. Somebody whose
message is aborted at first is not enrolled. Treated people may get the campaign again; that changes nothing.

Whether an enrolled person converts is one draw from the person's own probability:

    control: baseline(person, category)
    treated: baseline(person, category) + effect(person, category, channel, hour)

`true_lift` is the mean of `effect` over all enrolled people, treated and control: exactly what (converted treated
people / treated people) - (converted control people / control people) estimates.

**Rounds.** Round 1 is broadcast: the campaign's own category, channel and hour for everybody reached, which few
people fit. Round 2 is chosen by attributes held in Braze: only people whose `preferred_channel` is the campaign's
channel and whose `fatigue_level` is not `high` (some campaigns also ask for a `value_segment`), with
`favourite_category` as the message's category and `best_send_hour` as its hour. Six campaigns are always
broadcast. Six are chosen by attributes as soon as at least one person in a hundred holds `preferred_channel`;
until then each reaches a random third of people by broadcast. A campaign enrols new people only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from braze_platform.sandbox.world.people import (
    CATEGORIES,
    CHANNELS,
    Flags,
    Floats,
    Integers,
    People,
    hexadecimal_id,
)

#: What the conversion is called in `conversion_behavior`.
CONVERSION_BEHAVIOR = '{"type":"Makes Purchase","window":172800}'
#: Hours either side of the active hour in which a message still meets the person at the right time.
NEAR_HOURS = 2


@dataclass(frozen=True)
class Campaign:
    """One campaign as a marketer set it up. Days count from the start of the simulation."""

    number: int
    name: str
    #: One of `CHANNELS`.
    channel: str
    #: Category of the message when no attribute chooses one.
    category: str
    #: UTC hour of the send when no attribute chooses one.
    hour: int
    #: Days of the cycle of seven on which it is sent.
    days: tuple[int, ...]
    control_share: float
    variations: tuple[str, ...] = ("Variant 1",)
    #: Whether attributes choose audience, category and hour once they are there.
    by_attributes: bool = False
    #: Value segments it is for, when chosen by attributes; empty: all.
    segments: tuple[str, ...] = ()
    #: Its name from the middle of the history on.
    renamed: str | None = None
    #: Its name from the first day after the history on.
    renamed_later: str | None = None

    def name_on(self, day: int, history_days: int) -> str:
        """Its name on a day of a simulation whose history lasts `history_days`."""
        if self.renamed_later is not None and day >= history_days:
            return self.renamed_later
        if self.renamed is not None and day >= history_days // 2:
            return self.renamed
        return self.name

    @property
    def campaign_id(self) -> str:
        """API identifier, the same for every seed."""
        return hexadecimal_id(0, "campaign", self.number)

    @property
    def variation_ids(self) -> tuple[str, ...]:
        """API identifiers of the message variations, in the order of `variations`."""
        return tuple(hexadecimal_id(0, "variation", self.number, name) for name in self.variations)

    @property
    def control_variation_id(self) -> str:
        """API identifier of the control group."""
        return hexadecimal_id(0, "variation", self.number, "Control")


_AB = ("Variant 1", "Variant 2")

CAMPAIGNS: tuple[Campaign, ...] = (
    Campaign(1, "Garden weekend", "email", "garden", 8, (0, 3), 0.25, _AB, renamed="Garden days"),
    Campaign(2, "New in kitchen", "email", "kitchen", 17, (1, 4), 0.25, _AB),
    Campaign(3, "Outdoor flash offer", "push", "outdoor", 12, (2, 5), 0.25),
    Campaign(
        4, "Toys for rainy days", "push", "toys", 18, (0, 4), 0.3, _AB, renamed_later="Toys for all weathers"
    ),
    Campaign(5, "Bestseller banner", "in_app_message", "books", 0, (1, 2, 5), 0.25),
    Campaign(6, "Garden text alert", "sms", "garden", 13, (3, 5), 0.3),
    Campaign(7, "Picked for you", "email", "books", 7, (0, 1, 2, 3, 4, 5, 6), 0.25, _AB, by_attributes=True),
    Campaign(
        8,
        "Regulars' letter",
        "email",
        "outdoor",
        19,
        (0, 1, 2, 3, 4, 5, 6),
        0.25,
        by_attributes=True,
        segments=("occasional", "loyal", "vip"),
    ),
    Campaign(9, "Your shelf today", "push", "kitchen", 8, (0, 1, 2, 3, 4, 5, 6), 0.25, by_attributes=True),
    Campaign(10, "Second look", "push", "garden", 20, (0, 1, 2, 3, 4, 5, 6), 0.2, _AB, by_attributes=True),
    Campaign(
        11, "Welcome back", "in_app_message", "toys", 0, (0, 1, 2, 3, 4, 5, 6), 0.25, by_attributes=True
    ),
    Campaign(12, "Text just for you", "sms", "books", 17, (0, 1, 2, 3, 4, 5, 6), 0.25, by_attributes=True),
)


def baseline(people: People, who: Integers, category: Integers) -> Floats:
    """Probability that each person buys from a category unasked within a message's window."""
    fits = people.favourite[who] == category
    return np.asarray((0.006 + 0.03 * people.value[who]) * np.where(fits, 1.9, 0.6), dtype=np.float64)


def effect(people: People, who: Integers, category: Integers, channel: str, hour: Integers) -> Floats:
    """How much a message adds to each person's probability: the more it fits, the more."""
    fits = people.favourite[who] == category
    preferred = people.channel[who] == CHANNELS.index(channel)
    distance = np.abs(people.active_hour[who] - hour)
    near = np.minimum(distance, 24 - distance) <= NEAR_HOURS
    strength = np.where(preferred, 1.0, 0.4) * np.where(near, 1.0, 0.55) * (1.0 - 0.35 * people.fatigue[who])
    return np.asarray(0.009 + np.where(fits, 0.1, 0.0) * strength, dtype=np.float64)


def shares(name: str, count: int, seed: int) -> Floats:
    """A number from 0 to 1 for each of `count` people, by hash: always the same for one name and seed."""
    base = np.uint64(int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big"))
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + base
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed >> np.uint64(11), dtype=np.float64) / float(1 << 53)


def in_control(campaign: Campaign, people: People, seed: int) -> Flags:
    """Who of all people belongs to the campaign's control group, whatever their traits."""
    return np.asarray(shares(f"control/{campaign.number}", len(people), seed) < campaign.control_share)


def category_index(category: str) -> int:
    """A category's place in `CATEGORIES`."""
    return CATEGORIES.index(category)
