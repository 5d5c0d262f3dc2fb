"""One writer per sync, any number of readers: whoever comes in the middle of a sending looks, waits or is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from contended_sync import ACTIONS, PEOPLE, WAIT_SECONDS, Room, everything

from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.delivery.requests import RequestLimits
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.transports.track import TrackTransport
from braze_platform.warehouse import leases
from braze_platform.warehouse.leases import (
    LIFETIME,
    LeasedSession,
    LeaseHeld,
    LeaseLost,
    hold_lease,
    holder_of,
)


def in_the_middle(monkeypatch: pytest.MonkeyPatch, at_request: int, action: Callable[[], None]) -> None:
    """Call `action` once, before the request of that number leaves."""
    original, counted = TrackTransport.send, [0]

    async def send(self: TrackTransport, request: Any) -> Any:
        counted[0] += 1
        if counted[0] == at_request:
            await asyncio.to_thread(action)
        return await original(self, request)

    monkeypatch.setattr(TrackTransport, "send", send)


def small_requests(monkeypatch: pytest.MonkeyPatch, concurrency: int = 2) -> None:
    """Ten users per request, by `bulk` too, for which no setting says so."""
    limits = RequestLimits(objects=10, concurrency=concurrency)
    monkeypatch.setattr("braze_platform.sync.run.limits_of", lambda *_: limits)


def wait_for_leases(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("braze_platform.sync.run.RUN_WAIT_SECONDS", seconds)
    monkeypatch.setattr("braze_platform.sync.seeding.rebuild.COMMAND_WAIT_SECONDS", seconds)


def shuffled_contention(sending: Room, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """All others begin in the middle of a sending, in random order, and wait for their turn."""
    chance = random.Random(seed)
    monkeypatch.setattr(leases, "_PAUSE_SECONDS", 0.05)
    wait_for_leases(monkeypatch, WAIT_SECONDS)
    monkeypatch.setattr("braze_platform.sync.run.FLUSH_OBJECTS", 10)
    small_requests(monkeypatch)
    sending.run("before")
    sending.model(1_000 * (seed + 1))
    order = chance.sample(ACTIONS, len(ACTIONS))
    with ThreadPoolExecutor(len(order)) as pool:
        contending: list[Future[None]] = []

        def others() -> None:
            sending.request_deletion(chance.choice(sending.users))
            if chance.random() < 0.7:
                sending.model(1_000 * (seed + 1) + 500)
            contending.extend(pool.submit(sending.act, action, WAIT_SECONDS) for action in order)

        in_the_middle(monkeypatch, chance.randrange(1, 6), others)
        sending.run("disturbed")
        assert len(contending) == len(order)
        for future in contending:
            future.result(timeout=WAIT_SECONDS)
    sending.model(sending.wanted[sending.users[0]]["score"])
    last = sending.run("undisturbed")
    assert last.report.complete
    ledger = sending.ledger()
    assert ledger == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted
    assert sending.run("nothing").plan.objects == 0


@pytest.mark.parametrize("sending", ["duckdb"], indirect=True)
def test_everybody_in_the_middle_of_a_sending(sending: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled_contention(sending, monkeypatch, seed=0)


# One seed on BigQuery, whose emulator takes some hundred jobs and more than a minute for it.
@pytest.mark.full
@pytest.mark.parametrize(
    ("sending", "seed"),
    [("bigquery" if seed == 49 else "duckdb", seed) for seed in range(1, 50)],
    indirect=["sending"],
)
def test_everybody_in_the_middle_of_a_sending_fifty_times(
    sending: Room, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    shuffled_contention(sending, monkeypatch, seed)


@pytest.mark.parametrize(
    "sending", ["duckdb", pytest.param("bigquery", marks=pytest.mark.full)], indirect=True
)
def test_in_the_middle_of_a_sending_others_are_told_who_sends(
    sending: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_leases(monkeypatch, 0)
    refused: dict[str, str] = {}

    def others() -> None:
        for action in ACTIONS:
            try:
                sending.act(action, 0)
            except LeaseHeld as error:
                refused[action] = str(error)

    in_the_middle(monkeypatch, 3, others)
    # Somebody is to be erased, so that the erasure comes as far as the syncs.
    sending.request_deletion(sending.users[-1])
    sending.model(7)
    small_requests(monkeypatch)
    first = sending.run("of the morning")
    assert first.report.complete
    assert set(refused) == set(ACTIONS) - {"plan"}
    for told in refused.values():
        assert "sync braze_customers" in told and "the run of the morning on" in told and "until" in told
    assert sending.ledger() == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted


def planned(leased: LeasedSession, sync: Sync) -> None:
    """Plan as a run does."""
    store = SyncStore(leased, sync)
    prepare_tables(store)
    make_plan(store)


def test_a_run_after_a_killed_one_takes_over_once_the_lease_has_expired(
    sending: Room, monkeypatch: pytest.MonkeyPatch, lease_clock: Any
) -> None:
    wait_for_leases(monkeypatch, 0)
    with sending.warehouse.session() as session:
        # What a process leaves that was killed while it planned: its lease and its plan's tables.
        killed = hold_lease(session, "braze_customers", "killed", wait_seconds=0)
        leased = killed.__enter__()
        planned(leased, sending.inner.sync)
        names = set(session.table_names("braze_sync"))
        assert {name for name in names if name.startswith("plan_")} == {
            f"plan_{leased.token}_braze_customers",
            f"plan_objects_{leased.token}_braze_customers",
        }
        lease_clock.move(LIFETIME - timedelta(seconds=1))
        with pytest.raises(LeaseHeld, match="killed on"):
            sending.run("early")
        assert sending.inner.profiles(sending.users) == {}
        lease_clock.move(timedelta(seconds=1))
        found = sending.run("later")
        assert found.report.complete
        assert not {name for name in session.table_names("braze_sync") if name.startswith("plan_")}
        killed.__exit__(None, None, None)
    assert sending.ledger() == sending.wanted


def after_request(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], None]) -> list[int]:
    """Call `action` once, when the request of that number was answered; the list counts the requests."""
    original, counted = TrackTransport.send, [0]

    async def send(self: TrackTransport, request: Any) -> Any:
        counted[0] += 1
        mine = counted[0]
        answer = await original(self, request)
        if mine == number:
            await asyncio.to_thread(action)
        return answer

    monkeypatch.setattr(TrackTransport, "send", send)
    return counted


@pytest.mark.parametrize("transport", ["track", "bulk"])
def test_a_suspended_run_sends_nothing_more_once_another_has_taken_over(
    sending: Room, monkeypatch: pytest.MonkeyPatch, lease_clock: Any, transport: str
) -> None:
    sending.inner.declare(transport=transport)
    taken: list[Any] = []

    def take_over() -> None:
        """While the process is suspended its lease expires; the model changes, and another run sends it."""
        lease_clock.move(LIFETIME)
        sending.model(5_000)
        taken.append(sending.run("another"))
        taken.append(deliveries(sending))

    wait_for_leases(monkeypatch, 0)
    # Its other threads write nothing either, however long the others take.
    monkeypatch.setattr("braze_platform.sync.run.FLUSH_SECONDS", WAIT_SECONDS)
    counted = after_request(monkeypatch, 2, take_over)
    sending.model(7)
    small_requests(monkeypatch, concurrency=1)
    with pytest.raises(LeaseLost, match="braze_customers") as told:
        sending.run("suspended")
    assert "the run suspended" in str(told.value) and "due again in the next run" in str(told.value)
    assert taken[0].report.complete
    assert counted[0] == 2 + taken[0].report.requests
    # What the first run had sent and not written is nowhere, and neither is anything it made.
    assert deliveries(sending) == taken[1] == {"another": PEOPLE}
    with sending.warehouse.session() as session:
        assert not {name for name in session.table_names("braze_sync") if name.startswith("plan_")}
        assert holder_of(session, "braze_customers") is None
    assert sending.ledger() == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted
    sending.model(9_000)
    assert sending.run("next").report.complete
    assert sending.ledger() == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted


def test_a_run_whose_lease_was_taken_from_it_writes_nothing_more(
    sending: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[Any] = []

    def take_away() -> None:
        expired = "expires_at = timestamp '2026-11-01 08:00:00'"
        sending.inner.execute(f"update braze_sync.lease_braze_customers set {expired} where true")
        with sending.warehouse.session() as session:
            holding = hold_lease(session, "braze_customers", "the other one", wait_seconds=0)
            with holding as leased:
                planned(leased, sending.inner.sync)  # sweeps what the first has planned
        before.append(everything(sending))

    # It writes nothing meanwhile, however long the others take.
    monkeypatch.setattr("braze_platform.sync.run.FLUSH_SECONDS", WAIT_SECONDS)
    in_the_middle(monkeypatch, 3, take_away)
    small_requests(monkeypatch)
    with pytest.raises(
        LeaseLost, match="braze_customers expired while the run robbed held it, and nobody holds it now"
    ):
        sending.run("robbed")
    assert everything(sending) == before[0]
    assert sending.ledger() == {}
    assert sending.inner.plan().objects == PEOPLE
    assert sending.run("next").report.complete
    assert sending.ledger() == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted


def deliveries(sending: Room) -> dict[str, int]:
    """Deliveries by run."""
    return dict(sending.inner.fetch("select run_id, count(*) from braze_sync.deliveries group by 1"))


def test_a_sweep_leaves_the_plans_of_syncs_with_longer_names(sending: Room) -> None:
    longer = dataclasses.replace(sending.inner.sync, name="x_braze_customers")
    with (
        sending.warehouse.session() as session,
        hold_lease(session, longer.name, "another sync", wait_seconds=0) as leased,
    ):
        planned(leased, longer)
        sending.run()
        assert f"plan_{leased.token}_x_braze_customers" in session.table_names("braze_sync")
