"""The sandbox's two canvases: entry, messages, a split step on the second day, exits, conversions.

A canvas has two variants and a control group. Its first message goes out on the day of entry, its split step and
second message on the day after. People who buy on the day of entry leave through an exit criterion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from braze_platform.sandbox.currents.event_log import DayLog
from braze_platform.sandbox.store.state import SimulationState
from braze_platform.sandbox.world.behaviour import Orders, buy
from braze_platform.sandbox.world.messages import Sends, reaction_seconds, send
from braze_platform.sandbox.world.people import Flags, Integers, Objects, generator, hexadecimal_id
from braze_platform.sandbox.world.targeting import reachable

_CONTROL = 2
#: Names of the variants, in the order of their numbers; the last is the control group.
VARIATIONS = ("Variant A", "Variant B", "Control")
#: Names of the split step's paths.
SPLITS = ("Path 1", "Path 2", "Control path")
_CONVERSION = {
    "conversion_behavior_index": 0,
    "conversion_behavior": '{"type":"Makes Purchase","window":259200}',
}


@dataclass(frozen=True)
class Canvas:
    """One canvas: when people enter, and the channels of its two messages."""

    number: int
    name: str
    #: `basket`: leaving a basket without buying; `quiet`: a hash picks one in sixty people a day.
    trigger: str
    first_channel: str
    second_channel: str
    control_share: float

    def id_of(self, *part: object) -> str:
        """API identifier of the canvas or of a part of it, the same for every seed."""
        return hexadecimal_id(0, "canvas", self.number, *part)


CANVASES: tuple[Canvas, ...] = (
    Canvas(1, "Basket reminder", "basket", "email", "push", 0.15),
    Canvas(2, "We miss you", "quiet", "email", "sms", 0.2),
)


def run_canvases(
    log: DayLog,
    state: SimulationState,
    orders: Orders,
    *,
    day: int,
    basket_left: Integers,
    bots_known: bool,
    seed: int,
) -> None:
    """Run both canvases of a day. `basket_left` has, for each person, the second a basket was left, or -1."""
    for row, canvas in enumerate(CANVASES):
        log.rng = generator(seed, "canvas", canvas.number, day)
        entered_yesterday = np.flatnonzero((state.canvas_day[row] == day - 1) & ~state.gone) if day else None
        if entered_yesterday is not None and len(entered_yesterday):
            _second_day(log, state, canvas, row, entered_yesterday, day, bots_known)
        who, seconds = _entering(log, state, canvas, row, day, basket_left)
        if len(who):
            _first_day(log, state, orders, canvas, row, who, seconds, day, bots_known)


def _entering(
    log: DayLog, state: SimulationState, canvas: Canvas, row: int, day: int, basket_left: Integers
) -> tuple[Integers, Integers]:
    free = (state.canvas_day[row] == -1) & reachable(canvas.first_channel, log.people, state, day)
    if canvas.trigger == "basket":
        who = np.flatnonzero(free & (basket_left >= 0) & (basket_left < 21 * 3600))
        return who, basket_left[who] + 3600
    who = np.flatnonzero(free & (log.rng.random(len(free)) < 1 / 60))
    return who, 9 * 3600 + log.rng.integers(0, 900, len(who))


def _first_day(
    log: DayLog,
    state: SimulationState,
    orders: Orders,
    canvas: Canvas,
    row: int,
    who: Integers,
    seconds: Integers,
    day: int,
    bots_known: bool,
) -> None:
    rng = log.rng
    draw = rng.random(len(who))
    half = canvas.control_share + (1 - canvas.control_share) / 2
    variation = np.where(draw < canvas.control_share, _CONTROL, np.where(draw < half, 0, 1))
    state.canvas_day[row, who] = day
    state.canvas_variation[row, who] = variation
    columns = _columns(canvas, variation, "message")
    control = variation == _CONTROL
    log.add("users.canvas.Entry", who, seconds, columns | {"in_control_group": control})
    _progress(log, canvas, who[~control], seconds[~control] + 1, _part(columns, ~control), "entry", "split")
    category = log.people.favourite[who]
    _send(log, state, canvas.first_channel, who, seconds + 30, category, columns, ~control, bots_known, day)
    converts = rng.random(len(who)) < np.where(control, 0.05, 0.085)
    at = np.minimum(reaction_seconds(rng, seconds + 120, log.people.active_hour[who]), 86_390)
    buyers, bought = who[converts], at[converts]
    chosen = _part(columns, converts)
    buy(log, orders, buyers, bought, category[converts])
    log.add("users.canvas.Conversion", buyers, bought + 1, chosen | _CONVERSION)
    leaving = converts & ~control
    exits = _part(columns, leaving) | _api_ids(canvas)
    log.add("users.canvas.exit.PerformedEvent", who[leaving], at[leaving] + 2, exits)
    # Who has bought does not come to the second day.
    state.canvas_day[row, buyers] = -2 - day


def _second_day(
    log: DayLog, state: SimulationState, canvas: Canvas, row: int, who: Integers, day: int, bots_known: bool
) -> None:
    rng = log.rng
    variation = state.canvas_variation[row, who].astype(np.int64)
    who, variation = who[variation != _CONTROL], variation[variation != _CONTROL]
    if len(who) == 0:
        return
    seconds = 10 * 3600 + rng.integers(0, 1200, len(who))
    columns = _columns(canvas, variation, "split")
    leaves = ~reachable(canvas.second_channel, log.people, state, day)[who]
    matched = _part(columns, leaves) | _api_ids(canvas)
    log.add("users.canvas.exit.MatchedAudience", who[leaves], seconds[leaves], matched)
    who, variation, seconds = who[~leaves], variation[~leaves], seconds[~leaves]
    columns = _part(columns, ~leaves)
    split = rng.choice(3, len(who), p=(0.42, 0.42, 0.16))
    split_ids = np.asarray([canvas.id_of("split", name) for name in SPLITS], dtype=object)
    experiment = columns | {
        "experiment_step_id": canvas.id_of("experiment"),
        "experiment_split_id": split_ids[split],
        "experiment_split_name": np.asarray(SPLITS, dtype=object)[split],
        "in_control_group": split == _CONTROL,
    }
    log.add("users.canvas.experimentstep.SplitEntry", who, seconds, experiment)
    _progress(log, canvas, who, seconds + 1, columns, "advance", "second message")
    second = _columns(canvas, variation, "second message")
    category = log.people.favourite[who]
    sent = split != _CONTROL
    _send(log, state, canvas.second_channel, who, seconds + 30, category, second, sent, bots_known, day)
    converts = rng.random(len(who)) < np.where(sent, 0.06, 0.035)
    at = np.minimum(reaction_seconds(rng, seconds + 120, log.people.active_hour[who]), 86_390)
    converted = _part(experiment, converts) | _CONVERSION
    log.add("users.canvas.experimentstep.Conversion", who[converts], at[converts], converted)


def _send(
    log: DayLog,
    state: SimulationState,
    channel: str,
    who: Integers,
    seconds: Integers,
    category: Integers,
    columns: dict[str, Any],
    mask: Flags,
    bots_known: bool,
    day: int,
) -> None:
    mask = mask & reachable(channel, log.people, state, day)[who]
    send(log, state, Sends(channel, who, seconds, category, columns, bots_known).only(mask))


def _progress(
    log: DayLog,
    canvas: Canvas,
    who: Integers,
    seconds: Integers,
    columns: dict[str, Any],
    kind: str,
    next_step: str,
) -> None:
    user_ids = log.people.columns["user_id"][who].tolist()
    more = {
        "progression_type": kind,
        "is_canvas_entry": kind == "entry",
        "canvas_entry_id": [canvas.id_of("entry", user_id) for user_id in user_ids],
        "next_step_id": canvas.id_of("step", next_step),
    }
    log.add("users.canvasstep.Progression", who, seconds, columns | more)


def _columns(canvas: Canvas, variation: Integers, step: str) -> dict[str, Any]:
    """Canvas, variation and step under Currents' field names."""
    ids: Objects = np.asarray([canvas.id_of("variation", name) for name in VARIATIONS], dtype=object)
    messages = [canvas.id_of("message", step, name) for name in VARIATIONS]
    return {
        "canvas_id": canvas.id_of(),
        "canvas_name": canvas.name,
        "canvas_variation_id": ids[variation],
        "canvas_variation_name": np.asarray(VARIATIONS, dtype=object)[variation],
        "canvas_step_id": canvas.id_of("step", step),
        "canvas_step_name": step.capitalize(),
        "canvas_step_message_variation_id": np.asarray(messages, dtype=object)[variation],
        "send_id": canvas.id_of("send", step),
        "dispatch_id": canvas.id_of("dispatch", step),
    }


def _api_ids(canvas: Canvas) -> dict[str, str]:
    return {"canvas_api_id": canvas.id_of()}


def _part(columns: dict[str, Any], mask: Flags) -> dict[str, Any]:
    return {name: value[mask] if isinstance(value, np.ndarray) else value for name, value in columns.items()}
