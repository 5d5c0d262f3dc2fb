"""`privacy/tombstones`: who was deleted, by hashes of their ids, and the erasure of all that they left."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from braze_platform.erasure.erase import Erasure, PersonalColumns, erase
from braze_platform.markdown import table
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import WarehouseResource

KEY = dg.AssetKey(["privacy", "tombstones"])
CHECK = "no_deleted_users_remain"
CHECK_KEY = dg.AssetCheckKey(KEY, CHECK)
LIMIT_CHECK = "erasure_within_limit"
_LISTED = 100

_DESCRIPTION = (
    "People who were deleted in Braze, by hashes of their ids. A run erases everybody who was deleted since the "
    "last one from raw tables, models, ledgers and deliveries: ids become tokens under which nothing is known, other "
    "personal data becomes null, and what was counted stays counted. Files that are loaded again are erased again."
)


def tombstones_asset(
    settings: Settings,
    raw_keys: Sequence[dg.AssetKey],
    personal: PersonalColumns,
    condition: "dg.AutomationCondition[Any]",
) -> dg.AssetsDefinition:
    """The asset; `raw_keys` are the raw tables after whose loads it runs, by `condition`."""

    # Subsettable, though there is one table: a check that must run along with its asset is asked for by name, and
    # automation runs no other checks in a run for which one was asked by name.
    @dg.multi_asset(
        name="tombstones",
        specs=[
            dg.AssetSpec(
                KEY,
                deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in raw_keys],
                description=_DESCRIPTION,
                group_name="privacy",
                owners=["team:data-platform"],
                kinds={"duckdb" if settings.target == "local" else "bigquery", "table"},
                tags={"layer": "privacy"},
                automation_condition=condition,
                metadata={"dagster/table_name": "privacy.tombstones"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=KEY,
                description=(
                    "No table holds an identity in the clear of anybody whom this run erased, by a search of all texts."
                ),
                blocking=True,
            ),
            dg.AssetCheckSpec(
                LIMIT_CHECK,
                asset=KEY,
                description="No more people are to be erased at once than may be unasked, or it was approved.",
            ),
        ],
        can_subset=True,
    )
    def tombstones(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[Any]:
        """Erase, and prove it."""
        done = erase(warehouse.warehouse(), personal, context.log.info, limit=settings.max_erased_people)
        counts: dict[str, int | dg.MarkdownMetadataValue] = {
            "people_erased": done.people,
            "tables_looked_at": done.tables,
            "rows_erased": sum(done.rows.values()),
            "identities_of_others_too": done.shared,
            "hours_erased_again": done.hours_again,
            **({"report": dg.MetadataValue.md(_report(done))} if done.people else {}),
        }
        if KEY in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=KEY, metadata=counts)
        else:
            context.log_event(dg.AssetMaterialization(KEY, metadata=counts))
        if CHECK_KEY in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                check_name=CHECK,
                asset_key=KEY,
                passed=not done.left,
                # A trace may be a common word: it is looked at, and holds up nobody.
                severity=dg.AssetCheckSeverity.ERROR if done.left.rows else dg.AssetCheckSeverity.WARN,
                metadata={
                    "people_erased": done.people,
                    "rows_left": dg.MetadataValue.json(done.left.rows),
                    "traces_left": dg.MetadataValue.json(done.left.traces),
                },
                description=(
                    None
                    if not done.left
                    else "Deleted people can still be found, see rows_left and traces_left. Until there are none the "
                    "requests stay, and each run of privacy/tombstones tries again. What stays after that names "
                    "the person in a text that counts as harmless, or is written by another process."
                ),
            )
        limit_check = dg.AssetCheckKey(KEY, LIMIT_CHECK)
        if limit_check in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                check_name=LIMIT_CHECK,
                asset_key=KEY,
                passed=not done.waiting,
                metadata={"people_waiting": done.waiting},
                description=(
                    f"{done.waiting:,} people were deleted in Braze and wait, being more than "
                    f"{settings.max_erased_people:,} at once. Look at `braze-platform erasure plan`; if it is right, "
                    "`braze-platform erasure approve`."
                    if done.waiting
                    else None
                ),
            )

    return tombstones


def _report(done: Erasure) -> str:
    """What a privacy officer files: who, by tokens, when, and where how many rows."""
    lines = [
        f"Erased at {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC: {done.people:,} Braze profiles.",
        "",
        *(f"- `{name}`" for name in done.tokens[:_LISTED]),
        *(
            [f"- … and {done.people - _LISTED:,} more, see privacy.tombstones"]
            if done.people > _LISTED
            else []
        ),
        "",
        table(["table", "rows:"], sorted(done.rows.items())),
        "",
        "Left in these rows: numbers, times, states, and names and ids of campaigns, so that counts stay. "
        f"{done.shared:,} addresses or external ids stay where somebody who was not deleted has them, too.",
    ]
    return "\n".join(lines)
