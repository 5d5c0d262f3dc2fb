"""The sandbox's SQLite file: profiles, attribute changes not yet exported, and the simulation's own state."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists meta (key text primary key, value blob) without rowid;
create table if not exists profiles (
    profile integer primary key, braze_id text not null unique, external_id text unique,
    email text, phone text, standard text not null, custom text not null, updated integer not null);
create index if not exists profiles_email on profiles (email) where email is not null;
create index if not exists profiles_phone on profiles (phone) where phone is not null;
create table if not exists aliases (
    alias_label text, alias_name text, profile integer not null, primary key (alias_label, alias_name)) without rowid;
create table if not exists tombstones (braze_id text primary key, external_id text) without rowid;
create table if not exists pending_updates (
    sequence integer primary key autoincrement, braze_id text not null, external_id text,
    standard text not null, custom text not null);
create table if not exists tracked (
    sequence integer primary key autoincrement, profile integer not null, kind text not null, body text not null);
create index if not exists tracked_profile on tracked (profile);
create table if not exists orders (
    day integer not null, order_id text, user_id text, ordered_at integer, category text, currency text,
    amount real, status text);
create index if not exists orders_day on orders (day);
create table if not exists days (
    day integer primary key, events integer, files integer, bytes integer, by_type text, planted text);
create table if not exists requests (outcome text primary key, count integer not null) without rowid;
create table if not exists export_requests (
    path text, outcome text, count integer not null, primary key (path, outcome)) without rowid;
"""

_to_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


@dataclass
class Profile:
    """One profile as stored; `standard` and `custom` are its attributes by name.

    Whoever changes `standard` says so in `standard_changed`: most updates do not, and are quicker then.
    """

    profile: int
    braze_id: str
    external_id: str | None
    standard_text: str
    custom: dict[str, Any]
    standard_changed: bool = False

    @cached_property
    def standard(self) -> dict[str, Any]:
        """Standard attributes by name, decoded when first asked for."""
        decoded: dict[str, Any] = json.loads(self.standard_text)
        return decoded


@dataclass(frozen=True)
class PendingUpdate:
    """An accepted change of a profile that Currents does not show yet; attributes as JSON texts."""

    sequence: int
    braze_id: str
    external_id: str | None
    standard: str
    custom: str


class Store:
    """One connection to the file. Use it in the thread that opened it; several may be open at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._connection.execute("pragma journal_mode=wal")
        # A killed process loses nothing this way; only a crash of the machine might, which a sandbox may.
        self._connection.execute("pragma synchronous=off")
        self._connection.execute("pragma wal_autocheckpoint=8000")
        self._connection.execute("pragma cache_size=-65536")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing."""
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def meta(self, key: str) -> Any:
        """A value of the simulation's state; `None` when there is none."""
        row = self._connection.execute("select value from meta where key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str | bytes | int | None) -> None:
        """Keep a value of the simulation's state; `None` forgets it."""
        if value is None:
            self._connection.execute("delete from meta where key = ?", (key,))
        else:
            self._connection.execute("insert or replace into meta values (?, ?)", (key, value))

    # Profiles

    def insert_profiles(
        self, rows: Iterable[tuple[str, str | None, str | None, str | None, Mapping[str, Any]]]
    ) -> None:
        """Insert profiles given as (braze id, external id, e-mail, phone, standard attributes)."""
        self._connection.executemany(
            "insert into profiles (braze_id, external_id, email, phone, standard, custom, updated) "
            "values (?, ?, ?, ?, ?, '{}', 0)",
            (
                (braze_id, external_id, email and email.lower(), phone, json.dumps(standard))
                for braze_id, external_id, email, phone, standard in rows
            ),
        )

    def profiles_by(self, column: str, values: Sequence[str]) -> dict[str, Profile]:
        """Profiles by `external_id`, `braze_id`, `email` or `phone`; of several with one e-mail or phone the
        most recently updated with an external id, else the most recently updated."""
        if column not in ("external_id", "braze_id", "email", "phone"):
            raise ValueError(f"Profiles are not looked up by {column}.")
        marks = ",".join("?" * len(values))
        found = self._connection.execute(
            f"select {column}, profile, braze_id, external_id, standard, custom from profiles "
            f"where {column} in ({marks}) order by external_id is not null, updated, profile",
            values,
        )
        return {row[0]: _profile(row[1:]) for row in found}

    def profiles_by_people(self, external_ids: Sequence[str]) -> dict[str, Profile]:
        """Profiles of any number of external ids, by external id."""
        found: dict[str, Profile] = {}
        for start in range(0, len(external_ids), 500):
            found |= self.profiles_by("external_id", external_ids[start : start + 500])
        return found

    def profile_by_alias(self, label: str, name: str) -> Profile | None:
        """The profile of a user alias."""
        row = self._connection.execute(
            "select p.profile, braze_id, external_id, standard, custom from aliases join profiles p using (profile) "
            "where alias_label = ? and alias_name = ?",
            (label, name),
        ).fetchone()
        return _profile(row) if row else None

    def create_profile(
        self, braze_id: str, external_id: str | None, email: str | None, phone: str | None
    ) -> Profile:
        """A new profile without attributes."""
        cursor = self._connection.execute(
            "insert into profiles (braze_id, external_id, email, phone, standard, custom, updated) "
            "values (?, ?, ?, ?, '{}', '{}', 0)",
            (braze_id, external_id, email, phone),
        )
        return Profile(int(cursor.lastrowid or 0), braze_id, external_id, "{}", {})

    def sharing_email(self, profile: Profile) -> list[Profile]:
        """Other profiles with the same e-mail address."""
        email = profile.standard.get("email")
        if not email:
            return []
        found = self._connection.execute(
            "select profile, braze_id, external_id, standard, custom from profiles where email = ? and profile != ?",
            (str(email).lower(), profile.profile),
        )
        return [_profile(row) for row in found]

    def add_alias(self, profile: int, label: str, name: str) -> None:
        """Give a profile an alias."""
        self._connection.execute("insert or replace into aliases values (?, ?, ?)", (label, name, profile))

    def aliases(self, profile: int) -> list[dict[str, str]]:
        """A profile's aliases."""
        found = self._connection.execute(
            "select alias_name, alias_label from aliases where profile = ?", (profile,)
        )
        return [{"alias_name": name, "alias_label": label} for name, label in found]

    def save_profiles(self, profiles: Iterable[Profile], updated: int) -> None:
        """Write back changed profiles; `updated` orders updates in time."""
        profiles = list(profiles)
        self._connection.executemany(
            "update profiles set custom = ?, updated = ? where profile = ?",
            [(_to_json(p.custom), updated, p.profile) for p in profiles if not p.standard_changed],
        )
        self._connection.executemany(
            "update profiles set email = ?, phone = ?, standard = ?, custom = ?, updated = ? where profile = ?",
            [
                (
                    str(p.standard["email"]).lower() if p.standard.get("email") else None,
                    p.standard.get("phone"),
                    _to_json(p.standard),
                    _to_json(p.custom),
                    updated,
                    p.profile,
                )
                for p in profiles
                if p.standard_changed
            ],
        )

    def next_braze_number(self) -> int:
        """A number that no profile made before has had."""
        number = int(self.meta("made_profiles") or 0) + 1
        self.set_meta("made_profiles", number)
        return number

    def delete_profiles(self, braze_ids: Sequence[str], *, merged: bool) -> None:
        """Remove profiles with all that belongs to them; unless merged away, each leaves a tombstone."""
        for braze_id in braze_ids:
            row = self._connection.execute(
                "select profile, external_id from profiles where braze_id = ?", (braze_id,)
            ).fetchone()
            if row is None:
                continue
            if not merged:
                self._connection.execute(
                    "insert or replace into tombstones values (?, ?)", (braze_id, row[1])
                )
            for table in ("aliases", "tracked", "profiles"):
                self._connection.execute(f"delete from {table} where profile = ?", (row[0],))

    def unsubscribe(self, braze_ids: Iterable[str]) -> None:
        """Set the e-mail subscription state of profiles to unsubscribed."""
        self._connection.executemany(
            "update profiles set standard = json_set(standard, '$.email_subscribe', 'unsubscribed') where braze_id = ?",
            ((braze_id,) for braze_id in braze_ids),
        )

    def custom_attributes(self) -> dict[str, dict[str, Any]]:
        """Custom attributes of all profiles that have an external id and any attribute, by external id."""
        found = self._connection.execute(
            "select external_id, custom from profiles where external_id is not null and custom != '{}'"
        )
        return {external_id: json.loads(custom) for external_id, custom in found}

    def users(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """External id and standard attributes of every identified profile, by external id."""
        found = self._connection.execute(
            "select external_id, standard from profiles where external_id is not null order by external_id"
        )
        for external_id, standard in found:
            yield external_id, json.loads(standard)

    def count_profiles(self) -> tuple[int, int]:
        """How many profiles have an external id, and how many have custom attributes."""
        row = self._connection.execute(
            "select count(external_id), sum(custom != '{}') from profiles"
        ).fetchone()
        return int(row[0]), int(row[1] or 0)

    # Changes waiting for Currents, events and purchases by API, requests

    def add_pending(self, rows: Iterable[tuple[str, str | None, str, str]]) -> None:
        """Note accepted changes as (braze id, external id, standard JSON, custom JSON)."""
        self._connection.executemany(
            "insert into pending_updates (braze_id, external_id, standard, custom) values (?, ?, ?, ?)", rows
        )

    def pending(self, upto: int) -> list[PendingUpdate]:
        """Changes that wait for Currents, up to a sequence number, in order."""
        found = self._connection.execute(
            "select sequence, braze_id, external_id, standard, custom from pending_updates "
            "where sequence <= ? order by sequence",
            (upto,),
        )
        return [PendingUpdate(*row) for row in found]

    def last_pending(self) -> int:
        """Sequence number of the newest waiting change; 0 when there is none."""
        return int(
            self._connection.execute("select coalesce(max(sequence), 0) from pending_updates").fetchone()[0]
        )

    def forget_pending(self, upto: int) -> None:
        """Changes up to a sequence number are exported."""
        self._connection.execute("delete from pending_updates where sequence <= ?", (upto,))

    def add_tracked(self, rows: Iterable[tuple[int, str, Mapping[str, Any]]]) -> None:
        """Keep events and purchases as (profile, kind, body); every one is an occurrence of its own."""
        self._connection.executemany(
            "insert into tracked (profile, kind, body) values (?, ?, ?)",
            [(profile, kind, json.dumps(body)) for profile, kind, body in rows],
        )

    def tracked(self, profile: int, kind: str) -> list[dict[str, Any]]:
        """A profile's events or purchases that came by API."""
        found = self._connection.execute(
            "select body from tracked where profile = ? and kind = ? order by sequence", (profile, kind)
        )
        return [json.loads(row[0]) for row in found]

    def count_request(self, outcome: str) -> None:
        """Count a request as accepted, rejected, limited or faulted."""
        self._connection.execute(
            "insert into requests values (?, 1) on conflict (outcome) do update set count = count + 1",
            (outcome,),
        )

    def request_counts(self) -> dict[str, int]:
        """Requests by outcome."""
        counts = dict.fromkeys(("accepted", "rejected", "limited", "faulted"), 0)
        counts.update(self._connection.execute("select outcome, count from requests").fetchall())
        return counts

    def count_export(self, path: str, outcome: str) -> None:
        """Count a request to an export endpoint of the workspace."""
        self._connection.execute(
            "insert into export_requests values (?, ?, 1) on conflict (path, outcome) do update set count = count + 1",
            (path, outcome),
        )

    def export_counts(self) -> dict[str, dict[str, int]]:
        """Requests to the workspace's export endpoints by path and outcome."""
        counts: dict[str, dict[str, int]] = {}
        for path, outcome, count in self._connection.execute(
            "select path, outcome, count from export_requests"
        ):
            counts.setdefault(path, {})[outcome] = count
        return counts

    def custom_attribute_types(self) -> list[tuple[str, str]]:
        """Names of the custom attributes that any profile holds, and Braze's name of the type of one value of each."""
        found = self._connection.execute(
            "select key, min(case when type in ('true', 'false') then 'Boolean' when type = 'array' then 'Array' "
            "when type = 'object' then 'Object' when type = 'text' then 'String' else 'Number' end) "
            "from profiles, json_each(custom) where custom != '{}' group by key"
        )
        return [(name, kind) for name, kind in found]

    # Days and orders

    def save_day(
        self, day: int, totals: tuple[int, int, int], by_type: Mapping[str, int], injected: Mapping[str, int]
    ) -> None:
        """Keep a day's totals (events, files, bytes), events by type, and what was injected."""
        self._connection.execute(
            "insert or replace into days values (?, ?, ?, ?, ?, ?)",
            (day, *totals, json.dumps(by_type), json.dumps(injected)),
        )

    def totals(self) -> tuple[tuple[int, int, int], Counter[str], Counter[str]]:
        """Sums over all days: (events, files, bytes), events by type, and what was injected."""
        events, files, size = 0, 0, 0
        by_type, injected = Counter[str](), Counter[str]()
        for row in self._connection.execute("select events, files, bytes, by_type, planted from days"):
            events, files, size = events + row[0], files + row[1], size + row[2]
            by_type.update(json.loads(row[3]))
            injected.update(json.loads(row[4]))
        return (events, files, size), by_type, injected

    def replace_orders(self, day: int, rows: Iterable[tuple[Any, ...]]) -> None:
        """The orders of a day (`-1`: all before the first), replacing what is there."""
        self._connection.execute("delete from orders where day = ?", (day,))
        self._connection.executemany(f"insert into orders values ({day}, ?, ?, ?, ?, ?, ?, ?)", rows)

    def orders(self) -> list[tuple[Any, ...]]:
        """All orders of people whose profile is still there, oldest first."""
        return self._connection.execute(
            "select order_id, user_id, ordered_at, category, currency, amount, status from orders "
            "where user_id not in (select external_id from tombstones where external_id is not null) "
            "order by ordered_at, order_id"
        ).fetchall()


def _profile(row: tuple[int, str, str | None, str, str]) -> Profile:
    number, braze_id, external_id, standard, custom = row
    return Profile(number, braze_id, external_id, standard, json.loads(custom))
