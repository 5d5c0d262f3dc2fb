"""The effect of delivered attributes, against the effect that the sandbox simulated."""

from typing import Any

import pytest
from simulated_warehouse import DELIVERED_AT, SYNC, Record, SimulatedWarehouse

from braze_platform.sandbox.world.campaigns import CAMPAIGNS

#: A 95 % interval misses the truth once in twenty; of six, more than one miss is an error.
MISSES_ALLOWED = 1
CHOOSING = [campaign for campaign in CAMPAIGNS if campaign.by_attributes]


@pytest.fixture(scope="module")
def by_campaign(simulated: SimulatedWarehouse) -> dict[str, Record]:
    """The rows of the attribute by which campaigns choose their channel's people."""
    rows = simulated.rows("select * from marts.mart_attribute_effect where attribute = 'preferred_channel'")
    assert {row["sync"] for row in rows} == {SYNC}
    assert {row["first_delivered_at"] for row in rows} == {DELIVERED_AT}
    return {row["campaign_id"]: row for row in rows}


def covers(row: Record, lift: str, truth: float) -> bool:
    assert row[f"{lift}_low"] < row[lift] < row[f"{lift}_high"]
    return bool(row[f"{lift}_low"] <= truth <= row[f"{lift}_high"])


def test_the_true_effect_lies_within_the_interval(
    simulated: SimulatedWarehouse, by_campaign: dict[str, Record]
) -> None:
    missed: dict[str, list[str]] = {"with_lift": [], "before_lift": [], "gain": []}
    for campaign in CHOOSING:
        row, rounds = by_campaign[campaign.campaign_id], simulated.truth[campaign.campaign_id]["rounds"]
        truths = {
            "with_lift": rounds["2"]["true_lift"],
            "before_lift": rounds["1"]["true_lift"],
            "gain": rounds["2"]["true_lift"] - rounds["1"]["true_lift"],
        }
        for lift, truth in truths.items():
            if not covers(row, lift, truth):
                missed[lift].append(campaign.name)
    assert all(len(names) <= MISSES_ALLOWED for names in missed.values()), missed
    # An interval that covers everything would be no finding: together they tell that the attribute was worth something.
    assert sum(row["gain_low"] > 0 for row in by_campaign.values()) >= 3


def test_users_are_those_whom_the_sandbox_enrolled(
    simulated: SimulatedWarehouse, by_campaign: dict[str, Record]
) -> None:
    """But for people who were deleted since, whom the mart leaves out."""
    deleted = len(simulated.rows("select * from marts.dim_user_identity where is_deleted"))
    for campaign in CHOOSING:
        row, rounds = by_campaign[campaign.campaign_id], simulated.truth[campaign.campaign_id]["rounds"]
        assert row["value"] == campaign.channel
        assert row["without_treated_users"] == row["without_control_users"] == 0
        for group, told in (("with", rounds["2"]), ("before", rounds["1"])):
            for arm in ("treated", "control"):
                assert told[arm] - deleted <= row[f"{group}_{arm}_users"] <= told[arm]
                assert (
                    told[f"{arm}_converted"] - deleted
                    <= row[f"{group}_{arm}_conversions"]
                    <= told[f"{arm}_converted"]
                )


def test_groups_of_one_attribute_and_campaign_add_up(simulated: SimulatedWarehouse) -> None:
    """With and without are everybody whom the campaign first reached after the delivery, whatever the value."""
    rows = simulated.rows("select * from marts.mart_attribute_effect")
    assert {row["attribute"] for row in rows} >= {"best_send_hour", "favourite_category", "value_segment"}
    totals: dict[tuple[Any, ...], set[tuple[int, ...]]] = {}
    for row in rows:
        together = tuple(
            row[f"with_{measure}"] + row[f"without_{measure}"]
            for measure in ("treated_users", "control_users", "treated_conversions", "control_conversions")
        )
        totals.setdefault((row["attribute"], row["campaign_id"]), set()).add(together)
        assert row["with_treated_users"] + row["with_control_users"] >= 20
    assert all(len(found) == 1 for found in totals.values())
