"""What a sender sends: requests with, for each of their objects, whose it is and which attributes it carries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from braze_platform.sync.delivery.requests import Packed, Request, RequestLimits, packed
from braze_platform.sync.ledger.actions import Actions
from braze_platform.sync.ledger.store import UserKey


@dataclass
class Work:
    """One request with, for each of its objects, the user's key and the attributes that it carries."""

    request: Request
    rows: Sequence[UserKey]
    actions: Sequence[Actions]
    #: What each object carries, as `plan.delivery_values` says it, where it is not all that the plan has for the user.
    sent: Sequence[str] | None = None

    def subset(self, positions: Sequence[int]) -> Work:
        """The same work for some of its objects, in order."""
        return Work(
            Request(tuple(self.request.parts[i] for i in positions), array=self.request.array),
            [self.rows[i] for i in positions],
            [self.actions[i] for i in positions],
            None if self.sent is None else [self.sent[i] for i in positions],
        )

    def within(self, limits: RequestLimits) -> list[Work]:
        """The same work in requests that keep to `limits`, in order."""
        sizes = [len(part) for part in self.request.parts]
        pieces = list(packed(range(len(sizes)), sizes.__getitem__, limits, self.request.array))
        return [self.subset(piece.entries) for piece in pieces] if len(pieces) > 1 else [self]

    def halves(self) -> list[Work]:
        """The same work in two requests, or as it is when it has one object."""
        count = len(self.rows)
        if count < 2:
            return [self]
        return [self.subset(range(count // 2)), self.subset(range(count // 2, count))]

    def isolate(self, position: int) -> tuple[Work, Work]:
        """The object at `position` alone, and all others."""
        others = [i for i in range(len(self.rows)) if i != position]
        return self.subset([position]), self.subset(others)


class PackedObject(NamedTuple):
    """One encoded object: its user's key, what becomes of the attributes by it, and what deliveries say it carries."""

    row: UserKey
    actions: Actions
    part: bytes
    sent: str | None = None


def pack_work(objects: Iterable[PackedObject], limits: RequestLimits) -> Iterator[Work]:
    """Objects as requests within `limits`, in order; one too large alone has a marked request."""
    for request in packed(objects, _size, limits):
        yield work_of(request)


def work_of(request: Packed[PackedObject]) -> Work:
    """One request of them. What they carry is told for all of them, or for none."""
    rows, actions, parts, sent = zip(*request.entries, strict=True)
    told = None if sent[0] is None else sent
    return Work(Request(parts, oversized=request.oversized), rows, actions, told)


def _size(entry: PackedObject) -> int:
    return len(entry.part)
