"""The assets over a real sandbox: what they tell, when they are materialised or asked for, how they fail."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from braze_platform.sandbox.world.campaigns import CAMPAIGNS
from braze_platform.warehouse.workspace_tables import TABLES
from braze_platform.workspace_metadata.assets import READABLE_CHECK
from braze_platform.workspace_metadata.definitions import workspace_metadata_definitions

NAMES = {table.name for table in TABLES}
TOYS = CAMPAIGNS[3].campaign_id


class WorkspaceAssets:
    """The assets on one Dagster instance."""

    def __init__(self, workspace: Any) -> None:
        self.workspace = workspace
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, settings: Any = None) -> dg.ExecuteInProcessResult:
        settings = settings or self.workspace.settings
        defs = workspace_metadata_definitions(settings)
        return dg.materialize(
            list(defs.assets or ()), instance=self.instance, resources=defs.resources, raise_on_error=False
        )


@pytest.fixture
def runs(workspace: Any) -> WorkspaceAssets:
    return WorkspaceAssets(workspace)


def materialised(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.asset_key.path[-1]: {k: v.value for k, v in event.materialization.metadata.items()}  # type: ignore[union-attr]
        for event in result.get_asset_materialization_events()
    }


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.asset_key.path[-1]: check.passed for check in result.get_asset_check_evaluations()}


def test_only_tables_that_changed_are_materialised(runs: WorkspaceAssets) -> None:
    first = runs.run()
    assert first.success
    found = materialised(first)
    assert found.keys() == NAMES
    campaigns = {
        k: found["campaigns"][k] for k in ("dagster/row_count", "current", "new", "changed", "vanished")
    }
    assert campaigns == {"dagster/row_count": 14, "current": 14, "new": 14, "changed": 0, "vanished": 0}
    assert found["campaigns"]["requests"] == 16
    assert checks(first) == dict.fromkeys(("campaigns", "canvases", "segments", "custom_attributes"), True)
    second = runs.run()
    assert second.success and materialised(second) == {}
    assert len(second.get_asset_observation_events()) == len(NAMES)
    runs.workspace.advance()
    third = materialised(runs.run())
    assert third.keys() == {"campaigns", "canvases", "segments"}
    (record,) = third["campaigns"]["latest_renames"].records
    assert record.data == {
        "id": TOYS,
        "from": "Toys for rainy days",
        "to": "Toys for all weathers",
        "at": "2026-09-20 06:00:00",
    }


def test_a_broken_object_is_a_warning_with_its_id(runs: WorkspaceAssets) -> None:
    runs.workspace.post("/sandbox/broken_objects", {TOYS: "missing"})
    result = runs.run()
    assert result.success
    assert checks(result) == {
        "campaigns": False,
        "canvases": True,
        "segments": True,
        "custom_attributes": True,
    }
    (warned,) = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert (warned.check_name, warned.severity) == (READABLE_CHECK, dg.AssetCheckSeverity.WARN)
    assert TOYS in str(warned.metadata["examples"].value)


@pytest.mark.full
def test_an_outage_is_tried_again_and_what_was_read_stays(
    runs: WorkspaceAssets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster.RetryPolicy.calculate_delay", lambda self, attempt: 0.0)
    runs.workspace.post("/sandbox/faults", {"rate_5xx": 1})
    result = runs.run()
    assert not result.success
    assert materialised(result) == {}
    assert len([e for e in result.all_events if e.event_type_value == "STEP_RESTARTED"]) == 2
    assert not any(checks(result).values())
    told = "".join(str(event.event_specific_data) for event in result.all_events)
    assert "Braze could not answer" in told or "does not answer" in told
    assert runs.workspace.settings.braze_api_key not in told
    runs.workspace.post("/sandbox/faults", {})
    assert materialised(runs.run()).keys() == NAMES


def test_a_wrong_key_is_not_tried_again(runs: WorkspaceAssets) -> None:
    result = runs.run(runs.workspace.settings.replace(braze_api_key="wrong-key-0d3f"))
    assert not result.success
    assert not [e for e in result.all_events if e.event_type_value == "STEP_RESTARTED"]
    told = "".join(str(event.event_specific_data) for event in result.all_events)
    assert "check BRAZE_API_KEY" in told and "wrong-key-0d3f" not in told


def test_where_calls_are_off_nothing_asks_for_a_reading(workspace: Any) -> None:
    away = workspace.settings.replace(braze_rest_url="https://rest.example.invalid")
    (assets,) = workspace_metadata_definitions(away).assets or ()
    assert isinstance(assets, dg.AssetsDefinition)
    assert all(spec.automation_condition is None for spec in assets.specs)
    (assets,) = workspace_metadata_definitions(away.replace(environment="production")).assets or ()
    assert isinstance(assets, dg.AssetsDefinition)
    assert all(spec.automation_condition is not None for spec in assets.specs)


def test_a_reading_is_asked_for_at_once_and_then_every_hour(runs: WorkspaceAssets) -> None:
    definitions = workspace_metadata_definitions(runs.workspace.settings)
    moment, cursor = datetime(2026, 11, 20, 12, 1, tzinfo=timezone.utc), None
    asked: list[int] = []

    def tick(minutes: int) -> int:
        nonlocal moment, cursor
        moment += timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            defs=definitions,
            instance=runs.instance,
            asset_selection=dg.AssetSelection.groups("braze_workspace"),
            cursor=cursor,
            evaluation_time=moment,
        )
        cursor = result.cursor
        return result.total_requested

    asked.append(tick(0))
    runs.run()
    # 12:02, 12:03, 12:13: what was read at 12:01 is new enough for 12:07
    asked += [tick(1), tick(1), tick(10)]
    asked += [tick(30), tick(25)]
    # nothing was edited: the reading at 13:08 leaves observations alone, and yet the hour is over
    runs.run()
    asked += [tick(1), tick(40), tick(20)]
    assert asked == [len(NAMES), 0, 0, 0, 0, len(NAMES), 0, 0, len(NAMES)]
