"""One writer per sync, any number of readers: whoever comes in the middle of a sending looks, waits or is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sandbox_room
import sync_room

from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.sandbox.world.people import make_people
from braze_platform.settings import Settings
from braze_platform.sync.plan.guards import approve
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.seeding.rebuild import rebuild
from braze_platform.sync.transports.cdi.integration import CdiPatience
from braze_platform.sync.transports.track import TrackTransport
from braze_platform.warehouse import leases
from braze_platform.warehouse.duckdb import DuckDBSession
from braze_platform.warehouse.leases import LIFETIME, LeaseHeld, LeaseLost, hold_lease, holder_of
from braze_platform.warehouse.targets import warehouse_of

PEOPLE = 60
#: Never waited for: the emulator of BigQuery is slow on a busy machine.
WAIT_SECONDS = 1_200.0
PATIENCE = CdiPatience(first_poll_seconds=0.1, most_poll_seconds=0.3, fault_seconds=5, job_seconds=20)
PERSONAL = PersonalColumns(
    fields=frozenset({"external_user_id"}),
    models={"braze_customers": frozenset({"external_id"})},
    schemas={"braze_customers": "attributes"},
)
ACTIONS = ("plan", "approve", "second run", "rebuild", "erasure", "cdi run")
_READING = ("select", "with")


class SharedDuckDB:
    """One DuckDB database to which any number of threads of this process have connections at once."""

    dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        self.connection = duckdb.connect(str(path))

    @contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        cursor = self.connection.cursor()
        try:
            cursor.execute("set timezone = 'UTC'")
            yield DuckDBSession(cursor)
        finally:
            cursor.close()


class Room:
    """A sync over people of the sandbox, on either target."""

    def __init__(self, inner: Any, warehouse: Any, settings: Settings) -> None:
        self.inner = inner
        self.settings = settings
        self.warehouse = warehouse
        self.users = list(make_people(7, PEOPLE).external_ids)
        inner.warehouse, inner.settings = warehouse, settings
        with warehouse.session() as session:
            for schema in ("attributes", "currents_raw", "currents_ledger"):
                session.create_schema(schema, "Tests")
            session.execute(
                f"create table {session.sql.table('currents_raw', 'users_user_delete_request')} "
                "(user_id string, external_user_id string, _hour timestamp)"
            )
        self.model(0)

    def model(self, score: int) -> None:
        """Everybody's value of the model; a statement that replaces the whole table, as dbt does."""
        rows = " union all ".join(
            f"select '{user}' as external_id, {score + i} as score, 'email' as channel"
            for i, user in enumerate(self.users)
        )
        with self.warehouse.session() as session:
            kind = "bigint"
            session.execute(
                f"create or replace table {session.sql.table('attributes', 'braze_customers')} as "
                f"select external_id, cast(score as {kind}) as score, channel from ({rows}) as people"
            )
        self.wanted = {user: {"score": score + i, "channel": "email"} for i, user in enumerate(self.users)}

    def run(self, run_id: str = "run", **options: Any) -> Any:
        return self.inner.run(run_id, patience=PATIENCE, **options)

    def act(self, action: str, wait_seconds: float) -> None:
        """What another client does to the sync."""
        inner = self.inner
        if action == "plan":
            inner.plan()
        elif action == "approve":
            with self.warehouse.session() as session:
                plan = make_plan(session, inner.sync)
                with hold_lease(session, inner.sync.name, "approve", wait_seconds=wait_seconds) as leased:
                    approve(leased, inner.sync, plan)
        elif action == "rebuild":
            with self.warehouse.session() as session:
                rebuild(session, inner.sync, self.settings, most_users=1_000)
        elif action == "erasure":
            erase(self.warehouse, PERSONAL, wait_seconds=wait_seconds)
        else:
            transport = "cdi" if action == "cdi run" else "track"
            sync = dataclasses.replace(inner.sync, transport=transport)
            other = type(inner).__new__(type(inner))
            other.__dict__.update(inner.__dict__ | {"sync": sync})
            other.run(action, patience=PATIENCE, wait_seconds=wait_seconds)

    def request_deletion(self, user: str) -> None:
        """Currents tells of a deleted user, who leaves the model, too."""
        self.users.remove(user)
        with self.warehouse.session() as session:
            table = session.sql.table("currents_raw", "users_user_delete_request")
            session.execute(
                f"insert into {table} values ('b-{user}', '{user}', timestamp '2026-11-01 08:00:00')"
            )

    def ledger(self) -> dict[str, dict[str, Any]]:
        with self.warehouse.session() as session:
            table = session.sql.table("braze_sync", "ledger_braze_customers")
            rows = session.fetch(f"select _user, score, channel from {table}")
        assert len({row[0] for row in rows}) == len(rows)
        return {user: {"score": score, "channel": channel} for user, score, channel in rows}


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.full)])
def sending(request: Any, tmp_path: Path) -> Iterator[Room]:
    with sandbox_room.serve(tmp_path, PEOPLE, cdi_start_seconds=0.1) as inner:
        if request.param == "duckdb":
            warehouse = SharedDuckDB(inner.settings.duckdb_path)
            yield Room(inner, warehouse, inner.settings)
            warehouse.connection.close()
        else:
            google = request.getfixturevalue("google_settings")
            settings = google.but(
                braze_rest_url=inner.settings.braze_rest_url, braze_api_key=inner.settings.braze_api_key
            )
            yield Room(inner, warehouse_of(settings), settings)


def in_the_middle(monkeypatch: pytest.MonkeyPatch, at_request: int, action: Callable[[], None]) -> None:
    """Call `action` once, before the request of that number leaves."""
    original, counted = TrackTransport.send, [0]

    async def send(self: TrackTransport, request: Any) -> Any:
        counted[0] += 1
        if counted[0] == at_request:
            await asyncio.to_thread(action)
        return await original(self, request)

    monkeypatch.setattr(TrackTransport, "send", send)


def small_requests() -> Any:
    return sync_room.RequestLimits(objects=10, concurrency=2)


def shuffled_contention(sending: Room, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """All others begin in the middle of a sending, in random order, and wait for their turn."""
    chance = random.Random(seed)
    monkeypatch.setattr(leases, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("braze_platform.sync.seeding.rebuild.COMMAND_WAIT_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr("braze_platform.sync.run.FLUSH_OBJECTS", 10)
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
        sending.run("disturbed", limits=small_requests(), wait_seconds=WAIT_SECONDS)
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


# One seed in ten on BigQuery, whose emulator takes some hundred jobs for it.
@pytest.mark.full
@pytest.mark.parametrize(
    ("sending", "seed"),
    [("bigquery" if seed % 10 == 9 else "duckdb", seed) for seed in range(1, 50)],
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
    monkeypatch.setattr("braze_platform.sync.seeding.rebuild.COMMAND_WAIT_SECONDS", 0)
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
    first = sending.run("of the morning", limits=small_requests())
    assert first.report.complete
    assert set(refused) == set(ACTIONS) - {"plan"}
    for told in refused.values():
        assert "sync braze_customers" in told and "the run of the morning on" in told and "until" in told
    assert sending.ledger() == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted


def test_a_run_after_a_killed_one_takes_over_once_the_lease_has_expired(sending: Room) -> None:
    now = datetime(2026, 11, 1, 8)
    with sending.warehouse.session() as session:
        # What a process leaves that was killed while it planned: its lease and its plan's tables.
        killed = hold_lease(session, "braze_customers", "killed", wait_seconds=0, clock=lambda: now)
        leased = killed.__enter__()
        make_plan(leased, sending.inner.sync)
        names = set(session.table_names("braze_sync"))
        assert {name for name in names if name.startswith("plan_")} == {
            f"plan_{leased.token}_braze_customers",
            f"plan_objects_{leased.token}_braze_customers",
        }
        with pytest.raises(LeaseHeld, match="killed on"):
            sending.run("early", wait_seconds=0, clock=lambda: now + LIFETIME - timedelta(seconds=1))
        assert sending.inner.profiles(sending.users) == {}
        found = sending.run("later", wait_seconds=0, clock=lambda: now + LIFETIME)
        assert found.report.complete
        assert not {name for name in session.table_names("braze_sync") if name.startswith("plan_")}
        killed.__exit__(None, None, None)
    assert sending.ledger() == sending.wanted


class MovedClock:
    """A clock of leases that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 8)

    def __call__(self) -> datetime:
        return self.now


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
    sending: Room, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    sending.inner.declare(transport=transport)
    clock, taken = MovedClock(), []

    def take_over() -> None:
        """While the process is suspended its lease expires; the model changes, and another run sends it."""
        clock.now += LIFETIME
        sending.model(5_000)
        taken.append(sending.run("another", wait_seconds=0, clock=clock))
        taken.append(deliveries(sending))

    # Its other threads write nothing either, however long the others take.
    monkeypatch.setattr("braze_platform.sync.run.FLUSH_SECONDS", WAIT_SECONDS)
    counted = after_request(monkeypatch, 2, take_over)
    sending.model(7)
    one_by_one = sync_room.RequestLimits(objects=10, concurrency=1)
    with pytest.raises(LeaseLost, match="braze_customers") as told:
        sending.run("suspended", limits=one_by_one, clock=clock)
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
        with sending.warehouse.session() as session:
            lease = session.sql.table("braze_sync", "lease_braze_customers")
            session.execute(f"update {lease} set expires_at = timestamp '2026-11-01 08:00:00' where true")
            holding = hold_lease(session, "braze_customers", "the other one", wait_seconds=0)
            with holding as leased:
                make_plan(leased, sending.inner.sync)  # sweeps what the first has planned
        before.append(everything(sending))

    # It writes nothing meanwhile, however long the others take.
    monkeypatch.setattr("braze_platform.sync.run.FLUSH_SECONDS", WAIT_SECONDS)
    in_the_middle(monkeypatch, 3, take_away)
    with pytest.raises(
        LeaseLost, match="braze_customers expired while the run robbed held it, and nobody holds it now"
    ):
        sending.run("robbed", limits=small_requests())
    assert everything(sending) == before[0]
    assert sending.ledger() == {}
    assert sending.inner.plan().objects == PEOPLE
    assert sending.run("next").report.complete
    assert sending.ledger() == sending.wanted
    assert sending.inner.profiles(sending.users) == sending.wanted


def deliveries(sending: Room) -> dict[str, int]:
    """Deliveries by run."""
    with sending.warehouse.session() as session:
        table = session.sql.table("braze_sync", "deliveries")
        return dict(session.fetch(f"select run_id, count(*) from {table} group by 1"))


def test_a_sweep_leaves_the_plans_of_syncs_with_longer_names(sending: Room) -> None:
    longer = dataclasses.replace(sending.inner.sync, name="x_braze_customers")
    with (
        sending.warehouse.session() as session,
        hold_lease(session, longer.name, "another sync", wait_seconds=0) as leased,
    ):
        make_plan(leased, longer)
        sending.run()
        assert f"plan_{leased.token}_x_braze_customers" in session.table_names("braze_sync")


class Recorded:
    """A session that keeps every statement, and the names of its methods that write in other ways."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.statements: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("create_schema", "attached", "transaction"):
            self.statements.append(name)
        return getattr(self._session, name)

    def execute(self, sql: str, parameters: Any = None) -> None:
        self.statements.append(sql)
        self._session.execute(sql, parameters)

    def fetch(self, sql: str, parameters: Any = None) -> Any:
        self.statements.append(sql)
        return self._session.fetch(sql, parameters)

    def fetch_batches(self, sql: str, parameters: Any = None, *, rows: int = 50_000) -> Any:
        self.statements.append(sql)
        return self._session.fetch_batches(sql, parameters, rows=rows)


def test_looking_at_users_of_whom_nobody_knows_writes_nothing(sending: Room) -> None:
    inner = sending.inner
    limits = dataclasses.replace(inner.sync.limits, max_lookups=0)
    inner.declare(existing_only=True, limits=limits)
    sending.run()
    sending.model(1)
    tables = everything(sending)
    assert tables["existence"][1] == [(PEOPLE,)]
    with sending.warehouse.session() as session:
        recorded = Recorded(session)
        plan = make_plan(recorded, inner.sync)  # type: ignore[arg-type]
        assert [s for s in recorded.statements if not s.lstrip().lower().startswith(_READING)] == []
    assert everything(sending) == tables
    assert (plan.users_unconfirmed, plan.objects) == (PEOPLE, PEOPLE)


@pytest.mark.parametrize("state", ["nothing was ever sent", "a merged user", "another type and a new one"])
def test_looking_writes_nothing(sending: Room, state: str) -> None:
    inner = sending.inner
    merged = sending.users[0]
    if state != "nothing was ever sent":
        sending.run()
        with sending.warehouse.session() as session:
            session.create_schema("intermediate", "Tests")
            session.execute(
                f"create table {session.sql.table('intermediate', 'int_external_identity')} as "
                f"select '{merged}' as external_id, 'survivor' as surviving_external_id, "
                "true as is_seen_in_currents, false as is_deleted"
            )
        sending.users.remove(merged)
        sending.model(1)
        sending.run()
        with sending.warehouse.session() as session:
            ledger = session.sql.table("braze_sync", "ledger_braze_customers")
            session.execute(f"insert into {ledger} (_user, score) values ('{merged}', 3)")
    if state == "another type and a new one":
        specs = inner.sync.attributes
        inner.declare(
            attributes=(
                dataclasses.replace(specs[0], type="string"),
                specs[1],
                dataclasses.replace(specs[1], name="added"),
            )
        )
        with sending.warehouse.session() as session:
            model = session.sql.table("attributes", "braze_customers")
            session.execute(
                f"create or replace table {model} as select external_id, cast(score as string) as score, channel, "
                f"channel as added from {model}"
            )
    tables = everything(sending)
    with sending.warehouse.session() as session:
        recorded = Recorded(session)
        plan = make_plan(recorded, inner.sync)  # type: ignore[arg-type]
        assert recorded.statements
        assert [s for s in recorded.statements if not s.lstrip().lower().startswith(_READING)] == []
    assert everything(sending) == tables
    assert plan.users_in_ledger == (0 if state == "nothing was ever sent" else PEOPLE - 1)
    if state == "a merged user":
        assert plan.objects == 0
        assert plan.first == ["forget 1 users whose profiles were merged into others"]
    if state == "another type and a new one":
        assert [first.split(";")[0] for first in plan.first] == [
            "bring the acknowledged values of score to the type string",
            "forget 1 users whose profiles were merged into others",
        ]
        assert plan.attributes["added"].new == PEOPLE - 1


def everything(sending: Room) -> dict[str, Any]:
    """All tables of the syncs, but plans of runs, with their columns and numbers of rows."""
    with sending.warehouse.session() as session:
        return {
            name: (
                session.columns("braze_sync", name),
                session.fetch(f"select count(*) from {session.sql.table('braze_sync', name)}"),
            )
            for name in session.table_names("braze_sync")
            if not name.startswith("plan_")
        }
