"""Identifiers are sent in the form by which Braze finds the profile, once each, and never when they are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sandbox_room
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.sync.declaration.sync import AttributeSpec, Identifier
from braze_platform.sync.ledger.store import LedgerError
from braze_platform.sync.values.identifiers import canonical_key, column_mistake
from braze_platform.sync.values.rejected import ValueRejected

EXTERNAL = Identifier("external_id", ("external_id",))
EMAIL = Identifier("email", ("external_id",))
PHONE = Identifier("phone", ("external_id",), region="DE")
ALIAS = Identifier("user_alias", ("name", "label"))


@pytest.mark.parametrize(
    ("identifier", "key", "expected"),
    [
        (EXTERNAL, ("u1",), ("u1",)),
        (EXTERNAL, ("0",), ("0",)),
        (EXTERNAL, ("A",), ("A",)),
        (EXTERNAL, (" u1",), (" u1",)),
        (ALIAS, ("N", "L"), ("N", "L")),
        (EMAIL, ("A@b.co",), ("a@b.co",)),
        (EMAIL, (" a@B.CO\n",), ("a@b.co",)),
        (PHONE, ("0151 23456789",), ("+4915123456789",)),
        (PHONE, ("+49 (151) 234-56789",), ("+4915123456789",)),
        (Identifier("phone", ("p",)), ("+14155552671",), ("+14155552671",)),
    ],
)
def test_the_canonical_form(identifier: Identifier, key: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert canonical_key(identifier, key) == expected
    assert canonical_key(identifier, expected) == expected


PLACEHOLDERS = ("null", "NULL", "None", "none", "nan", "NaN", "undefined", "N/A", "(null)", " null ", "<NA>")


@pytest.mark.parametrize(
    ("identifier", "key", "reason"),
    [
        *((EXTERNAL, (text,), "placeholder") for text in PLACEHOLDERS),
        (Identifier("braze_id", ("b",)), ("undefined",), "placeholder"),
        (ALIAS, ("null", "crm"), "placeholder"),
        (ALIAS, ("n", "None"), "placeholder"),
        (EXTERNAL, ("",), "empty"),
        (EXTERNAL, (" \t",), "empty"),
        (ALIAS, ("n", ""), "empty"),
        (EXTERNAL, ("x" * 988,), "987 bytes"),
        (EXTERNAL, ("u1\r",), "control character"),
        (EMAIL, ("nobody",), "invalid e-mail address"),
        (EMAIL, ("a@b@c.co",), "invalid e-mail address"),
        (EMAIL, ("None",), "placeholder"),
        (PHONE, ("12",), "invalid phone number"),
        (PHONE, ("0",), "invalid phone number"),
        (Identifier("phone", ("p",)), ("0151 23456789",), "region"),
    ],
)
def test_what_is_no_identifier(identifier: Identifier, key: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueRejected, match=reason) as refused:
        canonical_key(identifier, key)
    assert key[0].strip() in ("", "0", "n") or key[0].strip() not in refused.value.reason


def _canonical_keys_are_canonical(identifier: Identifier, text: str) -> None:
    try:
        once = canonical_key(identifier, (text,))
    except ValueRejected:
        return
    assert canonical_key(identifier, once) == once


def _tried(examples: int) -> Any:
    law = given(st.sampled_from([EXTERNAL, EMAIL, PHONE]), st.text(max_size=30) | st.emails())
    return settings(max_examples=examples, deadline=None)(law(_canonical_keys_are_canonical))


test_canonical_keys_are_canonical = _tried(25)
test_canonical_keys_of_many_are_canonical = pytest.mark.full(_tried(200))


@pytest.mark.parametrize(
    "column_type",
    [
        "DOUBLE",
        "FLOAT",
        "REAL",
        "FLOAT64",
        "DECIMAL(18,3)",
        "NUMERIC",
        "BOOLEAN",
        "DATE",
        "JSON",
        "VARCHAR[]",
    ],
)
def test_columns_without_an_exact_text_are_refused(room: Any, column_type: str) -> None:
    mistake = column_mistake(room.sync, "external_id", column_type)
    assert mistake is not None
    for part in ("attributes.braze_customers", "'external_id'", column_type, "Cast it"):
        assert part in mistake


@pytest.mark.parametrize(
    "column_type",
    [
        "VARCHAR",
        "STRING",
        "BIGINT",
        "INTEGER",
        "INT64",
        "UBIGINT",
        "HUGEINT",
        "UUID",
        "DECIMAL(18,0)",
        "NUMERIC(38)",
    ],
)
def test_texts_and_whole_numbers_are_fine(room: Any, column_type: str) -> None:
    assert column_mistake(room.sync, "external_id", column_type) is None


@pytest.mark.parametrize("cast", ["double", "decimal(10, 1)", "real"])
def test_a_fraction_as_identifier_is_refused_at_plan(room: Any, braze: Any, cast: str) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer"),))
    room.model(f"select cast(12345 as {cast}) as external_id, 1 as score")
    for plan in (room.plan, room.run):
        with pytest.raises(
            LedgerError, match=r"'external_id' of the model attributes.braze_customers.*Cast it"
        ):
            plan()
    assert not braze.received
    for whole in ("bigint", "decimal(10, 0)", "varchar"):
        room.model(f"select cast(12345 as {whole}) as external_id, 1 as score")
        assert room.plan().objects == 1


def customers(room: Any, *users: tuple[str, int]) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer"),))
    rows = ", ".join(f"('{user}', {score})" for user, score in users)
    room.model(f"select * from (values {rows}) t(external_id, score)")


def listed(room: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = room.sql(
        "select _user, reason from braze_sync.rejections where resolved_at is null order by 1, 2"
    )
    return found


def sent(braze: Any) -> list[tuple[Any, Any]]:
    return sorted(
        (entry.get("external_id") or entry.get("email") or entry.get("phone"), entry["score"])
        for objects in braze.received
        for entry in objects
    )


def test_placeholders_are_refused_and_listed_and_others_go_on(room: Any, braze: Any) -> None:
    customers(room, ("null", 1), ("None", 2), ("nan", 3), ("", 4), ("u1", 5), ("0", 6))
    run = room.run()
    assert run.report.complete and sent(braze) == [("0", 6), ("u1", 5)]
    assert [user for user, _ in listed(room)] == ["", "None", "nan", "null"]
    assert run.plan.attributes["score"].rejected == 4
    again = room.run()
    assert (again.plan.objects, len(listed(room))) == (0, 4)
    customers(room, ("u1", 5), ("0", 6))
    room.run()
    assert listed(room) == []


def test_users_with_several_rows_are_refused_and_others_go_on(room: Any, braze: Any) -> None:
    """All rows of such a user: nobody knows which one is right. What Braze holds of them stays."""
    customers(room, ("u1", 1), ("u2", 2), ("u3", 3))
    room.run()
    braze.received.clear()
    room.declare(when_row_disappears="clear")
    customers(room, ("u1", 1), ("u1", 9), ("u2", 8), ("u4", 4), ("u4", 4), ("u3", 3), ("u3", 3))
    run = room.run()
    assert run.report.complete and sent(braze) == [("u2", 8)]
    assert [user for user, _ in listed(room)] == ["u1", "u4"]
    assert all("more than one row" in reason for _, reason in listed(room))
    assert room.sql("select _user, score from braze_sync.ledger_braze_customers order by 1") == [
        ("u1", 1),
        ("u2", 8),
        ("u3", 3),
    ]
    customers(room, ("u1", 9), ("u2", 8), ("u4", 4), ("u3", 3))
    room.run()
    assert sent(braze) == [("u1", 9), ("u2", 8), ("u4", 4)] and listed(room) == []


def test_one_email_address_in_two_spellings_is_one_user(room: Any, braze: Any) -> None:
    room.declare(identifier=EMAIL)
    customers(room, ("A@b.co", 1), ("a@b.co", 2), (" C@d.co ", 3), ("nobody", 4), ("E@f.co", 5))
    run = room.run()
    assert run.report.complete and sent(braze) == [("c@d.co", 3), ("e@f.co", 5)]
    assert [user for user, _ in listed(room)] == ["a@b.co", "nobody"]
    assert room.run().plan.objects == 0
    customers(room, ("c@D.co", 3), ("e@f.co", 6), ("a@B.co", 2))
    assert room.run().plan.objects == 2
    assert sent(braze)[:1] == [("a@b.co", 2)] and listed(room) == []


def test_phone_numbers_are_sent_in_e164(room: Any, braze: Any) -> None:
    room.declare(identifier=PHONE)
    customers(
        room,
        ("0151 23456789", 1),
        ("+4915123456780", 2),
        ("0151/23456781", 3),
        ("+49 151 23456781", 4),
        ("12", 5),
        ("+1", 6),
    )
    run = room.run()
    assert run.report.complete and sent(braze) == [("+4915123456780", 2), ("+4915123456789", 1)]
    assert [user for user, _ in listed(room)] == ["+1", "+4915123456781", "12"]
    assert room.run().plan.objects == 0
    customers(room, ("+49 151 23456789", 1), ("0151 23456780", 7))
    assert room.run().plan.objects == 1
    assert sent(braze)[1] == ("+4915123456780", 7)


@pytest.mark.parametrize(
    ("identifier", "former", "key"),
    [(EMAIL, " A@b.co", "a@b.co"), (PHONE, "0151 23456789", "+4915123456789")],
)
def test_a_ledger_with_keys_as_the_model_wrote_them_is_not_sent_again(
    room: Any, braze: Any, identifier: Identifier, former: str, key: str
) -> None:
    room.declare(identifier=identifier)
    customers(room, (former, 1))
    room.run()
    room.sql(
        f"update braze_sync.ledger_braze_customers set _user = '{former}'",
        "delete from braze_sync.declarations where attribute = '_keys'",
        f"insert into braze_sync.ledger_braze_customers (_user, _acknowledged_at, score) "
        f"values ('{key}', timestamp '2020-01-01', 7)",
        "select 1",
    )
    assert room.run().plan.objects == 0
    assert room.sql("select _user, score from braze_sync.ledger_braze_customers") == [(key, 1)]


def test_another_identifier_is_found_under_either_form(room: Any, braze: Any) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer"),), identifier=Identifier("email", ("mail",)))
    room.model("select 'u1' as external_id, 'A@b.co' as mail, '0151 23456789' as phone, 1 as score")
    room.run()
    for identifier, key in (
        (Identifier("phone", ("phone",), "DE"), "+4915123456789"),
        (EXTERNAL, "u1"),
        (Identifier("email", ("mail",)), "a@b.co"),
    ):
        room.declare(identifier=identifier)
        assert room.run().plan.objects == 0
        assert room.sql("select _user from braze_sync.ledger_braze_customers") == [(key,)]


@pytest.mark.full
def test_against_the_sandbox_by_email_and_by_phone(tmp_path: Path) -> None:
    with sandbox_room.serve(tmp_path, 50) as room:
        people = [
            {"external_id": "x1", "email": "One@Example.com", "phone": "+4915123456781"},
            {"external_id": "x2", "email": "two@example.com", "phone": "+4915123456782"},
            {"external_id": "x3", "email": "three@example.com", "phone": "+4915123456783"},
        ]
        room.request("POST", "/users/track", {"attributes": people})
        room.declare(identifier=EMAIL)
        customers(room, ("ONE@example.com", 1), (" two@example.COM", 2), ("Three@x.co", 3), ("three@X.co", 4))
        assert room.run().report.complete
        assert room.profiles(["x1", "x2", "x3"]) == {"x1": {"score": 1}, "x2": {"score": 2}}
        room.declare(name="by_phone", identifier=PHONE)
        customers(room, ("0151 23456781", 5), ("0151-23456783", 6))
        assert room.run().report.complete
        assert room.profiles(["x1", "x2", "x3"]) == {
            "x1": {"score": 5},
            "x2": {"score": 2},
            "x3": {"score": 6},
        }
        assert json.loads(json.dumps(room.run().plan.as_dict()))["objects"] == 0
