"""Who is to be erased, kept in the clear until nobody is found any more: tables that are done tell less and less."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from braze_platform.erasure.people import Deleted, batches, deleted_profiles, identities_of
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import LEFT, PENDING
from braze_platform.warehouse.tables import now_utc

#: Kind of the row that asks for the warehouse's file to be rewritten.
_REWRITE = "rewrite"


def people_to_erase(session: Session, raw: Mapping[str, Mapping[str, str]]) -> list[Deleted]:
    """All identities of everybody who is to be erased: found in the raw tables, or by runs before this. Reads only."""
    profiles = deleted_profiles(session)
    found = identities_of(session, profiles, raw) if profiles else []
    return list(dict.fromkeys([*begun(session), *found]))


def note(session: Session, people: Sequence[Deleted]) -> None:
    """Keep everybody who is not kept yet; of somebody new every table is looked at."""
    known = set(begun(session))
    new = [one for one in people if one not in known]
    if new:
        note_left(session, ())
    for _, batch in batches(new):
        PENDING.append(session, [(one.braze_id, one.identity, one.kind, one.deleted_at) for one in batch])


def note_left(session: Session, tables: Collection[str]) -> None:
    """Keep the tables (full names) in which a search has found the rest of all who are kept."""
    with session.transaction():
        session.execute(f"delete from {LEFT.ref(session.sql)} where true")
        LEFT.append(session, [(name, now_utc()) for name in sorted(tables)])


def left(session: Session) -> set[str]:
    """The tables (full names) in which a search has found the rest of all who are kept; none before a search."""
    return {str(name) for (name,) in session.fetch(f"select table_name from {LEFT.ref(session.sql)}")}


def finish(session: Session) -> None:
    """Forget everybody, and ask for the rewrite that takes them out of the file's free blocks, too."""
    with session.transaction():
        for table in (PENDING, LEFT):
            session.execute(f"delete from {table.ref(session.sql)} where true")
        ask_for_rewrite(session)


def ask_for_rewrite(session: Session) -> None:
    """Note that what was erased is still in the file's free blocks: a run that is killed leaves it known."""
    PENDING.append(session, [("", "", _REWRITE, None)])


def is_rewrite_due(session: Session) -> bool:
    """Whether a rewrite was asked for and not done."""
    return bool(session.fetch(f"select 1 from {PENDING.ref(session.sql)} where kind = '{_REWRITE}'"))


def rewritten(session: Session) -> None:
    """Note that the file was rewritten."""
    session.execute(f"delete from {PENDING.ref(session.sql)} where kind = '{_REWRITE}'")


def begun(session: Session) -> list[Deleted]:
    """All identities of everybody whose erasure has begun."""
    if not PENDING.exists(session):
        return []
    columns = "braze_id, identity, kind, deleted_at"
    rows = session.fetch(f"select {columns} from {PENDING.ref(session.sql)} where kind <> '{_REWRITE}'")
    return [Deleted(*row) for row in rows]
