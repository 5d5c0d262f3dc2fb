"""People who were deleted in Braze are gone everywhere afterwards, and what was counted stays counted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from braze_platform.erasure.erase import PersonalColumns, erase
from braze_platform.erasure.search import Found
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.targets import warehouse_of

PERSONAL = PersonalColumns(
    fields=frozenset({"external_user_id", "email_address", "tags"}),
    models={
        "int_user_sightings": frozenset({"sighting_key", "braze_user_id", "external_id"}),
        "int_message_events": frozenset(),
        "mart_pressure": frozenset({"user_key"}),
        "braze_value": frozenset(),
        "never_built": frozenset({"external_id"}),
    },
    schemas={
        "int_user_sightings": "intermediate",
        "int_message_events": "intermediate",
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
    "currents_raw.inbound": (
        "id string, user_id string, user_phone_number string, inbound_phone_number string, message_body string, "
        "campaign_id string, _hour timestamp",
        [
            ("s1", "b-gone", "+4915112345678", "+4930111", "hello", "c1", 1),
            ("s2", None, "+4915112345678", "+4930111", "it is me", "c1", 1),
            ("s3", None, "+4915187654321", "+4930111", "me too", "c1", 1),
        ],
    ),
    "currents_raw.users_messages_fax_send": (
        "id string, external_user_id string, tool_arguments string, name string, fax string, raw_response string, "
        "campaign_name string, _hour timestamp",
        [
            ("f1", "shop-1", "for gone@example.org", "Wrote to Gone", "x", "gone", "Sale 1", 1),
            ("f2", "shop-2", "for stays@example.org", "Bought", "y", "ok", "Sale 1", 1),
        ],
    ),
    "currents_raw.numbered": (
        "id string, user_id bigint, external_user_id string, email bigint, _hour timestamp",
        [("n1", 7, "shop-1", 8, 1), ("n2", 9, "shop-2", 9, 1)],
    ),
    "currents_raw.without_people": ("id string, _hour timestamp", [("t1", 1)]),
    "intermediate.int_message_events": (
        "event_id string, braze_user_id string, external_id string, channel string, said string, day_key string",
        [
            ("e1", "b-gone", "shop-1", "email", "words", "b-gone|shop-1"),
            ("e3", "b-stays", "shop-2", "email", "words", "b-stays|shop-2"),
        ],
    ),
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
    return filled(settings_of_either)


def filled(settings: Settings) -> Warehouse:
    made = warehouse_of(settings)
    with made.session() as session:
        for name, (columns, rows) in TABLES.items():
            schema, table = name.split(".")
            session.create_schema(schema, "A test's.")
            session.execute(f"create table {session.sql.table(schema, table)} ({columns})")
            for row in rows:
                insert(session, name, row, columns)
        if settings.target == "local":
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
    done = erase(warehouse, PERSONAL, limit=0)
    assert (done.people, done.left) == (3, Found())
    text = everything(warehouse)
    for trace in (
        "b-gone",
        "b-old",
        "b-older",
        "shop-0",
        "shop-1",
        "gone@",
        "old@",
        "345678",
        "it is me",
        "Gone",
    ):
        assert trace not in text, trace
    assert done.tokens == sorted(map(token, ("b-gone", "b-old", "b-older")))
    assert done.rows["currents_raw.inbound"] == 2
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
    assert rows(
        warehouse, "currents_raw.inbound", "id, user_id, user_phone_number, message_body, campaign_id"
    ) == [
        ("s1", token("b-gone"), None, None, "c1"),
        ("s2", None, None, None, "c1"),
        ("s3", None, "+4915187654321", "me too", "c1"),
    ]
    assert {number for (number,) in rows(warehouse, "currents_raw.inbound", "inbound_phone_number")} == {
        "+4930111"
    }
    assert rows(warehouse, "currents_raw.users_messages_fax_send")[0][:7] == (
        *("f1", token("b-gone"), None, None, None, None),
        "Sale 1",
    )
    assert rows(warehouse, "currents_raw.users_messages_fax_send", "id, name, fax")[1] == (
        "f2",
        "Bought",
        "y",
    )
    assert rows(warehouse, "currents_raw.numbered", "id, user_id, external_user_id, email") == [
        ("n1", None, token("b-gone"), None),
        ("n2", 9, "shop-2", 9),
    ]
    assert rows(warehouse, "intermediate.int_message_events") == [
        ("e1", token("b-gone"), None, "email", None, f"{token('b-gone')}|"),
        ("e3", "b-stays", "shop-2", "email", "words", "b-stays|shop-2"),
    ]
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
    erase(warehouse, PERSONAL, limit=0)
    before = everything(warehouse)
    done = erase(warehouse, PERSONAL, limit=0)
    assert (done.people, done.hours_again) == (0, 0)
    assert everything(warehouse) == before


def test_hours_that_are_loaded_again_are_erased_again(warehouse: Warehouse) -> None:
    erase(warehouse, PERSONAL, limit=0)
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
    assert erase(warehouse, PERSONAL, limit=0).hours_again == 2
    for name in ("currents_raw.opens", "currents_raw.users_user_orphan"):
        assert repr(rows(warehouse, name)) in before


def test_an_external_id_that_was_given_again_belongs_to_the_living(warehouse: Warehouse) -> None:
    with warehouse.session() as session:
        sightings = TABLES["intermediate.int_user_sightings"][0]
        insert(session, "intermediate.int_user_sightings", ("b-new|shop-1", "b-new", "shop-1"), sightings)
        fax = session.sql.table("currents_raw", "users_messages_fax_send")
        session.execute(f"update {fax} set tool_arguments = 'for the one who has the id now' where id = 'f1'")
    assert erase(warehouse, PERSONAL, limit=0).left == Found()
    assert ("shop-1", 1) in rows(warehouse, "braze_sync.ledger_braze_value", "_user, value")
    assert ("b-new|shop-1", "b-new", "shop-1") in rows(warehouse, "intermediate.int_user_sightings")
    assert "b-gone" not in everything(warehouse)


def test_a_run_that_is_interrupted_begins_again(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from braze_platform.erasure import erase as module

    def fails(*_: object) -> str:
        raise ConnectionError("the warehouse went away")

    with monkeypatch.context() as patched:
        patched.setattr(module, "finding", fails)
        with pytest.raises(ConnectionError):
            erase(warehouse, PERSONAL, limit=0)
    done = erase(warehouse, PERSONAL, limit=0)
    assert done.left == Found()
    for trace in ("b-gone", "b-old", "shop-1", "gone@"):
        assert trace not in everything(warehouse), trace


def test_what_two_share_stays_with_the_one_who_was_not_deleted(warehouse: Warehouse) -> None:
    opens = TABLES["currents_raw.opens"][0]
    shared = ("e9", "b-stays", "shop-2", "gone@example.org", None, 2)
    with warehouse.session() as session:
        insert(session, "currents_raw.opens", shared, opens)
        insert(session, "currents_raw.opens", ("e8", "b-gone", "shop-1", "stays@example.org", None, 2), opens)
    done = erase(warehouse, PERSONAL, limit=0)
    assert (done.left, done.shared) == (Found(), 2)
    assert shared[:4] in rows(warehouse, "currents_raw.opens", "id, user_id, external_user_id, email_address")
    assert ("e8", token("b-gone"), None, None) in rows(
        warehouse, "currents_raw.opens", "id, user_id, external_user_id, email_address"
    )
    assert rows(warehouse, "braze_sync.ledger_by_mail") == [("gone@example.org",), ("stays@example.org",)]


def test_no_byte_of_the_warehouses_file_tells_of_them(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    made = filled(settings)
    assert b"gone@example.org" in settings.duckdb_path.read_bytes()
    comment = "comment on table currents_raw.opens is 'Who opened.'"
    with made.session() as session:
        session.execute(comment)
        before = session.fetch("select schema_name, table_name from duckdb_tables() order by all")
    erase(made, PERSONAL, limit=0)
    content = settings.duckdb_path.read_bytes()
    for trace in (b"b-gone", b"b-old", b"shop-1", b"gone@example.org", b"345678"):
        assert trace not in content, trace
    with made.session() as session:
        after = session.fetch("select schema_name, table_name from duckdb_tables() order by all")
        assert set(before) <= set(after)
        assert session.fetch("select comment from duckdb_tables() where table_name = 'opens'") == [
            ("Who opened.",)
        ]
        assert session.fetch("select count(*) from marts.a_view") == [(2,)]
        files = session.sql.table("currents_ledger", "files")
        insert(
            session,
            "currents_raw.opens",
            ("e1", "b-gone", "shop-1", "gone@example.org", "x", 1),
            TABLES["currents_raw.opens"][0],
        )
        session.execute(f"update {files} set load_id = 3 where load_id = 1")
    assert erase(made, PERSONAL, limit=0).hours_again == 1
    assert b"gone@example.org" not in settings.duckdb_path.read_bytes()
    assert list(settings.duckdb_path.parent.glob("*.rewritten*")) == []


@pytest.mark.full
def test_two_deleted_people_may_have_shared_a_number(warehouse: Warehouse) -> None:
    inbound = TABLES["currents_raw.inbound"][0]
    requests = TABLES["currents_raw.users_user_delete_request"][0]
    with warehouse.session() as session:
        insert(session, "currents_raw.users_user_delete_request", ("d2", "b-stays", 6), requests)
        insert(session, "currents_raw.inbound", ("s9", "b-stays", "+4915112345678", "", "", "", 2), inbound)
    assert erase(warehouse, PERSONAL, limit=0).left == Found()
    assert "345678" not in everything(warehouse)


def test_nobody_is_told_to_be_gone_who_is_found_in_any_text(warehouse: Warehouse) -> None:
    """The search looks into all texts, also of tables without people, and knows whom to look for until none is left."""
    with warehouse.session() as session:
        words = session.sql.table("currents_raw", "without_people")
        session.execute(
            f"insert into {words} values ('to \"Gone@example.org\"', timestamp '2026-11-10 01:00:00')"
        )
    tables = []
    for _ in range(2):
        done = erase(warehouse, PERSONAL, limit=0)
        assert (done.people, done.left) == (3, Found(traces={"currents_raw.without_people": 1}))
        tables.append(done.tables)
    assert tables[1] == 0, "what was found to be clean is not looked at again"
    assert rows(warehouse, "privacy.left_behind", "table_name") == [("currents_raw.without_people",)]
    with warehouse.session() as session:
        session.execute(f"delete from {words} where id <> 't1'")
    done = erase(warehouse, PERSONAL, limit=0)
    assert (done.people, done.left) == (3, Found())
    assert erase(warehouse, PERSONAL, limit=0).people == 0
    assert "b-gone" not in everything(warehouse)
    assert rows(warehouse, "privacy.pending") == rows(warehouse, "privacy.left_behind", "table_name") == []


def test_an_installation_without_deletions(tmp_path: Path) -> None:
    done = erase(warehouse_of(Settings(state_dir=tmp_path)), PERSONAL, limit=0)
    assert (done.people, done.tables, done.left) == (0, 0, Found())
