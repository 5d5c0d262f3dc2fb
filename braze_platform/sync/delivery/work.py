"""What a sender sends: requests with, for each of their objects, whose it is and which attributes it carries. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from braze_platform.sync.delivery.requests import Request, RequestLimits, RequestSize
from braze_platform.sync.ledger.ledger import UserKey


@dataclass
class Work:
    """One request with, for each of its objects, the user's key and the attributes that it carries."""

    request: Request
    rows: Sequence[UserKey]
    masks: Sequence[str]
    #: What each object carries, as `plan.delivery_values` says it, where it is not all that the plan has for the user.
    sent: Sequence[str] | None = None

    def subset(self, positions: Sequence[int]) -> Work:
        """The same work for some of its objects, in order."""
        return Work(
            Request(tuple(self.request.parts[i] for i in positions), array=self.request.array),
            [self.rows[i] for i in positions],
            [self.masks[i] for i in positions],
            None if self.sent is None else [self.sent[i] for i in positions],
        )

    def within(self, limits: RequestLimits) -> list[Work]:
        """The same work in requests that keep to `limits`, in order."""
        size = RequestSize(limits, self.request.array)
        pieces: list[Work] = []
        start = 0
        for position, part in enumerate(self.request.parts):
            if position > start and not size.fits(len(part)):
                pieces.append(self.subset(range(start, position)))
                start = position
                size.restart()
            size.add(len(part))
        return [*pieces, self.subset(range(start, len(self.rows)))] if pieces else [self]

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


def pack_work(
    rows: Sequence[UserKey],
    masks: Sequence[str],
    parts: Sequence[bytes],
    sent: Sequence[str] | None,
    limits: RequestLimits,
) -> Iterator[Work]:
    """Objects as requests within `limits`, in order; one too large alone has a marked request."""
    size = RequestSize(limits)
    start = 0

    def piece(end: int, *, oversized: bool = False) -> Work:
        return Work(
            Request(tuple(parts[start:end]), oversized=oversized),
            rows[start:end],
            masks[start:end],
            None if sent is None else sent[start:end],
        )

    for position, part in enumerate(parts):
        if not size.fits(len(part)):
            if position > start:
                yield piece(position)
            start = position
            size.restart()
            if not size.fits_alone(len(part)):
                yield piece(position + 1, oversized=True)
                start = position + 1
                continue
        size.add(len(part))
    if start < len(parts):
        yield piece(len(parts))
