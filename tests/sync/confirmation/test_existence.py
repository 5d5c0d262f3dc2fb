"""Users whom Braze does not have: 201 acknowledges nothing for them, and whoever appears gets their values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_braze
import pytest
import sandbox_room
import sync_room
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from braze_platform.sandbox.world.people import make_people
from braze_platform.sync.declaration.sync import AttributeSpec, Identifier, PlanLimits
from braze_platform.sync.seeding.rebuild import rebuild

SCORE = (AttributeSpec("score", "integer"),)
BOTH = (*SCORE, AttributeSpec("channel", "string"))
TOTAL = (AttributeSpec("score", "integer", "skip", operator="inc"),)
KNOWN = "select _acknowledged_at is not null from braze_sync.ledger_braze_customers"
VERDICTS = "select verdict from braze_sync.deliveries order by delivered_at"
LEDGER = "select count(score) from braze_sync.ledger_braze_customers where _user = 'e1'"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Any]:
    with sandbox_room.serve(tmp_path, 50) as room:
        room.declare(attributes=SCORE)
        yield room


@pytest.fixture
def strict(room: Any, braze: Any) -> Any:
    """A Braze without the look-up, which ignores users whom it does not have."""
    applied = braze.apply
    braze.apply = lambda user, entry: applied(user, entry) if user in braze.profiles else None
    room.declare(attributes=SCORE, existing_only=True)
    return room


def appear(room: Any, *users: str) -> None:
    """The users turn up in Currents."""
    listed = ", ".join(f"('{user}')" for user in (*users, "somebody"))
    room.sql(
        "create schema if not exists intermediate",
        "create or replace table intermediate.int_external_identity as select *, external_id as "
        "surviving_external_id, true as is_seen_in_currents, false as is_deleted "
        f"from (values {listed}) t(external_id)",
        "select 1",
    )


def test_who_appears_after_a_run_gets_the_value(sandbox: Any) -> None:
    users = [*make_people(7, 50).external_ids[:3], "e1"]
    sandbox.people(users)
    run = sandbox.run()
    assert run.report.complete and run.existence.missing == 1 and run.existence.found == 3
    assert run.plan.users_missing == 1 and run.plan.objects == 3
    assert sandbox.sql(LEDGER) == [(0,)]
    assert sandbox.run().plan.objects == 0
    sandbox.request("POST", "/users/track", {"attributes": [{"external_id": "e1", "first_name": "E"}]})
    run = sandbox.run()
    assert run.plan.objects == 1 and sandbox.profiles(["e1"]) == {"e1": {"score": 3}}
    assert sandbox.sql(LEDGER) == [(1,)] and sandbox.run().plan.objects == 0


def test_nobody_is_asked_for_whom_currents_shows(sandbox: Any) -> None:
    users = sandbox.people(list(make_people(7, 50).external_ids[:3]))
    appear(sandbox, *users)
    run = sandbox.run()
    assert run.existence.asked == 0 and run.report.delivered == {"score": 3}


def test_a_run_asks_for_a_bounded_number_longest_unasked_first(sandbox: Any) -> None:
    sandbox.declare(limits=PlanLimits(max_lookups=50))
    sandbox.people([f"x{i}" for i in range(120)])
    assert [sandbox.run().existence.asked for _ in range(3)] == [50, 50, 50]
    assert sandbox.sql("select count(*) from braze_sync.existence where state = 'missing'") == [(120,)]
    assert sandbox.sql("select count(*) from braze_sync.ledger_braze_customers") == [(0,)]
    sandbox.declare(limits=PlanLimits(max_lookups=0))
    assert sandbox.run().existence.asked == 0


def test_aliases_are_asked_for(sandbox: Any) -> None:
    sandbox.declare(identifier=Identifier("user_alias", ("alias", "label")))
    sandbox.model("select 'a' as alias, 'crm' as label, 1 as score")
    assert sandbox.run().existence.missing == 1
    alias = {"user_alias": {"alias_name": "a", "alias_label": "crm"}, "_update_existing_only": False}
    sandbox.request("POST", "/users/track", {"attributes": [{**alias, "first_name": "A"}]})
    run = sandbox.run()
    assert run.existence.found == 1 and run.report.delivered == {"score": 1}


@pytest.mark.parametrize("attributes", [SCORE, TOTAL], ids=["value", "operator"])
@pytest.mark.parametrize("existed", [False, pytest.param(True, marks=pytest.mark.full)])
def test_without_the_permission_currents_tells(
    strict: Any, braze: Any, attributes: Any, existed: bool
) -> None:
    strict.declare(attributes=attributes)
    strict.model("select 'e1' as external_id, 7 as score")
    if existed:
        braze.profiles["e1"] = {}
    run = strict.run()
    assert "404" in run.existence.note and "users.export.ids" in run.existence.note
    assert run.report.complete
    assert (run.report.delivered, run.report.unconfirmed) == ({"score": 0}, {"score": 1})
    assert run.unproven == {"missing": 0, "unconfirmed": 1}
    assert strict.sql(KNOWN) == [(False,)] and strict.sql(VERDICTS) == [("unconfirmed",)]
    assert strict.run().plan.objects == 0
    plan = strict.plan()
    assert (plan.users_in_ledger, plan.users_unconfirmed) == (0, 1)
    braze.profiles.setdefault("e1", {})
    appear(strict, "e1")
    assert strict.run().report.delivered == {"score": 1}
    assert braze.profiles["e1"] == {"score": 7}
    run = strict.run()
    assert run.plan.objects == 0 and run.plan.users_unconfirmed == 0
    assert run.unproven == {"missing": 0, "unconfirmed": 0}
    assert strict.sql(KNOWN) == [(True,)] and strict.sql(VERDICTS) == [("unconfirmed",), ("delivered",)]


def test_a_part_of_the_attributes_acknowledges_no_others(strict: Any, braze: Any) -> None:
    strict.declare(attributes=BOTH)
    strict.model("select 'e1' as external_id, 7 as score, 'email' as channel")
    strict.run()
    braze.profiles["e1"] = {}
    appear(strict, "e1")
    assert strict.run(attributes=strict.only("score")).report.delivered == {"score": 1}
    assert strict.sql(KNOWN) == [(False,)]
    run = strict.run()
    assert run.report.delivered == {"score": 0, "channel": 1} and strict.sql(KNOWN) == [(True,)]
    assert strict.run().plan.objects == 0


def test_a_sync_that_creates_its_users_from_now_on_sends_what_was_unconfirmed(
    strict: Any, braze: Any
) -> None:
    strict.model("select 'e1' as external_id, 7 as score")
    strict.run()
    braze.profiles["e1"] = {}
    strict.declare(existing_only=False)
    assert strict.run().report.delivered == {"score": 1}
    assert strict.sql(KNOWN) == [(True,)] and strict.run().plan.objects == 0


def test_a_rebuild_asks_for_unconfirmed_users(sandbox: Any) -> None:
    sandbox.declare(limits=PlanLimits(max_lookups=0))
    sandbox.people(["e1"])
    sandbox.run()
    assert sandbox.sql(KNOWN) == [(False,)]
    created = {"external_id": "e1", "_update_existing_only": False, "score": 9}
    sandbox.request("POST", "/users/track", {"attributes": [created]})
    with sandbox.warehouse.session() as session:
        assert rebuild(session, sandbox.sync, sandbox.settings, max_users=10).different == 1
    assert sandbox.sql(KNOWN) == [(True,)] and sandbox.sql(LEDGER) == [(0,)]
    sandbox.run()
    assert sandbox.profiles(["e1"]) == {"e1": {"score": 0}}


def test_an_unconfirmed_ledger_is_no_empty_one(strict: Any) -> None:
    strict.declare(limits=PlanLimits(max_first_users=1))
    strict.model("select 'e' || i as external_id, 7 as score from range(5) t(i)")
    held = strict.run()
    assert held.report is None
    assert strict.run(approved_plan=held.plan.plan_id).report.unconfirmed == {"score": 5}
    strict.model("select 'e' || i as external_id, 8 as score from range(5) t(i)")
    assert strict.run().report.unconfirmed == {"score": 5}


@pytest.mark.parametrize("transport", ["track", "bulk", "cdi"])
def test_every_transport_leaves_unconfirmed_what_nobody_can_tell(sandbox: Any, transport: str) -> None:
    sandbox.declare(transport=transport, limits=PlanLimits(max_lookups=0))
    sandbox.people(["e1"])
    run = sandbox.run()
    assert (run.report.delivered, run.report.unconfirmed) == ({"score": 0}, {"score": 1})
    assert sandbox.sql(KNOWN) == [(False,)] and sandbox.sql(VERDICTS) == [("unconfirmed",)]
    assert sandbox.run().plan.objects == 0
    sandbox.request("POST", "/users/track", {"attributes": [{"external_id": "e1", "first_name": "E"}]})
    sandbox.declare(limits=PlanLimits(max_lookups=50))
    assert sandbox.run().report.delivered == {"score": 1}
    assert sandbox.profiles(["e1"]) == {"e1": {"score": 0}} and sandbox.sql(KNOWN) == [(True,)]


def holds_what_is_acknowledged(room: Any, braze: Any) -> None:
    for user, score, channel in room.sql(
        "select _user, score, channel from braze_sync.ledger_braze_customers where _acknowledged_at is not null"
    ):
        profile = braze.profiles.get(user, {})
        assert (profile.get("score"), profile.get("channel")) == (score, channel)


def complete(room: Any, **options: Any) -> bool:
    """A run, approved where limits held its plan: whether nothing is left due."""
    run = room.run(**options)
    if run.report is None:
        run = room.run(approved_plan=run.plan.plan_id, **options)
    return bool(run.report.complete)


def whatever_happens(folder: Path, seed: int) -> None:
    """Random models, appearances, look-ups and Currents: see the assertions."""
    chance = random.Random(seed)
    server = fake_braze.FakeBraze()
    allowed = True
    applied = server.apply
    server.apply = lambda user, entry: applied(user, entry) if user in server.profiles else None

    async def export(request: Request) -> Response:
        if not allowed:
            return JSONResponse({"message": "Unauthorized"}, 401)
        asked = (await request.json())["external_ids"]
        found = [{"external_id": user} for user in asked if user in server.profiles]
        unknown = [user for user in asked if user not in server.profiles]
        return JSONResponse({"message": "success", "users": found, "invalid_user_ids": unknown})

    people = [f"u{i}" for i in range(6)]
    with fake_braze.serve(server, routes=[Route("/users/export/ids", export, methods=["POST"])]) as url:
        room = sync_room.SyncRoom(folder, url)
        for _ in range(chance.randint(2, 5)):
            rows = ", ".join(
                f"('{user}', {chance.choice(['null', '1', '2', '3'])}, {chance.choice(['null', repr('email')])})"
                for user in chance.sample(people, chance.randint(1, 6))
            )
            room.model(
                "select u as external_id, cast(s as bigint) as score, cast(c as varchar) as channel "
                f"from (values {rows}) t(u, s, c)"
            )
            for user in chance.sample(people, chance.randint(0, 3)):
                server.profiles.setdefault(user, {})
            if chance.random() < 0.3:
                appear(room, *(user for user in server.profiles if chance.random() < 0.5))
            allowed = chance.random() < 0.5
            lookups = PlanLimits(max_lookups=chance.choice([0, 1, 50]))
            room.declare(
                attributes=BOTH,
                existing_only=True,
                limits=lookups,
                when_row_disappears=chance.choice(["keep", "clear"]),
            )
            some = room.only(chance.choice(["score", "channel"])) if chance.random() < 0.3 else None
            assert complete(room, attributes=some)
            holds_what_is_acknowledged(room, server)
        appear(room, *server.profiles)
        assert complete(room)
        holds_what_is_acknowledged(room, server)
        for user, *values in room.sql("select * from attributes.braze_customers"):
            if user in server.profiles:
                assert [server.profiles[user].get(name) for name in ("score", "channel")] == values
        assert room.run().plan.objects == 0


def test_what_is_acknowledged_is_what_braze_holds(tmp_path: Path) -> None:
    whatever_happens(tmp_path, 3)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 130))
def test_what_is_acknowledged_is_what_braze_holds_however_it_goes(tmp_path: Path, seed: int) -> None:
    whatever_happens(tmp_path, seed)


def test_a_sync_that_creates_users_asks_nobody(sandbox: Any) -> None:
    sandbox.declare(existing_only=False)
    sandbox.people(["e1"])
    run = sandbox.run()
    assert run.existence is None and sandbox.profiles(["e1"]) == {"e1": {"score": 0}}


def test_bulk_alike(sandbox: Any) -> None:
    sandbox.declare(transport="bulk")
    sandbox.people(["e1"])
    assert sandbox.run().plan.objects == 0
    sandbox.request("POST", "/users/track", {"attributes": [{"external_id": "e1", "first_name": "E"}]})
    sandbox.run()
    assert sandbox.profiles(["e1"]) == {"e1": {"score": 0}}


def acknowledged(room: Any) -> Any:
    return room.sql("select _user from braze_sync.ledger_braze_customers order by 1")


@pytest.mark.full
def test_on_bigquery(google_room: Any) -> None:
    server = fake_braze.FakeBraze()

    async def export(request: Request) -> Response:
        asked = (await request.json())["external_ids"]
        found = [{"external_id": user} for user in asked if user in server.profiles]
        unknown = [user for user in asked if user not in server.profiles]
        return JSONResponse({"message": "success", "users": found, "invalid_user_ids": unknown})

    google_room.declare(attributes=SCORE, existing_only=True)
    google_room.model("select 'e1' as external_id, 7 as score union all select 'e2', 8")
    server.profiles["e2"] = {}
    with fake_braze.serve(server) as url:
        google_room.configure(braze_rest_url=url)
        assert google_room.run().existence.note
        assert google_room.plan().users_unconfirmed == 2
    del server.profiles["e1"]
    with fake_braze.serve(server, routes=[Route("/users/export/ids", export, methods=["POST"])]) as url:
        google_room.configure(braze_rest_url=url)
        run = google_room.run()
        assert (run.existence.found, run.existence.missing) == (1, 1)
        assert run.report.delivered == {"score": 1} and acknowledged(google_room) == [("e2",)]
        server.profiles["e1"] = {}
        assert google_room.run().report.delivered == {"score": 1}
        assert acknowledged(google_room) == [("e1",), ("e2",)]
