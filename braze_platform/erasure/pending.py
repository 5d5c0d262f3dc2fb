"""Who is to be erased, kept in the clear until nobody is found any more: tables that are done tell less and less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from braze_platform.erasure.people import Deleted, batches, deleted_profiles, identities_of
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import PENDING

#: Kind of the row that asks for the warehouse's file to be written anew.
_REWRITE = "rewrite"


def people_to_erase(session: Session, raw: Mapping[str, Mapping[str, str]]) -> list[Deleted]:
    """All identities of everybody who is to be erased: found in the raw tables, or by runs before this. Reads only."""
    profiles = deleted_profiles(session)
    found = identities_of(session, profiles, raw) if profiles else []
    return list(dict.fromkeys([*_known(session), *found]))


def note(session: Session, people: Sequence[Deleted]) -> None:
    """Keep whoever is not kept yet."""
    known = set(_known(session))
    for _, batch in batches([one for one in people if one not in known]):
        PENDING.append(session, [(one.braze_id, one.identity, one.kind, one.deleted_at) for one in batch])


def finish(session: Session) -> None:
    """Forget everybody, and ask for the rewrite that takes them out of the file's free blocks, too."""
    with session.transaction():
        session.execute(f"delete from {PENDING.ref(session.sql)} where true")
        ask_for_rewrite(session)


def ask_for_rewrite(session: Session) -> None:
    """Note that what was erased is still in the file's free blocks: a run that is killed leaves it known."""
    PENDING.append(session, [("", "", _REWRITE, None)])


def is_rewrite_due(session: Session) -> bool:
    """Whether a rewrite was asked for and not done."""
    return bool(session.fetch(f"select 1 from {PENDING.ref(session.sql)} where kind = '{_REWRITE}'"))


def rewritten(session: Session) -> None:
    """Note that the file was written anew."""
    session.execute(f"delete from {PENDING.ref(session.sql)} where kind = '{_REWRITE}'")


def _known(session: Session) -> list[Deleted]:
    if not PENDING.exists(session):
        return []
    columns = "braze_id, identity, kind, deleted_at"
    rows = session.fetch(f"select {columns} from {PENDING.ref(session.sql)} where kind <> '{_REWRITE}'")
    return [Deleted(*row) for row in rows]
