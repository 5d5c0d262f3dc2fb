"""What a run tells of an attribute on its page: counts, its plan, what it is made of."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import dagster as dg

from braze_platform.sync.asset_keys import model_key
from braze_platform.sync.confirmation.existence import Existence
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.origin import Lineage
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.plan.presentation import (
    examples_markdown,
    plan_markdown,
    reasons_markdown,
)
from braze_platform.sync.report import DeliveryReport
from braze_platform.sync.run import SyncRun
from braze_platform.warehouse.registry import DELIVERIES

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


def column_metadata(sync: Sync, spec: AttributeSpec) -> dict[str, Any]:
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


def run_metadata(sync: Sync, spec: AttributeSpec, run: SyncRun, report: DeliveryReport) -> dict[str, Any]:
    """Users by what became of the attribute, with its plan and the reasons of rejections, personal data masked."""
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
        "known_rejected": counts.known_rejected,
        "sent_without_bad_parts": counts.trimmed,
        "due": report.due[spec.name],
        "requests": report.requests,
        **_existence_metadata(unproven, existence),
        "seconds": round(report.seconds, 2),
        **plan_metadata(plan),
        "rejection_reasons": dg.MetadataValue.md(reasons_markdown(report.reasons)),
        "sync": sync.name,
        "deliveries_table": DELIVERIES.full_name,
        **column_metadata(sync, spec),
    }


def _existence_metadata(unproven: Mapping[str, int], existence: Existence | None) -> dict[str, Any]:
    """Users not known to Braze; nothing for a sync that creates its users."""
    if existence is None:
        return {}
    metadata = {
        "users_missing_in_braze": unproven.get("missing", 0),
        "users_unconfirmed": unproven.get("unconfirmed", 0),
        "users_looked_up": existence.asked,
    }
    return {**metadata, "lookup_failed": existence.note} if existence.note else metadata


def plan_metadata(plan: Plan) -> dict[str, Any]:
    """The plan's id, its counts and its examples, personal data masked."""
    return {
        "plan_id": plan.plan_id,
        "plan": dg.MetadataValue.md(plan_markdown(plan)),
        "plan_examples": dg.MetadataValue.md(examples_markdown(plan)),
    }


def recorded_lineage(instance: dg.DagsterInstance) -> Callable[[str], Lineage]:
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
