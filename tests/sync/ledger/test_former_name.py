"""The ledger of a renamed sync follows its new name, so that nothing is sent again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from braze_platform.sync.declaration.sync import PlanLimits
from braze_platform.sync.ledger.rejections import RejectionFilter, list_rejections
from braze_platform.sync.ledger.store import LedgerError, SyncStore
from braze_platform.sync.run import run_sync
from braze_platform.warehouse import leases

RENAMED = {"name": "braze_people", "formerly": "braze_customers"}
#: Every table that says something of a sync.
KEPT = ("deliveries", "rejections", "declarations", "applied_plans", "approvals", "existence")


class Killed(Exception):
    """In place of a kill."""


class DyingSession:
    """A session that dies once, before the statement of this number."""

    def __init__(self, session: Any, dies_at: int) -> None:
        self._session = session
        self._left = dies_at
        self.died = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        if not self.died:
            self._left -= 1
            if self._left < 0:
                self.died = True
                raise Killed
        self._session.execute(sql, parameters)


def go_on_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that died holds no lease of a DuckDB file any more."""
    monkeypatch.setattr(leases, "_PROCESS", uuid.uuid4().hex)


@pytest.fixture
def known(room: Any, braze: Any) -> Any:
    """A room whose users are at Braze but for one value, which was refused."""
    return known_room(room, braze, 20)


def known_room(room: Any, braze: Any, users: int) -> Any:
    braze.rejects = lambda entry: "BAD" if entry.get("score") == 3 else None
    room.users(users, score="i")
    room.run("before")
    assert names_in(room, "rejections") == ["braze_customers"]
    room.sql(
        "create table if not exists braze_sync.existence (sync string, _user string, _label string, state string, "
        "asked_at timestamp)",
        "select 1",
    )
    room.declare(**RENAMED, limits=PlanLimits())
    return room


def names_in(room: Any, table: str) -> list[str]:
    return [name for (name,) in room.sql(f"select distinct sync from braze_sync.{table} order by 1")]


def contents(room: Any) -> list[list[tuple[Any, ...]]]:
    queries = ["select * from braze_sync.ledger_braze_customers order by 1"] + [
        f"select * exclude (sync) from braze_sync.{table} order by all" for table in KEPT
    ]
    return [room.sql(query) for query in queries]


def test_a_renamed_sync_sends_nothing_anew(room: Any, braze: Any) -> None:
    known = known_room(room, braze, 500)
    sent, held = len(braze.received), contents(known)
    looked_at = known.plan()
    assert (looked_at.objects, looked_at.users_in_ledger) == (0, 500)
    assert looked_at.attributes["score"].known_rejected == 1
    assert (looked_at.sync, looked_at.within_limits) == ("braze_people", True)
    assert "let the ledger of braze_customers follow" in looked_at.first[0]
    assert contents(known) == held and names_in(known, "deliveries") == ["braze_customers"]
    run = known.run("after")
    assert (run.plan.objects, run.plan.plan_id) == (0, looked_at.plan_id)
    assert run.plan.attributes["score"].known_rejected == 1
    assert len(braze.received) == sent
    for table in KEPT:
        assert set(names_in(known, table)) <= {"braze_people"}, table
    assert not [
        name
        for (name,) in known.sql("select table_name from duckdb_tables()")
        if name.endswith("_braze_customers") and name != "lease_braze_customers"
    ]
    assert known.plan().first == []


def test_what_changed_is_sent_alone_as_the_plan_said(known: Any, braze: Any) -> None:
    known.users(20, score="case when i = 7 then 9 else i end")
    plan = known.plan()
    with known.warehouse.session() as session:
        SyncStore(session, known.sync).approve(plan.plan_id)
    run = known.run("after")
    assert (plan.objects, run.plan.plan_id) == (1, plan.plan_id)
    assert run.report.delivered["score"] == 1 and braze.profiles["user-7"]["score"] == 9


@pytest.mark.full
@pytest.mark.parametrize("held_first", [False, True])
def test_killed_at_any_point_it_follows_in_the_next_run(
    known: Any, braze: Any, held_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = len(braze.received)
    if held_first:
        # The new name had a plan of its own, that waited, before anybody wrote `formerly`.
        known.declare(formerly="", limits=PlanLimits(max_first_users=5))
        assert known.run("held").plan.limit_violations
        known.declare(**RENAMED)
    for dies_at in range(30):
        with known.warehouse.session() as session:
            dying = DyingSession(session, dies_at)
            try:
                run_sync(dying, known.sync, known.settings, run_id=f"dies-{dies_at}")
            except Killed:
                assert dying.died
                go_on_in_another_process(monkeypatch)
        assert len(braze.received) == sent
    plan = known.run("after").plan
    assert (plan.objects, plan.attributes["score"].known_rejected, plan.users_in_ledger) == (0, 1, 20)
    for table in KEPT:
        assert set(names_in(known, table)) <= {"braze_people"}, table


@pytest.mark.parametrize(
    "dies_at", [5, 17, *(pytest.param(n, marks=pytest.mark.full) for n in (1, 9, 13, 21))]
)
def test_a_single_kill_leaves_what_the_next_run_repeats(
    known: Any, braze: Any, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with known.warehouse.session() as session:
        dying = DyingSession(session, dies_at)
        with pytest.raises(Killed):
            run_sync(dying, known.sync, known.settings, run_id="dies")
    go_on_in_another_process(monkeypatch)
    assert known.plan().objects == 0
    assert known.run("after").plan.users_in_ledger == 20
    assert known.sql("select count(distinct attribute), count(*) from braze_sync.declarations") == [(5, 5)]


def test_both_names_with_users_of_their_own_is_an_error_that_says_what_to_do(known: Any) -> None:
    known.declare(formerly="", limits=PlanLimits(max_first_users=10_000))
    known.run("by itself")
    known.declare(formerly="braze_customers")
    for look in (known.plan, known.run):
        with pytest.raises(LedgerError, match=r"braze_people has a ledger of its own.*Remove `formerly`"):
            look()


def test_rejections_are_listed_under_the_present_name_once_they_followed(known: Any) -> None:
    known.run("after")
    with known.warehouse.session() as session:
        found = list_rejections(SyncStore(session, known.sync), RejectionFilter())
    assert [(entry.sync, entry.count) for entry in found] == [("braze_people", 1)]


@pytest.mark.full
def test_a_ledger_in_bigquery_follows(google_room: Any, braze: Any) -> None:
    google_room.model(
        "select 'u' || cast(i as string) as external_id, i as score, 'email' as channel, "
        "timestamp '2026-11-01 08:00:00+00' as seen_at from unnest(generate_array(1, 20)) as i"
    )
    google_room.run("before")
    sent = len(braze.received)
    google_room.declare(**RENAMED, limits=PlanLimits(max_first_users=10))
    looked_at = google_room.plan()
    assert (looked_at.objects, looked_at.users_in_ledger, looked_at.limit_violations) == (0, 20, [])
    run = google_room.run("after")
    assert (run.plan.objects, run.plan.users_in_ledger, run.plan.plan_id) == (0, 20, looked_at.plan_id)
    assert len(braze.received) == sent
    with google_room.warehouse.session() as session:
        assert not session.columns("braze_sync", "ledger_braze_customers")
    assert google_room.sql("select distinct sync from braze_sync.deliveries") == [("braze_people",)]
