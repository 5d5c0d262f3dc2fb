"""The transport `cdi` against the sandbox, with the faults of a bad day."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sandbox_room

from braze_platform.sandbox.api.cdi import integration_id
from braze_platform.sandbox.world.people import make_people
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.transports.cdi.jobs import Job, parsed_time, reconcile
from braze_platform.sync.transports.cdi.table import CdiTable
from braze_platform.warehouse.leases import hold_lease

PEOPLE = 120
START = datetime(2026, 11, 24, 12, 0)
INTEGRATION = f"/cdi/integrations/{integration_id('cdi_braze_customers')}"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Any]:
    with sandbox_room.serve(tmp_path, PEOPLE, cdi_start_seconds=0.1) as room:
        room.declare(transport="cdi")
        room.users_ = room.people(make_people(7, PEOPLE).external_ids)
        yield room


def expected(room: Any) -> dict[str, Any]:
    return {user: {"score": i, "channel": "email"} for i, user in enumerate(room.users_)}


def runs(room: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = room.sql(
        "select status, planned_rows, rows_synced, rows_failed from braze_sync.cdi_runs order by written_at"
    )
    return rows


def test_a_plan_is_read_by_braze_and_acknowledged(room: Any) -> None:
    found = room.run()
    assert found.report.complete
    assert found.report.delivered == {"score": PEOPLE, "channel": PEOPLE}
    assert room.profiles(room.users_) == expected(room)
    assert runs(room) == [("delivered", PEOPLE, PEOPLE, 0)]
    assert room.sql("select count(*) from braze_sync.cdi_braze_customers") == [(0,)]
    assert room.sql("select verdict, count(*) from braze_sync.deliveries group by 1") == [
        ("delivered", PEOPLE)
    ]


def test_nothing_to_send_makes_no_request(room: Any) -> None:
    room.run()
    before = room.request("GET", "/sandbox/state")
    again = room.run()
    assert again.plan.objects == 0 and again.report.requests == 0
    assert room.request("GET", "/sandbox/state") == before
    assert len(runs(room)) == 1


@pytest.mark.full
def test_later_runs_have_later_rows_that_lie_in_the_past(room: Any) -> None:
    for score in ("i", "i + 1", "i + 2"):
        room.people(room.users_, score=score)
        assert room.run().report.complete
    moments = room.sql(
        "select first_updated_at, last_updated_at, written_at from braze_sync.cdi_runs order by written_at"
    )
    assert all(first <= last <= written for first, last, written in moments)
    assert all(later[0] > earlier[1] for earlier, later in itertools.pairwise(moments))
    assert room.profiles(room.users_)[room.users_[5]]["score"] == 7


def test_a_partial_job_is_settled_object_by_object(room: Any) -> None:
    room.faults(rate_partial=0.1)
    found = room.run()
    assert found.report.complete
    assert runs(room)[0][0] == "partial"
    rejected = room.sql("select count(distinct _user) from braze_sync.rejections where resolved_at is null")
    assert found.report.delivered["score"] + found.report.rejected["score"] == PEOPLE
    assert rejected[0][0] >= found.report.rejected["score"]
    assert {row[0] for row in room.sql("select distinct verdict from braze_sync.deliveries")} >= {
        "delivered",
        "due",
    }


@pytest.mark.full
def test_faults_of_the_api_are_waited_out(room: Any) -> None:
    room.faults(rate_5xx=0.2, rate_drop=0.2, rate_429=0.1)
    found = room.run()
    room.faults()
    assert found.report.complete
    assert room.profiles(room.users_) == expected(room)


def test_nothing_is_written_while_another_job_runs(room: Any) -> None:
    room.run()
    room.people(room.users_, score="i + 1")
    room.request("POST", f"{INTEGRATION}/sync")
    assert room.run().report.complete
    assert room.profiles(room.users_)[room.users_[0]]["score"] == 1
    jobs = room.request("GET", f"{INTEGRATION}/job_sync_status")["results"]
    assert [job["rows_synced"] for job in jobs] == [PEOPLE, 0, PEOPLE]


def test_values_of_a_killed_run_are_sent_again_even_when_they_went_back(room: Any) -> None:
    room.run()
    room.people(room.users_, score="i + 1000")
    with (
        room.warehouse.session() as session,
        hold_lease(session, room.sync.name, "killed", wait_seconds=0) as leased,
    ):
        store = SyncStore(leased, room.sync)
        prepare_tables(store)
        make_plan(store)
        table = CdiTable(store, room.settings.cdi_exports_dir)
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        table.write(room.sync.attributes, "killed", now - timedelta(seconds=1), now)
    room.request("POST", f"{INTEGRATION}/sync")
    room.people(room.users_)
    found = room.run("after")
    assert found.plan.attributes["score"].changed == PEOPLE
    assert found.plan.attributes["channel"].sent == 0
    assert room.profiles(room.users_) == expected(room)
    assert [row[0] for row in runs(room)] == ["delivered", "abandoned", "delivered"]
    assert room.run().plan.objects == 0


def test_a_wrong_key_sends_nothing_and_says_so(room: Any) -> None:
    room.configure(braze_api_key="another-key-that-is-wrong")
    found = room.run()
    assert not found.report.complete
    assert "401" in found.report.stopped and "another-key" not in found.report.stopped
    assert runs(room) == []


def test_a_watermark_in_the_future_is_named(room: Any) -> None:
    room.run()
    room.sql("update braze_sync.cdi_runs set last_updated_at = timestamp '2999-01-01 00:00:00'", "select 1")
    room.people(room.users_, score="i + 1")
    found = room.run()
    assert not found.report.complete and "future" in found.report.stopped


@pytest.mark.full
def test_another_transport_goes_on_with_the_same_ledger(room: Any) -> None:
    room.run()
    for transport in ("track", "bulk", "cdi"):
        room.declare(transport=transport)
        assert room.run().plan.objects == 0


def job(minute: int, status: str, synced: int = 0, failed: int = 0) -> Job:
    return Job(status, START + timedelta(minutes=minute), None, synced, failed)


@pytest.mark.parametrize(
    ("jobs", "conclusion"),
    [
        ([], "waiting"),
        ([job(0, "success", 10)], "waiting"),
        ([job(1, "running")], "waiting"),
        ([job(2, "success", 5), job(1, "running")], "waiting"),
        ([job(1, "success", 10)], "delivered"),
        ([job(1, "success", 12)], "delivered"),
        ([job(2, "success", 4), job(1, "success", 6)], "delivered"),
        ([job(1, "success", 9)], "partial"),
        ([job(1, "partial", 9, 1)], "partial"),
        ([job(1, "success", 10, 1)], "partial"),
        ([job(2, "error"), job(1, "success", 10)], "partial"),
        ([job(1, "error", 0, 10)], "failed"),
        ([job(1, "config_error")], "failed"),
        ([job(1, "success")], "failed"),
        ([job(1, "something new")], "failed"),
    ],
)
def test_what_may_be_concluded_from_jobs(jobs: list[Job], conclusion: str) -> None:
    found = reconcile(jobs, START, rows=10)
    assert found.conclusion == conclusion
    assert found.conclusion in ("waiting", "delivered") or found.reason


def test_jobs_are_read_as_braze_lists_them() -> None:
    entry = {
        "job_status": "success",
        "sync_start_time": "2026-11-24T12:00:00Z",
        "last_timestamp_synced": "2026-11-24T11:59:59.123+00:00",
        "rows_synced": 3,
        "rows_failed_with_errors": None,
    }
    assert Job.from_json(entry) == Job("success", START, datetime(2026, 11, 24, 11, 59, 59, 123000), 3, 0)
    assert Job.from_json({}) == Job("", None, None, 0, 0)
    assert parsed_time("soon") is None and parsed_time(5) is None
