"""Erasing deleted people from every table of the platform, and keeping them erased when old files are loaded again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from braze_platform.erasure import pending
from braze_platform.erasure.approval import waiting_for_approval
from braze_platform.erasure.people import (
    LINKED,
    MERGES,
    REQUESTS,
    Deleted,
    attached_people,
    batches,
    identities_of_others,
    raw_columns,
)
from braze_platform.erasure.places import (
    RAW,
    Place,
    erasing,
    finding,
    place_of,
    token,
)
from braze_platform.erasure.search import Found, search
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.leases import RUN_WAIT_SECONDS, hold_lease, leased_syncs
from braze_platform.warehouse.load_numbers import latest_loads
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.personal_names import TOKEN, holds_text, kind_of, personal_of
from braze_platform.warehouse.registry import (
    BRAZE_SYNC,
    ERASURE_APPROVALS,
    FILES,
    LEDGER,
    LEFT,
    PENDING,
    PROGRESS,
    TOMBSTONES,
)
from braze_platform.warehouse.tables import ensure, now_utc

#: Raw tables that tell who is to be erased: they are done last.
_TELLS = frozenset({f"{RAW}.{REQUESTS}", f"{RAW}.{MERGES}"})
#: Texts in `braze_sync.deliveries` that tell nothing of a person.
_NOT_PERSONAL = frozenset({"sync", "run_id", "verdict"})


@dataclass(frozen=True)
class PersonalColumns:
    """Which columns are personal, where descriptions say so, and which texts are not.

    `fields`: personal fields of Currents events. `models`: by dbt model, its personal columns (`personal: true`);
    `harmless`: those said to be none (`personal: false`); `schemas`: the models' schema by their name.
    """

    fields: frozenset[str]
    models: Mapping[str, frozenset[str]]
    schemas: Mapping[str, str]
    harmless: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Erasure:
    """What one run erased."""

    people: int = 0
    #: People of whom nobody goes before it is approved, being more than the limit.
    waiting: int = 0
    #: The tokens that took the place of the people's Braze ids.
    tokens: list[str] = field(default_factory=list)
    tables: int = 0
    #: Rows in which somebody was found, by table.
    rows: dict[str, int] = field(default_factory=dict)
    hours_again: int = 0
    #: Identities that somebody who was not deleted is known by, too: they stay.
    shared: int = 0
    #: Rows in which somebody could still be found afterwards; empty when all is well.
    left: Found = field(default_factory=Found)


def erase(
    warehouse: Warehouse,
    personal: PersonalColumns,
    progress: Callable[[str], None] = lambda _: None,
    *,
    limit: int,
    wait_seconds: float = RUN_WAIT_SECONDS,
) -> Erasure:
    """Erase everybody whose deletion Currents showed and who was not erased before; and, from hours that were loaded
    since the last time, everybody who was. Where more than `limit` people (0: any number) are to go of whom nobody has
    approved it, none of them goes.

    Each table is done in one transaction, all tables of the syncs in one, under the lease of each sync: the erasure
    waits up to `wait_seconds` for a sync that is being sent, and raises `LeaseHeld` then. A killed run starts
    again: the tombstones are written first, and requests, merges and `privacy.pending` keep identities in the clear
    until nobody is found anywhere else, by a search of all texts of all tables.
    """
    done = Erasure()
    with warehouse.session() as session:
        migrate(session)
        ensure(session, TOMBSTONES, PENDING, LEFT, ERASURE_APPROVALS, PROGRESS)
        latest = max(latest_loads(session).values(), default=0)
        work = _Work(session, personal, raw_columns(session), done, progress, wait_seconds)
        begun = pending.begun(session)
        people = pending.people_to_erase(session, work.raw)
        done.waiting = waiting_for_approval(session, people, limit)
        if done.waiting:
            people = begun
        if people:
            work.erase(people)
        # Not before: what names a person beside the Braze id is read from the raw tables.
        done.hours_again = _erase_again(session, personal, work.raw, latest, done)
        _set_progress(session, latest)
        is_rewrite_due = pending.is_rewrite_due(session)
    if is_rewrite_due:
        progress("writing a new file of the warehouse, without what was erased")
        warehouse.rewrite()
        with warehouse.session() as session:
            pending.rewritten(session)
    return done


@dataclass(frozen=True)
class _Work:
    """One run over the tables of one warehouse."""

    session: Session
    personal: PersonalColumns
    #: The raw tables there are, with the types of their columns.
    raw: Mapping[str, Mapping[str, str]]
    done: Erasure
    progress: Callable[[str], None]
    wait_seconds: float

    def erase(self, people: Sequence[Deleted]) -> None:
        """Note people, erase them everywhere, and prove it; the requests go last, when nothing else is left."""
        session, done = self.session, self.done
        pending.note(session, people)
        gone = {one.braze_id for one in people}
        shared = identities_of_others(session, people, gone, self.raw)
        known = [one for one in people if (one.identity, one.kind) not in shared]
        _write_tombstones(session, people)
        done.people, done.shared, done.tokens = len(gone), len(shared), _tokens(session, gone)
        # Where a search has found the rest of these very people, only that is looked at again.
        left = pending.left(session)
        everywhere = list(self._places())
        places = [
            place for place in everywhere if place.name not in _TELLS and (not left or place.name in left)
        ]
        in_syncs = self._erase_batches(known, places, left)
        _erase_linked(session, self.personal, self.raw, done)
        done.tables = len(places) + in_syncs
        self.progress("searching all tables for the people who were erased")
        elsewhere = {*_TELLS, PENDING.full_name}
        search(session, known, done.left, lambda name: name not in elsewhere and (not left or name in left))
        if not done.left:
            last = [place for place in everywhere if place.name in _TELLS]
            for _, batch in batches(known):
                with attached_people(session, batch) as erased:
                    _erase_batch(session, last, erased, done)
            search(session, known, done.left, _TELLS.__contains__)
        if done.left:
            pending.note_left(session, {*done.left.rows, *done.left.traces})
        else:
            pending.finish(session)

    def _erase_batches(
        self, people: Sequence[Deleted], places: Sequence[Place], left: Collection[str]
    ) -> int:
        """Erase people from tables and from what the syncs hold; returns the number of tables of the syncs."""
        in_syncs = 0
        are_in_syncs = not left or any(name.startswith(f"{BRAZE_SYNC.name}.") for name in left)
        for start, batch in batches(people):
            self.progress(
                f"erasing {start + len(batch):,} of {len(people):,} identities from {len(places)} tables and syncs"
            )
            with attached_people(self.session, batch) as erased:
                # The syncs first: a run that fails because one is being sent has changed nothing yet.
                if are_in_syncs:
                    in_syncs = _erase_from_syncs(self.session, erased, self.done, self.wait_seconds)
                _erase_batch(self.session, places, erased, self.done)
        return in_syncs

    def _places(self) -> Iterator[Place]:
        """The models and raw tables with people."""
        session, personal = self.session, self.personal
        there = {schema: session.table_names(schema) for schema in sorted(set(personal.schemas.values()))}
        for model, schema in personal.schemas.items():
            # Views show what their tables hold.
            if model in there[schema]:
                columns = session.columns(schema, model)
                hidden = personal_of(
                    columns, personal.models[model], personal.harmless.get(model, frozenset())
                )
                if (place := place_of(schema, model, columns, hidden)) is not None:
                    yield place
        for table, fields in sorted(self.raw.items()):
            place = place_of(RAW, table, fields, personal_of(fields, personal.fields, ()))
            if place is not None:
                yield place


def _tokens(session: Session, profiles: Collection[str]) -> list[str]:
    ids = pa.table({"braze_id": pa.array(list(profiles), pa.string())})
    with session.attached("erased_profiles", ids) as attached:
        named = token(session.sql, "people.braze_id")
        return [name for (name,) in session.fetch(f"select {named} from {attached} as people order by 1")]


def _erase_batch(session: Session, places: Sequence[Place], erased: str, done: Erasure) -> None:
    for place in places:
        if _count(session, place, erased, done):
            with session.transaction():
                for statement in erasing(place, session.sql, erased):
                    session.execute(statement)


def _count(session: Session, place: Place, erased: str, done: Erasure) -> int:
    """Rows in which somebody is found, by which most tables are left alone."""
    columns = dict.fromkeys((place.owner, *place.others, *place.ids))
    query = finding(place.schema, place.table, session.sql, erased, columns)
    [(rows,)] = session.fetch(query) if query else [(0,)]
    if rows:
        done.rows[place.name] = done.rows.get(place.name, 0) + int(rows)
    return int(rows)


def _erase_from_syncs(session: Session, erased: str, done: Erasure, wait_seconds: float) -> int:
    """Erase people from what the syncs hold, under the lease of each of them; returns the number of tables.

    All in one transaction, which renews the leases. Raises `LeaseHeld` when a sync is written for too long.
    """
    with ExitStack() as leases:
        leased = session
        for sync in sorted({*LEDGER.found_syncs(session), *leased_syncs(session)}):
            leased = leases.enter_context(hold_lease(leased, sync, "the erasure", wait_seconds=wait_seconds))
        places = list(sync_places(leased))
        found = [place for place in places if _count(leased, place, erased, done)]
        if found:
            with leased.transaction():
                for place in found:
                    for statement in erasing(place, leased.sql, erased):
                        leased.execute(statement)
    return len(places)


def sync_places(session: Session) -> Iterator[Place]:
    """What the syncs hold of people: the tables of `braze_sync`."""
    for table in session.table_names(BRAZE_SYNC.name):
        columns = session.columns(BRAZE_SYNC.name, table)
        counted = table == "deliveries"
        hidden = {name for name, kind in columns.items() if name not in _NOT_PERSONAL and holds_text(kind)}
        place = place_of(BRAZE_SYNC.name, table, columns, hidden, rows_go=not counted)
        if place is not None:
            yield place


def _erase_linked(
    session: Session, personal: PersonalColumns, raw: Mapping[str, Mapping[str, str]], done: Erasure
) -> None:
    """Empty what events say that belong to events of erased people, of now and before."""
    for table, link, owner in LINKED:
        columns = raw.get(table, {})
        hidden = sorted(personal_of(columns, personal.fields, ()))
        if link not in columns or not hidden or not {link, "user_id"} <= raw.get(owner, {}).keys():
            continue
        quoted = [session.sql.quoted(name) for name in hidden]
        full, owners = session.sql.table(RAW, table), session.sql.table(RAW, owner)
        theirs = (
            f"place.{link} in (select {link} from {owners} where starts_with(user_id, $token)) "
            f"and ({' or '.join(f'place.{name} is not null' for name in quoted)})"
        )
        [(rows,)] = session.fetch(f"select count(*) from {full} as place where {theirs}", {"token": TOKEN})
        if rows:
            emptied = ", ".join(f"{name} = null" for name in quoted)
            session.execute(f"update {full} as place set {emptied} where {theirs}", {"token": TOKEN})
            done.rows[f"{RAW}.{table}"] = done.rows.get(f"{RAW}.{table}", 0) + int(rows)


def _erase_again(
    session: Session,
    personal: PersonalColumns,
    raw: Mapping[str, Mapping[str, str]],
    latest: int,
    done: Erasure,
) -> int:
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
    for table, columns in raw.items():
        place = place_of(RAW, table, columns, personal_of(columns, personal.fields, ()))
        # A request that is new keeps its id until everything else of the person is erased: see `erase`.
        if place is not None and place.hour is not None and table != REQUESTS:
            _erase_known(session, place, hours)
    _erase_linked(session, personal, raw, done)
    return len(hours)


def _erase_known(session: Session, place: Place, hours: Sequence[datetime]) -> None:
    """Erase people who have a tombstone from some hours of a raw table; only their hashes are known by now."""
    sql = session.sql
    table = sql.table(place.schema, place.table)
    within = sql.among(str(place.hour), "hours")
    ids = " union distinct ".join(
        f"select {sql.quoted(name)} as identity, '{kind_of(name)}' as kind from {table} where {within}"
        for name in dict.fromkeys((place.owner, *place.others, *place.ids))
    )
    erased = (
        "(select ids.identity, ids.kind, min(tombstones.person) as token "
        f"from ({ids}) as ids join {TOMBSTONES.ref(sql)} as tombstones "
        f"on {sql.text_hash('ids.identity')} = tombstones.identity_hash and tombstones.kind = ids.kind "
        "group by ids.identity, ids.kind)"
    )
    found = session.fetch(f"select count(*) from {erased} as erased", {"hours": list(hours)})
    if found[0][0]:
        with session.transaction():
            for statement in erasing(place, sql, erased, f"place.{within}"):
                session.execute(statement, {"hours": list(hours)})
            pending.ask_for_rewrite(session)


def _write_tombstones(session: Session, people: Sequence[Deleted]) -> None:
    table = TOMBSTONES.ref(session.sql)
    now = now_utc()
    for _, batch in batches(people):
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
