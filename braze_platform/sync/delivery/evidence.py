"""What may be held against an object that was refused by an answer which does not name it.

Such an answer may come from a firewall, a gateway or a Braze in trouble, and then says nothing of any value. An object
is at fault only if the same endpoint took another one since the splitting began that left it alone.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass

from braze_platform.braze_api.client import Answer
from braze_platform.braze_api.responses import describe_response
from braze_platform.sync.delivery.verdicts import Verdict
from braze_platform.sync.delivery.work import Work

#: Objects sent alone and refused, without one that passes, before sending stops.
MAX_SUSPECTS = 3


@dataclass(frozen=True)
class Suspect:
    """An object that was alone in a refused request; nothing has passed the endpoint `path` since."""

    work: Work
    verdict: Verdict
    answer: Answer
    attempts: int
    path: str
    #: The position of `Evidence` at which the splitting began that isolated it.
    split_since: int


class Evidence:
    """Counts what passes each endpoint, and holds suspects until something does."""

    def __init__(self) -> None:
        self._passed: Counter[str] = Counter()
        self.suspects: list[Suspect] = []

    def position(self, path: str) -> int:
        """How many objects have passed so far, for `passed_since`."""
        return self._passed[path]

    def passed_since(self, path: str, position: int) -> bool:
        """Whether the endpoint took an object since then."""
        return self._passed[path] > position

    def note_passed(self, path: str) -> list[Suspect]:
        """The endpoint took an object: returns the suspects that this proves to be at fault."""
        self._passed[path] += 1
        if not self.suspects:
            return []
        proven = [suspect for suspect in self.suspects if suspect.path == path]
        self.suspects = [suspect for suspect in self.suspects if suspect.path != path]
        return proven


def split_request(work: Work, *, proven: bool) -> list[Work]:
    """Smaller requests for a refused one: halves, behind a control, one object alone, until the endpoint is proven.

    The control is drawn at random: were it always the same, one bad object there could hold back a sync for ever.
    """
    if proven or len(work.rows) < 3:
        return work.halves()
    control, others = work.isolate(random.randrange(len(work.rows)))
    return [control, *others.halves()]


def bring_control(waiting: deque[tuple[Work, int]]) -> None:
    """Put one object alone before what waits."""
    if waiting and len(waiting[0][0].rows) > 1:
        work, attempts = waiting.popleft()
        control, others = work.isolate(random.randrange(len(work.rows)))
        waiting.extendleft([(others, attempts), (control, attempts)])


def nothing_passed(answer: Answer, count: int) -> str:
    """Why sending stops: objects were refused, each alone, and none passed. Holds nothing of the body."""
    response = describe_response(answer.status or 0, answer.headers, answer.body)
    return (
        f"{response} to {count} objects, each sent alone, and none passed: the answer says nothing of their values, "
        "so none is rejected; check BRAZE_REST_URL and what stands in front of it"
    )
