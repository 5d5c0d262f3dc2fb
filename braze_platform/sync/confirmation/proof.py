"""Proof of delivery: what Braze shows in Currents of the values that were sent, and which of them others overwrote.

`observations` gets a row for each attribute of ours that an event `users.profile.Update` names: the hash of its
canonical value, when it happened and when it was read. Events name users by external id and Braze id, and custom
attributes are in one column; profile fields, operators and other identifiers have no proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from braze_platform.sync.declaration.sync import PROFILE_FIELDS, AttributeSpec, Sync
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.values.json_text import value_hash
from braze_platform.sync.values.rejected import ValueRejected
from braze_platform.sync.values.values import canonicalise, decode
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.ledger_columns import resend_column
from braze_platform.warehouse.registry import DELIVERIES, OBSERVATIONS, OBSERVED_UNTIL
from braze_platform.warehouse.tables import ensure, now_utc

MODEL = "stg_currents__users_profile_update"
#: The column of that model by which each kind of identifier finds its users.
_COLUMNS = {"external_id": "external_id", "braze_id": "braze_user_id"}
#: Hours before the last one read that are read once more, for files that came late.
LOOK_BACK = timedelta(hours=6)
#: Values delivered within so many days are held against Currents; older observations are removed.
DAYS = 7
#: Events read per run; more wait for the next run. A single hour is never split.
MAX_EVENTS = 500_000
_BATCH = 50_000
#: The hash of a value that is not of the declared type.
UNREADABLE = "unreadable"

_STAGED = OBSERVATIONS.schema("_user", "attribute", "value_hash", "observed_at", "update_source", "event_id")


@dataclass(frozen=True)
class Proof:
    """What Currents shows of one attribute: values delivered of which it could tell, those seen, those overwritten."""

    delivered: int
    seen: int
    overwritten: int
    seconds: float | None

    @property
    def share(self) -> float | None:
        """The share of values seen; None when there is none to be seen."""
        return self.seen / self.delivered if self.delivered else None


def observe(store: SyncStore) -> bool:
    """Read what Currents shows since the last time, and mark overwritten values of the warehouse's own as due.

    False when it can tell nothing: other identifiers, no such events yet, or nothing delivered.
    """
    specs = {spec.name: spec for spec in store.sync.attributes if provable(store.sync, spec)}
    schema = "staging"
    if not specs or not store.session.columns(schema, MODEL) or not DELIVERIES.exists(store.session):
        return False
    ensure(store.session, OBSERVATIONS, OBSERVED_UNTIL)
    events = store.sql.table(schema, MODEL)
    hours = _hours(store, events)
    if hours is None:
        return False
    first, last = hours
    key = _COLUMNS[store.sync.identifier.kind]
    query = (
        f"select e.{key} as _user, e.custom_attributes, e.time_ms, e.update_source, e.event_id from {events} e "
        f"where e.delivered_hour between {_literal(first)} and {_literal(last)} and e.custom_attributes is not null "
        f"and exists (select 1 from {store.ledger} l where l._user = e.{key})"
    )
    read_at = now_utc()
    for batch in store.session.fetch_batches(query, rows=_BATCH):
        observed = _observed_values(batch, specs)
        with store.session.attached("_observed", observed) as rows, store.session.transaction():
            store.session.execute(
                f"insert into {store.observations} ({', '.join(OBSERVATIONS.names)}) select $sync, t._user, '', "
                "t.attribute, t.value_hash, t.observed_at, t.update_source, t.event_id, cast($at as timestamp) "
                f"from {rows} as t where not exists (select 1 from {store.observations} o where o.sync = $sync "
                "and o.event_id = t.event_id and o.attribute = t.attribute)",
                {"sync": store.sync.name, "at": read_at},
            )
    _mark_overwritten(store, specs, read_at)
    with store.session.transaction():
        store.session.execute(
            f"delete from {store.observed_until} where sync = $sync", {"sync": store.sync.name}
        )
        store.session.execute(
            f"insert into {store.observed_until} values ($sync, cast($last as timestamp))",
            {"sync": store.sync.name, "last": last},
        )
        store.session.execute(
            f"delete from {store.observations} where sync = $sync and read_at < cast($before as timestamp)",
            {"sync": store.sync.name, "before": read_at - timedelta(days=4 * DAYS)},
        )
    return True


def provable(sync: Sync, spec: AttributeSpec) -> bool:
    """Whether Currents can show an attribute's values: custom, sent as a whole, of users that events name."""
    return sync.identifier.kind in _COLUMNS and spec.name not in PROFILE_FIELDS and not spec.operator


def proofs(store: SyncStore) -> dict[str, Proof]:
    """By attribute, what became of the values delivered in the last days that Currents could have shown by now."""
    told = {spec.name for spec in store.sync.attributes if provable(store.sync, spec)}
    until = store.session.fetch(
        f"select max(delivered_hour) from {store.observed_until} where sync = $sync",
        {"sync": store.sync.name},
    )[0][0]
    since = now_utc() - timedelta(days=DAYS)
    rows = store.session.fetch(
        f"with {latest_values(store, since, until=until)}, {_last_seen(store)} "
        "select v.attribute, count(*), countif(s.seen_at is not null), "
        "countif(s.last_at > v.delivered_at and s.last_hash is distinct from v.sent_hash), "
        f"avg({_seconds(store.session, 'v.delivered_at', 's.seen_at')}) from latest v left join last_seen s "
        "on s._user = v._user and s.attribute = v.attribute group by 1"
    )
    return {
        str(name): Proof(int(delivered), int(seen or 0), int(overwritten or 0), seconds)
        for name, delivered, seen, overwritten, seconds in rows
        if name in told
    }


def latest_values(store: SyncStore, since: datetime, *, until: datetime | None = None) -> str:
    """The common table `latest`: of each user and attribute the value delivered last, with its hash."""
    sync = store.sql.literal(store.sync.name)
    before = "" if until is None else f" and delivered_at <= {_literal(until)}"
    if store.session.dialect == "bigquery":
        unnested = "unnest(json_extract_array(d.attribute_values)) as entry"
        name, hashed = "json_value(entry, '$.attribute')", "json_value(entry, '$.hash')"
    else:
        unnested = 'unnest(from_json(d.attribute_values, \'[{"attribute":"VARCHAR","hash":"VARCHAR"}]\')) as u(entry)'
        name, hashed = "entry.attribute", "entry.hash"
    return (
        f"latest as (select _user, attribute, sent_hash, delivered_at from (select d._user, {name} as attribute, "
        f"{hashed} as sent_hash, d.delivered_at from {store.deliveries} d, {unnested} where d.sync = {sync} "
        f"and d.verdict = 'delivered' and d.delivered_at >= {_literal(since)}{before}) as carried where true "
        "qualify row_number() over (partition by _user, attribute order by delivered_at desc) = 1)"
    )


def _last_seen(store: SyncStore) -> str:
    """Of each latest value: when Currents showed it, and what Currents showed last, read after it was delivered."""
    return (
        "last_seen as (select v._user, v.attribute, "
        "min(case when o.value_hash is not distinct from v.sent_hash then o.observed_at end) as seen_at, "
        "max(o.observed_at) as last_at, max_by(o.value_hash, o.observed_at) as last_hash, "
        "max_by(o.update_source, o.observed_at) as last_source "
        f"from latest v join {store.observations} o on o.sync = '{store.sync.name}' and o._user = v._user "
        "and o.attribute = v.attribute and o.read_at > v.delivered_at group by 1, 2)"
    )


def _mark_overwritten(store: SyncStore, specs: Mapping[str, AttributeSpec], read_at: datetime) -> None:
    """Mark in the ledger which values of `on_conflict: warehouse_wins` others overwrote, among what was just read."""
    owned = [spec for spec in specs.values() if spec.on_conflict == "warehouse_wins"]
    fresh = (
        f"(select distinct _user, attribute from {store.observations} where sync = "
        f"'{store.sync.name}' and read_at = {_literal(read_at)})"
    )
    common = f"{latest_values(store, read_at - timedelta(days=4 * DAYS))}, {_last_seen(store)}"
    for spec in owned:
        found = store.session.fetch(
            f"with {common} select v._user from latest v join last_seen s on s._user = v._user "
            f"and s.attribute = v.attribute join {fresh} f on f._user = v._user and f.attribute = v.attribute "
            "where v.attribute = $attribute and s.last_at > v.delivered_at "
            "and s.last_hash is distinct from v.sent_hash",
            {"attribute": spec.name},
        )
        if not found:
            continue
        flag = store.sql.quoted(resend_column(spec.name))
        users = pa.table({"_user": pa.array([row[0] for row in found], pa.string())})
        with store.session.attached("_overwritten", users) as rows:
            store.session.execute(
                f"update {store.ledger} as l set {flag} = true from {rows} o where l._user = o._user"
            )


def _hours(store: SyncStore, events: str) -> tuple[datetime, datetime] | None:
    """The first and the last hour to be read, so many that they hold no more events than one run takes."""
    until = store.session.fetch(
        f"select max(delivered_hour) from {store.observed_until} where sync = $sync",
        {"sync": store.sync.name},
    )[0][0]
    if until is None:
        began = store.session.fetch(
            f"select min(delivered_at) from {store.deliveries} where sync = $sync",
            {"sync": store.sync.name},
        )[0][0]
        if began is None:
            return None
        # A clock of Braze's or of a sandbox may differ from ours by hours.
        until = max(began, now_utc() - timedelta(days=DAYS)) - timedelta(days=1)
    first = until - LOOK_BACK
    counts: Sequence[tuple[datetime, int]] = store.session.fetch(
        f"select delivered_hour, count(*) from {events} where delivered_hour >= {_literal(first)} group by 1 order by 1"
    )
    last, taken = None, 0
    for hour, count in counts:
        if last is not None and last > until and taken + count > MAX_EVENTS:
            break
        last, taken = hour, taken + count
    return None if last is None else (first, last)


def _observed_values(batch: pa.RecordBatch, specs: Mapping[str, AttributeSpec]) -> pa.Table:
    """Our attributes in a batch of events, with the hashes of their canonical values."""
    rows: list[tuple[Any, ...]] = []
    for user, text, time_ms, source, event in zip(
        *(batch.column(i).to_pylist() for i in range(5)), strict=True
    ):
        for name, value in _attributes(text).items():
            spec = specs.get(name)
            if spec is not None:
                rows.append((user, name, _hash(value, spec), _from_milliseconds(time_ms), source, event))
    return OBSERVATIONS.rows(rows, *_STAGED.names)


def _attributes(text: str) -> Mapping[str, Any]:
    try:
        found = decode(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(value: object, spec: AttributeSpec) -> str | None:
    try:
        canonical = canonicalise(value, spec)
    except ValueRejected:
        return UNREADABLE
    return None if canonical is None else value_hash(canonical)


def _from_milliseconds(time_ms: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=time_ms)  # noqa: DTZ001 - naive UTC, as all tables hold it


def _literal(value: datetime) -> str:
    return f"timestamp '{value.isoformat(sep=' ')}'"


def _seconds(session: Session, earlier: str, later: str) -> str:
    """Seconds between two times, none when Braze's clock says that it was before it was acknowledged."""
    if session.dialect == "bigquery":
        between = f"timestamp_diff({later}, {earlier}, millisecond)"
    else:
        between = f"date_diff('millisecond', {earlier}, {later})"
    return f"greatest(0, {between}) / 1000.0"
