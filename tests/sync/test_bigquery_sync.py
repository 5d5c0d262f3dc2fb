"""A sync whose model, ledger and deliveries are in BigQuery: what changed is sent, once, and the ledger follows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from braze_platform.sync.declaration.sync import AttributeSpec, Identifier
from braze_platform.sync.ledger.store import LedgerError

Customers = Callable[..., None]


@pytest.fixture
def customers(google_room: Any) -> Customers:
    def write(*rows: str, type: str = "int64") -> None:
        google_room.model(
            f"select * from unnest(array<struct<external_id string, score {type}, channel string, "
            f"seen_at timestamp>>[{', '.join(f'({row})' for row in rows)}])"
        )

    return write


def rows_of(room: Any, table: str, columns: str, order: str = "1") -> list[tuple[Any, ...]]:
    return room.sql(f"select {columns} from braze_sync.{table} order by {order}")


def test_what_changed_is_sent_once(google_room: Any, customers: Customers, braze: Any) -> None:
    at = "timestamp '2026-11-01 08:00:00+00'"
    customers(f"'u1', 1, 'email', {at}", f"'u2', 2, null, {at}", "null, 3, 'x', null")
    first = google_room.run()
    assert (first.plan.objects, first.plan.without_identifier) == (2, 1)
    assert first.report.delivered == {"score": 2, "channel": 1, "seen_at": 2}
    requests = len(braze.received)
    again = google_room.run()
    assert again.plan.objects == 0
    assert len(braze.received) == requests
    customers(f"'u1', 1, null, {at}", f"'u2', 5, 'push', {at}")
    second = google_room.run()
    assert second.report.delivered == {"score": 1, "channel": 2, "seen_at": 0}
    assert rows_of(google_room, "ledger_braze_customers", "_user, score, channel") == [
        ("u1", 1, None),
        ("u2", 5, "push"),
    ]
    deliveries = rows_of(google_room, "deliveries", "_user, attribute_values, verdict", "delivered_at, _user")
    assert [
        (user, [entry["attribute"] for entry in json.loads(sent)], verdict)
        for user, sent, verdict in deliveries
    ] == [
        ("u1", ["score", "channel", "seen_at"], "delivered"),
        ("u2", ["score", "seen_at"], "delivered"),
        ("u1", ["channel"], "delivered"),
        ("u2", ["score", "channel"], "delivered"),
    ]


def test_users_who_left_are_cleared_and_values_that_must_not_be_sent_are_listed(
    google_room: Any, customers: Customers, braze: Any
) -> None:
    google_room.declare(when_row_disappears="clear")
    customers("'u1', 1, 'email', null", "'u2', 2, 'push', null", type="float64")
    google_room.run()
    customers("'u1', 1.5, 'email', null", type="float64")
    run = google_room.run()
    assert run.plan.attributes["score"].cleared == 1
    assert run.plan.attributes["score"].rejected == 1
    assert rows_of(google_room, "rejections", "_user, attribute, refused_by, resolved_at") == [
        ("u1", "score", "value", None)
    ]
    customers("'u1', 3, 'email', null", type="float64")
    google_room.run()
    assert [row[0] for row in rows_of(google_room, "rejections", "resolved_at is not null")] == [True]


def test_a_retyped_attribute_keeps_what_is_still_the_same(
    google_room: Any, customers: Customers, braze: Any
) -> None:
    customers("'u1', 5, 'a', null", "'u2', 6, 'b', null")
    google_room.run()
    google_room.declare(
        attributes=tuple(
            dataclasses.replace(spec, type="number") if spec.name == "score" else spec
            for spec in google_room.sync.attributes
        )
    )
    customers("'u1', 5, 'a', null", "'u2', 7.5, 'b', null", type="float64")
    assert google_room.run().report.delivered == {"score": 1, "channel": 0, "seen_at": 0}
    with google_room.warehouse.session() as session:
        assert session.columns("braze_sync", "ledger_braze_customers")["score"] == "FLOAT64"
    assert google_room.run().plan.objects == 0


def test_arrays_and_json_are_retyped_without_being_sent_again(google_room: Any, braze: Any) -> None:
    def write(tags: str, score: str) -> None:
        google_room.model(f"select 'u1' as external_id, {tags} as tags, {score} as score")

    google_room.declare(attributes=(AttributeSpec("tags", "array"), AttributeSpec("score", "integer")))
    write("['b', 'a']", "7")
    assert google_room.run().report.delivered == {"tags": 1, "score": 1}
    for tags in ('json \'["b", "a"]\'', "['b', 'a']"):
        write(tags, "7")
        assert google_room.run().plan.objects == 0
    # No type of JSON is left of an array as a number, and the other way round: both are sent.
    google_room.declare(attributes=(AttributeSpec("tags", "integer"), AttributeSpec("score", "array")))
    write("7", "['b']")
    assert google_room.run().report.delivered == {"tags": 1, "score": 1}
    assert braze.profiles["u1"] == {"tags": 7, "score": ["b"]}
    assert google_room.run().plan.objects == 0


def test_identifiers_are_canonical_and_once(google_room: Any, customers: Customers, braze: Any) -> None:
    score = AttributeSpec("score", "integer")
    google_room.declare(attributes=(score,), identifier=Identifier("email", ("external_id",)))
    customers(
        "'A@b.co', 1, '', null", "'a@b.co', 2, '', null", "' C@d.co', 3, '', null", "'None', 4, '', null"
    )
    run = google_room.run()
    assert (run.plan.objects, run.report.delivered) == (1, {"score": 1})
    assert [entry["email"] for objects in braze.received for entry in objects] == ["c@d.co"]
    assert [row[0] for row in rows_of(google_room, "rejections", "_user")] == ["a@b.co", "none"]
    google_room.execute(
        "update braze_sync.ledger_braze_customers set _user = 'C@D.co' where true",
        "delete from braze_sync.declarations where attribute = '_keys'",
    )
    assert google_room.run().plan.objects == 0
    assert rows_of(google_room, "ledger_braze_customers", "_user") == [("c@d.co",)]
    google_room.declare(name="by_phone", identifier=Identifier("phone", ("external_id",), "DE"))
    customers("'0151 23456789', 1, '', null", "'+4915123456780', 2, '', null", "'12', 3, '', null")
    assert google_room.run().report.delivered == {"score": 2}
    assert google_room.run().plan.objects == 0
    assert rows_of(google_room, "ledger_by_phone", "_user") == [("+4915123456780",), ("+4915123456789",)]


def test_an_identifier_that_is_a_fraction_is_refused(google_room: Any) -> None:
    for column_type in ("float64", "numeric"):
        google_room.model(
            f"select cast(12345 as {column_type}) as external_id, 1 as score, 'a' as channel, "
            "cast(null as timestamp) as seen_at"
        )
        with pytest.raises(LedgerError, match=f"'external_id'.*{column_type.upper()}.*Cast it"):
            google_room.plan()


def test_a_plan_of_thousands_travels_by_staging_tables(google_room: Any, braze: Any) -> None:
    google_room.model(
        "select concat('user-', cast(n as string)) as external_id, n as score, "
        "concat('channel ', cast(n as string)) as channel, cast(null as timestamp) as seen_at "
        "from unnest(generate_array(1, 3000)) as n"
    )
    run = google_room.run()
    assert run.report.delivered == {"score": 3000, "channel": 3000, "seen_at": 0}
    assert google_room.run().plan.objects == 0
