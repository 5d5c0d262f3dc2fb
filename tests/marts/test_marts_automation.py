"""The automation conditions on a small graph of the marts' shape: raw days, staging, a union, a mart."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from braze_platform.marts.automation import LoadTriggers, model_condition, staging_condition
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings, Target

FOLDERS = ("staging", "intermediate", "marts", "attributes")

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01")
RAW = [dg.AssetKey(["currents", name]) for name in ("open", "click", "never_delivered")]
NOW = datetime(2026, 11, 20, 12, 1, tzinfo=timezone.utc)


def staging_of(raw: dg.AssetKey) -> dg.AssetKey:
    return dg.AssetKey(["staging", f"stg_{raw.path[-1]}"])


UNION, MART = dg.AssetKey(["intermediate", "union"]), dg.AssetKey(["marts", "mart"])
STAGING = [staging_of(raw) for raw in RAW]
MODELS = {*STAGING, UNION, MART}


def make_definitions(
    *, models_fail: bool = False, loaded_last: dg.AssetKey | None = None, union_code: str = "1"
) -> dg.Definitions:
    @dg.multi_asset(
        specs=[dg.AssetSpec(key, partitions_def=DAYS) for key in RAW],
        can_subset=True,
        check_specs=[dg.AssetCheckSpec("readable", asset=RAW[0], blocking=True)],
    )
    def raw(context):
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(asset_key=key)

    specs = [
        dg.AssetSpec(
            staging_of(key),
            deps=[key],
            skippable=True,
            automation_condition=staging_condition(LoadTriggers(RAW, [RAW[0]], loaded_last=loaded_last)),
        )
        for key in RAW
    ]
    specs.append(
        dg.AssetSpec(
            UNION,
            deps=STAGING,
            automation_condition=model_condition(),
            skippable=True,
            code_version=union_code,
        )
    )
    specs.append(dg.AssetSpec(MART, deps=[UNION], automation_condition=model_condition(), skippable=True))

    @dg.multi_asset(specs=specs, can_subset=True)
    def models(context):
        if models_fail:
            raise dg.Failure("the warehouse is away")
        for spec in specs:
            if spec.key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=spec.key)

    return dg.Definitions(assets=[raw, models], executor=dg.in_process_executor)


class Installation:
    """A Dagster instance, its definitions and the automation sensor's cursor, tick by tick."""

    def __init__(self, definitions: dg.Definitions, models: set[dg.AssetKey] = MODELS) -> None:
        self.definitions = definitions
        self.models = models
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor = None
        self.time = NOW

    def load(self, *keys: dg.AssetKey, day: str) -> None:
        for key in keys:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))

    def check(self, passed: bool) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=RAW[0], check_name="readable", passed=passed, metadata={})
        )

    def tick(self) -> set[dg.AssetKey]:
        """Evaluate all conditions 10 seconds after the last time; the keys that would be requested."""
        self.time += timedelta(seconds=10)
        result = dg.evaluate_automation_conditions(
            defs=self.definitions,
            instance=self.instance,
            asset_selection=dg.AssetSelection.assets(*self.models),
            cursor=self.cursor,
            evaluation_time=self.time,
        )
        self.cursor = result.cursor
        return {key for key in self.models if result.get_num_requested(key)}

    def start(self, keys: set[dg.AssetKey], day: str | None = None) -> dg.DagsterRun:
        """A run over some assets that has started and not ended."""
        job = self.definitions.get_implicit_global_asset_job_def()
        run = self.instance.create_run_for_job(
            job_def=job, asset_selection=frozenset(keys), tags={"dagster/partition": day} if day else {}
        )
        for key in keys:
            self.instance.report_dagster_event(
                dagster_event=_planned(run.job_name, key, day), run_id=run.run_id
            )
        self.instance.handle_run_event(run.run_id, _started(run.job_name))
        return run

    def build(self, keys: set[dg.AssetKey]) -> bool:
        job = self.definitions.get_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance, asset_selection=sorted(keys), raise_on_error=False
        ).success


@pytest.fixture
def installation() -> Installation:
    return Installation(make_definitions())


@pytest.fixture
def settled(installation: Installation) -> Installation:
    """Two raw tables with a day, everything built, nothing new."""
    installation.load(RAW[0], RAW[1], day="2026-11-18")
    assert installation.build(installation.tick())
    assert installation.tick() == set()
    return installation


def test_nothing_is_built_before_the_first_load(installation: Installation) -> None:
    assert installation.tick() == set()
    assert installation.tick() == set()


def test_the_first_load_builds_all_even_over_types_never_delivered(installation: Installation) -> None:
    assert installation.tick() == set()
    installation.load(RAW[0], day="2026-11-18")
    assert installation.tick() == MODELS


def test_a_new_installation_over_existing_data_builds_all(installation: Installation) -> None:
    installation.load(RAW[0], RAW[1], day="2026-11-18")
    assert installation.tick() == MODELS


def test_without_an_anchor_the_rest_is_built_at_the_next_quarter_of_an_hour(
    installation: Installation,
) -> None:
    installation.load(RAW[1], day="2026-11-18")
    assert installation.tick() == {STAGING[1]}, "what unites all staging models must wait for the others"
    assert installation.build({STAGING[1]})
    assert installation.tick() == set()
    installation.time = NOW + timedelta(minutes=14)
    assert installation.tick() == {STAGING[0], STAGING[2], UNION, MART}


def test_what_was_requested_is_not_requested_again(installation: Installation) -> None:
    installation.load(RAW[0], day="2026-11-18")
    assert installation.tick() == MODELS
    assert installation.tick() == set()


def test_the_end_of_a_run_is_no_reason_for_another(installation: Installation) -> None:
    """A tick may see that a run ended before it sees all that the run materialised."""
    installation.load(RAW[0], day="2026-11-18")
    requested = installation.tick()
    assert requested == MODELS
    run = installation.start(requested)
    assert installation.tick() == set()
    for key in requested - {MART}:
        event = _materialised(run.job_name, key)
        installation.instance.report_dagster_event(dagster_event=event, run_id=run.run_id)
    assert installation.tick() == set()
    installation.instance.report_run_canceled(run)
    assert installation.tick() == set()


def test_a_late_day_builds_only_what_is_below_it(settled: Installation) -> None:
    settled.load(RAW[1], day="2026-02-03")
    requested = settled.tick()
    assert requested == {staging_of(RAW[1]), UNION, MART}
    assert settled.build(requested)
    assert settled.tick() == set()


def test_several_days_are_one_request(settled: Installation) -> None:
    for day in ("2026-11-15", "2026-11-16", "2026-11-19"):
        settled.load(*RAW[:2], day=day)
    assert settled.tick() == {*STAGING[:2], UNION, MART}
    assert settled.tick() == set()


def test_a_load_of_any_source_holds_everything_until_it_ends(settled: Installation) -> None:
    run = settled.start({RAW[0]}, "2026-11-19")
    settled.load(RAW[1], day="2026-11-19")
    assert settled.tick() == set()
    settled.instance.report_run_canceled(run)
    assert settled.tick() == set(), "what the load materialised last may be seen only by the next tick"
    assert settled.tick() == {staging_of(RAW[1]), UNION, MART}


def test_once_the_last_table_of_a_load_is_seen_nobody_waits_longer() -> None:
    installation = Installation(make_definitions(loaded_last=RAW[0]))
    installation.load(RAW[0], RAW[1], day="2026-11-18")
    assert installation.build(installation.tick())
    assert installation.tick() == set()
    run = installation.start({RAW[0], RAW[1]}, "2026-11-19")
    installation.load(RAW[1], day="2026-11-19")
    assert installation.tick() == set()
    installation.load(RAW[0], day="2026-11-19")
    installation.instance.report_run_canceled(run)
    assert installation.tick() == {STAGING[0], STAGING[1], UNION, MART}
    assert installation.tick() == set()


def test_a_failed_blocking_check_holds_back_what_reads_the_table(settled: Installation) -> None:
    settled.check(passed=False)
    settled.load(RAW[0], day="2026-11-19")
    assert settled.tick() == set()
    settled.check(passed=True)
    assert settled.tick() == {STAGING[0], UNION, MART}


def test_a_failed_build_is_tried_again_at_the_next_quarter_of_an_hour() -> None:
    installation = Installation(make_definitions(models_fail=True))
    installation.load(RAW[0], day="2026-11-18")
    assert not installation.build(installation.tick())
    assert installation.tick() == set()
    installation.time = NOW + timedelta(minutes=14)
    assert installation.tick() == MODELS
    assert installation.tick() == set()


def test_a_changed_model_is_built_again_with_what_reads_it(settled: Installation) -> None:
    settled.definitions = make_definitions(union_code="2")
    assert settled.tick() == {UNION, MART}
    assert settled.tick() == set()
    assert settled.build({UNION, MART})
    assert settled.tick() == set()


def test_a_mended_model_is_built_again_at_once(settled: Installation) -> None:
    settled.definitions = make_definitions(union_code="2", models_fail=True)
    assert not settled.build(settled.tick())
    assert settled.tick() == set(), "the same SQL would fail again: it waits for the next quarter of an hour"
    settled.definitions = make_definitions(union_code="3")
    requested = settled.tick()
    assert requested == {UNION, MART}
    assert settled.build(requested)
    assert settled.tick() == set()


def test_a_model_that_changes_while_it_is_built_is_built_once_more(settled: Installation) -> None:
    run = settled.start({UNION})
    assert settled.tick() == set()
    settled.definitions = make_definitions(union_code="2")
    assert settled.tick() == set()
    settled.instance.report_dagster_event(dagster_event=_materialised(run.job_name, UNION), run_id=run.run_id)
    settled.instance.report_run_canceled(run)
    assert UNION in {*settled.tick(), *settled.tick()}


@pytest.mark.full
def test_a_changed_model_of_the_project_is_asked_for_alone(
    parsed: Callable[[Target], Settings], tmp_path: Path
) -> None:
    settings = parsed("local")
    path = prepare_manifest(settings)
    engagement = dg.AssetKey(["attributes", "braze_engagement"])
    definitions = marts_definitions(settings, path)
    models = {spec.key for spec in definitions.resolve_all_asset_specs() if spec.key.path[0] in FOLDERS}
    installation = Installation(definitions, models)
    for key in models:
        installation.instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert installation.tick() == set()

    def changed(change: Callable[[dict[str, Any]], None]) -> set[dg.AssetKey]:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        change(manifest["nodes"]["model.braze_platform.braze_engagement"])
        other = tmp_path / "manifest.json"
        other.write_text(json.dumps(manifest), encoding="utf-8")
        installation.definitions = marts_definitions(settings, other)
        return installation.tick()

    assert changed(lambda node: node["checksum"].update(checksum="mended")) == {engagement}
    assert changed(lambda node: node["checksum"].update(checksum="mended")) == set()

    def described(node: dict[str, Any]) -> None:
        node["checksum"]["checksum"] = "mended"
        node["columns"]["engagement_score"]["description"] = "In other words."

    assert changed(described) == set()

    def typed(node: dict[str, Any]) -> None:
        described(node)
        node["columns"]["engagement_score"]["data_type"] = "integer"

    assert changed(typed) == {engagement}


def _planned(job_name: str, key: dg.AssetKey, day: str | None):
    from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent

    return DagsterEvent.build_asset_materialization_planned_event(
        job_name=job_name,
        step_key="raw",
        asset_materialization_planned_data=AssetMaterializationPlannedData(asset_key=key, partition=day),
    )


def _materialised(job_name: str, key: dg.AssetKey):
    from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData

    return DagsterEvent(
        event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name=job_name,
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(key)),
    )


def _started(job_name: str):
    from dagster._core.events import DagsterEvent, DagsterEventType

    return DagsterEvent(
        event_type_value=DagsterEventType.RUN_START.value, job_name=job_name, message="started"
    )


def test_a_source_that_automation_asks_for_comes_in_a_run_of_its_own() -> None:
    workspace = dg.AssetKey(["braze_workspace", "campaigns"])
    condition = dg.AutomationCondition
    handled = condition.newly_requested() | condition.newly_updated()
    never_read = condition.missing().newly_true().since(handled)

    @dg.asset(key=workspace, automation_condition=never_read & ~condition.in_progress())
    def campaigns(): ...

    @dg.asset(key=RAW[0])
    def opens(): ...

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                staging_of(key),
                deps=[key],
                automation_condition=staging_condition(
                    LoadTriggers([RAW[0], workspace], [RAW[0]], [workspace])
                ),
            )
            for key in (RAW[0], workspace)
        ]
    )
    def models(): ...

    staging = {staging_of(RAW[0]), staging_of(workspace)}
    definitions = dg.Definitions(assets=[campaigns, opens, models], executor=dg.in_process_executor)
    instance = dg.DagsterInstance.ephemeral()
    instance.report_runless_asset_event(dg.AssetMaterialization(RAW[0]))
    cursor, asked = None, []
    for seconds in (0, 10, 20, 30):
        result = dg.evaluate_automation_conditions(
            defs=definitions,
            instance=instance,
            asset_selection=dg.AssetSelection.assets(workspace, *staging),
            cursor=cursor,
            evaluation_time=NOW + timedelta(seconds=seconds),
        )
        cursor = result.cursor
        asked.append({key for key in {workspace, *staging} if result.get_num_requested(key)})
    # the reading failed, or is still to come: what can be built is built
    assert asked == [{workspace}, set(), staging, set()]


def test_what_syncs_sent_is_read_with_the_next_load_and_not_after_every_sync() -> None:
    """Both models exist after the first load, over records that nothing wrote yet; syncs start no further run."""
    deliveries, observations = (dg.AssetKey(["braze_sync", name]) for name in ("deliveries", "observations"))
    delivered, proof = dg.AssetKey(["staging", "delivered"]), dg.AssetKey(["marts", "proof"])
    condition = model_condition(ignored=dg.AssetSelection.assets(deliveries, observations))
    staging = staging_condition(LoadTriggers(RAW[:1], RAW[:1]))

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(STAGING[0], deps=[RAW[0]], automation_condition=staging),
            dg.AssetSpec(MART, deps=[STAGING[0]], automation_condition=model_condition(reads_sources=False)),
            dg.AssetSpec(delivered, deps=[MART, deliveries], automation_condition=condition),
            dg.AssetSpec(proof, deps=[delivered, observations], automation_condition=condition),
        ]
    )
    def models(): ...

    raw = dg.AssetSpec(RAW[0], partitions_def=DAYS)
    records = [dg.AssetSpec(key, deps=[MART]) for key in (deliveries, observations)]
    wanted = {STAGING[0], MART, delivered, proof}
    installation = Installation(dg.Definitions(assets=[raw, models, *records]), wanted)

    assert installation.tick() == set()
    for day in ("2026-11-18", "2026-11-19"):
        installation.load(RAW[0], day=day)
        assert installation.tick() == wanted
        run = installation.start(wanted)
        assert installation.tick() == set()
        for key in (STAGING[0], MART, delivered, proof, deliveries, observations):
            event = _materialised(run.job_name, key)
            installation.instance.report_dagster_event(dagster_event=event, run_id=run.run_id)
            assert installation.tick() == set()
        installation.instance.report_run_canceled(run)
        assert installation.tick() == set()
        for key in (deliveries, observations):  # a sync by itself
            installation.instance.report_runless_asset_event(dg.AssetMaterialization(key))
        assert installation.tick() == set()
        assert installation.tick() == set()
