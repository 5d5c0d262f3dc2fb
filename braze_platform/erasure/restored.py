"""Erasing people from tables that came back from a backup, which may be older than their erasure."""

from __future__ import annotations

from braze_platform.erasure import pending
from braze_platform.erasure.erase import sync_places
from braze_platform.erasure.places import Place, erasing
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.personal_names import kind_of
from braze_platform.warehouse.registry import LEFT, PROGRESS, TOMBSTONES


def erase_restored(session: Session) -> dict[str, int]:
    """Erase everybody who has a tombstone from the tables of the syncs; returns how many
    identities were found by table, where there were any.

    Inside the caller's transaction, under the leases of all syncs, with the tables of `privacy` there. Only hashes of
    these people are known by now, so each identity in the tables is held against them. The next erasure looks through
    all tables and all loads of Currents again, and rewrites the file where somebody was found here.
    """
    erased: dict[str, int] = {}
    for table in (PROGRESS, LEFT):
        if table.exists(session):
            session.execute(f"delete from {table.ref(session.sql)} where true")
    for place in sync_places(session):
        people = _people_in(place, session)
        [(found,)] = session.fetch(f"select count(*) from {people} as erased")
        if found:
            for statement in erasing(place, session.sql, people):
                session.execute(statement)
            erased[f"{place.schema}.{place.table}"] = int(found)
    if erased:
        pending.ask_for_rewrite(session)
    return erased


def _people_in(place: Place, session: Session) -> str:
    """A relation of the people in a table who have a tombstone, as `erasing` takes it."""
    sql = session.sql
    table = sql.table(place.schema, place.table)
    ids = " union distinct ".join(
        f"select {sql.quoted(name)} as identity, '{kind_of(name) or 'any'}' as kind from {table}"
        for name in dict.fromkeys((place.owner, *place.others, *place.ids))
    )
    return (
        "(select ids.identity, tombstones.kind, min(tombstones.person) as token "
        f"from ({ids}) as ids join {TOMBSTONES.ref(sql)} as tombstones "
        f"on {sql.text_hash('ids.identity')} = tombstones.identity_hash "
        "and (ids.kind = tombstones.kind or ids.kind = 'any') group by ids.identity, tombstones.kind)"
    )
