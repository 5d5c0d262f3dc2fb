"""Each attribute as an asset below its dbt model: one subsettable multi-asset per sync."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from braze_platform.braze_api.resources import BrazeResource
from braze_platform.settings import Settings
from braze_platform.sync.asset_keys import attribute_key, model_key
from braze_platform.sync.asset_metadata import column_metadata, recorded_lineage
from braze_platform.sync.asset_results import (
    attribute_results,
    failure,
    raise_if_a_test_failed,
    raise_if_unfinished,
)
from braze_platform.sync.automation import attribute_automation, is_automated, past_runs
from braze_platform.sync.checks import (
    check_specs,
    retry_results,
    stopped_result,
)
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.origin import walk_origins
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.plan.presentation import (
    plan_text,
)
from braze_platform.sync.retries import PastRun, retry_state, sync_fingerprint
from braze_platform.sync.run import RunOptions, run_sync
from braze_platform.sync.run_progress import RunProgress
from braze_platform.sync.upstream_tests import failed_tests, gating_tests
from braze_platform.sync.values.rejected import shown_reason
from braze_platform.warehouse.ledger_columns import attribute_of_column
from braze_platform.warehouse.resources import WarehouseResource

GROUP = "braze_user_attributes"
POOL = "braze_api"
OWNERS = ["team:crm"]
OBSERVATIONS_KEY = dg.AssetKey(["braze_sync", "observations"])
DELIVERIES_KEY = dg.AssetKey(["braze_sync", "deliveries"])
_STEP_PRIORITIES = {"high": "1", "normal": "0", "low": "-1"}


def record_specs(syncs: Sequence[Sync]) -> list[dg.AssetSpec]:
    """What the syncs write beside their ledgers, as assets for the models that read it: each sync reports it."""
    return [
        dg.AssetSpec(
            key,
            deps=[attribute_key(spec.name) for sync in syncs for spec in sync.attributes],
            description=description,
            group_name=GROUP,
            owners=OWNERS,
            kinds={"table"},
            tags={"layer": "braze_sync"},
            metadata={"table": ".".join(key.path)},
        )
        for key, description in (
            (
                DELIVERIES_KEY,
                "Every object that was sent to Braze, with what it carried (values or their hashes) and Braze's "
                "verdict. Append-only.",
            ),
            (
                OBSERVATIONS_KEY,
                "What Currents showed the attributes that syncs write: the proof of delivery, and of overwriting.",
            ),
        )
    ]


def sync_assets(
    sync: Sync,
    settings: Settings,
    *,
    upstream_tests: Collection[str] = (),
) -> dg.AssetsDefinition:
    """The attributes of one sync as assets; materialising some of them plans and sends only those.

    While one of the dbt tests `upstream_tests` (unique ids) fails, nothing is planned and nothing sent. A plan over
    its limits fails the blocking check of the attributes and sends nothing. An attribute is materialised when nothing
    of it is left due; otherwise its counts are an observation, and the run fails.
    """

    @dg.multi_asset(
        name=f"send_{sync.name}",
        specs=[_asset_spec(sync, spec, settings) for spec in sync.attributes],
        check_specs=[
            check for spec in sync.attributes for check in check_specs(sync, spec, attribute_key(spec.name))
        ],
        can_subset=True,
        pool=POOL,
        op_tags={"braze/sync": sync.name, "dagster/priority": _STEP_PRIORITIES[sync.priority]},
        description=f"Sends the changed attributes of `{sync.name}` to Braze by `{sync.transport}`.",
    )
    def send_attributes(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, braze: BrazeResource
    ) -> Iterator[Any]:
        selected = {attribute_of_column(key.path[-1]) for key in context.selected_asset_keys}
        specs = sync.only(selected)
        progress = RunProgress(context)

        def log_plan(plan: Plan) -> None:
            context.log.info(plan_text(plan))

        options = RunOptions(
            attributes=specs,
            on_plan=log_plan,
            on_progress=progress.show,
        )
        try:
            memory = warehouse.settings.duckdb_sync_memory_limit
            with warehouse.warehouse(duckdb_memory_limit=memory).session() as session:
                raise_if_a_test_failed(sync, failed_tests(session, upstream_tests))
                run = run_sync(session, sync, braze.settings, context.run.run_id, options)
        except Exception as error:
            # So that automation backs off from what raises as well.
            reason = shown_reason(f"{type(error).__name__}: {error}")
            for spec in specs:
                yield from _retry_results(context, sync, settings, spec, reason)
            raise
        progress.finish(run.report)
        if run.report is not None and run.report.requests:
            context.log_event(
                dg.AssetMaterialization(
                    DELIVERIES_KEY, metadata={"sync": sync.name, "requests": run.report.requests}
                )
            )
        if run.proven is not None:
            context.log_event(dg.AssetMaterialization(OBSERVATIONS_KEY, metadata={"sync": sync.name}))
        checks = context.selected_asset_check_keys
        lineage_of = recorded_lineage(context.instance)
        for spec in specs:
            yield from _retry_results(
                context,
                sync,
                settings,
                spec,
                failure(spec, run),
                is_progress=run.got_on and spec.name not in run.stopped,
            )
            if spec.name in run.stopped:
                yield from stopped_result(spec, attribute_key(spec.name), run, checks)
                continue
            origins = walk_origins((model_key(sync).to_user_string(), spec.column), lineage_of)
            yield from attribute_results(sync, spec, run, origins, checks)
        raise_if_unfinished(sync, run)

    return send_attributes


def _asset_spec(sync: Sync, spec: AttributeSpec, settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        attribute_key(spec.name),
        deps=[model_key(sync)],
        description=spec.description or f"The Braze user attribute `{spec.name}`.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"braze"},
        tags={"braze/sync": sync.name, "braze/transport": sync.transport},
        automation_condition=attribute_automation(attribute_key(spec.name)),
        code_version=sync_fingerprint(sync, settings),
        metadata={
            "sync": sync.name,
            "attribute": spec.name,
            "declared_in": sync.file,
            "model": dg.MetadataValue.asset(model_key(sync)),
            "type": spec.type,
            "nulls": spec.nulls,
            "identifier": f"{sync.identifier.kind}: {', '.join(sync.identifier.columns)}",
            **column_metadata(sync, spec),
        },
    )


def _retry_results(
    context: dg.AssetExecutionContext,
    sync: Sync,
    settings: Settings,
    spec: AttributeSpec,
    reason: str,
    *,
    is_progress: bool = False,
) -> Iterator[dg.AssetCheckResult]:
    """The checks by which automation knows whether, and how often, an attribute is retried; no `reason`: it is sent."""
    key = attribute_key(spec.name)
    current = PastRun(
        failed=bool(reason),
        fingerprint=sync_fingerprint(sync, settings),
        is_progress=is_progress,
        by_person=not is_automated(context.run),
    )
    state = retry_state(past_runs(context.instance, key, context.run.run_id), current)
    yield from retry_results(key, current, state, reason, context.selected_asset_check_keys)


def all_sync_assets(
    syncs: Sequence[Sync], settings: Settings, manifest: Mapping[str, Any]
) -> list[dg.AssetsDefinition]:
    """The assets of several syncs of a dbt manifest."""
    return [sync_assets(sync, settings, upstream_tests=gating_tests(sync, manifest)) for sync in syncs]
