"""The store of a sync: its ledger and its neighbours in the schema `braze_sync`, and how they change together.

`ledger_<sync>` is wide: a row per user, a column per attribute, holding the SOURCE value that Braze last
acknowledged, typed like the model's column, so that ten million users compare in one join. Null means that
Braze holds nothing from us. A row whose `_acknowledged_at` is null was sent to a user of whom nobody knew whether
Braze has them: it acknowledges nothing, and is kept so that the same is not sent again and again. `deliveries` is
append-only. `rejections` lists values that Braze refused or that must not be sent; they stand until the value changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeAlias

from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.sync.ledger.actions import action_sql, is_changed_sql
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import LeasedSession, hold_lease
from braze_platform.warehouse.ledger_columns import ledger_column, resend_column
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.registry import (
    APPLIED_PLANS,
    APPROVALS,
    BRAZE_SYNC,
    DECLARATIONS,
    DELIVERIES,
    EXISTENCE,
    LEDGER,
    OBSERVATIONS,
    OBSERVED_UNTIL,
    OPERATIONS,
    PLAN,
    PLAN_OBJECTS,
    REJECTIONS,
    REKEYED,
    RETYPED,
)
from braze_platform.warehouse.tables import ensure, now_utc

#: How a user is identified in a plan and in its outcomes: `_user`, and `_label`, blank for identifiers without one.
UserKey: TypeAlias = tuple[str, str]
#: The same as columns.
KEY_FIELDS = tuple(REJECTIONS.schema("_user", "_label"))

SCHEMA = BRAZE_SYNC.name
#: What is kept of plans: those that were applied, and approvals.
PLAN_RECORDS = (APPLIED_PLANS, APPROVALS)


class LedgerError(RuntimeError):
    """A ledger does not fit its declaration; the message says what to do."""


@contextmanager
def held_store(session: Session, sync: Sync, holder: str, *, wait_seconds: float) -> Iterator[SyncStore]:
    """A sync's store under its lease, in a warehouse whose tables are those of this release.

    Raises `LeaseHeld` when somebody else has the lease for longer than `wait_seconds`; see `hold_lease` and `migrate`.
    """
    migrate(session)
    with hold_lease(session, sync.name, holder, wait_seconds=wait_seconds) as leased:
        yield SyncStore(leased, sync)


class SyncStore:
    """A sync's tables in the warehouse: its ledger, deliveries, rejections, plans and approvals.

    Names them, and changes them together. Under a lease the plan tables are those of its holder.
    """

    def __init__(self, session: Session, sync: Sync) -> None:
        self.session = session
        self.sync = sync
        self.sql = sql = session.sql
        self._lease = session if isinstance(session, LeasedSession) else None
        self.holder = self._lease.holder if self._lease else ""
        self.token = token = self._lease.token if self._lease else ""
        self.ledger_name = LEDGER.of(sync.name).name
        self.ledger = LEDGER.of(sync.name).ref(sql)
        self.plan = PLAN.of(sync.name, token).ref(sql)
        self.objects = PLAN_OBJECTS.of(sync.name, token).ref(sql)
        self.rekeyed = REKEYED.of(sync.name).ref(sql)
        self.retyped = RETYPED.of(sync.name).ref(sql)
        self.deliveries = DELIVERIES.ref(sql)
        self.observations = OBSERVATIONS.ref(sql)
        self.observed_until = OBSERVED_UNTIL.ref(sql)
        self.operations = OPERATIONS.ref(sql)
        self.rejections = REJECTIONS.ref(sql)
        self.declarations = DECLARATIONS.ref(sql)
        self.model = sql.table(sync.schema, sync.table)
        self.keys = ("_user", "_label")[: len(sync.identifier.columns)]

    @property
    def is_held(self) -> bool:
        """Whether this store may write: its session holds the sync's lease."""
        return self._lease is not None

    def keep_lease(self) -> None:
        """Renew the lease, if there is one, where it is about time."""
        if self._lease:
            self._lease.keep()

    def raise_if_ending(self) -> None:
        """Raise `LeaseLost` when what is sent now might not be acknowledged, the lease being near its end."""
        if self._lease:
            self._lease.raise_if_ending()

    def on_key(self, left: str, right: str) -> str:
        """The join condition of two relations on the user key."""
        return " and ".join(f"{left}.{key} = {right}.{key}" for key in self.keys)

    def unconfirmed_users(self) -> str | None:
        """A relation (`_user`, `_label`) of the users for whom 201 acknowledges nothing; None when there is none.

        Braze ignores an update of a user whom it does not have, under `_update_existing_only`, and answers 201.
        """
        if not EXISTENCE.exists(self.session):
            return None
        sync = self.sql.literal(self.sync.name)
        users = f"from {EXISTENCE.ref(self.sql)} where sync = {sync} and state = 'unsure'"
        return f"(select _user, _label {users})" if self.session.fetch(f"select 1 {users} limit 1") else None

    def acknowledge(self, specs: Sequence[AttributeSpec], source: str, *, sent: bool = True) -> None:
        """Move the ledger to the plan's values, inside the caller's transaction.

        `source` is a relation with `_user`, `_label` (each user once) and `_actions` (see `actions.Actions`): the
        ledger moves where an attribute does not stay as it is. Of users who may not exist (`unconfirmed_users`) the
        row stays unacknowledged; and so does one of which other values are still to be sent again, or of which nothing
        was `sent`.
        """
        quoted = self.sql.quoted
        sets, names, values = [], list(self.keys), [f"s.{key}" for key in self.keys]
        others = [resend_column(spec.name) for spec in self.sync.attributes if spec not in specs]
        left = [f"coalesce(l.{quoted(flag)}, false)" for flag in others]
        if not sent:
            left = ["true"]
        for position, spec in enumerate(specs):
            moves = is_changed_sql("s._actions", position)
            column = quoted(ledger_column(spec.name))
            sets.append(f"{column} = case when {moves} then s.n{position} else l.{column} end")
            flag = quoted(resend_column(spec.name))
            sets.append(f"{flag} = case when {moves} then false else l.{flag} end")
            if sent:
                left.append(f"(not ({moves}) and coalesce(l.{flag}, false))")
            names.append(ledger_column(spec.name))
            values.append(f"case when {moves} then s.n{position} end")
        doubt, joined, mark = "", "", ""
        unconfirmed = self.unconfirmed_users()
        if unconfirmed is not None:
            doubt, mark = "when s._unconfirmed then null ", ", u._user is not null as _unconfirmed"
            joined = f" left join {unconfirmed} u on u._user = a._user and u._label = a._label"
        waits = f"when l._acknowledged_at is null and ({' or '.join(left)}) then null " if left else ""
        at = "cast($at as timestamp)"
        self.session.execute(
            f"merge into {self.ledger} l using (select p.*, a._actions{mark} "
            f"from {self.plan} p join {source} a on {self.on_key('p', 'a')}{joined}) s on {self.on_key('l', 's')} "
            f"when matched then update set {', '.join(sets)}, "
            f"_acknowledged_at = case {doubt}{waits}when true then {at} end "
            f"when not matched then insert ({self.sql.listed(names)}, _acknowledged_at) "
            f"values ({', '.join(values)}, case {doubt}when true then {at} end)",
            {"at": now_utc()},
        )

    def retract(self, specs: Sequence[AttributeSpec], source: str) -> None:
        """Move the ledger back to what was acknowledged before the plan, for a source as `acknowledge` takes it."""
        columns = [self.sql.quoted(ledger_column(spec.name)) for spec in specs]
        sets = [
            f"{column} = case when {is_changed_sql('s._actions', position)} then s.o{position} else l.{column} end"
            for position, column in enumerate(columns)
        ]
        self.session.execute(
            f"merge into {self.ledger} l using (select p.*, a._actions from {self.plan} p join {source} a "
            f"on {self.on_key('p', 'a')}) s on {self.on_key('l', 's')} when matched then update set {', '.join(sets)}"
        )

    def record_deliveries(self, source: str, carried: str, run_id: str) -> None:
        """Add deliveries, inside the caller's transaction.

        `source` has `_user`, `_label`, `_sent`, `request_number`, `verdict`, `status`, `attempts` and `reason`; where
        `_sent` is null, the plan's column `carried` says what the object had. What was delivered to a user who may not
        exist is `unconfirmed`.
        """
        verdict, joined = "d.verdict", ""
        unconfirmed = self.unconfirmed_users()
        if unconfirmed is not None:
            verdict = "case when d.verdict = 'delivered' and u._user is not null then 'unconfirmed' else d.verdict end"
            joined = f" left join {unconfirmed} u on u._user = d._user and u._label = d._label"
        self.session.execute(
            f"insert into {self.deliveries} ({', '.join(DELIVERIES.names)}) "
            f"select $sync, $run_id, d.request_number, d._user, d._label, coalesce(d._sent, o.{carried}), "
            f"{verdict}, d.status, d.attempts, d.reason, cast($at as timestamp) "
            f"from {source} as d join {self.objects} o on {self.on_key('o', 'd')}{joined}",
            {"sync": self.sync.name, "run_id": run_id, "at": now_utc()},
        )

    def resolve_delivered(self, specs: Sequence[AttributeSpec], source: str) -> None:
        """Close the rejections of attributes that were now delivered, inside the caller's transaction."""
        for position, spec in enumerate(specs):
            self.session.execute(
                f"update {self.rejections} as r set resolved_at = $at where r.sync = $sync "
                f"and r.attribute = $attribute and r.resolved_at is null and r.refused_by <> 'part' "
                f"and exists (select 1 from {source} a where a._user = r._user and a._label = r._label "
                f"and {is_changed_sql('a._actions', position)})",
                {"at": now_utc(), "sync": self.sync.name, "attribute": spec.name},
            )

    def resolve_vanished(self, specs: Sequence[AttributeSpec]) -> None:
        """Close the rejections whose value is gone from the model without anything to send.

        The rejection of a nested part stands while its value does, which was delivered without it: it is closed as soon
        as the value is another one, and recorded again when that one has a bad part as well.
        """
        for position, spec in enumerate(specs):
            planned = (
                f"exists (select 1 from {self.objects} o where o._user = r._user and o._label = r._label "
                f"and {action_sql('o._actions', position)}"
            )
            self.session.execute(
                f"update {self.rejections} as r set resolved_at = $at "
                "where r.sync = $sync and r.attribute = $attribute and r.resolved_at is null "
                f"and ((r.refused_by not in ('part', 'unclear') and not {planned} not in ('-', 'f'))) "
                f"or (r.refused_by = 'part' and {planned} <> '-')))",
                {"at": now_utc(), "sync": self.sync.name, "attribute": spec.name},
            )

    def record_rejections(self, source: str) -> None:
        """Add rejections, once per value, inside the caller's transaction.

        `source` has `_user`, `_label`, `attribute`, `value_hash`, `reason`, `refused_by` and `run_id`. An earlier
        rejection of another value of the same attribute and user is closed.
        """
        same = "r.sync = $sync and r._user = n._user and r._label = n._label and r.attribute = n.attribute"
        self.session.execute(
            f"update {self.rejections} as r set resolved_at = $at from {source} as n "
            f"where {same} and r.resolved_at is null and r.value_hash <> n.value_hash",
            {"at": now_utc(), "sync": self.sync.name},
        )
        self.session.execute(
            f"insert into {self.rejections} select $sync, n._user, n._label, n.attribute, n.value_hash, n.reason, "
            "n.refused_by, n.run_id, cast($at as timestamp), cast(null as timestamp) "
            f"from {source} as n where not exists (select 1 from {self.rejections} r "
            f"where {same} and r.resolved_at is null and r.value_hash = n.value_hash)",
            {"at": now_utc(), "sync": self.sync.name},
        )

    def expire_deliveries(self, days: int) -> None:
        """Remove the sync's deliveries that are older than so many days."""
        self.session.execute(
            f"delete from {self.deliveries} where sync = $sync and delivered_at < $before",
            {"sync": self.sync.name, "before": now_utc() - timedelta(days=days)},
        )

    def has_open_rejections(self) -> bool:
        """Whether any rejection of the sync is open."""
        return bool(
            self.session.fetch(
                f"select 1 from {self.rejections} where sync = $sync and resolved_at is null limit 1",
                {"sync": self.sync.name},
            )
        )

    def open_rejections(self) -> Mapping[str, int]:
        """Open rejections by attribute."""
        return dict(
            self.session.fetch(
                f"select attribute, count(*) from {self.rejections} "
                "where sync = $sync and resolved_at is null group by 1",
                {"sync": self.sync.name},
            )
        )

    def approve(self, plan_id: str) -> None:
        """Approve this very plan; an earlier approval of the sync ends."""
        ensure(self.session, *PLAN_RECORDS)
        with self.session.transaction():
            self._end_approvals("true")
            APPROVALS.append(self.session, [(self.sync.name, plan_id, now_utc(), None)])

    def is_approved(self, plan_id: str) -> bool:
        """Whether a person approved this very plan. An approval of another plan has expired with it, and ends here."""
        self._end_approvals("plan_id <> $plan", {"plan": plan_id})
        return bool(
            self.session.fetch(
                f"select 1 from {APPROVALS.ref(self.sql)} "
                "where sync = $sync and plan_id = $plan and ended_at is null",
                {"sync": self.sync.name, "plan": plan_id},
            )
        )

    def record_applied(self, plan_id: str, run_id: str, *, users: int, objects: int) -> None:
        """Note that a plan over so many users and objects is applied, and end its approval, which was for one time."""
        with self.session.transaction():
            APPLIED_PLANS.append(self.session, [(self.sync.name, plan_id, run_id, users, objects, now_utc())])
            self._end_approvals("true")

    def _end_approvals(self, condition: str, parameters: Mapping[str, object] | None = None) -> None:
        self.session.execute(
            f"update {APPROVALS.ref(self.sql)} set ended_at = $at "
            f"where sync = $sync and ended_at is null and {condition}",
            {"sync": self.sync.name, "at": now_utc(), **(parameters or {})},
        )
