"""A ledger is seeded from what the workspace holds, so that only what differs is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_braze
import pytest
import sandbox_room
from click.testing import CliRunner
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tiers import tiered

from braze_platform.cli import main
from braze_platform.sync.declaration.sync import AttributeSpec, Identifier
from braze_platform.sync.ledger_command import command
from braze_platform.sync.seeding import rebuild as module
from braze_platform.sync.seeding.rebuild import RebuildError, minutes, rebuild

SPECS = (
    AttributeSpec("score", "integer"),
    AttributeSpec("tags", "array"),
    AttributeSpec("country", "country"),
    AttributeSpec("visits", "integer", "skip", operator="inc"),
)
SELECT = (
    "select 'x' || i as external_id, {score} as score, ['a', 'b'] as tags, 'DEU' as country, {visits} as visits "
    "from range({count}) t(i)"
)


@pytest.fixture
def adopted(tmp_path: Path) -> Iterator[Any]:
    """A workspace that holds values of sixty users, and a platform that knows of none."""
    with sandbox_room.serve(tmp_path, 50) as room:
        objects = [
            {"external_id": f"x{i}", "score": i, "tags": ["a", "b"], "country": "DE", "visits": 3}
            for i in range(60)
        ]
        room.request("POST", "/users/track", {"attributes": objects})
        room.declare(attributes=SPECS, existing_only=False)
        yield room


def seed(room: Any, most: int = 1_000) -> Any:
    with room.warehouse.session() as session:
        return rebuild(session, room.sync, room.settings, max_users=most)


def test_users_who_are_never_sent_are_not_asked_for(adopted: Any) -> None:
    """Placeholders and users with several rows: a ledger that had them would say what is not so."""
    adopted.declare(attributes=adopted.only("score"))
    users = ("x1", "x2", "x2", "null", " None ", "", "x3")
    rows = ", ".join(f"('{user}', {i})" for i, user in enumerate(users))
    adopted.model(f"select * from (values {rows}) t(external_id, score)")
    found = seed(adopted)
    assert (found.users, found.left) == (2, 0)
    ledger = adopted.sql("select _user from braze_sync.ledger_braze_customers order by 1")
    assert ledger == [("x1",), ("x3",)]


def test_a_location_is_read_as_the_export_writes_it(adopted: Any) -> None:
    place = {"longitude": 13.4, "latitude": 52.5}
    adopted.request(
        "POST", "/users/track", {"attributes": [{"external_id": "x1", "current_location": place}]}
    )
    adopted.declare(attributes=(AttributeSpec("current_location", "location", "skip"),))
    adopted.model("select 'x1' as external_id, {'latitude': 52.5, 'longitude': 13.4} as current_location")
    found = seed(adopted)
    assert (found.equal, found.different) == (1, 0)
    assert adopted.run().plan.objects == 0


def test_only_what_differs_is_sent(adopted: Any) -> None:
    adopted.model(
        SELECT.format(score="case when i < 2 then 99 when i = 2 then null else i end", visits=5, count=70)
    )
    found = seed(adopted)
    assert (found.users, found.unknown, found.requests, found.left) == (70, 10, 2, 0)
    assert (found.equal, found.different) == (57 + 60 + 60, 3 + 60)
    run = adopted.run()
    assert {name: (c.new, c.changed, c.cleared) for name, c in run.plan.attributes.items()} == {
        "score": (10, 2, 1),
        "tags": (10, 0, 0),
        "country": (10, 0, 0),
        "visits": (10, 60, 0),
    }
    profiles = adopted.profiles([f"x{i}" for i in range(70)])
    assert profiles["x0"] == {"score": 99, "tags": ["a", "b"], "visits": 5}
    assert "score" not in profiles["x2"] and profiles["x69"]["visits"] == 5
    assert adopted.run().plan.objects == 0 and seed(adopted).requests == 0


def test_a_reading_is_bounded_and_goes_on(adopted: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_FLUSH", 20)
    adopted.model(SELECT.format(score="i", visits=3, count=60))
    first = seed(adopted, 40)
    assert (first.users, first.requests, first.left) == (40, 2, 20)
    second = seed(adopted, 40)
    assert (second.users, second.left) == (20, 0)
    assert adopted.run().plan.objects == 0
    assert minutes(12_000) == 1.0


def test_faults_are_waited_out_and_a_wrong_key_is_named(adopted: Any) -> None:
    adopted.model(SELECT.format(score="i", visits=3, count=60))
    adopted.faults(rate_5xx=0.3, rate_drop=0.2)
    assert seed(adopted).users == 60
    adopted.faults()
    adopted.configure(braze_api_key="wrong")
    adopted.model(SELECT.format(score="i", visits=3, count=61))
    with pytest.raises(RebuildError, match=r"401.*users\.export\.ids"):
        seed(adopted)


USER = {"external_id": "x0", "custom_attributes": {"visits": 3}}
SUCCESS = {"message": "success"}
FAILED_LOOKUPS: dict[str, Any] = {
    "no users": SUCCESS,
    "users is null": {**SUCCESS, "users": None},
    "users is an object": {**SUCCESS, "users": {"x0": USER}},
    "users are texts": {**SUCCESS, "users": ["x0", "x1"]},
    "users are null": {**SUCCESS, "users": [None, None]},
    "nobody is named": {**SUCCESS, "users": []},
    "no success": {"users": [], "invalid_user_ids": ["x0", "x1"]},
    "another message": {"message": "maintenance", "users": [], "invalid_user_ids": ["x0", "x1"]},
    "a partial list of unknown users": {**SUCCESS, "users": [], "invalid_user_ids": ["x0"]},
    "unknown users are a text": {**SUCCESS, "users": [], "invalid_user_ids": "x0,x1"},
    "unknown users are numbers": {**SUCCESS, "users": [], "invalid_user_ids": [0, 1]},
    "others are unknown": {**SUCCESS, "users": [], "invalid_user_ids": ["x0", "x1", "y"]},
    "one user is left out": {**SUCCESS, "users": [USER]},
    "one user is found and unknown": {**SUCCESS, "users": [USER], "invalid_user_ids": ["x0", "x1"]},
    "one user twice": {**SUCCESS, "users": [USER, USER], "invalid_user_ids": ["x1"]},
    "somebody else": {**SUCCESS, "users": [{**USER, "external_id": "y"}], "invalid_user_ids": ["x0", "x1"]},
    "a user without id": {**SUCCESS, "users": [{"custom_attributes": {}}], "invalid_user_ids": ["x1"]},
    "an id that is a number": {**SUCCESS, "users": [{"external_id": 0}], "invalid_user_ids": ["x1"]},
    "attributes are a list": {
        **SUCCESS,
        "users": [{**USER, "custom_attributes": [3]}],
        "invalid_user_ids": ["x1"],
    },
    "a list": [USER],
    "null": None,
    "a number": 7,
}
RAW_ANSWERS = {
    "html": (200, b"<html>x0 secret</html>"),
    "empty": (200, b""),
    "cut off": (200, b'{"message":"success","users":[{"external_id":"x0"'),
    "400": (400, b"<html>x0 secret</html>"),
    "302": (302, b""),
    "409": (409, b'{"message":"x0"}'),
}


@pytest.mark.parametrize(
    "answer",
    tiered(
        {name: (200, json.dumps(body).encode()) for name, body in FAILED_LOOKUPS.items()} | RAW_ANSWERS,
        quick=(
            "nobody is named",
            "one user is left out",
            "one user twice",
            "others are unknown",
            "html",
            "cut off",
        ),
    ),
)
def test_a_failed_lookup_changes_nothing_and_says_so(room: Any, answer: tuple[int, bytes]) -> None:
    async def export(request: Request) -> Response:
        return Response(answer[1], answer[0])

    with fake_braze.serve(
        fake_braze.FakeBraze(), routes=[Route("/users/export/ids", export, methods=["POST"])]
    ) as url:
        room.configure(braze_rest_url=url)
        room.declare(attributes=SPECS)
        room.model(SELECT.format(score="i", visits=3, count=2))
        with pytest.raises(RebuildError, match="/users/export/ids") as caught:
            seed(room)
    assert "unchanged" in str(caught.value) and "x0" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert room.sql("select count(*) from braze_sync.ledger_braze_customers") == [(0,)]


def test_other_identifiers_are_refused(room: Any) -> None:
    room.declare(identifier=Identifier("email", ("external_id",)))
    with pytest.raises(RebuildError, match="one per request"), room.warehouse.session() as session:
        rebuild(session, room.sync, room.settings, max_users=1)


def test_the_command_says_what_was_found(adopted: Any, monkeypatch: Any) -> None:
    for name, value in adopted.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    node = {
        "resource_type": "model",
        "name": "braze_customers",
        "schema": "attributes",
        "fqn": ["p", "attributes", "braze_customers"],
        "config": {"meta": {"braze_sync": {"identifier": "external_id"}}},
        "columns": {
            "external_id": {"name": "external_id"},
            "score": {"name": "score", "config": {"meta": {"braze_attribute": {"type": "integer"}}}},
        },
    }
    adopted.settings.dbt_target_dir.mkdir(parents=True)
    (adopted.settings.dbt_target_dir / "manifest.json").write_text(json.dumps({"nodes": {"model.p.m": node}}))
    adopted.model(SELECT.format(score="i + 1", visits=3, count=60))
    result = CliRunner().invoke(command, ["rebuild", "braze_customers", "--max-users", "50"])
    assert result.exit_code == 0, result.output
    assert "50 users read in 1 requests, 0 of them unknown" in result.output
    assert "50 are different and will be sent" in result.output and "10 users are left" in result.output
    assert CliRunner().invoke(main, ["ledger", "--help"]).exit_code == 0
