"""Reading a real sandbox into DuckDB: pages, what is due, renames, faults, budget, the key."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from braze_platform.braze_api.client import OutwardCallsOff
from braze_platform.sandbox.api.rate_limits import RateLimit
from braze_platform.sandbox.world.campaigns import CAMPAIGNS
from braze_platform.sandbox.world.canvases import CANVASES
from braze_platform.warehouse.workspace_tables import TABLES
from braze_platform.workspace_metadata import reader
from braze_platform.workspace_metadata.update import update_workspace

LISTS = {"/campaigns/list", "/canvas/list", "/segments/list", "/custom_attributes"}
NOW = datetime(2026, 11, 20, 12)
TOYS = CAMPAIGNS[3].campaign_id


def failures(update: Any) -> dict[str, str]:
    return update.reading.failures  # type: ignore[no-any-return]


def current(update: Any) -> dict[str, int]:
    return {name: state.current for name, state in update.states.items()}


def test_everything_is_read_over_several_pages(workspace_with: Callable[..., Any]) -> None:
    workspace = workspace_with(list_page=5, attributes_page=1)
    update = workspace.update()
    assert failures(update) == {}
    assert current(update) == {
        "campaigns": 14,
        "canvases": 2,
        "canvas_variants": 6,
        "canvas_steps": 6,
        "message_variations": sum(len(c.variations) + 1 for c in CAMPAIGNS) + 2 + 8,
        "segments": 3,
        "custom_attributes": 3,
    }
    assert update.reading.requests["/campaigns/list"] == 3
    assert update.reading.requests["/campaigns/details"] == 14
    assert update.reading.requests["/custom_attributes"] == 3
    [(tags, channels, schedule, archived, created)] = workspace.fetch(
        "select tags, channels, schedule, is_archived, created_at from braze_workspace.campaigns "
        f"where campaign_id = '{TOYS}'"
    )
    assert (json.loads(tags), json.loads(channels)) == (["broadcast", "toys"], ["android_push", "ios_push"])
    assert json.loads(schedule) == {"schedule_type": "time_based"}
    assert (archived, created) == (False, datetime(2026, 7, 24))
    assert workspace.fetch(
        "select s.name, m.name, channel from braze_workspace.message_variations m "
        "join braze_workspace.canvas_steps s using (canvas_step_id) "
        f"where m.canvas_id = '{CANVASES[1].id_of()}' order by all"
    ) == [
        ("Message", "Variant A", "email"),
        ("Message", "Variant B", "email"),
        ("Second message", "Variant A", "sms"),
        ("Second message", "Variant B", "sms"),
    ]
    assert workspace.fetch(
        "select name, is_archived, is_draft from braze_workspace.campaigns where is_archived or is_draft order by 1"
    ) == [("Opening week", True, False), ("Winter teaser", False, True)]


def test_nothing_edited_means_lists_alone_and_no_write(workspace: Any) -> None:
    workspace.update(now=NOW)
    before, file = workspace.everything(), workspace.settings.duckdb_path.stat().st_mtime_ns
    update = workspace.update(now=NOW + timedelta(hours=1))
    assert set(update.reading.requests) == LISTS
    assert sum(update.reading.requests.values()) <= 2 * len(LISTS)
    assert update.changes.tables == {}
    assert workspace.everything() == before
    assert workspace.settings.duckdb_path.stat().st_mtime_ns == file


def test_only_edited_objects_are_read_and_renames_keep_their_history(workspace: Any) -> None:
    workspace.update(now=NOW)
    workspace.advance()
    later = NOW + timedelta(hours=1)
    update = workspace.update(now=later)
    details = {path: n for path, n in update.reading.requests.items() if path.endswith("/details")}
    # the campaign that was renamed, the canvases that were tagged, the segment whose list entry has another name
    assert details == {"/campaigns/details": 1, "/canvas/details": 2, "/segments/details": 1}
    edited = datetime(2026, 9, 20, 6)
    assert workspace.fetch(
        "select name, first_seen_at, valid_from, valid_to from braze_workspace.campaigns "
        f"where campaign_id = '{TOYS}' order by valid_from"
    ) == [
        ("Toys for rainy days", NOW, datetime(2026, 7, 24), edited),
        ("Toys for all weathers", NOW, edited, None),
    ]
    (rename,) = update.states["campaigns"].renames
    assert (rename.object_id, rename.previous_name, rename.name, rename.valid_from) == (
        TOYS,
        "Toys for rainy days",
        "Toys for all weathers",
        edited,
    )
    assert {r.name for r in update.states["segments"].renames} == {"Quiet for 45 days"}
    assert workspace.fetch(
        "select tags from braze_workspace.canvases where valid_to is not null group by all"
    ) == [('["lifecycle"]',)]
    assert {t: (c.new, c.changed, c.vanished) for t, c in update.changes.tables.items()} == {
        "campaigns": (0, 1, 0),
        "canvases": (0, 2, 0),
        "segments": (0, 1, 0),
    }
    before = workspace.everything()
    assert workspace.update(now=later).changes.tables == {}
    assert workspace.everything() == before


def test_what_may_change_without_a_sign_is_read_once_a_day(workspace: Any) -> None:
    workspace.update(now=NOW)
    early = workspace.update(now=NOW + timedelta(hours=23))
    assert early.reading.requests["/segments/details"] == 0
    late = workspace.update(now=NOW + timedelta(hours=24))
    assert late.reading.requests["/segments/details"] == 3
    # campaigns that have not been sent yet: their first send is no edit
    unsent = workspace.fetch(
        "select count(*) from braze_workspace.campaigns where first_sent_at is null and not is_draft"
    )
    assert late.reading.requests["/campaigns/details"] == unsent[0][0] > 0
    assert late.changes.tables == {}


def test_what_braze_no_longer_lists_is_closed_and_may_come_back(
    workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.update(now=NOW)
    with monkeypatch.context() as gone:
        gone.setattr("braze_platform.sandbox.world.workspace.CANVASES", CANVASES[1:])
        update = workspace.update(now=NOW + timedelta(hours=1))
    assert update.changes.tables["canvases"].vanished == 1
    assert update.changes.tables["canvas_steps"].vanished == 3
    assert update.changes.tables["message_variations"].vanished == 4
    assert current(update)["canvas_variants"] == 3
    assert update.reading.requests["/canvas/list"] == 4, "it is looked for twice before it counts as gone"
    back = workspace.update(now=NOW + timedelta(hours=2))
    assert current(back)["canvas_steps"] == 6
    versions = workspace.fetch(
        "select first_seen_at, valid_from, valid_to from braze_workspace.canvases "
        f"where canvas_id = '{CANVASES[0].id_of()}' order by valid_from"
    )
    assert versions[0][0] == versions[1][0] == NOW
    assert versions[0][2] == NOW + timedelta(hours=1)
    assert versions[1][1:] == (NOW + timedelta(hours=2), None)


def test_broken_objects_are_told_and_stop_nothing(workspace: Any) -> None:
    workspace.post("/sandbox/broken_objects", {TOYS: "missing", CANVASES[0].id_of(): "malformed"})
    update = workspace.update()
    assert failures(update) == {}
    assert update.reading.endpoints["campaigns"].unreadable == {TOYS: "404: Braze does not know it"}
    assert update.reading.endpoints["canvases"].unreadable == {
        CANVASES[0].id_of(): "the answer is not a JSON object"
    }
    assert (current(update)["campaigns"], current(update)["canvases"]) == (13, 1)
    workspace.post("/sandbox/broken_objects", {})
    again = workspace.update()
    assert again.reading.requests["/campaigns/details"] == 1
    assert (current(again)["campaigns"], current(again)["canvases"]) == (14, 2)
    # broken when it was there already: its last version stays
    workspace.advance()
    workspace.post("/sandbox/broken_objects", {TOYS: "missing"})
    third = workspace.update()
    assert (current(third)["campaigns"], third.changes.tables.keys()) == (14, {"canvases", "segments"})


@pytest.mark.full
@pytest.mark.parametrize("fault", ["rate_5xx", "rate_drop", "rate_429"])
def test_faults_end_in_the_same_tables(
    workspace: Any, fault: str, read_limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.post("/sandbox/faults", {fault: 0.2})
    retry = dataclasses.replace(read_limits.retry, fault_seconds=20, rate_limit_seconds=60)
    monkeypatch.setattr(reader, "LIMITS", dataclasses.replace(read_limits, retry=retry))
    update = workspace.update(now=NOW)
    assert failures(update) == {}
    assert not any(found.unreadable for found in update.reading.endpoints.values())
    disturbed = workspace.everything()
    workspace.post("/sandbox/faults", {})
    workspace.settings.duckdb_path.unlink()
    workspace.update(now=NOW)
    assert workspace.everything() == disturbed


def test_an_outage_is_a_failure_and_leaves_the_tables(workspace: Any) -> None:
    workspace.update(now=NOW)
    before = workspace.everything()
    workspace.post("/sandbox/faults", {"rate_drop": 1})
    update = workspace.update()
    assert set(failures(update)) == {"campaigns", "canvases", "segments", "custom_attributes"}
    assert all("no response from Braze" in r or "does not answer" in r for r in failures(update).values())
    assert workspace.everything() == before
    workspace.post("/sandbox/faults", {})
    assert failures(workspace.update()) == {}


def test_the_share_of_the_hour_is_kept_and_the_rest_is_read_later(
    workspace_with: Callable[..., Any], read_limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = RateLimit(per_hour=16, burst=16, burst_seconds=3600, clock=lambda: 9 * 3600.0)
    workspace = workspace_with(shared_limit=shared)

    def used(update: Any) -> int:
        return sum(n for path, n in update.reading.requests.items() if path != "/custom_attributes")

    # 25 requests would read everything; a quarter of the hour's 16 stays with the sends
    first = workspace.update()
    assert used(first) <= 12
    assert failures(first) == {}, "all lists were read before any detail"
    assert sum(found.postponed for found in first.reading.endpoints.values()) == 25 - used(first) > 0
    assert shared.take()[0], "there is room for others"
    # of another hour only a share is the room's own
    shared.clock = lambda: 10 * 3600.0
    own = dataclasses.replace(read_limits, requests_per_hour=16, own_share=0.25)
    monkeypatch.setattr(reader, "LIMITS", own)
    assert used(workspace.update()) <= 4
    monkeypatch.setattr(reader, "LIMITS", read_limits)
    shared.per_hour = shared.burst = 1_000
    shared.clock = lambda: 11 * 3600.0
    rest = workspace.update()
    assert failures(rest) == {}
    assert (current(rest)["campaigns"], current(rest)["canvases"], current(rest)["segments"]) == (14, 2, 3)
    assert set(workspace.update().reading.requests) == LISTS


def test_a_wrong_key_says_what_to_check_and_is_nowhere(
    workspace: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = workspace.settings.replace(braze_api_key="wrong-key-0d3f")
    update = update_workspace(workspace.warehouse, wrong)
    assert all(reason.startswith("the list: 401") for reason in failures(update).values())
    assert len(failures(update)) == 4
    assert sum(update.reading.requests.values()) == 4, "a refusal for good is not tried again"
    workspace.update()
    told = caplog.text + repr(update)
    assert "wrong-key-0d3f" not in told and workspace.settings.braze_api_key not in told
    stored = workspace.settings.duckdb_path.read_bytes()
    assert workspace.settings.braze_api_key.encode() not in stored


def test_calls_to_other_machines_are_off(workspace: Any) -> None:
    away = workspace.settings.replace(braze_rest_url="https://rest.example.invalid")
    with pytest.raises(OutwardCallsOff, match="BRAZE_PLATFORM_ENVIRONMENT"):
        update_workspace(workspace.warehouse, away)


def test_tables_are_as_declared(workspace: Any) -> None:
    workspace.update()
    types = {"string": "VARCHAR", "boolean": "BOOLEAN", "bigint": "BIGINT", "timestamp": "TIMESTAMP"}
    with workspace.warehouse.session() as session:
        for table in TABLES:
            assert session.columns("braze_workspace", table.name) == {
                column.name: types[column.type] for column in table.table.columns
            }
