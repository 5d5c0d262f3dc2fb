"""The asset checks of an attribute: its plan, its type in the workspace, what was delivered, refused and proven."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from braze_platform.sync.confirmation.existence import must_exist
from braze_platform.sync.confirmation.proof import Proof, provable
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.retries import BACKOFF_CHECK, RETRIES_CHECK, PastRun, RetryState
from braze_platform.sync.run import SyncRun

PLAN_CHECK = "plan_within_limits"
TYPE_CHECK = "type_matches_braze"
DELIVERED_CHECK = "all_delivered"
REJECTIONS_CHECK = "no_rejections"
SEEN_CHECK = "seen_in_currents"
EXISTENCE_CHECK = "users_known_to_braze"
OVERWRITTEN_CHECK = "not_overwritten"
#: The minimum share of delivered values that Currents has to show.
SEEN_SHARE = 0.95


def check_specs(sync: Sync, spec: AttributeSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """All checks that the asset `key` of an attribute can have."""
    return [
        dg.AssetCheckSpec(
            PLAN_CHECK,
            asset=key,
            blocking=True,
            description="The sync's plan is within its declared limits, or that very plan was approved.",
        ),
        dg.AssetCheckSpec(
            TYPE_CHECK,
            asset=key,
            blocking=True,
            description="The workspace keeps the attribute as the declared type and does not block it.",
        ),
        dg.AssetCheckSpec(
            DELIVERED_CHECK, asset=key, description="Braze acknowledged every value of the plan."
        ),
        dg.AssetCheckSpec(
            REJECTIONS_CHECK, asset=key, description="No value was refused, now or in an earlier run."
        ),
        dg.AssetCheckSpec(
            RETRIES_CHECK,
            asset=key,
            description="Automation has not stopped retrying: runs did not fail too often in a row.",
        ),
        dg.AssetCheckSpec(
            BACKOFF_CHECK,
            asset=key,
            description="Automation retries every 15 minutes: runs did not fail several times in a row.",
        ),
        *(_existence_specs(key) if must_exist(sync) else []),
        *(_proof_specs(key) if provable(sync, spec) else []),
    ]


def _existence_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            EXISTENCE_CHECK,
            asset=key,
            description="Braze knows every user, by Currents or by a look-up; it ignores updates of others.",
        )
    ]


def existence_results(sync: Sync, key: dg.AssetKey, run: SyncRun) -> list[dg.AssetCheckResult]:
    """How many users are not known to Braze; nothing for a sync that creates its users."""
    if run.existence is None or not must_exist(sync):
        return []
    missing, unconfirmed = run.unproven.get("missing", 0), run.unproven.get("unconfirmed", 0)
    return [
        dg.AssetCheckResult(
            passed=not missing + unconfirmed,
            asset_key=key,
            check_name=EXISTENCE_CHECK,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"{missing + unconfirmed:,} users are not known to Braze: {missing:,} do not exist there, "
                f"{unconfirmed:,} were sent values that are unconfirmed. All are sent once the users are seen in "
                "Currents or by a look-up (permission users.export.ids, limit max_lookups)."
                if missing + unconfirmed
                else "Braze knows all of them."
            ),
            metadata={"missing": missing, "unconfirmed": unconfirmed},
        )
    ]


def _proof_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            SEEN_CHECK,
            asset=key,
            description=(
                f"At least {SEEN_SHARE:.0%} of the values delivered in the last days were seen in Currents "
                "(users.profile.Update)."
            ),
        ),
        dg.AssetCheckSpec(
            OVERWRITTEN_CHECK,
            asset=key,
            description="Nobody else changed the values in Braze since they were delivered, by Currents.",
        ),
    ]


def proof_results(
    sync: Sync, spec: AttributeSpec, key: dg.AssetKey, run: SyncRun
) -> list[dg.AssetCheckResult]:
    """What Currents shows of earlier deliveries; nothing when it never told of any profile."""
    if run.proven is None or not provable(sync, spec):
        return []
    proof = run.proven.get(spec.name, Proof(0, 0, 0, None))
    proven_values = {
        "delivered": proof.delivered,
        "seen": proof.seen,
        "overwritten": proof.overwritten,
        **({} if proof.seconds is None else {"seconds_until_seen": round(proof.seconds, 1)}),
    }
    return [
        dg.AssetCheckResult(
            passed=passed,
            asset_key=key,
            check_name=name,
            severity=dg.AssetCheckSeverity.WARN,
            description=description,
            metadata=proven_values,
        )
        for name, passed, description in (
            (
                SEEN_CHECK,
                proof.share is None or proof.share >= SEEN_SHARE,
                "No delivered value can have been seen in Currents yet."
                if proof.share is None
                else f"{proof.share:.1%} of {proof.delivered:,} values were seen.",
            ),
            (
                OVERWRITTEN_CHECK,
                proof.overwritten == 0,
                f"{proof.overwritten:,} values were changed by others"
                + (
                    "; they are due again."
                    if spec.on_conflict == "warehouse_wins" and proof.overwritten
                    else "."
                ),
            ),
        )
    ]


def retry_results(
    key: dg.AssetKey, current: PastRun, state: RetryState, reason: str, selected: Any
) -> Iterator[dg.AssetCheckResult]:
    """Whether and when automation retries after a run; the next run counts by the metadata."""
    for name, passed in ((RETRIES_CHECK, state.continues), (BACKOFF_CHECK, state.is_frequent)):
        if dg.AssetCheckKey(key, name) in selected:
            yield dg.AssetCheckResult(
                passed=passed,
                asset_key=key,
                check_name=name,
                severity=dg.AssetCheckSeverity.ERROR if state.failures else dg.AssetCheckSeverity.WARN,
                description=state.describe(reason),
                metadata={
                    "failed": current.failed,
                    "failures_in_a_row": state.failures,
                    "fingerprint": current.fingerprint or "",
                    "is_progress": current.is_progress,
                    "by_person": current.by_person,
                },
            )


def stopped_result(
    spec: AttributeSpec, key: dg.AssetKey, run: SyncRun, selected: Any
) -> Iterator[dg.AssetCheckResult]:
    """The failed check of an attribute that the workspace would not take as declared."""
    if dg.AssetCheckKey(key, TYPE_CHECK) in selected:
        yield dg.AssetCheckResult(
            passed=False,
            asset_key=key,
            check_name=TYPE_CHECK,
            severity=dg.AssetCheckSeverity.ERROR,
            description=run.stopped[spec.name],
        )
