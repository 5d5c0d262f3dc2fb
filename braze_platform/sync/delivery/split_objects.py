"""Objects that Braze rejected, split by attribute: one bad value costs no other value of the same user."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.actions import delivery_values
from braze_platform.sync.delivery.requests import Request, RequestLimits
from braze_platform.sync.delivery.work import Work
from braze_platform.sync.ledger.ledger import UserKey
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
        mask, content = work.masks[position], _decoded(work, position)
        texts: dict[str, str] = {}
        if work.sent is not None:
            texts = {entry["attribute"]: encode([entry]) for entry in json.loads(work.sent[position])}
        found = []
        for i, spec in enumerate(self._specs):
            if mask[i] != "-":
                value = content[spec.name]
                text = texts.get(spec.name) or delivery_values(
                    self._specs, mask, [(i, None, value)], is_operator=False, with_values=self._with_values
                )
                found.append(CarriedValue(i, spec.name, value, text))
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
        parts: list[bytes] = []
        carried: list[CarriedValue] = []
        size = 0
        while self._queue and len(entries) < limits.objects:
            entry = self._queue[0]
            value = entry.remaining[0]
            part = encode({**entry.base, value.name: value.value}).encode("utf-8")
            # Three bytes a part and a fixed head are more than the body adds; packing loosely costs nothing here.
            if entries and size + len(part) + 3 > limits.bytes - 64:
                break
            self._queue.popleft()
            entry.remaining.popleft()
            entries.append(entry)
            parts.append(part)
            carried.append(value)
            size += len(part) + 3
        masks = [self._mask(value.position) for value in carried]
        sent = [value.text for value in carried]
        return Work(Request(tuple(parts)), [entry.row for entry in entries], masks, sent), entries

    def _mask(self, position: int) -> str:
        return "-" * position + "c" + "-" * (len(self._specs) - position - 1)


def _decoded(work: Work, position: int) -> dict[str, Any]:
    return cast("dict[str, Any]", decode(work.request.parts[position]))
