"""People who were deleted in Braze are gone everywhere afterwards, and what was counted stays counted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.targets import warehouse_of

PERSONAL = PersonalColumns(
    fields=frozenset({"external_user_id", "email_address", "tags"}),
    models={
        "int_user_sightings": frozenset({"sighting_key", "braze_user_id", "external_id"}),
        "mart_pressure": frozenset({"user_key"}),
        "braze_value": frozenset(),
        "never_built": frozenset({"external_id"}),
    },
    schemas={
        "int_user_sightings": "intermediate",
        "mart_pressure": "marts",
        "braze_value": "attributes",
        "never_built": "marts",
    },
)
#: "b-gone" was deleted; "b-old" had been merged into "b-older", and that into "b-gone". "b-stays" has the id "shop-2".
TABLES = {
    "currents_raw.users_user_delete_request": (
        "id string, user_id string, _hour timestamp",
        [("d1", "b-gone", 5)],
    ),
    "currents_raw.users_user_orphan": (
        "id string, user_id string, orphaned_by_id string, external_user_id string, _hour timestamp",
        [("m1", "b-old", "b-older", "shop-0", 3), ("m2", "b-older", "b-gone", None, 4)],
    ),
    "currents_raw.opens": (
        "id string, user_id string, external_user_id string, email_address string, time__string string, "
        "_hour timestamp",
        [
            ("e1", "b-gone", "shop-1", "gone@example.org", "x", 1),
            ("e2", "b-old", "shop-0", "old@example.org", None, 1),
            ("e3", "b-stays", "shop-2", "stays@example.org", None, 1),
            ("e4", None, None, None, None, 1),
        ],
    ),
    "currents_raw.without_people": ("id string, _hour timestamp", [("t1", 1)]),
    "intermediate.int_user_sightings": (
        "sighting_key string, braze_user_id string, external_id string",
        [
            ("b-gone|shop-1", "b-gone", "shop-1"),
            ("b-old|shop-0", "b-old", "shop-0"),
            ("b-stays|shop-2", "b-stays", "shop-2"),
        ],
    ),
    "marts.mart_pressure": ("user_key string, messages bigint", [("shop-1", 3), ("shop-2", 4)]),
    "attributes.braze_value": ("external_id string, value bigint", [("shop-1", 1), ("shop-2", 2)]),
    "braze_sync.ledger_braze_value": ("_user string, value bigint", [("shop-1", 1), ("shop-2", 2)]),
    "braze_sync.existence": (
        "sync string, _user string, _label string, state string, asked_at timestamp",
        [("braze_value", "shop-1", "", "unsure", None), ("braze_value", "shop-2", "", "known", None)],
    ),
    "braze_sync.ledger_by_mail": ("_user string", [("gone@example.org",), ("stays@example.org",)]),
    "braze_sync.deliveries": (
        "sync string, _user string, _label string, attribute_values string, verdict string",
        [
            ("v", "shop-1", "", '[{"value": "shop-1"}]', "delivered"),
            ("v", "shop-2", "", "[]", "delivered"),
        ],
    ),
    "currents_ledger.files": (
        "event_type string, hour timestamp, load_id bigint",
        [("opens", 1, 1), ("opens", 5, 2)],
    ),
}


@pytest.fixture
def warehouse(settings_of_either: Settings) -> Warehouse:
    made = warehouse_of(settings_of_either)
    with made.session() as session:
        for name, (columns, rows) in TABLES.items():
            schema, table = name.split(".")
            session.create_schema(schema, "A test's.")
            session.execute(f"create table {session.sql.table(schema, table)} ({columns})")
            for row in rows:
                insert(session, name, row, columns)
        if settings_of_either.target == "local":
            session.execute("create view marts.a_view as select user_key from marts.mart_pressure")
    return made


def insert(session: Session, name: str, row: tuple[Any, ...], columns: str) -> None:
    kinds = [column.split()[1] for column in columns.split(", ")]
    values = [
        "null"
        if value is None
        else f"timestamp '2026-11-10 {value:02}:00:00'"
        if kind == "timestamp"
        else repr(value)
        for value, kind in zip(row, kinds, strict=True)
    ]
    schema, table = name.split(".")
    session.execute(f"insert into {session.sql.table(schema, table)} values ({', '.join(values)})")


def rows(warehouse: Warehouse, name: str, columns: str = "*") -> list[tuple[Any, ...]]:
    schema, table = name.split(".")
    with warehouse.session() as session:
        return sorted(session.fetch(f"select {columns} from {session.sql.table(schema, table)}"), key=repr)


def token(braze_id: str) -> str:
    return "erased:" + hashlib.sha256(braze_id.encode()).hexdigest()


def everything(warehouse: Warehouse) -> str:
    return "\n".join(repr(rows(warehouse, name)) for name in (*TABLES, "privacy.tombstones"))


def test_nobody_deleted_can_be_found_and_the_others_are_as_they_were(warehouse: Warehouse) -> None:
    before = {name: len(rows(warehouse, name)) for name in TABLES}
    done = erase(warehouse, PERSONAL)
    assert (done.people, done.left) == (3, {})
    text = everything(warehouse)
    for trace in ("b-gone", "b-old", "b-older", "shop-0", "shop-1", "gone@", "old@"):
        assert trace not in text, trace
    assert rows(warehouse, "currents_raw.opens", "id, user_id, external_user_id, email_address") == [
        ("e1", token("b-gone"), None, None),
        ("e2", token("b-old"), None, None),
        ("e3", "b-stays", "shop-2", "stays@example.org"),
        ("e4", None, None, None),
    ]
    assert set(rows(warehouse, "currents_raw.users_user_orphan", "user_id, orphaned_by_id")) == {
        (token("b-old"), token("b-older")),
        (token("b-older"), token("b-gone")),
    }
    assert set(rows(warehouse, "intermediate.int_user_sightings")) == {
        ("b-stays|shop-2", "b-stays", "shop-2"),
        *((f"{token(gone)}|", token(gone), None) for gone in ("b-gone", "b-old")),
    }
    assert sorted(rows(warehouse, "marts.mart_pressure")) == [(token("b-gone"), 3), ("shop-2", 4)]
    assert rows(warehouse, "attributes.braze_value") == [("shop-2", 2)]
    assert rows(warehouse, "braze_sync.ledger_braze_value", "_user, value") == [("shop-2", 2)]
    assert rows(warehouse, "braze_sync.existence", "_user, state") == [("shop-2", "known")]
    assert rows(warehouse, "braze_sync.ledger_by_mail") == [("stays@example.org",)]
    assert rows(warehouse, "braze_sync.deliveries", "_user, attribute_values, verdict") == [
        (token("b-gone"), None, "delivered"),
        ("shop-2", "[]", "delivered"),
    ]
    gone = {
        "attributes.braze_value",
        "braze_sync.existence",
        "braze_sync.ledger_braze_value",
        "braze_sync.ledger_by_mail",
    }
    assert {name: len(rows(warehouse, name)) for name in TABLES if name not in gone} == {
        name: count for name, count in before.items() if name not in gone
    }


@pytest.mark.full
def test_a_second_run_has_nothing_to_do(warehouse: Warehouse) -> None:
    erase(warehouse, PERSONAL)
    before = everything(warehouse)
    done = erase(warehouse, PERSONAL)
    assert (done.people, done.hours_again) == (0, 0)
    assert everything(warehouse) == before


def test_hours_that_are_loaded_again_are_erased_again(warehouse: Warehouse) -> None:
    erase(warehouse, PERSONAL)
    before = everything(warehouse)
    with warehouse.session() as session:
        opens, merges = (session.sql.table("currents_raw", table) for table in ("opens", "users_user_orphan"))
        files = session.sql.table("currents_ledger", "files")
        session.execute(f"delete from {opens} where id in ('e1', 'e2')")
        session.execute(f"delete from {merges} where id = 'm1'")
        for name, row in (
            ("currents_raw.opens", ("e1", "b-gone", "shop-1", "gone@example.org", "x", 1)),
            ("currents_raw.opens", ("e2", "b-old", "shop-0", "old@example.org", None, 1)),
            ("currents_raw.users_user_orphan", ("m1", "b-old", "b-older", "shop-0", 3)),
        ):
            insert(session, name, row, TABLES[name][0])
        session.execute(f"update {files} set load_id = 3 where load_id = 1")
        session.execute(f"insert into {files} values ('opens', timestamp '2026-11-10 03:00:00', 4)")
    assert erase(warehouse, PERSONAL).hours_again == 2
    for name in ("currents_raw.opens", "currents_raw.users_user_orphan"):
        assert repr(rows(warehouse, name)) in before


def test_an_external_id_that_was_given_again_belongs_to_the_living(warehouse: Warehouse) -> None:
    with warehouse.session() as session:
        sightings = TABLES["intermediate.int_user_sightings"][0]
        insert(session, "intermediate.int_user_sightings", ("b-new|shop-1", "b-new", "shop-1"), sightings)
    erase(warehouse, PERSONAL)
    assert ("shop-1", 1) in rows(warehouse, "braze_sync.ledger_braze_value", "_user, value")
    assert ("b-new|shop-1", "b-new", "shop-1") in rows(warehouse, "intermediate.int_user_sightings")
    assert "b-gone" not in everything(warehouse)


def test_a_run_that_is_interrupted_begins_anew(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from braze_platform.erasure import erase as module

    def fails(*_: object) -> str:
        raise ConnectionError("the warehouse went away")

    with monkeypatch.context() as patched:
        patched.setattr(module, "remaining", fails)
        with pytest.raises(ConnectionError):
            erase(warehouse, PERSONAL)
    done = erase(warehouse, PERSONAL)
    assert done.left == {}
    for trace in ("b-gone", "b-old", "shop-1", "gone@"):
        assert trace not in everything(warehouse), trace


def test_an_installation_without_deletions(tmp_path: Path) -> None:
    done = erase(warehouse_of(Settings(state_dir=tmp_path)), PERSONAL)
    assert (done.people, done.tables, done.left) == (0, 0, {})
