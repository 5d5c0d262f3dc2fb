"""Objects that Braze rejected, split by attribute: one bad value costs no other value of the same user."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.requests import Packer, RequestLimits
from braze_platform.sync.delivery.work import PackedObject, Work, work_of
from braze_platform.sync.ledger.actions import Action, Actions, delivery_values
from braze_platform.sync.ledger.store import UserKey
from braze_platform.sync.values.values import decode, encode


class CarriedValue(NamedTuple):
    """An attribute in an object: its position and name, its value, and what deliveries say of it."""

    position: int
    name: str
    value: Any
    text: str

    @property
    def hashed(self) -> str | None:
        """The hash of the canonical value; None when the attribute is cleared."""
        hashed: str | None = json.loads(self.text)[0]["hash"]
        return hashed


@dataclass
class SplitObject:
    """One object whose attributes are sent one by one: what all of them carry, and the attributes left."""

    row: UserKey
    base: dict[str, Any]
    remaining: deque[CarriedValue]
    #: The moment of `evidence.Evidence` at which the request was split that held the object.
    split_since: int


class SplitObjects:
    """A queue of split objects. The attributes of one user follow one another, never two in one request."""

    def __init__(self, specs: Sequence[AttributeSpec], *, with_values: bool) -> None:
        self._specs = specs
        self._with_values = with_values
        self._queue: deque[SplitObject] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def carried(self, work: Work, position: int) -> list[CarriedValue]:
        """The attributes that one object of the work carries."""
        actions, content = work.actions[position], _decoded(work, position)
        texts: dict[str, str] = {}
        if work.sent is not None:
            texts = {entry["attribute"]: encode([entry]) for entry in json.loads(work.sent[position])}
        found = []
        for i in actions.positions():
            name = self._specs[i].name
            value = content[name]
            text = texts.get(name) or delivery_values(
                self._specs, actions, [(i, None, value)], is_operator=False, with_values=self._with_values
            )
            found.append(CarriedValue(i, name, value, text))
        return found

    def add(self, work: Work, position: int, carried: Sequence[CarriedValue], since: int) -> None:
        """Queue the attributes of one object, of a request that is being split since then."""
        base = _decoded(work, position)
        for value in carried:
            del base[value.name]
        self._queue.append(SplitObject(work.rows[position], base, deque(carried), since))

    def put_back(self, entries: Sequence[SplitObject]) -> None:
        """Queue objects again of which attributes are left."""
        self._queue.extend(entry for entry in entries if entry.remaining)

    def next_work(self, limits: RequestLimits) -> tuple[Work, list[SplitObject]]:
        """The next attribute of each queued object, in one request."""
        entries: list[SplitObject] = []
        packer = Packer[PackedObject](limits)
        while self._queue:
            entry = self._queue[0]
            value = entry.remaining[0]
            part = encode({**entry.base, value.name: value.value}).encode("utf-8")
            if entries and not packer.fits(len(part)):
                break
            self._queue.popleft()
            entry.remaining.popleft()
            entries.append(entry)
            actions = Actions.of_one(Action.CHANGED, value.position, len(self._specs))
            packer.add(PackedObject(entry.row, actions, part, value.text), len(part))
        (request,) = packer.finish()
        return work_of(request), entries


def _decoded(work: Work, position: int) -> dict[str, Any]:
    return cast("dict[str, Any]", decode(work.request.parts[position]))
