"""The whole graph, on the real definitions of both targets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest

from braze_platform.currents.catalogue import catalogue
from braze_platform.definitions import build_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import PROJECT_ROOT, Settings, Target


@pytest.fixture(scope="module", params=["local", pytest.param("bigquery", marks=pytest.mark.full)])
def definitions(request: pytest.FixtureRequest, parsed: Callable[[Target], Settings]) -> dg.Definitions:
    return build_definitions(parsed(request.param))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_the_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_what_assets_work_with_are_resources(definitions: dg.Definitions) -> None:
    """A page each in the UI, and what a test puts in its place is used."""
    resources = definitions.get_repository_def().get_top_level_resources()
    assert {"warehouse", "bucket", "braze"} <= resources.keys()
    assert all(
        resource.description
        for name, resource in resources.items()
        if name in ("warehouse", "bucket", "braze")
    )
    asked = {
        key for assets in definitions.assets or () for key in getattr(assets, "required_resource_keys", ())
    }
    assert {"warehouse", "bucket", "braze"} <= asked


@pytest.mark.full
@pytest.mark.parametrize("target", ["local", "bigquery"])
def test_definitions_are_the_same_in_every_process_of_one_environment(
    parsed: Callable[[Target], Settings], tmp_path: Path, target: Target
) -> None:
    """Whatever lies in the state folder: a container begins with an empty one, and has to know every asset."""

    def told(settings: Settings) -> dict[str, object]:
        definitions = build_definitions(settings)
        graph = definitions.get_repository_def().asset_graph
        return {
            "assets": {
                key: (node.parent_keys, node.code_version, node.partitions_def, node.metadata.keys())
                for key in graph.get_all_asset_keys()
                for node in [graph.get(key)]
            },
            "checks": set(graph.asset_check_keys),
            "sensors": {sensor.name for sensor in definitions.sensors or ()},
        }

    folder = tmp_path / "state"
    folder.symlink_to(parsed(target).state_dir)
    settings = parsed(target).replace(state_dir=folder)
    before = told(settings)
    folder.unlink()
    assert told(settings) == before


def test_every_asset_says_what_it_is_and_whose(graph: dict[str, dg.AssetSpec]) -> None:
    for key, spec in graph.items():
        assert spec.description and len(spec.description) > 20, key
        assert spec.group_name and spec.group_name != "default", key
        assert spec.owners, key
        assert spec.kinds, key
        assert {k for k in spec.tags if not k.startswith("dagster/kind")}, key


def test_no_asset_brings_its_checks_by_name(definitions: dg.Definitions) -> None:
    """Automation asks for no other checks in a run for which one was asked by name, as those of a step that cannot
    leave them out are: one such step would switch off the checks of all models that are built along with it."""
    graph = definitions.get_repository_def().asset_graph
    automated = [
        node
        for key in graph.executable_asset_keys
        if (node := graph.get(key)).automation_condition is not None
    ]
    assert len(automated) > 150
    for node in automated:
        brought = [key for key in node.execution_set_entity_keys if isinstance(key, dg.AssetCheckKey)]
        assert not brought, (node.key, "give its step can_subset=True")


def test_what_people_rely_on_is_expected_to_be_fresh(
    graph: dict[str, dg.AssetSpec], parsed: Callable[[Target], Settings]
) -> None:
    fresh = {key: spec.freshness_policy for key, spec in graph.items() if spec.freshness_policy}
    assert set(fresh.values()) == {dg.FreshnessPolicy.time_window(timedelta(hours=72), timedelta(hours=36))}
    rooms = {key.split("/")[0] for key in fresh}
    assert rooms == {"currents", "marts", "attributes", "braze"}
    for key in graph:
        if key.split("/")[0] in rooms - {"currents"}:
            assert key in fresh
    assert "currents/users_messages_email_send" in fresh
    assert "currents/users_messages_email_bounce" not in fresh
    never = build_definitions(parsed("local").replace(freshness_hours=0))
    assert not any(spec.freshness_policy for spec in never.resolve_all_asset_specs())


def test_all_event_types_are_assets_in_daily_partitions(graph: dict[str, dg.AssetSpec]) -> None:
    for event_type in catalogue().values():
        spec = graph[f"currents/{event_type.table}"]
        assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)
        described = {c.name: c for c in spec.metadata["dagster/column_schema"].columns}
        assert event_type.field_names <= described.keys()
        assert all(column.description for column in described.values()), event_type.name


def test_an_analyst_can_walk_from_an_attribute_to_email_opens(graph: dict[str, dg.AssetSpec]) -> None:
    seen: set[str] = set()
    pending = ["braze/user_attributes/engagement_score"]
    while pending:
        key = pending.pop()
        if key not in seen and key in graph:
            seen.add(key)
            pending += [dep.asset_key.to_user_string() for dep in graph[key].deps]
    assert "attributes/braze_engagement" in seen
    assert "currents/users_messages_email_open" in seen


def test_every_attribute_of_the_two_syncs_is_an_asset(graph: dict[str, dg.AssetSpec]) -> None:
    names = {key.rsplit("/", 1)[1] for key in graph if key.startswith("braze/user_attributes/")}
    assert names == {
        *("lifetime_value", "order_count", "last_order_at", "favourite_category", "value_segment"),
        *("engagement_score", "preferred_channel", "last_engaged_at", "fatigue_level", "best_send_hour"),
    }


def test_every_dbt_source_is_an_asset_of_ours(
    parsed: Callable[[Target], Settings], graph: dict[str, dg.AssetSpec]
) -> None:
    manifest = json.loads(prepare_manifest(parsed("local")).read_text())
    sources = {f"{s['source_name']}/{s['name']}" for s in manifest["sources"].values()}
    assert sources <= graph.keys()
    read = {tuple(s) for node in manifest["nodes"].values() for s in node.get("sources", [])}
    assert len([s for s in read if s[0] == "currents"]) >= 25


def test_dependencies_are_all_defined(graph: dict[str, dg.AssetSpec]) -> None:
    for key, spec in graph.items():
        for dep in spec.deps:
            assert dep.asset_key.to_user_string() in graph, f"{key} depends on an undefined asset"


@pytest.mark.full
def test_the_workspace_file_loads_in_a_process_of_its_own(
    parsed: Callable[[Target], Settings], tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        **parsed("local").as_environment(),
        "DAGSTER_HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "--workspace", "workspace.yaml"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
def test_an_idle_installation_leaves_no_evaluations(parsed: Callable[[Target], Settings]) -> None:
    """Dagster keeps, for a month, every evaluation that differs from the last one: 17 MB of all models together."""
    definitions = build_definitions(parsed("local"))
    now, cursor = datetime(2026, 11, 20, 12, 38, tzinfo=timezone.utc), None
    with dg.DagsterInstance.ephemeral() as instance:
        for spec in definitions.resolve_all_asset_specs():
            day = "2026-11-18" if spec.partitions_def else None
            instance.report_runless_asset_event(dg.AssetMaterialization(spec.key, partition=day))
        seen: dict[dg.AssetKey, str] = {}
        changed: list[int] = []
        for minutes in (1, 1, 1, 6, 1):
            now += timedelta(minutes=minutes)
            found = dg.evaluate_automation_conditions(
                definitions, instance, dg.AssetSelection.all(), evaluation_time=now, cursor=cursor
            )
            cursor, before = found.cursor, seen
            seen = {result.key: result.value_hash for result in found.results}
            changed.append(sum(before.get(key) != value for key, value in seen.items()))
    assert len(seen) > 150
    assert changed[2:] == [0, 0, 0], "12:45 is a time at which what failed is tried again"
