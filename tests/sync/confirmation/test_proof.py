"""Currents shows which delivered values it saw, and which ones others overwrote."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from braze_platform.settings import Settings
from braze_platform.sync.confirmation import proof
from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.warehouse.targets import warehouse_of

COLUMNS = (
    "event_id string, braze_user_id string, external_id string, event_at timestamp, delivered_hour timestamp, "
    "source_file string, update_source string, custom_attributes string, time_ms bigint"
)


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=(pytest.mark.emulated, pytest.mark.full))])
def told(request: Any, room: Any) -> Any:
    """A room on either warehouse whose Currents can show profiles."""
    if request.param == "bigquery":
        settings: Settings = request.getfixturevalue("google_settings")
        room.warehouse = warehouse_of(settings)
    room.declare(
        attributes=(
            AttributeSpec("score", "integer", on_conflict="warehouse_wins"),
            AttributeSpec("tags", "array", unordered=True),
            AttributeSpec("language", "language"),
        )
    )
    with room.warehouse.session() as session:
        session.create_schema("attributes", "Tests")
        session.create_schema("staging", "Tests")
        columns = COLUMNS.replace("bigint", "int64") if session.dialect == "bigquery" else COLUMNS
        session.execute(f"create table {session.sql.table('staging', proof.MODEL)} ({columns})")
    return room


def customers(room: Any, count: int, score: int) -> None:
    with room.warehouse.session() as session:
        numbers = (
            f"unnest(generate_array(0, {count - 1})) as i"
            if session.dialect == "bigquery"
            else f"range({count}) t(i)"
        )
        session.execute(
            f"create or replace table {session.sql.table('attributes', 'braze_customers')} as select "
            f"concat('u', cast(i as string)) as external_id, {score} as score, ['b', 'a'] as tags, 'de' as language "
            f"from {numbers}"
        )


def tell(room: Any, user: str, attributes: Any, source: str = "REST API", seconds: float = 1) -> None:
    """An event of some seconds after the last delivery (before it when negative): no clock is asked twice."""
    text = attributes if isinstance(attributes, str) else json.dumps(attributes)
    with room.warehouse.session() as session:
        delivered = datetime.now(timezone.utc).replace(tzinfo=None)
        if session.columns("braze_sync", "deliveries"):
            deliveries = session.sql.table("braze_sync", "deliveries")
            delivered = session.fetch(f"select max(delivered_at) from {deliveries}")[0][0] or delivered
        moment = delivered + timedelta(seconds=seconds)
        milliseconds = int(moment.replace(tzinfo=timezone.utc).timestamp() * 1000)
        session.execute(
            f"insert into {session.sql.table('staging', proof.MODEL)} values ($id, 'b', $user, cast($at as timestamp), "
            "cast($hour as timestamp), 'f', $source, $text, $ms)",
            {
                "id": f"{user}-{milliseconds}-{text}",
                "user": user,
                "at": moment,
                "hour": moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1),
                "source": source,
                "text": text,
                "ms": milliseconds,
            },
        )


def test_values_are_seen_overwritten_and_due_again(told: Any, braze: Any) -> None:
    customers(told, 4, 5)
    first = told.run()
    assert first.proven is None
    tell(told, "u0", {"score": 5.0, "tags": ["a", "b"]})
    tell(told, "u1", {"score": 5, "tags": ["b", "a"], "another": 1})
    tell(told, "u2", {"score": 5, "tags": ["a", "b"]})
    tell(told, "u2", {"score": 9, "tags": ["x"]}, "Dashboard", 30)
    tell(told, "u3", "no JSON")
    second = told.run()
    assert {name: (p.delivered, p.seen, p.overwritten) for name, p in second.proven.items()} == {
        "score": (4, 3, 1),
        "tags": (4, 3, 1),
    }
    # Of what others overwrote, only the warehouse's own is sent again.
    assert {name: counts.sent for name, counts in second.plan.attributes.items()} == {
        "score": 1,
        "tags": 0,
        "language": 0,
    }
    assert braze.received[-1] == [{"external_id": "u2", "_update_existing_only": False, "score": 5}]
    third = told.run()
    assert third.plan.objects == 0
    tell(told, "u2", {"score": 5}, seconds=60)
    assert told.run().proven["score"].overwritten == 0


def test_a_value_of_another_type_is_overwritten(told: Any, braze: Any) -> None:
    customers(told, 1, 5)
    told.run()
    tell(told, "u0", {"score": "many"}, "SDK")
    assert told.run().proven["score"].overwritten == 1


def test_an_event_of_an_earlier_value_is_no_overwriting(told: Any, braze: Any) -> None:
    customers(told, 1, 5)
    told.run()
    customers(told, 1, 6)
    told.run()
    tell(told, "u0", {"score": 5}, seconds=-1)
    run = told.run()
    assert (run.proven["score"].seen, run.proven["score"].overwritten) == (0, 0) and run.plan.objects == 0


def test_hours_are_read_in_parts(told: Any, braze: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(proof, "MAX_EVENTS", 1)
    customers(told, 2, 5)
    told.run()
    tell(told, "u0", {"score": 5})
    tell(told, "u1", {"score": 5}, seconds=3 * 3600)
    assert told.run().proven["score"].seen == 1
    assert told.run().proven["score"].seen == 2


def test_nobody_can_tell_of_other_identifiers(room: Any) -> None:
    spec = AttributeSpec("a", "string")
    assert proof.provable(room.sync, spec)
    assert not proof.provable(room.sync, AttributeSpec("country", "country"))
    assert not proof.provable(room.sync, AttributeSpec("n", "integer", "skip", operator="inc"))
