"""Sends a plan's objects: bounded concurrency, pacing, retries, bisection, and poison kept apart.

No two updates of one user are ever in flight together: a plan has one object a user, a request that must be
split or sent again stays with the worker that holds it, and attributes sent apart follow one another.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from braze_platform.attributes.ledger import UserKey
from braze_platform.attributes.outcomes import Outcomes
from braze_platform.attributes.plan import delivery_values, value_hash
from braze_platform.attributes.requests import Request, RequestLimits, RequestSize
from braze_platform.attributes.sync import AttributeSpec
from braze_platform.attributes.values import encode
from braze_platform.attributes.verdicts import Verdict, concerns_user, interpret
from braze_platform.braze_api.connection import Answer, RequestPace
from braze_platform.braze_api.pacing import backoff, wait_after
from braze_platform.braze_api.shared_budget import SharedBudget


class SendingTransport(Protocol):
    """What the sender needs of a transport."""

    limits: RequestLimits
    path: str
    budget: SharedBudget

    async def send(self, request: Request) -> Answer:
        """One attempt."""
        ...

    def fall_back(self, path: str, status: int | None) -> bool:
        """Whether a request so answered on `path` is to be sent again another way, with `limits` of its own."""
        ...


@dataclass(frozen=True)
class RetryLimits:
    """How long a run tries: on faults (5xx, no answer), and on being told to wait (429)."""

    fault_seconds: float = 120.0
    rate_limit_seconds: float = 900.0
    first_backoff_seconds: float = 0.2


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
        """The same work in two requests."""
        count = len(self.rows)
        return [self.subset(range(count // 2)), self.subset(range(count // 2, count))]


@dataclass
class _Apart:
    """A rejected object of several attributes, whose attributes are now sent one by one."""

    row: UserKey
    base: dict[str, Any]
    #: Position and name of an attribute, its value, and what deliveries say of it.
    remaining: deque[tuple[int, str, Any, str]]


def pack_work(
    rows: Sequence[UserKey],
    masks: Sequence[str],
    parts: Sequence[bytes],
    sent: Sequence[str] | None,
    transport: SendingTransport,
) -> Iterator[Work]:
    """Objects as requests within the transport's limits, in order; one too large alone has a marked request."""
    size = RequestSize(transport.limits)
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


def _once(verdict: Verdict) -> Verdict:
    """What becomes of a verdict on something that must not be sent twice."""
    if verdict.outcome != "due" or not verdict.unclear:
        return verdict
    return Verdict(
        "rejected",
        f"{verdict.reason}; an operator is not sent again after an unclear answer",
        unclear=True,
    )


class Sender:
    """Sends work and tells `Outcomes` of every verdict. One instance sends one plan.

    It waits while `most_unwritten` outcomes are gathered: whoever runs it has to flush them meanwhile. Without
    `repeatable`, what an answer leaves unclear is rejected as such and not sent again.
    """

    def __init__(
        self,
        transport: SendingTransport,
        outcomes: Outcomes,
        specs: Sequence[AttributeSpec],
        retry: RetryLimits,
        *,
        most_unwritten: int = 50_000,
        with_values: bool = False,
        repeatable: bool = True,
    ) -> None:
        self._transport = transport
        self._outcomes = outcomes
        self._specs = specs
        self._retry = retry
        self._most_unwritten = most_unwritten
        self._with_values = with_values
        self._repeatable = repeatable
        self._pace = RequestPace(transport.limits.requests_per_second)
        self._apart: deque[_Apart] = deque()
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._exhausted = False
        self._last_success = float("-inf")
        self.requests = 0
        self.stopped = ""

    async def run(self, source: AsyncIterator[Work]) -> None:
        """Send everything of `source`; returns early, with `stopped` set, when going on makes no sense."""
        workers = [
            asyncio.create_task(self._worker(source)) for _ in range(self._transport.limits.concurrency)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._transport.budget.give_back()

    async def _worker(self, source: AsyncIterator[Work]) -> None:
        while not self._stop.is_set():
            # What Braze acknowledged and the ledger does not know is what a killed run sends again: it is bounded.
            while len(self._outcomes) >= self._most_unwritten:
                await asyncio.sleep(0.01)
            taken = await self._next(source)
            if taken is None:
                return
            work, entries = taken
            await self._settle(work)
            self._apart.extend(entry for entry in entries if entry.remaining)

    async def _next(self, source: AsyncIterator[Work]) -> tuple[Work, list[_Apart]] | None:
        async with self._turn:
            if len(self._apart) < self._transport.limits.objects and not self._exhausted:
                try:
                    return await anext(source), []
                except StopAsyncIteration:
                    self._exhausted = True
        return self._apart_work() if self._apart else None

    def _apart_work(self) -> tuple[Work, list[_Apart]]:
        """The next attribute of each user whose object was rejected, in one request."""
        entries: list[_Apart] = []
        parts: list[bytes] = []
        masks: list[str] = []
        sent: list[str] = []
        size = 0
        limits = self._transport.limits
        while self._apart and len(entries) < limits.objects:
            entry = self._apart[0]
            position, name, value, carried = entry.remaining[0]
            part = encode({**entry.base, name: value}).encode("utf-8")
            # Three bytes a part and a fixed head are more than the body adds; packing loosely costs nothing here.
            if entries and size + len(part) + 3 > limits.bytes - 64:
                break
            self._apart.popleft()
            entry.remaining.popleft()
            entries.append(entry)
            parts.append(part)
            masks.append(self._mask(position))
            sent.append(carried)
            size += len(part) + 3
        return Work(Request(tuple(parts)), [entry.row for entry in entries], masks, sent), entries

    def _mask(self, position: int) -> str:
        return "-" * position + "c" + "-" * (len(self._specs) - position - 1)

    async def _settle(self, work: Work) -> None:
        """Send until each object is delivered, rejected, put apart, or the time for it is over."""
        waiting: deque[tuple[Work, int]] = deque([(work, 0)])
        first_fault: float | None = None
        limited_since: float | None = None
        faults = 0
        while waiting and not self._stop.is_set():
            current, attempts = waiting.popleft()
            answer = Answer(None)
            if not current.request.oversized:
                # Packed before the transport fell back to an endpoint with smaller requests.
                pieces = current.within(self._transport.limits)
                if len(pieces) > 1:
                    waiting.extendleft((piece, attempts) for piece in reversed(pieces))
                    continue
                if not await self._pace.turn(self._stop) or not await self._within_budget():
                    self._leave(current, self.stopped or "not sent", answer, attempts)
                    break
                self.requests += 1
                path = self._transport.path
                answer = await self._transport.send(current.request)
                self._transport.budget.hear(answer.headers)
                if self._transport.fall_back(path, answer.status):
                    self._pace.change(self._transport.limits.requests_per_second)
                    waiting.appendleft((current, attempts))
                    continue
            attempts += 1
            now = time.time()
            verdicts = interpret(
                current.request, answer.status, answer.headers, answer.body, now=now, written=answer.written
            )
            if not self._repeatable:
                verdicts = [_once(verdict) for verdict in verdicts]
            wait = None if answer.status is None else wait_after(answer.status, answer.headers, now)
            if wait:
                self._hold(wait)
            due = self._record(current, verdicts, answer, attempts)
            if not due:
                self._last_success = time.monotonic()
                first_fault, faults, limited_since = None, 0, None
                continue
            verdict = verdicts[due[0]]
            remaining = current if len(due) == len(current.rows) else current.subset(due)
            if verdict.next_step == "stop":
                self._halt(verdict.reason)
                self._leave(remaining, verdict.reason, answer, attempts)
                return
            if verdict.next_step == "split":
                if remaining is current:
                    waiting.extendleft((half, 0) for half in reversed(current.halves()))
                else:
                    waiting.appendleft((remaining, attempts))
                continue
            if answer.status == 400:
                # Sent again without the objects that were named: this is progress, not a fault.
                waiting.appendleft((remaining, 0))
                continue
            moment = time.monotonic()
            if answer.status == 429:
                limited_since = moment if limited_since is None else limited_since
                patience, since = self._retry.rate_limit_seconds, limited_since
            else:
                first_fault = moment if first_fault is None else first_fault
                patience, since = self._retry.fault_seconds, first_fault
            if moment - since >= patience:
                reason = verdict.reason + (f" ({answer.fault})" if answer.fault else "")
                if self._last_success <= since:
                    self._halt(f"{reason}, for {patience:.0f} seconds")
                self._leave(remaining, reason, answer, attempts)
                continue
            waiting.appendleft((remaining, attempts))
            faults += 1
            if not wait:
                pause = backoff(faults, random.random(), first=self._retry.first_backoff_seconds)
                await self._pause(min(pause, max(0.0, since + patience - moment)))
        for left, attempts in waiting:
            self._leave(left, self.stopped or "not sent", Answer(None), attempts)

    async def _within_budget(self) -> bool:
        """Take one request from what all syncs share; False when the sync stops, e.g. because the hour is used up."""
        while not self._stop.is_set():
            grant = self._transport.budget.take()
            if grant.requests:
                return True
            if grant.wait_seconds > self._retry.rate_limit_seconds:
                self._halt(
                    f"the hour's budget of requests is used up; a run in {grant.wait_seconds / 60:.0f} minutes goes on"
                )
                return False
            await self._pause(grant.wait_seconds)
        return False

    def _record(self, work: Work, verdicts: list[Verdict], answer: Answer, attempts: int) -> list[int]:
        """Tell the outcomes of what is settled; return the positions of objects that are due."""
        if all(verdict.outcome == "delivered" for verdict in verdicts):
            self._outcomes.add(
                work.rows,
                work.masks,
                "delivered",
                request_number=self.requests,
                status=answer.status,
                attempts=attempts,
                sent=work.sent,
            )
            return []
        due: list[int] = []
        for position, verdict in enumerate(verdicts):
            if verdict.outcome == "due":
                due.append(position)
                continue
            row, mask = work.rows[position], work.masks[position]
            outcome: str = verdict.outcome
            reason = verdict.reason
            if outcome == "rejected" and self._reject(work, position, verdict):
                outcome, reason = "due", f"its attributes are sent one by one after: {reason}"
            self._outcomes.add(
                [row],
                [mask],
                outcome,
                request_number=self.requests,
                status=answer.status,
                attempts=attempts,
                reason=reason,
                sent=None if work.sent is None else [work.sent[position]],
                unclear=verdict.unclear,
            )
        return due

    def _reject(self, work: Work, position: int, verdict: Verdict) -> bool:
        """Reject for good, or put the object's attributes apart (True) so that one costs no other."""
        row, mask = work.rows[position], work.masks[position]
        content = json.loads(work.request.parts[position])
        carried = [(i, spec.name) for i, spec in enumerate(self._specs) if mask[i] != "-"]
        texts = {
            name: delivery_values(
                self._specs, mask, [(i, None, content[name])], operated=False, with_values=self._with_values
            )
            for i, name in carried
            if work.sent is None
        }
        if work.sent is not None:
            texts = {entry["attribute"]: encode([entry]) for entry in json.loads(work.sent[position])}
        if len(carried) > 1 and not verdict.unclear and not concerns_user(verdict.reason):
            values = deque((i, name, content.pop(name), texts[name]) for i, name in carried)
            self._apart.append(_Apart(row, content, values))
            return True
        for _, name in carried:
            hashed = json.loads(texts[name])[0]["hash"] or value_hash(None)
            self._outcomes.reject(row, name, hashed, verdict.reason, unclear=verdict.unclear)
        return False

    def _leave(self, work: Work, reason: str, answer: Answer, attempts: int) -> None:
        self._outcomes.add(
            work.rows,
            work.masks,
            "due",
            request_number=self.requests,
            status=answer.status,
            attempts=attempts,
            reason=reason,
            sent=work.sent,
        )

    def _hold(self, seconds: float) -> None:
        if seconds > self._retry.rate_limit_seconds:
            self._halt(f"Braze takes no more requests for {seconds:.0f} seconds (rate limit)")
        else:
            self._pace.hold(seconds)

    def _halt(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self._stop.set()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:
            return
