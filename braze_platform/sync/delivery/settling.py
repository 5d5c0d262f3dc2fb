"""How far a request is on its way to be settled. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from braze_platform.sync.delivery.work import Work

#: Answers in a row that were cut off, of one request, before it is left due.
MAX_CUT_OFF = 5


@dataclass
class Settling:
    """How far one request is on its way to be settled, with what it was split into."""

    waiting: deque[tuple[Work, int]]
    first_fault: float | None = None
    limited_since: float | None = None
    faults: int = 0
    #: Answers in a row that were cut off.
    cut_off: int = 0
    #: By endpoint, the moment of `Evidence` at which splitting began.
    split_since: dict[str, int] = field(default_factory=dict)

    def note_progress(self) -> None:
        """Something was settled: whatever was wrong is over."""
        self.first_fault, self.limited_since, self.faults, self.cut_off = None, None, 0, 0
