"""Limits by contract, and the transport `bulk` against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sandbox_room

from braze_platform.sandbox.world.people import make_people
from braze_platform.settings import Settings, SettingsError
from braze_platform.sync.delivery.requests import RequestLimits, limits_of

PEOPLE = 200


@contextmanager
def open_sandbox(folder: Path, **options: Any) -> Iterator[Any]:
    with sandbox_room.serve(folder, PEOPLE, **options) as room:
        yield room


def customers(room: Any, select: str = "'email'") -> list[str]:
    return list(room.people(make_people(7, PEOPLE).external_ids, select))


def test_limits_are_those_of_the_contract() -> None:
    assert limits_of(Settings(), "track") == RequestLimits()
    mau = Settings(braze_contract="mau", braze_requests_per_hour=10_000, braze_requests_per_burst=300)
    assert limits_of(mau, "track") == RequestLimits(requests_per_second=100.0, requests_per_hour=10_000)
    legacy = limits_of(Settings(braze_contract="legacy", braze_objects_per_request=50), "track")
    assert legacy.objects == 50 and round(legacy.requests_per_second * 60) == 50_000
    bulk = limits_of(Settings(braze_concurrency=8), "bulk")
    assert (bulk.objects, bulk.bytes, bulk.requests_per_second, bulk.concurrency) == (1000, 2_000_000, 50, 8)
    assert RequestLimits(requests_per_second=10, requests_per_hour=600).minutes(1500) == pytest.approx(120.5)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"BRAZE_PLATFORM_BRAZE_CONTRACT": "gold"}, "data_points, mau, legacy"),
        ({"BRAZE_PLATFORM_BRAZE_CONTRACT": "mau"}, "BRAZE_PLATFORM_BRAZE_REQUESTS_PER_HOUR"),
        ({"BRAZE_PLATFORM_BRAZE_CONCURRENCY": "0"}, "1 or more"),
    ],
)
def test_a_wrong_contract_is_named(variables: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.from_environment(variables)


def test_limits_go_to_other_processes() -> None:
    settings = Settings(braze_contract="mau", braze_requests_per_hour=10, braze_requests_per_burst=3)
    assert Settings.from_environment(settings.as_environment()) == settings


def test_bulk_sends_large_requests(tmp_path: Path) -> None:
    with open_sandbox(tmp_path) as room:
        room.declare(transport="bulk")
        users = customers(room)
        run = room.run()
        assert run.report.complete and run.report.requests == run.plan.requests == 1
        assert room.profiles(users) == {
            user: {"score": i, "channel": "email"} for i, user in enumerate(users)
        }
        assert room.run().plan.objects == 0


def test_bulk_falls_back_to_track_where_it_is_not_permitted(tmp_path: Path) -> None:
    with open_sandbox(tmp_path, bulk_permitted=False) as room:
        room.declare(transport="bulk")
        users = customers(room)
        run = room.run()
        assert run.report.complete
        # One refused request, then the users in requests of 75.
        assert run.report.requests == 1 + 3
        assert len(room.profiles(users)) == PEOPLE


def test_bulk_keeps_errors_to_their_objects(tmp_path: Path) -> None:
    with open_sandbox(tmp_path) as room:
        room.declare(transport="bulk")
        customers(room)
        room.faults(rate_partial=0.1, rate_5xx=0.2, rate_429=0.1, rate_drop=0.1)
        run = room.run()
        assert run.report.complete
        refused = room.sql(
            "select count(distinct _user) from braze_sync.rejections where resolved_at is null"
        )[0][0]
        assert 0 < refused < PEOPLE
        # Where the look-up failed too, Braze's answer acknowledges nothing.
        sent = run.report.delivered["score"] + run.report.unconfirmed["score"]
        assert sent + run.report.rejected["score"] == PEOPLE


def test_a_wrong_key_stops_bulk_too(tmp_path: Path) -> None:
    with open_sandbox(tmp_path) as room:
        room.declare(transport="bulk")
        customers(room)
        room.configure(braze_api_key="another")
        run = room.run()
        assert not run.report.complete and run.report.stopped.startswith("401")


def test_an_hour_that_is_used_up_stops_the_sync_and_the_next_goes_on(room: Any, braze: Any) -> None:
    room.users(75 * 10)
    room.configure(braze_requests_per_hour=4, braze_concurrency=2)
    run = room.run()
    assert not run.report.complete
    assert "budget" in run.report.stopped
    assert len(braze.received) == 4 and run.report.delivered["score"] == 300
    assert room.run().report.requests == 0
    room.configure(braze_requests_per_hour=100)
    more = room.run()
    assert more.report.complete and more.plan.objects == 450
