"""Sends a plan's objects: bounded concurrency, pacing, retries; splits failing requests and isolates bad objects.

No two updates of one user are ever in flight together: a plan has one object per user, a request that must be
split or sent again stays with the worker that holds it, and split attributes follow one another.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

from braze_platform.braze_api.client import Answer
from braze_platform.braze_api.limiter import NoTurn
from braze_platform.braze_api.pacing import wait_after
from braze_platform.braze_api.responses import describe_response
from braze_platform.braze_api.retries import RetryLimits
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.evidence import (
    MAX_SUSPECTS,
    Evidence,
    Suspect,
    bring_control,
    nothing_passed,
    split_request,
)
from braze_platform.sync.delivery.outcomes import Outcomes
from braze_platform.sync.delivery.settling import MAX_CUT_OFF, Settling
from braze_platform.sync.delivery.split_objects import CarriedValue, SplitObject, SplitObjects
from braze_platform.sync.delivery.transport import SendingTransport
from braze_platform.sync.delivery.verdicts import (
    Verdict,
    concerns_user,
    interpret,
    settled_at_once,
)
from braze_platform.sync.delivery.work import Work
from braze_platform.sync.values.json_text import value_hash

#: Requests of operators in a row whose end is unknown before no more are sent.
MAX_UNCLEAR = 3


class Sender:
    """Sends work and tells `Outcomes` of every verdict. One instance sends one plan.

    The first request goes alone until an object has passed: a gateway that refuses everything is asked a few times, not
    by every worker. It waits while `max_unwritten` outcomes are gathered: they have to be flushed meanwhile. Without
    `repeatable`, what an answer leaves unclear is rejected as such and not sent again.
    """

    def __init__(
        self,
        transport: SendingTransport,
        outcomes: Outcomes,
        specs: Sequence[AttributeSpec],
        retry: RetryLimits,
        *,
        max_unwritten: int = 50_000,
        with_values: bool = False,
        repeatable: bool = True,
    ) -> None:
        self._transport = transport
        self._outcomes = outcomes
        self._retry = retry
        self._max_unwritten = max_unwritten
        self._repeatable = repeatable
        self._split = SplitObjects(specs, with_values=with_values)
        self._evidence = Evidence()
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._has_leader = False
        self._settling = 0
        self._opened = asyncio.Event()
        self._exhausted = False
        self._last_success = float("-inf")
        self._unclear_in_a_row = 0
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
            self._leave_suspects()

    async def _worker(self, source: AsyncIterator[Work]) -> None:
        while not self._stop.is_set():
            # What Braze acknowledged and the ledger does not know is what a killed run sends again: it is bounded.
            while len(self._outcomes) >= self._max_unwritten:
                await asyncio.sleep(0.01)
            taken = await self._next(source)
            if taken is None:
                return
            work, entries = taken
            if self._has_leader:
                await self._opened.wait()
            self._has_leader = True
            self._settling += 1
            await self._settle(work, min((entry.split_since for entry in entries), default=None))
            self._settling -= 1
            self._opened.set()
            self._split.put_back(entries)

    async def _next(self, source: AsyncIterator[Work]) -> tuple[Work, list[SplitObject]] | None:
        async with self._turn:
            if len(self._split) < self._transport.limits.objects and not self._exhausted:
                try:
                    return await anext(source), []
                except StopAsyncIteration:
                    self._exhausted = True
        if not self._split and not self._settling:
            self._split_suspects()
        return self._split.next_work(self._transport.limits) if self._split else None

    async def _settle(self, work: Work, split_since: int | None) -> None:
        """Send until each object is delivered, rejected, split, or the time for it is over."""
        state = Settling(deque([(work, 0)]))
        if split_since is not None:
            state.split_since[self._transport.path] = split_since
        waiting = state.waiting
        while waiting and not self._stop.is_set():
            current, attempts = waiting.popleft()
            answer, path = Answer(None), self._transport.path
            if not current.request.oversized:
                # Packed before the transport fell back to an endpoint with smaller requests.
                pieces = current.within(self._transport.limits)
                if len(pieces) > 1:
                    waiting.extendleft((piece, attempts) for piece in reversed(pieces))
                    continue
                if not await self._may_send():
                    self._leave(current, self.stopped or "not sent", answer, attempts)
                    break
                # Here and not by a clock beside: a process that was suspended must not send what is another's by now.
                self._outcomes.raise_if_unwritable()
                self.requests += 1
                path = self._transport.path
                answer = await self._transport.send(current.request)
                self._transport.limiter.observe_rate_limit_headers(answer.headers)
                if self._transport.fall_back(path, answer.status):
                    waiting.appendleft((current, attempts))
                    continue
            await self._conclude(current, attempts + 1, path, answer, state)
        for left, attempts in waiting:
            self._leave(left, self.stopped or "not sent", Answer(None), attempts)

    async def _conclude(
        self, current: Work, attempts: int, path: str, answer: Answer, state: Settling
    ) -> None:
        """Record what a response settles, and decide what happens to the rest."""
        now = time.time()
        verdicts = interpret(
            current.request, answer.status, answer.headers, answer.body, now=now, written=answer.written
        )
        if not self._repeatable:
            verdicts = [settled_at_once(verdict) for verdict in verdicts]
        wait = None if answer.status is None else wait_after(answer.status, answer.headers, now)
        if wait:
            self._hold(wait)
        if len(verdicts) == 1 and (verdicts[0].inferred or verdicts[0].next_step == "split"):
            since = self._split_since(path, state)
            self._suspect(Suspect(current, verdicts[0], answer, attempts, path, since), state)
            return
        due = self._record(current, verdicts, answer, attempts, self._evidence.position(path))
        if any(verdict.outcome == "delivered" for verdict in verdicts):
            self._note_passed(path)
        elif not self._repeatable and any(verdict.unclear for verdict in verdicts):
            self._note_unclear(answer)
        if not due:
            self._last_success = time.monotonic()
            state.note_progress()
            return
        verdict = verdicts[due[0]]
        remaining = current if len(due) == len(current.rows) else current.subset(due)
        if verdict.next_step == "stop":
            self._halt(verdict.reason)
            self._leave(remaining, verdict.reason, answer, attempts)
        elif verdict.next_step == "split" and remaining is current:
            proven = self._evidence.passed_since(path, self._split_since(path, state))
            state.waiting.extendleft((piece, 0) for piece in reversed(split_request(current, proven=proven)))
        elif verdict.next_step == "split":
            state.waiting.appendleft((remaining, attempts))
        elif answer.status == 400:
            # Sent again without the objects that were named: this is progress, not a fault.
            state.waiting.appendleft((remaining, 0))
        else:
            await self._retry_later(remaining, verdict, answer, attempts, state, held=bool(wait))

    async def _retry_later(
        self,
        remaining: Work,
        verdict: Verdict,
        answer: Answer,
        attempts: int,
        state: Settling,
        *,
        held: bool,
    ) -> None:
        """Back off and have it sent again, or leave it due when the time for that is over."""
        monotonic_now = time.monotonic()
        if answer.status == 429:
            state.limited_since = monotonic_now if state.limited_since is None else state.limited_since
            since = state.limited_since
        else:
            state.first_fault = monotonic_now if state.first_fault is None else state.first_fault
            since = state.first_fault
        patience = self._retry.patience(answer.status)
        state.cut_off = state.cut_off + 1 if answer.status is not None and answer.status < 300 else 0
        if monotonic_now - since >= patience or state.cut_off >= MAX_CUT_OFF:
            reason = verdict.reason + (f" ({answer.fault})" if answer.fault else "")
            if self._last_success <= since:
                times = f"{state.cut_off} times" if state.cut_off else f"for {patience:.0f} seconds"
                self._outcomes.has_to_wait |= answer.status == 429
                self._halt(f"{reason}, {times}")
            self._leave(remaining, reason, answer, attempts)
            return
        state.waiting.appendleft((remaining, attempts))
        state.faults += 1
        if not held:
            pause = self._retry.backoff(state.faults)
            await self._pause(min(pause, max(0.0, since + patience - monotonic_now)))

    def _split_since(self, path: str, state: Settling) -> int:
        return state.split_since.setdefault(path, self._evidence.position(path))

    def _suspect(self, suspect: Suspect, state: Settling) -> None:
        """An object was refused alone: it is at fault if others pass; a few in a row without one stop the sync."""
        if not self._repeatable and suspect.verdict.unclear:
            self._record(
                suspect.work, [suspect.verdict], suspect.answer, suspect.attempts, suspect.split_since
            )
            self._note_unclear(suspect.answer)
        elif self._evidence.passed_since(suspect.path, suspect.split_since):
            self._judge(suspect)
        else:
            self._evidence.suspects.append(suspect)
            if len(self._evidence.suspects) >= MAX_SUSPECTS:
                self._halt(nothing_passed(suspect.answer, len(self._evidence.suspects)))
            bring_control(state.waiting)

    def _judge(self, suspect: Suspect) -> None:
        """Settle an object that was refused while others passed."""
        if suspect.verdict.outcome == "rejected":
            self._record(
                suspect.work, [suspect.verdict], suspect.answer, suspect.attempts, suspect.split_since
            )
        else:
            self._leave(suspect.work, suspect.verdict.reason, suspect.answer, suspect.attempts)

    def _note_passed(self, path: str) -> None:
        self._unclear_in_a_row = 0
        self._opened.set()
        for suspect in self._evidence.note_passed(path):
            self._judge(suspect)

    def _note_unclear(self, answer: Answer) -> None:
        """An operator's outcome is unknown: continue only while others get responses, each costs a value."""
        self._unclear_in_a_row += 1
        nonsense = answer.status is not None and 200 <= answer.status < 300
        if self._unclear_in_a_row >= (1 if nonsense else MAX_UNCLEAR):
            message = (
                "no answer"
                if answer.status is None
                else describe_response(answer.status, answer.headers, answer.body)
            )
            self._halt(f"{message}: whether Braze took the operators is unclear; the rest is not sent")

    def _split_suspects(self) -> None:
        """With nothing else to send, the attributes of a suspect are the control for one another."""
        waiting = self._evidence.suspects
        self._evidence.suspects = []
        for suspect in waiting:
            carried = self._split.carried(suspect.work, 0) if suspect.verdict.inferred else []
            if len(carried) > 1 and not concerns_user(suspect.verdict.reason):
                self._split_object(suspect, carried)
            else:
                self._evidence.suspects.append(suspect)

    def _split_object(self, suspect: Suspect, carried: list[CarriedValue]) -> None:
        random.shuffle(carried)
        self._split.add(suspect.work, 0, carried, suspect.split_since)
        reason = f"its attributes are sent one by one after: {suspect.verdict.reason}"
        self._leave(suspect.work, reason, suspect.answer, suspect.attempts)

    def _leave_suspects(self) -> None:
        """What was refused while nothing passed is due."""
        suspects, self._evidence.suspects = self._evidence.suspects, []
        for suspect in suspects:
            self._leave(suspect.work, suspect.verdict.reason, suspect.answer, suspect.attempts)
        if suspects:
            self.stopped = self.stopped or nothing_passed(suspects[-1].answer, len(suspects))

    async def _may_send(self) -> bool:
        """Wait for one more request's turn; False when the sync stops, e.g. because the hour is used up."""
        try:
            await self._transport.limiter.turn(self._stop, max_wait_seconds=self._retry.rate_limit_seconds)
        except NoTurn as refused:
            if refused.wait_seconds is not None:
                self._outcomes.has_to_wait = True
                self._halt(
                    "the hour's budget of requests is used up; a run in "
                    f"{refused.wait_seconds / 60:.0f} minutes resumes"
                )
            return False
        return True

    def _record(
        self, work: Work, verdicts: list[Verdict], answer: Answer, attempts: int, since: int
    ) -> list[int]:
        """Tell the outcomes of what is settled; return the positions of objects that are due."""
        if all(verdict.outcome == "delivered" for verdict in verdicts):
            self._outcomes.add(
                work.rows,
                work.actions,
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
            row, actions = work.rows[position], work.actions[position]
            outcome: str = verdict.outcome
            reason = verdict.reason
            if outcome == "rejected" and self._reject(work, position, verdict, since):
                outcome, reason = "due", f"its attributes are sent one by one after: {reason}"
            self._outcomes.add(
                [row],
                [actions],
                outcome,
                request_number=self.requests,
                status=answer.status,
                attempts=attempts,
                reason=reason,
                sent=None if work.sent is None else [work.sent[position]],
                unclear=verdict.unclear and not self._repeatable,
            )
        return due

    def _reject(self, work: Work, position: int, verdict: Verdict, since: int) -> bool:
        """Reject for good, or split the object by attribute (True) so that one costs no other."""
        unclear = verdict.unclear and not self._repeatable
        carried = self._split.carried(work, position)
        if len(carried) > 1 and not unclear and not concerns_user(verdict.reason):
            self._split.add(work, position, carried, since)
            return True
        for value in carried:
            hashed = value.hashed or value_hash(None)
            self._outcomes.reject(work.rows[position], value.name, hashed, verdict.reason, unclear=unclear)
        if self._outcomes.limit.is_exceeded:
            self._halt(self._outcomes.limit.violation)
        return False

    def _leave(self, work: Work, reason: str, answer: Answer, attempts: int) -> None:
        self._outcomes.add(
            work.rows,
            work.actions,
            "due",
            request_number=self.requests,
            status=answer.status,
            attempts=attempts,
            reason=reason,
            sent=work.sent,
        )

    def _hold(self, seconds: float) -> None:
        if seconds > self._retry.rate_limit_seconds:
            self._outcomes.has_to_wait = True
            self._halt(f"Braze takes no more requests for {seconds:.0f} seconds (rate limit)")
        else:
            self._transport.limiter.hold(seconds)

    def _halt(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self._stop.set()
        self._opened.set()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except asyncio.TimeoutError:
            return
