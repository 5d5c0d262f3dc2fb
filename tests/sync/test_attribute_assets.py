from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from braze_platform.braze_api.resources import BrazeResource
from braze_platform.settings import Settings
from braze_platform.sync.asset_keys import attribute_key, model_key
from braze_platform.sync.assets import DELIVERIES_KEY, POOL, sync_assets
from braze_platform.sync.declaration.sync import PlanLimits
from braze_platform.sync.definitions import attributes_definitions


def materialise(
    room: Any,
    *names: str,
    instance: dg.DagsterInstance | None = None,
    config: dict[str, Any] | None = None,
) -> tuple[dg.ExecuteInProcessResult, dg.DagsterInstance]:
    instance = instance or dg.DagsterInstance.ephemeral()
    assets = sync_assets(room.sync, room.settings)
    result = dg.materialize(
        [assets],
        selection=[attribute_key(name) for name in names] or None,
        instance=instance,
        resources=room.resources,
        raise_on_error=False,
        run_config=config,
    )
    return result, instance


def values(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        if materialization.asset_key == attribute_key(name):
            return {key: value.value for key, value in materialization.metadata.items()}
    raise AssertionError(f"{name} was not materialised")


def checks(result: dg.ExecuteInProcessResult, name: str) -> dict[str, bool]:
    return {
        check.check_name: check.passed
        for check in result.get_asset_check_evaluations()
        if check.asset_key == attribute_key(name)
    }


def test_each_attribute_tells_what_became_of_it(room: Any, braze: Any) -> None:
    braze.rejects = lambda entry: "no such 'Ann B'" if entry.get("score") == 3 else None
    room.users(20)
    result, instance = materialise(room)
    assert result.success
    score = values(result, "score")
    told = {
        key: score[key] for key in ("new", "changed", "cleared", "unchanged", "delivered", "rejected", "due")
    }
    assert told == {
        "new": 20,
        "changed": 0,
        "cleared": 0,
        "unchanged": 0,
        "delivered": 19,
        "rejected": 1,
        "due": 0,
    }
    assert "Ann" not in score["rejection_reasons"]
    assert values(result, "channel")["delivered"] == 18
    assert checks(result, "score") == {
        "type_matches_braze": True,
        "plan_within_limits": True,
        "all_delivered": True,
        "no_rejections": False,
        "retries_continue": True,
        "retries_not_backed_off": True,
    }
    assert checks(result, "channel")["no_rejections"] is True
    reported = instance.get_latest_materialization_event(DELIVERIES_KEY)
    assert reported is not None and reported.run_id == result.run_id
    again, _ = materialise(room)
    assert values(again, "channel")["unchanged"] == 18 and values(again, "channel")["requests"] == 0


def test_an_attribute_tells_which_columns_it_is_made_of(room: Any, braze: Any) -> None:
    room.users(1)
    instance = dg.DagsterInstance.ephemeral()
    opens = dg.TableColumnDep(dg.AssetKey(["currents", "users_messages_email_open"]), "user_id")
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            model_key(room.sync),
            metadata={"dagster/column_lineage": dg.TableColumnLineage({"score": [opens]})},
        )
    )
    result, _ = materialise(room, instance=instance)
    told = values(result, "score")["comes_from"]
    assert "| 1 | [attributes/" in told
    assert (
        "| 2 | [currents/users_messages_email_open](/assets/currents/users_messages_email_open) | user_id |"
        in told
    )
    assert "currents/" not in values(result, "channel")["comes_from"]


def test_one_attribute_is_materialised_alone(room: Any, braze: Any) -> None:
    room.users(5)
    result, _ = materialise(room, "channel")
    assert result.success
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {
        attribute_key("channel"),
        DELIVERIES_KEY,
    }
    assert all(set(profile) <= {"channel"} for profile in braze.profiles.values())
    assert checks(result, "score") == {}


def test_a_plan_over_its_limits_fails_the_blocking_check_until_approved(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_objects=3))
    room.users(5)
    result, _ = materialise(room)
    assert not result.success and braze.received == []
    assert checks(result, "score") == {
        "type_matches_braze": True,
        "plan_within_limits": False,
        "retries_continue": True,
        "retries_not_backed_off": True,
    }
    message = str(result.failure_data_for_node(f"send_{room.sync.name}"))
    plan = room.plan().plan_id
    assert f"braze-platform approve {plan}" in message
    room.approve(plan)
    approved, _ = materialise(room)
    assert approved.success and len(braze.profiles) == 5


def test_no_run_config_approves_anything(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_objects=3))
    room.users(5)
    plan = room.plan().plan_id
    with pytest.raises(dg.DagsterInvalidConfigError, match="approve_plan"):
        materialise(room, config={"ops": {f"send_{room.sync.name}": {"config": {"approve_plan": plan}}}})
    assert braze.received == []


def test_what_is_left_due_fails_the_run_and_is_not_materialised(room: Any, braze: Any) -> None:
    room.users(5)
    room.configure(braze_rest_url="http://127.0.0.1:1")
    result, instance = materialise(room)
    assert not result.success
    assert {event.asset_key for event in result.get_asset_materialization_events()} == {DELIVERIES_KEY}
    assert checks(result, "score") == {
        "type_matches_braze": True,
        "plan_within_limits": True,
        "all_delivered": False,
        "no_rejections": True,
        "retries_continue": True,
        "retries_not_backed_off": True,
    }
    observations = instance.fetch_observations(attribute_key("score"), limit=1).records
    assert observations[0].asset_observation.metadata["due"].value == 5


def test_no_key_and_no_user_in_any_event(room: Any, braze: Any) -> None:
    braze.rejects = lambda entry: (
        f"'{entry['external_id']}' is odd" if entry["external_id"] == "user-3" else None
    )
    room.users(10)
    result, _ = materialise(room)
    room.configure(braze_rest_url="http://127.0.0.1:1")
    room.users(10, score="i + 5")
    failed, _ = materialise(room)
    text = "".join(str(event) for run in (result, failed) for event in run.all_events)
    assert "plan_id" in text
    assert room.settings.braze_api_key not in text and "user-3" not in text


def test_another_braze_is_a_resource_of_other_settings(room: Any, braze: Any) -> None:
    room.users(3)
    elsewhere = room.resources | {
        "braze": BrazeResource(settings=room.settings.replace(braze_rest_url="http://127.0.0.1:1"))
    }
    assets = sync_assets(room.sync, room.settings)
    assert not dg.materialize([assets], resources=elsewhere, raise_on_error=False).success
    assert braze.received == []
    assert dg.materialize([assets], resources=room.resources).success
    assert len(braze.profiles) == 3


def test_specs_say_where_an_attribute_comes_from(room: Any) -> None:
    assets = sync_assets(room.sync, room.settings)
    spec = assets.specs_by_key[attribute_key("score")]
    assert (
        [dep.asset_key for dep in spec.deps]
        == [model_key(room.sync)]
        == [dg.AssetKey(["attributes", "braze_customers"])]
    )
    assert (spec.group_name, spec.owners, spec.kinds) == ("braze_user_attributes", ["team:crm"], {"braze"})
    assert {key: spec.tags[key] for key in ("braze/sync", "braze/transport")} == {
        "braze/sync": "braze_customers",
        "braze/transport": "track",
    }
    lineage = spec.metadata["dagster/column_lineage"]
    assert lineage.deps_by_column == {"score": [dg.TableColumnDep(model_key(room.sync), "score")]}
    assert [column.name for column in spec.metadata["dagster/column_schema"].columns] == ["score"]
    assert assets.op.pool == POOL


def test_loading_opens_no_warehouse(tmp_path: Path) -> None:
    manifest = {
        "nodes": {
            "model.p.m": {
                "resource_type": "model",
                "name": "m",
                "alias": "m",
                "schema": "attributes",
                "fqn": ["p", "attributes", "m"],
                "depends_on": {"nodes": []},
                "config": {"meta": {"braze_sync": {"identifier": "external_id"}}},
                "columns": {
                    "external_id": {"name": "external_id"},
                    "score": {"name": "score", "config": {"meta": {"braze_attribute": {"type": "integer"}}}},
                },
            }
        }
    }
    settings = Settings(state_dir=tmp_path / "state")
    definitions = attributes_definitions(settings, manifest)
    dg.Definitions.validate_loadable(definitions)
    assert [
        spec.key
        for spec in definitions.resolve_all_asset_specs()
        if spec.group_name == "braze_user_attributes" and spec.key.path[0] == "braze"
    ] == [attribute_key("score")]
    assert not settings.state_dir.exists()


@pytest.fixture
def graph(room: Any) -> tuple[dg.Definitions, dg.DagsterInstance, list[bool]]:
    """A model with a blocking check that can be made to fail, and the attributes below it."""
    healthy = [True]

    @dg.asset(
        key=model_key(room.sync),
        check_specs=[dg.AssetCheckSpec("sound", asset=model_key(room.sync), blocking=True)],
    )
    def model() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(passed=healthy[0], check_name="sound")]
        )

    assets = sync_assets(room.sync, room.settings)
    return (
        dg.Definitions(assets=[model, assets], resources=room.resources),
        dg.DagsterInstance.ephemeral(),
        healthy,
    )


def requested(graph: Any, cursor: Any, moment: Any = None) -> tuple[int, Any]:
    definitions, instance, _ = graph
    result = dg.evaluate_automation_conditions(
        definitions,
        instance=instance,
        asset_selection=dg.AssetSelection.all(),
        cursor=cursor,
        evaluation_time=moment,
    )
    return result.total_requested, result.cursor


def run_assets(graph: Any, keys: list[dg.AssetKey]) -> bool:
    definitions, instance, _ = graph
    job = definitions.resolve_implicit_global_asset_job_def()
    return bool(job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False).success)


def test_an_updated_model_starts_its_attributes_and_a_failed_check_holds_them(room: Any, graph: Any) -> None:
    room.users(3)
    count, cursor = requested(graph, None)
    assert count == 0
    run_assets(graph, [model_key(room.sync)])
    count, cursor = requested(graph, cursor)
    assert count == 3
    assert run_assets(graph, [attribute_key(spec.name) for spec in room.sync.attributes])
    count, cursor = requested(graph, cursor)
    assert count == 0
    graph[2][0] = False
    run_assets(graph, [model_key(room.sync)])
    count, cursor = requested(graph, cursor)
    assert count == 0
    graph[2][0] = True
    run_assets(graph, [model_key(room.sync)])
    assert requested(graph, cursor)[0] == 3


def test_a_failed_sync_is_tried_again_every_quarter_of_an_hour(room: Any) -> None:
    room.users(3)
    room.configure(braze_rest_url="http://127.0.0.1:1")

    @dg.asset(key=model_key(room.sync))
    def model() -> None:
        return None

    assets = sync_assets(room.sync, room.settings)
    graph = (
        dg.Definitions(assets=[model, assets], resources=room.resources),
        dg.DagsterInstance.ephemeral(),
        [True],
    )
    start = datetime.datetime.now(datetime.timezone.utc).replace(minute=1, second=0, microsecond=0)
    start += datetime.timedelta(hours=1)
    run_assets(graph, [model_key(room.sync)])
    _, cursor = requested(graph, None, start)
    assert not run_assets(graph, [attribute_key(spec.name) for spec in room.sync.attributes])
    count, cursor = requested(graph, cursor, start + datetime.timedelta(minutes=5))
    assert count == 0
    count, cursor = requested(graph, cursor, start + datetime.timedelta(minutes=15))
    assert count == 3
