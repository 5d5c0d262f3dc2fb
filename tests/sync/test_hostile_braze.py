"""Whoever asks Braze survives whatever comes back: nothing is acknowledged, read or lost by an answer that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sync_room
from hostile_answers import ANSWERS, BODIES, answering
from tiers import tiered

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.doctor.braze import check_braze, check_workspace
from braze_platform.sync import run as run_module
from braze_platform.sync.confirmation import user_lookup
from braze_platform.sync.seeding.rebuild import RebuildError, rebuild
from braze_platform.sync.transports.cdi import integration
from braze_platform.sync.transports.cdi.integration import CdiPatience
from braze_platform.workspace_metadata import reader
from braze_platform.workspace_metadata.reader import ReadLimits
from braze_platform.workspace_metadata.update import update_workspace

ALL = {**ANSWERS, **BODIES}
IMPATIENT = RetryLimits(fault_seconds=0.1, rate_limit_seconds=0.5, first_backoff_seconds=0.01)
QUICK = ("nothing at all", "bad chunks", "JSON null", "parts of other types", "lists of nothing")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "RETRY", IMPATIENT)
    monkeypatch.setattr(user_lookup, "RETRY", IMPATIENT)
    monkeypatch.setattr(reader, "LIMITS", ReadLimits(requests_per_second=2_000, retry=IMPATIENT))
    monkeypatch.setattr(integration, "PATIENCE", CdiPatience(fault_seconds=0.2, first_poll_seconds=0.01))


@pytest.fixture(params=tiered(ALL, quick=QUICK))
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Three users whose values no Braze has, and a Braze that gives one answer to everything."""
    with answering(request.param) as url:
        made = sync_room.SyncRoom(tmp_path, url)
        made.users(3)
        yield made


def acknowledged(room: Any) -> int:
    """Values of which the ledger says that Braze has them."""
    with room.warehouse.session() as session:
        if not session.columns("braze_sync", "ledger_braze_customers"):
            return 0
        [(count,)] = session.fetch(
            "select count(*) from braze_sync.ledger_braze_customers where _acknowledged_at is not null"
        )
        return int(count)


@pytest.mark.parametrize("transport", ["track", "bulk", "cdi"])
def test_nothing_is_acknowledged_by_an_answer_that_is_none(room: Any, transport: str) -> None:
    room.declare(transport=transport)
    run = room.run()
    assert run.report is not None and not run.report.complete
    assert acknowledged(room) == 0
    assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
    assert sync_room.KEY not in repr(run)


def test_nothing_is_read_into_a_ledger(room: Any) -> None:
    with (
        room.warehouse.session() as session,
        pytest.raises(RebuildError, match=rf"^(?!.*{sync_room.KEY})"),
    ):
        rebuild(session, room.sync, room.settings, max_users=10)
    assert acknowledged(room) == 0


def test_no_object_of_the_workspace_is_made_up_or_lost(room: Any) -> None:
    update = update_workspace(room.warehouse, room.settings)
    assert all(not reading.objects and not reading.gone for reading in update.reading.endpoints.values())
    with room.warehouse.session() as session:
        for table in session.table_names("braze_workspace"):
            if table != "readings":
                assert session.fetch(f"select count(*) from braze_workspace.{table}") == [(0,)], table


def test_the_doctor_takes_none_of_it_for_braze(room: Any, request: pytest.FixtureRequest) -> None:
    found = [check_braze(room.settings), *check_workspace(room.settings)]
    # One is an answer of Braze's but for what is in its lists, which the doctor does not read.
    is_of_braze = request.node.callspec.params["room"] == BODIES["lists of nothing"]
    assert {finding.state == "ok" for finding in found} == {is_of_braze}
    assert sync_room.KEY not in str(found)
