"""Who was deleted in Braze: the Braze ids of the requests and of all that was merged into them, and every other
identity under which their events name them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from braze_platform.erasure.places import TOKEN
from braze_platform.warehouse.interface import Session

RAW = "currents_raw"
REQUESTS = "users_user_delete_request"
MERGES = "users_user_orphan"

#: Columns of raw tables that name a person, and what they are.
IDENTITIES: Mapping[str, str] = {
    "external_user_id": "external_id",
    "email_address": "email",
    "to_phone_number": "phone",
    "user_phone_number": "phone",
    "phone_number": "phone",
}


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


def identities_of(
    session: Session, profiles: Mapping[str, datetime | None], tables: Mapping[str, Mapping[str, str]]
) -> list[Deleted]:
    """All identities of some profiles, read from the raw tables (name to columns)."""
    found = {
        (braze_id, braze_id): Deleted(braze_id, braze_id, "braze_id", at) for braze_id, at in profiles.items()
    }
    with session.attached("deleted_profiles", _ids(list(profiles))) as deleted:
        for table, columns in tables.items():
            for column in IDENTITIES.keys() & columns.keys():
                if "user_id" not in columns:
                    continue
                for braze_id, identity in session.fetch(
                    f"select distinct events.user_id, events.{session.sql.quoted(column)} "
                    f"from {session.sql.table(RAW, table)} as events "
                    f"join {deleted} as deleted on events.user_id = deleted.braze_id "
                    f"where events.{session.sql.quoted(column)} is not null"
                ):
                    found.setdefault(
                        (braze_id, identity),
                        Deleted(braze_id, identity, IDENTITIES[column], profiles[braze_id]),
                    )
    return list(found.values())


def reassigned_external_ids(
    session: Session, identities: Sequence[Deleted], erased: Collection[str]
) -> set[str]:
    """External ids among these that a profile carries which is not being erased: given to somebody again."""
    known = session.columns("intermediate", "int_user_sightings")
    wanted = sorted({one.identity for one in identities if one.kind == "external_id"})
    if not known or not wanted:
        return set()
    rows = session.fetch(
        "select distinct external_id, braze_user_id "
        f"from {session.sql.table('intermediate', 'int_user_sightings')} "
        f"where {session.sql.among('external_id', 'wanted')}",
        {"wanted": wanted},
    )
    return {
        external_id
        for external_id, braze_id in rows
        if braze_id not in erased and not str(braze_id).startswith(TOKEN)
    }


def _ids(profiles: list[str]) -> pa.Table:
    return pa.table({"braze_id": pa.array(profiles, pa.string())})
