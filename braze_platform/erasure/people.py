"""Who was deleted in Braze: the Braze ids of the requests and of all that was merged into them, and every other
identity under which their events name them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from braze_platform.erasure.places import RAW, token
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.personal_names import TOKEN, named_columns

REQUESTS = "users_user_delete_request"
MERGES = "users_user_orphan"
#: Events that name nobody and belong to somebody's by an id that both carry: table, id, table that names the person.
LINKED = (("agentconsole_tool_invocation", "request_id", "agentconsole_agent_executed"),)
#: People in one statement: BigQuery carries them inside it.
AT_ONCE = 1_000


@dataclass(frozen=True)
class Deleted:
    """One identity of a person who was deleted, in the clear: only in memory, and only while it is erased."""

    braze_id: str
    identity: str
    kind: str
    deleted_at: datetime | None


def deleted_profiles(session: Session) -> dict[str, datetime | None]:
    """Braze ids that are to be erased and have not been, with the time of the request (naive UTC)."""
    requests = session.columns(RAW, REQUESTS)
    if "user_id" not in requests:
        return {}
    found: dict[str, datetime | None] = dict(
        session.fetch(
            f"select user_id, min(_hour) from {session.sql.table(RAW, REQUESTS)} "
            "where user_id is not null and not starts_with(user_id, $token) group by user_id",
            {"token": TOKEN},
        )
    )
    if not found or "orphaned_by_id" not in session.columns(RAW, MERGES):
        return found
    survivors: Collection[str] = list(found)
    while survivors:
        merged = session.fetch(
            f"select distinct user_id, orphaned_by_id from {session.sql.table(RAW, MERGES)} "
            f"where {session.sql.among('orphaned_by_id', 'survivors')} and not starts_with(user_id, $token)",
            {"survivors": list(survivors), "token": TOKEN},
        )
        survivors = []
        for profile, survivor in merged:
            if profile is not None and profile not in found:
                found[profile] = found[survivor]
                survivors.append(profile)
    return found


def raw_columns(session: Session) -> dict[str, Mapping[str, str]]:
    """The raw tables there are, with the types of their columns."""
    return {table: session.columns(RAW, table) for table in session.table_names(RAW)}


def identities_of(
    session: Session, profiles: Mapping[str, datetime | None], tables: Mapping[str, Mapping[str, str]]
) -> list[Deleted]:
    """All identities of some profiles, read from the raw tables (name to columns)."""
    found = [Deleted(braze_id, braze_id, "braze_id", at) for braze_id, at in profiles.items()]
    named = _named(session, tables)
    if named is None:
        return found
    with session.attached("deleted_profiles", _texts("braze_id", profiles)) as deleted:
        rows = session.fetch(
            f"select distinct events.user_id, events.identity, events.kind from {named} as events "
            f"join {deleted} as deleted on events.user_id = deleted.braze_id where events.identity is not null"
        )
    return found + [
        Deleted(braze_id, identity, kind, profiles[braze_id]) for braze_id, identity, kind in rows
    ]


def identities_of_others(
    session: Session,
    identities: Sequence[Deleted],
    erased: Collection[str],
    tables: Mapping[str, Mapping[str, str]],
) -> set[tuple[str, str]]:
    """Identities (with their kinds) among these that a profile carries, too, which is not being erased: an external id
    that was given to somebody again, an address that two share."""
    wanted = sorted({one.identity for one in identities if one.kind != "braze_id"})
    sources = [] if (named := _named(session, tables)) is None else [named]
    if session.columns("intermediate", "int_user_sightings"):
        sightings = session.sql.table("intermediate", "int_user_sightings")
        sources.append(
            f"(select braze_user_id as user_id, external_id as identity, 'external_id' as kind from {sightings})"
        )
    found: set[tuple[str, str]] = set()
    for source in sources if wanted else ():
        with session.attached("wanted_identities", _texts("identity", wanted)) as asked:
            rows = session.fetch(
                f"select distinct events.identity, events.kind, events.user_id from {source} as events "
                f"join {asked} as asked on events.identity = asked.identity "
                "where events.user_id is not null and not starts_with(events.user_id, $token)",
                {"token": TOKEN},
            )
        found |= {(identity, kind) for identity, kind, user in rows if user not in erased}
    return found


def _named(session: Session, tables: Mapping[str, Mapping[str, str]]) -> str | None:
    """A relation of who is named how in all raw tables: `user_id`, `identity`, `kind`; None where nobody is."""
    parts = [
        f"select user_id, {session.sql.quoted(column)} as identity, '{kind}' as kind "
        f"from {session.sql.table(RAW, table)}"
        for table, columns in tables.items()
        if "user_id" in (named := named_columns(columns))
        for column, kind in named.items()
        if kind in ("external_id", "email", "phone")
    ]
    return f"({' union all '.join(parts)})" if parts else None


def _texts(name: str, values: Collection[str]) -> pa.Table:
    return pa.table({name: pa.array(list(values), pa.string())})


@contextmanager
def attached_people(session: Session, people: Sequence[Deleted]) -> Iterator[str]:
    """A relation with the identities of people, their kinds, and the tokens that take their place."""
    rows = pa.table(
        {
            "identity": pa.array([one.identity for one in people], pa.string()),
            "kind": pa.array([one.kind for one in people], pa.string()),
            "braze_id": pa.array([one.braze_id for one in people], pa.string()),
        }
    )
    with session.attached("deleted_people", rows) as attached:
        yield (
            f"(select people.identity, people.kind, {token(session.sql, 'people.braze_id')} as token "
            f"from {attached} as people)"
        )


def batches(people: Sequence[Deleted]) -> Iterator[tuple[int, Sequence[Deleted]]]:
    """Parts that one statement can carry, with their places."""
    for start in range(0, len(people), AT_ONCE):
        yield start, people[start : start + AT_ONCE]
