"""What the simulation remembers of people from one day to the next, and how it is kept in a file."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from braze_platform.sandbox.world.people import CATEGORIES, CHANNELS, Flags, Floats, Integers

#: Values of `SimulationState.enrolled`.
NOT_ENROLLED, TREATED, CONTROL = 0, 1, 2
SEGMENTS = ("new", "occasional", "loyal", "vip")


@dataclass
class SimulationState:
    """One row per campaign (or canvas), one column per person; sums are by campaign and round."""

    #: NOT_ENROLLED, TREATED or CONTROL.
    enrolled: npt.NDArray[np.int8]
    #: The round (1 or 2) of the enrolment; 0 before it.
    round: npt.NDArray[np.int8]
    converted: Flags
    #: Sum of the true effect and of the true baseline over enrolled people.
    effect_sum: Floats
    baseline_sum: Floats
    email_off: Flags
    push_off: Flags
    sms_off: Flags
    #: Deleted or merged into somebody else.
    gone: Flags
    #: Has had a first session.
    seen: Flags
    #: Day of the entry into each canvas; -1 before it.
    canvas_day: Integers
    #: Variation in each canvas: 0 or 1 a variant, 2 control.
    canvas_variation: npt.NDArray[np.int8]

    @classmethod
    def new(cls, people: int, campaigns: int, canvases: int) -> SimulationState:
        """Nobody enrolled, everybody there."""
        return cls(
            enrolled=np.zeros((campaigns, people), dtype=np.int8),
            round=np.zeros((campaigns, people), dtype=np.int8),
            converted=np.zeros((campaigns, people), dtype=bool),
            effect_sum=np.zeros((campaigns, 3)),
            baseline_sum=np.zeros((campaigns, 3)),
            email_off=np.zeros(people, dtype=bool),
            push_off=np.zeros(people, dtype=bool),
            sms_off=np.zeros(people, dtype=bool),
            gone=np.zeros(people, dtype=bool),
            seen=np.zeros(people, dtype=bool),
            canvas_day=np.full((canvases, people), -1, dtype=np.int64),
            canvas_variation=np.zeros((canvases, people), dtype=np.int8),
        )

    def to_bytes(self) -> bytes:
        """All arrays, packed."""
        kept = io.BytesIO()
        np.savez_compressed(kept, **{f.name: getattr(self, f.name) for f in fields(self)})
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, packed: bytes) -> SimulationState:
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(packed)) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})


@dataclass(frozen=True)
class HeldAttributes:
    """What profiles held when a simulation was asked for: one element a person, -1 where nothing usable is held."""

    favourite_category: npt.NDArray[np.int8]
    preferred_channel: npt.NDArray[np.int8]
    best_send_hour: npt.NDArray[np.int8]
    value_segment: npt.NDArray[np.int8]
    fatigue_high: Flags

    @property
    def usable(self) -> bool:
        """Whether enough people (one in a hundred) hold a preferred channel for campaigns to be chosen by it."""
        return bool(np.count_nonzero(self.preferred_channel >= 0) * 100 >= len(self.preferred_channel))

    @classmethod
    def read(cls, custom_attributes: list[dict[str, Any]], people: int) -> HeldAttributes:
        """From the custom attributes of the identified people, in the people's order."""

        def coded(name: str, words: tuple[str, ...]) -> npt.NDArray[np.int8]:
            codes = {word: code for code, word in enumerate(words)}
            column = np.full(people, -1, dtype=np.int8)
            for index, attributes in enumerate(custom_attributes):
                value = attributes.get(name)
                column[index] = codes.get(value, -1) if isinstance(value, str) else -1
            return column

        hours = np.full(people, -1, dtype=np.int8)
        for index, attributes in enumerate(custom_attributes):
            hour = attributes.get("best_send_hour")
            if isinstance(hour, int) and not isinstance(hour, bool) and 0 <= hour <= 23:
                hours[index] = hour
        return cls(
            favourite_category=coded("favourite_category", CATEGORIES),
            preferred_channel=coded("preferred_channel", CHANNELS),
            best_send_hour=hours,
            value_segment=coded("value_segment", SEGMENTS),
            fatigue_high=np.asarray(coded("fatigue_level", ("high",)) == 0),
        )

    def to_bytes(self) -> bytes:
        """All columns, packed."""
        kept = io.BytesIO()
        np.savez_compressed(kept, **{f.name: getattr(self, f.name) for f in fields(self)})
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, packed: bytes) -> HeldAttributes:
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(packed)) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})
