"""Erasing deleted people from every table of the platform, and keeping them erased when old files are loaded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from braze_platform.erasure.people import (
    RAW,
    Deleted,
    deleted_profiles,
    identities_of,
    reassigned_external_ids,
)
from braze_platform.erasure.places import Place, erasing, place_of, remaining, token
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.leases import RUN_WAIT_SECONDS, Clock, hold_lease, leased_syncs
from braze_platform.warehouse.load_numbers import latest_loads
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.registry import BRAZE_SYNC, FILES, LEDGER, PROGRESS, TOMBSTONES
from braze_platform.warehouse.tables import ensure, now_utc

#: Texts in `braze_sync.deliveries` that tell nothing of a person.
_NOT_PERSONAL = frozenset({"sync", "run_id", "verdict"})
#: People erased in one statement: BigQuery carries them inside it.
_AT_ONCE = 1_000


@dataclass(frozen=True)
class PersonalColumns:
    """Which columns are personal, where the platform's own descriptions say so.

    `fields`: fields of Currents events. `models`: by dbt model, its columns; the models' schema by their name is
    `schemas`.
    """

    fields: frozenset[str]
    models: Mapping[str, frozenset[str]]
    schemas: Mapping[str, str]


@dataclass
class Erasure:
    """What one run erased: numbers only."""

    people: int = 0
    tables: int = 0
    hours_again: int = 0
    #: Rows in which somebody could still be found afterwards, by table; empty when all is well.
    left: dict[str, int] = field(default_factory=dict)


def erase(
    warehouse: Warehouse,
    personal: PersonalColumns,
    progress: Callable[[str], None] = lambda _: None,
    *,
    wait_seconds: float = RUN_WAIT_SECONDS,
    clock: Clock | None = None,
) -> Erasure:
    """Erase everybody whose deletion Currents showed and who was not erased before; and, from hours that were loaded
    since the last time, everybody who was.

    Each table is done in one transaction, all tables of the syncs in one, under the lease of each sync: the erasure
    waits up to `wait_seconds` for a sync that is being sent, and raises `LeaseHeld` then. A killed run starts
    again: the tombstones are written first, and the requests keep their ids in the clear until everything else is done.
    """
    done = Erasure()
    with warehouse.session() as session:
        migrate(session)
        ensure(session, TOMBSTONES, PROGRESS)
        latest = max(latest_loads(session).values(), default=0)
        profiles = deleted_profiles(session)
        if profiles:
            raw = {table: session.columns(RAW, table) for table in session.table_names(RAW)}
            places = list(_places(session, personal, raw))
            people = identities_of(session, profiles, raw)
            again = reassigned_external_ids(session, people, set(profiles))
            known = [one for one in people if one.identity not in again]
            _write_tombstones(session, people)
            in_syncs = 0
            for start, batch in _batches(known):
                progress(
                    f"erasing {start + len(batch):,} of {len(known):,} identities from {len(places)} tables and syncs"
                )
                _erase_batch(session, [place for place in places if place.schema != RAW], batch, done)
                in_syncs = _erase_from_syncs(session, batch, done, wait_seconds, clock)
                # Last: a run that fails, e.g. because a sync is being sent, finds the requests again.
                _erase_batch(session, [place for place in places if place.schema == RAW], batch, done)
            done.people = len(profiles)
            done.tables = len(places) + in_syncs
        # Not before: what names a person beside the Braze id is read from the raw tables.
        done.hours_again = _erase_again(session, personal, latest)
        _set_progress(session, latest)
    return done


def _places(
    session: Session, personal: PersonalColumns, raw: Mapping[str, Mapping[str, str]]
) -> Iterator[Place]:
    """All places, those first from which others are told: the requests and merges come last."""
    there = {schema: session.table_names(schema) for schema in sorted(set(personal.schemas.values()))}
    for model, schema in personal.schemas.items():
        # Views show what their tables hold.
        if model in there[schema]:
            place = place_of(schema, model, session.columns(schema, model), personal.models[model])
            if place is not None:
                yield place
    ordered = sorted(
        raw, key=lambda table: (table in ("users_user_orphan", "users_user_delete_request"), table)
    )
    for table in ordered:
        place = place_of(RAW, table, raw[table], _personal_fields(raw[table], personal))
        if place is not None:
            yield place


def _personal_fields(columns: Mapping[str, str], personal: PersonalColumns) -> set[str]:
    # A value whose type clashed lies beside its column: time__string (see currents/columns.py).
    return {name for name in columns if name.partition("__")[0] in personal.fields}


def _erase_batch(session: Session, places: Sequence[Place], people: Sequence[Deleted], done: Erasure) -> None:
    with _identities(session, people) as erased:
        for place in places:
            with session.transaction():
                for statement in erasing(place, session.sql, erased):
                    session.execute(statement)
            _note_what_is_left(session, place, erased, done)


def _erase_from_syncs(
    session: Session, people: Sequence[Deleted], done: Erasure, wait_seconds: float, clock: Clock | None
) -> int:
    """Erase people from what the syncs hold, under the lease of each of them; returns the number of tables.

    All in one transaction, which renews the leases. Raises `LeaseHeld` when a sync is written for too long.
    """
    with ExitStack() as leases, _identities(session, people) as erased:
        leased = session
        for sync in sorted({*LEDGER.found_syncs(session), *leased_syncs(session)}):
            leased = leases.enter_context(
                hold_lease(leased, sync, "the erasure", wait_seconds=wait_seconds, clock=clock)
            )
        places = list(_sync_places(leased))
        if places:
            with leased.transaction():
                for place in places:
                    for statement in erasing(place, leased.sql, erased):
                        leased.execute(statement)
        for place in places:
            _note_what_is_left(leased, place, erased, done)
    return len(places)


def _sync_places(session: Session) -> Iterator[Place]:
    for table in session.table_names(BRAZE_SYNC.name):
        columns = session.columns(BRAZE_SYNC.name, table)
        counted = table == "deliveries"
        hidden = {name for name, kind in columns.items() if name not in _NOT_PERSONAL and _is_text(kind)}
        place = place_of(BRAZE_SYNC.name, table, columns, hidden, rows_go=not counted)
        if place is not None:
            yield place


@contextmanager
def _identities(session: Session, people: Sequence[Deleted]) -> Iterator[str]:
    """A relation with the identities of people and the tokens that take their place."""
    rows = pa.table(
        {
            "identity": pa.array([one.identity for one in people], pa.string()),
            "braze_id": pa.array([one.braze_id for one in people], pa.string()),
        }
    )
    with session.attached("deleted_people", rows) as attached:
        yield f"(select people.identity, {token(session.sql, 'people.braze_id')} as token from {attached} as people)"


def _note_what_is_left(session: Session, place: Place, erased: str, done: Erasure) -> None:
    [(left,)] = session.fetch(remaining(place, session.sql, erased))
    if left:
        name = f"{place.schema}.{place.table}"
        done.left[name] = done.left.get(name, 0) + int(left)


def _erase_again(session: Session, personal: PersonalColumns, latest: int) -> int:
    """Erase known people from the hours that were loaded since the last time; returns how many hours those were."""
    [(last,)] = session.fetch(f"select coalesce(max(load_id), 0) from {PROGRESS.ref(session.sql)}")
    [(tombstones,)] = session.fetch(f"select count(*) from {TOMBSTONES.ref(session.sql)}")
    if not tombstones or not FILES.exists(session):
        return 0
    # A ledger that was restarted counts from one again.
    since = last if last <= latest else 0
    hours = [
        hour
        for (hour,) in session.fetch(
            f"select distinct hour from {FILES.ref(session.sql)} where load_id > $since",
            {"since": since},
        )
    ]
    if not hours:
        return 0
    for table in session.table_names(RAW):
        columns = session.columns(RAW, table)
        place = place_of(RAW, table, columns, _personal_fields(columns, personal))
        if place is not None and place.hour is not None:
            _erase_known(session, place, hours)
    return len(hours)


def _erase_known(session: Session, place: Place, hours: Sequence[datetime]) -> None:
    """Erase people who have a tombstone from some hours of a raw table; only their hashes are known by now."""
    sql = session.sql
    table = sql.table(place.schema, place.table)
    within = sql.among(str(place.hour), "hours")
    ids = " union distinct ".join(
        f"select {sql.quoted(name)} as identity from {table} where {within}"
        for name in dict.fromkeys((place.owner, *place.ids))
    )
    erased = (
        f"(select ids.identity, {token(sql, 'ids.identity')} as token from ({ids}) as ids "
        f"join {TOMBSTONES.ref(sql)} as tombstones "
        f"on {sql.text_hash('ids.identity')} = tombstones.identity_hash and tombstones.kind = 'braze_id')"
    )
    found = session.fetch(f"select count(*) from {erased} as erased", {"hours": list(hours)})
    # A request that is new keeps its id until everything else of the person is erased: see `erase`.
    if found[0][0] and place.table != "users_user_delete_request":
        with session.transaction():
            for statement in erasing(place, sql, erased, f"place.{within}"):
                session.execute(statement, {"hours": list(hours)})


def _write_tombstones(session: Session, people: Sequence[Deleted]) -> None:
    table = TOMBSTONES.ref(session.sql)
    now = now_utc()
    for _, batch in _batches(people):
        rows = pa.table(
            {
                "braze_id": pa.array([one.braze_id for one in batch], pa.string()),
                "identity": pa.array([one.identity for one in batch], pa.string()),
                "kind": pa.array([one.kind for one in batch], pa.string()),
                "deleted_at": pa.array([one.deleted_at for one in batch], pa.timestamp("us")),
            }
        )
        sql = session.sql
        with session.attached("tombstones_new", rows) as attached:
            session.execute(
                f"insert into {table} select {token(sql, 'people.braze_id')}, {sql.text_hash('people.identity')}, "
                f"people.kind, people.deleted_at, cast($now as timestamp) from {attached} as people "
                f"where not exists (select 1 from {table} as known where known.kind = people.kind "
                f"and known.identity_hash = {sql.text_hash('people.identity')})",
                {"now": now},
            )


def _set_progress(session: Session, load_id: int) -> None:
    with session.transaction():
        session.execute(f"delete from {PROGRESS.ref(session.sql)} where true")
        PROGRESS.append(session, [(load_id, now_utc())])


def _batches(people: Sequence[Deleted]) -> Iterator[tuple[int, Sequence[Deleted]]]:
    for start in range(0, len(people), _AT_ONCE):
        yield start, people[start : start + _AT_ONCE]


def _is_text(kind: str) -> bool:
    return kind.upper() in ("VARCHAR", "STRING")
