"""Guards before a plan is applied: too many cleared values, a shrunken model, a stale one; and who approved what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.ledger.holds import held_because
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.plan import AttributeCounts, Plan
from braze_platform.warehouse.ledger_columns import ledger_column
from braze_platform.warehouse.registry import APPLIED_PLANS
from braze_platform.warehouse.tables import now_utc

#: What holds for a sync that declares nothing: enough for daily changes, not for a model that is broken.
DEFAULT_CLEARED_SHARE = 0.1
DEFAULT_ROW_FALL = 0.2
DEFAULT_FIRST_USERS = 200
#: So many values cleared or users lost are not held by the defaults, whatever their share.
UNLIMITED_COUNT = 100


def guard_violations(store: SyncStore, plan: Plan, *, specs: Sequence[AttributeSpec] = ()) -> list[str]:
    """Why a plan has to wait for a person, by the limits that only the warehouse can tell.

    Reads only. `specs` are the plan's attributes; without them nobody is looked for who may have got another
    identifier.
    """
    session, sync, limits = store.session, store.sync, store.sync.limits
    reasons = [*_first(sync, plan), *_emptied(plan), *_cleared(store, plan)]
    fall = DEFAULT_ROW_FALL if limits.max_row_fall is None else limits.max_row_fall
    if plan.users and APPLIED_PLANS.exists(session):
        found = session.fetch(
            f"select users from {APPLIED_PLANS.ref(session.sql)} where sync = $sync order by applied_at desc limit 1",
            {"sync": sync.name},
        )
        before = int(found[0][0]) if found else 0
        few = limits.max_row_fall is None and before - plan.users <= UNLIMITED_COUNT
        if before and not few and plan.users < before * (1 - fall):
            reasons.append(
                f"the model has {plan.users:,} users, {1 - plan.users / before:.1%} fewer than the {before:,} of the "
                f"last plan applied, more than max_row_fall {fall:.1%}"
            )
    reasons += _renamed(store, specs, plan)
    reasons += held_because(store, is_empty=not _sent_before(plan))
    if limits.fresh_column:
        reasons += _stale(store, now_utc())
    return reasons


def _first(sync: Sync, plan: Plan) -> list[str]:
    """A ledger that knows nobody: a new sync, one under another name, or a ledger that was emptied."""
    most = DEFAULT_FIRST_USERS if sync.limits.max_first_users is None else sync.limits.max_first_users
    if _sent_before(plan) or not plan.objects or plan.users <= most:
        return []
    return [
        f"the ledger is empty, so everything would be sent to {plan.users:,} users, more than max_first_users {most:,}"
    ]


def _emptied(plan: Plan) -> list[str]:
    """What waits whatever the limits: a model without a user, an attribute without a value left."""
    if not plan.users and _sent_before(plan):
        return [f"the model has no users, the ledger has {_sent_before(plan):,}"]
    return [
        f"{name}: the model has no value of it left, and {counts.cleared:,} acknowledged ones would be cleared"
        for name, counts in plan.attributes.items()
        # One value alone is a person's, not a column.
        if counts.cleared > 1 and not _valued(counts)
    ]


def _sent_before(plan: Plan) -> int:
    """Users in the ledger, acknowledged or not: that nobody confirmed them makes a broken model no safer."""
    return plan.users_in_ledger + plan.users_unconfirmed


def _valued(counts: AttributeCounts) -> int:
    """Users of whom the model has a value, whether it would be sent or not."""
    return counts.new + counts.changed + counts.unchanged + counts.rejected + counts.known_rejected


def _cleared(store: SyncStore, plan: Plan) -> list[str]:
    declared = store.sync.limits.max_cleared_share
    share = DEFAULT_CLEARED_SHARE if declared is None else declared
    least = UNLIMITED_COUNT if declared is None else 0
    cleared = {name: counts.cleared for name, counts in plan.attributes.items() if counts.cleared}
    if not cleared:
        return []
    held = store.session.fetch(
        f"select {', '.join(f'count({store.sql.quoted(ledger_column(name))})' for name in cleared)} "
        f"from {store.ledger} as held"
    )[0]
    return [
        f"{name}: {count / known:.1%} of its {known:,} acknowledged values would be cleared, more than "
        f"max_cleared_share {share:.1%}"
        for (name, count), known in zip(cleared.items(), held, strict=True)
        if known and count > least and count / known > share
    ]


def _renamed(store: SyncStore, specs: Sequence[AttributeSpec], plan: Plan) -> list[str]:
    """Users who would be cleared while a new user has exactly their values.

    Renaming an external id in Braze keeps the profile, and its former id goes on naming it until it is removed
    (https://www.braze.com/docs/api/endpoints/user_data/external_id_migration/post_external_ids_rename): to clear the
    one would clear the other. What an operator changes is never cleared, and does not tell.
    """
    told = [i for i, spec in enumerate(specs) if not spec.operator]
    if not told or not any(counts.cleared for counts in plan.attributes.values()):
        return []
    held = " or ".join(f"p.o{i} is not null" for i in told)
    before, after = (store.sql.row_text([f"p.{letter}{i}" for i in told]) for letter in "on")
    users = int(
        store.session.fetch(
            f"select count(*) from (select {before} as held from {store.plan} as p where p._gone and ({held})) g "
            f"where g.held in (select {after} from {store.plan} as p where not p._gone and not p._known)"
        )[0][0]
    )
    if users <= store.sync.limits.max_renamed_users:
        return []
    return [
        f"{users:,} users disappeared and would be cleared while users with the same values are new, more than "
        f"max_renamed_users {store.sync.limits.max_renamed_users:,}: renamed external ids? Where they were renamed in "
        "Braze, to clear the former ids may clear the present ones; declare `when_row_disappears: keep` then"
    ]


def _stale(store: SyncStore, now: datetime) -> list[str]:
    column, hours = store.sync.limits.fresh_column, store.sync.limits.max_age_hours
    newest = store.session.fetch(
        f"select cast(max({store.sql.quoted(column)}) as timestamp) from {store.model}"
    )[0][0]
    if newest is None:
        return [f"the model has no {column}, by which its freshness is told"]
    if newest.tzinfo is not None:
        newest = newest.astimezone(timezone.utc).replace(tzinfo=None)
    age = now - newest
    if age <= timedelta(hours=hours):
        return []
    return [
        f"the model's newest {column} is {age.total_seconds() / 3600:,.1f} hours old, more than {hours:g}"
    ]
