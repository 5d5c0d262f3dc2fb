"""Whom a campaign reaches on a day: who is newly enrolled, who gets it again, with what and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from braze_platform.sandbox.store.state import (
    NOT_ENROLLED,
    SEGMENTS,
    TREATED,
    HeldAttributes,
    SimulationState,
)
from braze_platform.sandbox.world.campaigns import Campaign, category_index, in_control, shares
from braze_platform.sandbox.world.people import CHANNELS, Flags, Integers, People

#: Share of people that a campaign to be chosen by attributes reaches while there are none.
FALLBACK_SHARE = 1 / 3
#: Share of treated people who get a campaign again when it is sent again.
REPEAT_SHARE = 0.3


@dataclass(frozen=True)
class Audience:
    """One campaign's people of one day: parallel arrays, one element a person reached."""

    who: Integers
    control: Flags
    #: Enrolled today (else a repeat to somebody treated before).
    new: Flags
    category: Integers
    #: Second of the day of the send (or of the trigger).
    seconds: Integers
    round: int

    def __len__(self) -> int:
        return len(self.who)


def reachable(channel: str, people: People, state: SimulationState, day: int) -> Flags:
    """Who can get a message in a channel on a day."""
    there = ~state.gone & (people.joined <= day)
    if channel == "email":
        return np.asarray(there & people.email_reachable & ~state.email_off)
    if channel == "push":
        return np.asarray(there & people.push_reachable & ~state.push_off)
    if channel == "sms":
        return np.asarray(there & people.sms_reachable & ~state.sms_off)
    return np.asarray(there)


def audience(
    campaign: Campaign,
    people: People,
    state: SimulationState,
    held: HeldAttributes,
    day: int,
    session_seconds: Integers,
    seed: int,
    rng: np.random.Generator,
) -> Audience:
    """Choose a campaign's people for a day.

    `session_seconds` has, for each person, the second of the day's first session, or -1: in-app messages are
    shown then. Anonymous people are reached by push and in-app broadcasts only.
    """
    row = campaign.number - 1
    reach = reachable(campaign.channel, people, state, day)
    if campaign.channel == "in_app_message":
        reach &= session_seconds >= 0
    chosen_by_attributes = campaign.by_attributes and held.usable
    enrolled = state.enrolled[row]
    if chosen_by_attributes:
        fits = _fitting(campaign, held)
        new = reach & fits & (enrolled == NOT_ENROLLED)
        again = reach & fits & (enrolled == TREATED)
    else:
        new = reach & _wave(campaign, people, day, seed) & (enrolled == NOT_ENROLLED)
        again = reach & (enrolled == TREATED)
        if day % 7 not in campaign.days or day < 7 or campaign.by_attributes:
            again &= False
    again &= rng.random(len(people)) < REPEAT_SHARE
    who = np.flatnonzero(new | again)
    category = np.full(len(who), category_index(campaign.category), dtype=np.int64)
    hour = np.full(len(who), campaign.hour, dtype=np.int64)
    if chosen_by_attributes:
        favourite, best = held.favourite_category[who], held.best_send_hour[who]
        category = np.where(favourite >= 0, favourite, category)
        hour = np.where(best >= 0, best, hour)
    # A broadcast takes about twenty minutes to go out.
    seconds = hour * 3600 + rng.integers(0, 1200, len(who))
    if campaign.channel == "in_app_message":
        seconds = session_seconds[who]
    return Audience(
        who=who,
        control=in_control(campaign, people, seed)[who],
        new=new[who],
        category=category,
        seconds=seconds,
        round=2 if chosen_by_attributes else 1,
    )


def _fitting(campaign: Campaign, held: HeldAttributes) -> Flags:
    """Who the campaign is for by the attributes held."""
    fits = (held.preferred_channel == CHANNELS.index(campaign.channel)) & ~held.fatigue_high
    if campaign.segments:
        fits &= np.isin(held.value_segment, [SEGMENTS.index(segment) for segment in campaign.segments])
    return np.asarray(fits)


def _wave(campaign: Campaign, people: People, day: int, seed: int) -> Flags:
    """Who a broadcast is due for on a day: in the first cycle a part on each sending day, later everybody left."""
    if day % 7 not in campaign.days:
        return np.zeros(len(people), dtype=bool)
    part = shares(f"wave/{campaign.number}", len(people), seed)
    due = np.ones(len(people), dtype=bool)
    if campaign.by_attributes:
        due = shares(f"fallback/{campaign.number}", len(people), seed) < FALLBACK_SHARE
        part = part * 4.0  # the third is reached within four days
    else:
        part = part * len(campaign.days)
    if day < 7:
        due &= np.floor(part) <= campaign.days.index(day % 7)
    return np.asarray(due)
