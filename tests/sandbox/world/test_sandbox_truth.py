"""The documented effect is what the events show, and attributes make it larger."""

import math
from typing import Any

import numpy as np
import pytest
from simulated_sandbox import Simulated

from braze_platform.sandbox.world.campaigns import CAMPAIGNS, in_control
from braze_platform.sandbox.world.people import CHANNELS, make_people

SENDS = {
    "email": "users.messages.email.Send",
    "push": "users.messages.pushnotification.Send",
    "in_app_message": "users.messages.inappmessage.Impression",
    "sms": "users.messages.sms.Send",
}


def measured(simulated: Simulated, campaign_id: str, channel: str, control_id: str) -> dict[str, int]:
    """What a mart would count: distinct users treated, in control, and converted of each."""
    bucket = simulated.bucket
    treated = {r["user_id"] for r in bucket.distinct(SENDS[channel]) if r["campaign_id"] == campaign_id}
    control = {
        r["user_id"]
        for r in bucket.distinct("users.campaigns.EnrollInControl")
        if r["campaign_id"] == campaign_id
    }
    conversions = [
        r
        for r in bucket.distinct("users.campaigns.Conversion")
        if r["campaign_id"] == campaign_id and r["conversion_behavior_index"] == 0
    ]
    of_control = {r["user_id"] for r in conversions if r["message_variation_id"] == control_id}
    of_treated = {r["user_id"] for r in conversions if r["message_variation_id"] != control_id}
    assert not treated & control
    assert of_control <= control
    assert of_treated <= treated
    return {
        "treated": len(treated),
        "control": len(control),
        "treated_converted": len(of_treated),
        "control_converted": len(of_control),
    }


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda c: c.name)
def test_the_events_show_the_true_lift(simulated: Simulated, campaign: Any) -> None:
    true = simulated.simulation.truth()[campaign.campaign_id]
    found = measured(simulated, campaign.campaign_id, campaign.channel, campaign.control_variation_id)
    assert found == {name: true[name] for name in found}
    assert true["audience"] == found["treated"] + found["control"]
    p1, p0 = found["treated_converted"] / found["treated"], found["control_converted"] / found["control"]
    # Agresti-Caffo: one success and one failure more in each group, so that few conversions do not look certain.
    variance = 0.0
    for group in ("treated", "control"):
        size = found[group] + 2
        share = (found[f"{group}_converted"] + 1) / size
        variance += share * (1 - share) / size
    error = math.sqrt(variance)
    assert abs(p1 - p0 - true["true_lift"]) < 3.29 * error


def test_all_lifts_together_are_not_biased(simulated: Simulated) -> None:
    excess, variance = 0.0, 0.0
    for true in simulated.simulation.truth().values():
        p1 = true["treated_converted"] / true["treated"]
        p0 = true["control_converted"] / true["control"]
        excess += p1 - p0 - true["true_lift"]
        t, c = true["true_baseline"] + true["true_lift"], true["true_baseline"]
        variance += t * (1 - t) / true["treated"] + c * (1 - c) / true["control"]
    assert abs(excess) < 3.29 * math.sqrt(variance)


def test_attributes_make_the_effect_larger(simulated: Simulated) -> None:
    for campaign in CAMPAIGNS:
        before = simulated.history_truth[campaign.campaign_id]
        after = simulated.simulation.truth()[campaign.campaign_id]
        assert 0.01 < before["true_lift"] < 0.03
        assert set(before["rounds"]) == {"1"}
        if campaign.by_attributes:
            assert 0.05 < after["rounds"]["2"]["true_lift"] < 0.11
            assert after["round"] == 2
        else:
            assert set(after["rounds"]) == {"1"}
            assert 0.01 < after["true_lift"] < 0.03


def test_round_two_reaches_whom_the_attributes_name(simulated: Simulated) -> None:
    people = simulated.simulation.people
    start = simulated.simulation.simulated_until.timestamp() - 2 * 86_400
    index = {user_id: person for person, user_id in enumerate(people.columns["user_id"].tolist())}
    for campaign in (c for c in CAMPAIGNS if c.by_attributes):
        reached = [
            record
            for record in simulated.bucket.distinct(SENDS[campaign.channel])
            if record["campaign_id"] == campaign.campaign_id and record["time"] >= start
        ]
        assert reached
        for record in reached:
            person = index[record["user_id"]]
            assert CHANNELS[people.channel[person]] == campaign.channel
            assert people.fatigue[person] <= 0.75
            if campaign.channel not in ("in_app_message",):
                hour = record["time"] % 86_400 // 3600
                assert hour == people.active_hour[person]


def test_control_does_not_depend_on_traits() -> None:
    people = make_people(7, 8_000)
    for campaign in CAMPAIGNS:
        control = in_control(campaign, people, 7)
        count = int(control.sum())
        assert abs(count / len(people) - campaign.control_share) < 4 * math.sqrt(0.25 / len(people))
        for trait in (people.value, people.fatigue, people.favourite == 1, people.channel == 0):
            difference = np.mean(trait[control]) - np.mean(trait[~control])
            error = np.std(trait) * math.sqrt(1 / count + 1 / (len(people) - count))
            assert abs(difference) < 4.5 * error


def test_behaviour_shows_the_latent_traits(simulated: Simulated) -> None:
    people = simulated.simulation.people
    index = {user_id: person for person, user_id in enumerate(people.columns["user_id"].tolist())}
    sessions = simulated.bucket.distinct("users.behaviors.app.SessionStart")
    near = [
        abs(r["time"] % 86_400 // 3600 - people.active_hour[index[r["user_id"]]]) <= 1
        for r in sessions
        if r["user_id"] in index
    ]
    assert np.mean(near) > 0.8
    orders = simulated.simulation.store.orders()
    favourite = [
        row[3] == ("books", "garden", "kitchen", "outdoor", "toys")[people.favourite[int(row[1][1:]) - 1]]
        for row in orders
    ]
    assert np.mean(favourite) > 0.65
    sent = {r["user_id"] for r in simulated.bucket.distinct(SENDS["email"])} & set(index)
    opened = {
        r["user_id"]
        for r in simulated.bucket.distinct("users.messages.email.Open")
        if r["machine_open"] is None
    }
    prefers = {user_id for user_id in sent if people.channel[index[user_id]] == 0}
    assert len(opened & prefers) / len(prefers) > 2 * len(opened - prefers) / len(sent - prefers)
