"""One day of the twelve campaigns: enrolling, sending, converting, and the sums of the truth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from braze_platform.sandbox.currents.event_log import DayLog
from braze_platform.sandbox.store.state import CONTROL, TREATED, HeldAttributes, SimulationState
from braze_platform.sandbox.world.behaviour import Orders, buy
from braze_platform.sandbox.world.campaigns import (
    CAMPAIGNS,
    CONVERSION_BEHAVIOR,
    Campaign,
    baseline,
    effect,
    shares,
)
from braze_platform.sandbox.world.messages import Sends, abort, reaction_seconds, send
from braze_platform.sandbox.world.people import Flags, Integers, Objects, generator, hexadecimal_id
from braze_platform.sandbox.world.targeting import Audience, audience

#: Share of messages that a template stops, and of events that come with a null campaign name.
_ABORT_SHARE = 0.004
_NULL_NAME_SHARE = 0.01


def run_campaigns(
    log: DayLog,
    state: SimulationState,
    held: HeldAttributes,
    orders: Orders,
    *,
    day: int,
    history_days: int,
    bots_known: bool,
    session_seconds: Integers,
    seed: int,
) -> None:
    """Run all campaigns of a day. Names change in the middle of the history and after it."""
    for campaign in CAMPAIGNS:
        # Its own stream of numbers, so that attributes in one campaign do not move the draws of another.
        log.rng = generator(seed, "campaign", campaign.number, day)
        reached = audience(campaign, log.people, state, held, day, session_seconds, seed, log.rng)
        if len(reached):
            name = campaign.name_on(day, history_days)
            _run(log, state, orders, campaign, reached, day, name, bots_known, seed)


def _run(
    log: DayLog,
    state: SimulationState,
    orders: Orders,
    campaign: Campaign,
    reached: Audience,
    day: int,
    name: str,
    bots_known: bool,
    seed: int,
) -> None:
    row, rng, who = campaign.number - 1, log.rng, reached.who
    columns = _columns(log, campaign, who, reached.control, day, name, seed)
    everyone = Sends(campaign.channel, who, reached.seconds, reached.category, columns, bots_known)
    aborted = rng.random(len(who)) < _ABORT_SHARE
    # An abort comes before the split into treated and control, so it takes as many of one as of the other.
    abort(log, everyone.only(aborted & ~reached.control))
    new, control = reached.new & ~aborted, reached.control
    state.enrolled[row, who[new]] = np.where(control[new], CONTROL, TREATED)
    state.round[row, who[new]] = reached.round

    hour = reached.seconds // 3600
    untreated = baseline(log.people, who, reached.category)
    added = effect(log.people, who, reached.category, campaign.channel, hour)
    state.baseline_sum[row, reached.round] += float(untreated[new].sum())
    state.effect_sum[row, reached.round] += float(added[new].sum())
    converts = new & (rng.random(len(who)) < untreated + np.where(control, 0.0, added))
    converted_at = reaction_seconds(rng, reached.seconds + 60, log.people.active_hour[who])

    enrolled_control = everyone.only(new & control)
    log.add(
        "users.campaigns.EnrollInControl",
        enrolled_control.who,
        enrolled_control.seconds,
        enrolled_control.columns,
    )
    send(log, state, everyone.only(~control & ~aborted))
    buyers = everyone.only(converts)
    seconds = np.minimum(converted_at[converts], 86_398)
    state.converted[row, buyers.who] = True
    buy(log, orders, buyers.who, seconds, buyers.category)
    conversion = {"conversion_behavior_index": 0, "conversion_behavior": CONVERSION_BEHAVIOR}
    log.add("users.campaigns.Conversion", buyers.who, seconds + 1, buyers.columns | conversion)


def _columns(
    log: DayLog, campaign: Campaign, who: Integers, control: Flags, day: int, name: str, seed: int
) -> dict[str, Any]:
    """Campaign, variation, send and dispatch of each person's message."""
    names: Objects = np.full(len(who), name, dtype=object)
    names[log.rng.random(len(who)) < _NULL_NAME_SHARE] = None
    pick = np.floor(
        shares(f"variation/{campaign.number}", len(log.people), seed)[who] * len(campaign.variations)
    )
    chosen = np.where(control, len(campaign.variations), pick.astype(np.int64))
    ids = np.asarray([*campaign.variation_ids, campaign.control_variation_id], dtype=object)
    variations = np.asarray([*campaign.variations, "Control"], dtype=object)
    return {
        "campaign_id": campaign.campaign_id,
        "campaign_name": names,
        "message_variation_id": ids[chosen],
        "message_variation_name": variations[chosen],
        "send_id": hexadecimal_id(seed, "send", campaign.number, day),
        "dispatch_id": hexadecimal_id(seed, "dispatch", campaign.number, day) + "00000000",
        "message_extras": json.dumps({"theme": campaign.category}),
    }


def truth(state: SimulationState) -> dict[str, dict[str, Any]]:
    """The true effect of each campaign on those it enrolled, in all and by round, by campaign id."""
    totals: dict[str, dict[str, Any]] = {}
    for row, campaign in enumerate(CAMPAIGNS):
        rounds = {str(number): _group_totals(state, row, (number,)) for number in (1, 2)}
        rounds = {number: part for number, part in rounds.items() if part["audience"]}
        totals[campaign.campaign_id] = {
            "name": campaign.name,
            "channel": campaign.channel,
            "category": campaign.category,
            "by_attributes": campaign.by_attributes,
            "round": max((int(number) for number in rounds), default=0),
            **_group_totals(state, row, (1, 2)),
            "variation_ids": list(campaign.variation_ids),
            "control_variation_id": campaign.control_variation_id,
            "rounds": rounds,
        }
    return totals


def _group_totals(state: SimulationState, row: int, rounds: tuple[int, ...]) -> dict[str, Any]:
    inside = np.isin(state.round[row], rounds)
    treated = inside & (state.enrolled[row] == TREATED)
    control = inside & (state.enrolled[row] == CONTROL)
    count = int(treated.sum() + control.sum())
    return {
        "true_lift": float(state.effect_sum[row, list(rounds)].sum()) / count if count else 0.0,
        "true_baseline": float(state.baseline_sum[row, list(rounds)].sum()) / count if count else 0.0,
        "audience": count,
        "treated": int(treated.sum()),
        "control": int(control.sum()),
        "treated_converted": int((state.converted[row] & treated).sum()),
        "control_converted": int((state.converted[row] & control).sum()),
    }
