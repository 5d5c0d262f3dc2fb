"""Ledgers are of one Braze workspace: nothing is sent to another before a person has said what is to become of them."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from braze_platform.sync.declaration.sync import PlanLimits
from braze_platform.sync.seeding.rebuild import rebuild
from braze_platform.sync.workspace import (
    OtherWorkspace,
    Workspace,
    bind,
    bound_workspace,
    confirm,
    for_workspace,
    raise_if_other,
    replace_workspace,
)
from braze_platform.sync.workspace_command import command
from braze_platform.warehouse.registry import BOUND_WORKSPACE

ACME, OTHER = "https://rest.iad-01.braze.com", "https://rest.fra-02.braze.eu"


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.emulated)])
def of_either(request: pytest.FixtureRequest) -> Any:
    """A room that has sent what it has to send."""
    made = request.getfixturevalue("room" if request.param == "duckdb" else "google_room")
    with made.warehouse.session() as session:
        session.create_schema("attributes", "A test's.")
        table = session.sql.table("attributes", "braze_customers")
        session.execute(
            f"create table {table} as select 'user-1' as external_id, 1 as score, 'email' as channel, "
            "timestamp '2026-11-01 08:00:00' as seen_at"
        )
    assert made.run().report.objects_delivered == 1
    return made


def elsewhere(room: Any, url: str, key: str = "key-of-acme") -> None:
    room.settings = room.settings.replace(environment="production", braze_rest_url=url, braze_api_key=key)


def test_a_sandbox_s_ledger_serves_no_other_braze(of_either: Any, braze: Any) -> None:
    room = of_either
    assert room.run("again").report.objects_delivered == 0, "another sandbox of this machine is as good"
    elsewhere(room, ACME)
    with pytest.raises(
        OtherWorkspace, match=r"hold what a sandbox of this machine has, and BRAZE_REST_URL is rest\.iad-01"
    ):
        room.run("elsewhere")
    with room.warehouse.session() as session:
        with pytest.raises(OtherWorkspace):
            rebuild(session, room.sync, room.settings, max_users=1)
        assert bound_workspace(session) == Workspace("a sandbox of this machine", "")
        assert replace_workspace(session, room.settings, wait_seconds=1) == ["braze_customers"]
    sent = room.plan()
    assert (sent.objects, sent.users) == (1, 1), "all is new to it"


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        pytest.param(ACME, "key-of-acme", None, id="the same"),
        pytest.param(f"{ACME}/", "key-of-acme", None, id="written otherwise"),
        pytest.param(OTHER, "key-of-acme", "BRAZE_REST_URL is rest.fra-02.braze.eu", id="another host"),
        pytest.param(ACME, "a-new-key", "another key of rest.iad-01.braze.com", id="another key"),
        pytest.param("http://127.0.0.1:8089", "key-of-acme", "is a sandbox of this machine", id="a sandbox"),
    ],
)
def test_a_workspace_is_known_by_host_and_key(room: Any, url: str, key: str, said: str | None) -> None:
    elsewhere(room, ACME)
    with room.warehouse.session() as session:
        raise_if_other(session, room.settings)
        assert not BOUND_WORKSPACE.exists(session), "looking writes nothing"
        bind(session, room.settings)
        stored = session.fetch(f"select * from {BOUND_WORKSPACE.ref(session.sql)}")
        assert "key-of-acme" not in str(stored)
        elsewhere(room, url, key)
        if said is None:
            return raise_if_other(session, room.settings)
        with pytest.raises(OtherWorkspace, match=said):
            raise_if_other(session, room.settings)
        confirm(session, room.settings)
        raise_if_other(session, room.settings)
    return None


def test_a_sandbox_takes_first_plans_of_any_size(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits())
    room.users(300)
    assert "300 users, more than max_first_users 200" in room.plan().limit_violations[0]
    [sync] = for_workspace([room.sync], room.settings)
    room.declare(limits=sync.limits)
    assert room.plan().limit_violations == []
    room.declare(limits=PlanLimits(max_first_users=5))
    assert for_workspace([room.sync], room.settings) == [room.sync], "what is declared holds there, too"
    elsewhere(room, ACME)
    room.declare(limits=PlanLimits())
    assert for_workspace([room.sync], room.settings) == [room.sync]


def test_nothing_is_bound_by_a_run_that_sends_nothing(room: Any, braze: Any) -> None:
    room.users(0)
    room.run()
    with room.warehouse.session() as session:
        assert bound_workspace(session) is None


def test_the_commands(room: Any, braze: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def invoke(*arguments: str) -> Any:
        for name, value in room.settings.as_environment().items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(command, list(arguments))

    assert "Ledgers: of none yet" in invoke("show").output
    room.users(20)
    room.run()
    elsewhere(room, ACME)
    shown = invoke("show").output
    assert (
        "Ledgers: a sandbox of this machine" in shown
        and "Settings: rest.iad-01.braze.com" in shown
        and "differ" in shown
    )
    refused = invoke("replace", "--host", "rest.fra-02.braze.eu")
    assert refused.exit_code == 1 and "The settings name rest.iad-01.braze.com" in refused.output
    assert room.plan().objects == 0
    assert "1 ledgers are empty" in invoke("replace", "--host", "rest.iad-01.braze.com").output
    assert room.plan().objects == 20
    elsewhere(room, ACME, "a-new-key")
    assert "by the key alone" in invoke("show").output
    assert "belong to rest.iad-01.braze.com" in invoke("confirm").output
    assert "differ" not in invoke("show").output
