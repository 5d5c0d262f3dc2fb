"""Each attribute as an asset below its dbt model: one subsettable multi-asset per sync."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import dagster as dg

from braze_platform.settings import Settings
from braze_platform.sync.automation import attribute_automation, is_automated, past_runs
from braze_platform.sync.checks import (
    DELIVERED_CHECK,
    PLAN_CHECK,
    REJECTIONS_CHECK,
    TYPE_CHECK,
    check_specs,
    existence_results,
    proof_results,
    retry_results,
    stopped_result,
)
from braze_platform.sync.confirmation.existence import Existence
from braze_platform.sync.declaration.attribute_names import attribute_of_column, ledger_column
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.delivery.requests import RequestLimits
from braze_platform.sync.delivery.sending import RetryLimits
from braze_platform.sync.ledger.ledger import DELIVERIES, REJECTIONS
from braze_platform.sync.origin import Lineage, Origin, origins_markdown, walk_origins
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.plan.presentation import (
    approval_remedy,
    examples_markdown,
    plan_markdown,
    plan_text,
    reasons_markdown,
)
from braze_platform.sync.report import DeliveryReport
from braze_platform.sync.retries import PastRun, retry_state, sync_fingerprint
from braze_platform.sync.run import SyncRun, run_sync
from braze_platform.sync.run_progress import RunProgress
from braze_platform.sync.upstream_tests import failed_tests, gating_tests
from braze_platform.sync.values.rejected import shown_reason
from braze_platform.warehouse.interface import Warehouse

GROUP = "braze_user_attributes"
POOL = "braze_api"
OWNERS = ["team:crm"]
OBSERVATIONS_KEY = dg.AssetKey(["braze_sync", "observations"])
DELIVERIES_KEY = dg.AssetKey(["braze_sync", "deliveries"])
_STEP_PRIORITIES = {"high": "1", "normal": "0", "low": "-1"}

#: Dagster's names for the types of a table's columns, by declared type.
_COLUMN_TYPES = {
    "array": "array<string>",
    "array_of_objects": "array<object>",
    "location": "object",
    "number": "double",
    "subscription_groups": "array<object>",
    **dict.fromkeys(
        ("country", "email", "gender", "language", "phone", "subscription_state", "time_zone"), "string"
    ),
}


class SyncConfig(dg.Config):
    """What a person may say when launching a sync."""

    approve_plan: str | None = None


def attribute_key(attribute: str) -> dg.AssetKey:
    """The asset key of an attribute.

    Dagster makes names of letters, digits and underscores out of keys; another name has the form of its ledger column.
    """
    return dg.AssetKey(["braze", "user_attributes", ledger_column(attribute)])


def model_key(sync: Sync) -> dg.AssetKey:
    """The asset key of a sync's dbt model."""
    return dg.AssetKey([sync.folder, sync.name])


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
                "What Currents told of the attributes that syncs write: the proof of delivery, and of overwriting.",
            ),
        )
    ]


def sync_assets(
    sync: Sync,
    settings: Settings,
    warehouse: Warehouse,
    *,
    limits: RequestLimits | None = None,
    retry: RetryLimits | None = None,
    upstream_tests: Collection[str] = (),
) -> dg.AssetsDefinition:
    """The attributes of one sync as assets; materialising some of them plans and sends only those.

    While one of the dbt tests `upstream_tests` (unique ids) fails, nothing is planned and nothing sent. A plan beyond
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
    def send_attributes(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Any]:
        selected = {attribute_of_column(key.path[-1]) for key in context.selected_asset_keys}
        specs = sync.only(selected)
        progress = RunProgress(context)

        def log_plan(plan: Plan) -> None:
            context.log.info(plan_text(plan))

        try:
            with warehouse.session() as session:
                _raise_if_a_test_failed(sync, failed_tests(session, upstream_tests))
                run = run_sync(
                    session,
                    sync,
                    settings,
                    attributes=specs,
                    approved_plan=config.approve_plan,
                    run_id=context.run.run_id,
                    limits=limits,
                    retry=retry,
                    on_plan=log_plan,
                    on_progress=progress.show,
                )
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
        lineage_of = _recorded_lineage(context.instance)
        for spec in specs:
            yield from _retry_results(
                context,
                sync,
                settings,
                spec,
                _failure(spec, run),
                is_progress=run.got_on and spec.name not in run.stopped,
            )
            if spec.name in run.stopped:
                yield from stopped_result(spec, attribute_key(spec.name), run, checks)
                continue
            origins = walk_origins((model_key(sync).to_user_string(), spec.column), lineage_of)
            yield from _results(sync, spec, run, origins, checks)
        _raise_if_unfinished(sync, run)

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
            **_column_metadata(sync, spec),
        },
    )


def _column_metadata(sync: Sync, spec: AttributeSpec) -> dict[str, Any]:
    """The attribute as a table of one column, with the model's column that it comes from."""
    return {
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn(
                    spec.name, _COLUMN_TYPES.get(spec.type, spec.type), description=spec.description or None
                )
            ]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {spec.name: [dg.TableColumnDep(asset_key=model_key(sync), column_name=spec.column)]}
        ),
    }


def _recorded_lineage(instance: dg.DagsterInstance) -> Callable[[str], Lineage]:
    """The column lineage in an asset's latest materialisation, by column; asked of the instance once an asset."""

    @cache
    def lineage_of(asset: str) -> Lineage:
        event = instance.get_latest_materialization_event(dg.AssetKey.from_user_string(asset))
        found = event.asset_materialization if event is not None else None
        recorded = found.metadata.get("dagster/column_lineage") if found is not None else None
        if not isinstance(recorded, dg.TableColumnLineageMetadataValue):
            return {}
        return {
            column: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
            for column, deps in recorded.column_lineage.deps_by_column.items()
        }

    return lineage_of


def _results(
    sync: Sync, spec: AttributeSpec, run: SyncRun, origins: Sequence[Origin], selected: Any
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetObservation | dg.AssetCheckResult]:
    plan, report, key = run.plan, run.report, attribute_key(spec.name)
    counts = plan.attributes[spec.name]
    checks = [
        *proof_results(sync, spec, key, run),
        *existence_results(sync, key, run),
        dg.AssetCheckResult(passed=True, asset_key=key, check_name=TYPE_CHECK),
        dg.AssetCheckResult(
            passed=report is not None,
            asset_key=key,
            check_name=PLAN_CHECK,
            severity=dg.AssetCheckSeverity.ERROR,
            description=None if report is not None else "; ".join(plan.beyond),
            metadata={
                "objects": plan.objects,
                "requests": plan.requests,
                "minutes_at_the_limit": round(plan.minutes, 2),
                **_plan_metadata(plan),
            },
        ),
    ]
    if report is not None:
        due = report.due[spec.name]
        refused = report.rejected[spec.name] + counts.left_out + counts.trimmed
        checks += [
            dg.AssetCheckResult(
                passed=due == 0,
                asset_key=key,
                check_name=DELIVERED_CHECK,
                severity=dg.AssetCheckSeverity.WARN,
                description=report.stopped or None,
                metadata={"due": due},
            ),
            dg.AssetCheckResult(
                passed=refused == 0,
                asset_key=key,
                check_name=REJECTIONS_CHECK,
                severity=dg.AssetCheckSeverity.WARN,
                description=None if not refused else f"{refused:,} values; they are listed in {REJECTIONS}.",
                metadata={"rejected": refused},
            ),
        ]
        metadata = {
            **_run_metadata(sync, spec, run, report),
            "comes_from": dg.MetadataValue.md(origins_markdown(origins)),
        }
        if due:
            yield dg.AssetObservation(key, metadata=metadata)
        else:
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    for check in checks:
        if (
            check.asset_key is not None
            and dg.AssetCheckKey(check.asset_key, str(check.check_name)) in selected
        ):
            yield check


def _run_metadata(sync: Sync, spec: AttributeSpec, run: SyncRun, report: DeliveryReport) -> dict[str, Any]:
    plan, existence, unproven = run.plan, run.existence, run.unproven
    counts = plan.attributes[spec.name]
    return {
        "new": counts.new,
        "changed": counts.changed,
        "cleared": counts.cleared,
        "unchanged": counts.unchanged,
        "delivered": report.delivered[spec.name],
        **({} if existence is None else {"unconfirmed": report.unconfirmed.get(spec.name, 0)}),
        "rejected": report.rejected[spec.name],
        "left_out": counts.left_out,
        "sent_without_bad_parts": counts.trimmed,
        "due": report.due[spec.name],
        "requests": report.requests,
        **_existence_metadata(unproven, existence),
        "seconds": round(report.seconds, 2),
        **_plan_metadata(plan),
        "rejection_reasons": dg.MetadataValue.md(reasons_markdown(report.reasons)),
        "sync": sync.name,
        "deliveries_table": DELIVERIES,
        **_column_metadata(sync, spec),
    }


def _existence_metadata(unproven: Mapping[str, int], existence: Existence | None) -> dict[str, Any]:
    """Users whom Braze has never shown; nothing for a sync that creates its users."""
    if existence is None:
        return {}
    told = {
        "users_missing_in_braze": unproven.get("missing", 0),
        "users_unconfirmed": unproven.get("unconfirmed", 0),
        "users_looked_up": existence.asked,
    }
    return {**told, "lookup_failed": existence.note} if existence.note else told


def _plan_metadata(plan: Plan) -> dict[str, Any]:
    return {
        "plan_id": plan.plan_id,
        "plan": dg.MetadataValue.md(plan_markdown(plan)),
        "plan_examples": dg.MetadataValue.md(examples_markdown(plan)),
    }


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


def _failure(spec: AttributeSpec, run: SyncRun) -> str:
    """Why an attribute is not sent in full; empty when it is."""
    if run.report is None:
        return f"the plan {run.plan.plan_id} waits for approval."
    if spec.name in run.stopped:
        return f"{run.stopped[spec.name]}."
    due = run.report.due[spec.name]
    return f"{due:,} values are due. {run.report.stopped}".rstrip(" .") + "." if due else ""


def _raise_if_a_test_failed(sync: Sync, failed: Sequence[str]) -> None:
    if failed:
        raise dg.Failure(
            f"{sync.name} was not sent, because tests of what it is computed from fail: {'; '.join(failed)}. "
            "Mend the data or the model, and build the models named here again; automation then sends what changed. "
            "Other syncs go on.",
            allow_retries=False,
        )


def _raise_if_unfinished(sync: Sync, run: SyncRun) -> None:
    """Fail the run for what a person or a later run has to settle."""
    if run.report is None:
        raise dg.Failure(
            f"The plan {run.plan.plan_id} of {sync.name} is beyond its limits and was not sent: "
            f"{'; '.join(run.plan.beyond)}. {approval_remedy(run.plan)}",
            allow_retries=False,
        )
    if run.stopped:
        raise dg.Failure(
            f"{sync.name}: attributes were stopped before sending, the others went out: "
            f"{'; '.join(run.stopped.values())}.",
            allow_retries=False,
        )
    if not run.report.complete:
        due = ", ".join(f"{name} {count:,}" for name, count in run.report.due.items() if count)
        why = f" Sending stopped: {run.report.stopped}." if run.report.stopped else ""
        raise dg.Failure(
            f"{sync.name} is not delivered in full; due: {due}.{why} What Braze acknowledged is in the ledger; "
            "the next run sends the rest.",
            allow_retries=False,
        )


def all_sync_assets(
    syncs: Sequence[Sync], settings: Settings, warehouse: Warehouse, manifest: Mapping[str, Any]
) -> list[dg.AssetsDefinition]:
    """The assets of several syncs of a dbt manifest."""
    return [
        sync_assets(sync, settings, warehouse, upstream_tests=gating_tests(sync, manifest)) for sync in syncs
    ]
