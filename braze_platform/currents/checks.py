"""The standing check that what lies in the bucket is loaded, by the file registry and by the sensor's requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import dagster as dg

from braze_platform.currents.assets import UNRECOGNISED_OBJECTS
from braze_platform.currents.resources import BucketResource
from braze_platform.currents.verify import files_not_loaded
from braze_platform.markdown import table
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import WarehouseResource

FILES_ARE_LOADED = dg.AssetCheckKey(UNRECOGNISED_OBJECTS, "files_are_loaded")
#: Files younger than this may still be on their way.
_PATIENCE = timedelta(hours=1)
#: Days that are compared; older ones are `braze-platform currents verify`'s.
_DAYS = 31
_LISTED = 50


def files_are_loaded(settings: Settings) -> dg.AssetChecksDefinition:
    """Compares the last month of the bucket with the file registry."""

    @dg.asset_check(
        asset=UNRECOGNISED_OBJECTS,
        name=FILES_ARE_LOADED.name,
        description=(
            f"Every Currents file of the last {_DAYS} days that is older than an hour is "
            "loaded or in quarantine. The hours sensor fails this check while a run that it asked for keeps failing."
        ),
    )
    def check(warehouse: WarehouseResource, bucket: BucketResource) -> dg.AssetCheckResult:
        now = datetime.now(timezone.utc)
        first = max(settings.currents_start_day, now.date() - timedelta(days=_DAYS - 1))
        missing = files_not_loaded(
            warehouse.warehouse(),
            bucket.bucket(),
            settings.currents_prefix,
            first,
            now.date(),
            now - _PATIENCE,
        )
        days = Counter((found.file.event_type, str(found.file.hour.date())) for found in missing)
        oldest = min((found.object.updated_at for found in missing), default=now)
        return dg.AssetCheckResult(
            passed=not missing,
            metadata={
                "files_not_loaded": len(missing),
                "oldest_hours": round((now - oldest).total_seconds() / 3600, 1),
                "days": _table(
                    ["event type", "day", "files:"],
                    [[*key, count] for key, count in sorted(days.items())],
                ),
            },
            description=(
                f"{len(missing):,} files of {len(days)} days are not loaded, the oldest for "
                f"{(now - oldest).total_seconds() / 3600:.1f} hours. Look at the failed runs of these assets and days, "
                "or have them loaded by `braze-platform currents reload`."
            )
            if missing
            else None,
        )

    return check


def failing_loads(rows: Sequence[Sequence[str]]) -> dg.AssetCheckEvaluation:
    """The check, failing, as the sensor sees it: what it asked for and cannot be loaded
    (`tick_messages.not_loaded_rows`).
    """
    return dg.AssetCheckEvaluation(
        asset_key=FILES_ARE_LOADED.asset_key,
        check_name=FILES_ARE_LOADED.name,
        passed=False,
        metadata={"days": _table(["event type", "first day", "last day", "failing since (UTC)"], rows)},
        description=(
            f"{len(rows)} event types have days whose runs keep failing, since {rows[0][3]} UTC at the longest. They "
            "are tried again, at least every hour; look at the failed runs and remove the cause."
        ),
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    more = (
        [[f"… and {len(rows) - _LISTED:,} more", *[None] * (len(heads) - 1)]] if len(rows) > _LISTED else []
    )
    return dg.MetadataValue.md(table(heads, [*rows[:_LISTED], *more]))
