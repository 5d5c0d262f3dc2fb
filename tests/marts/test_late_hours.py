"""Which hours a build looks at beside those that changed, and which it leaves alone; on both warehouses."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from dbt_runs import dbt
from loaded_hours import SEND, seconds

from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.file_registry import ensure_file_registry
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.marts.expired_hours import without_expired_hours
from braze_platform.marts.late_hours import hours_that_follow, hours_with_copies, note_late_hours
from braze_platform.marts.rebuild_window import ChangedHour, Model
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.targets import warehouse_of

CLICK = "users.messages.email.Click"
TABLES = {name: catalogue()[name].table for name in (SEND, CLICK)}
LOOK_BACK = timedelta(days=7)


def at(hour: str) -> datetime:
    return datetime.fromisoformat(f"2026-{hour}:00")


def write(session: Session, event_type: str, hour: str, *times: str) -> None:
    """Events of an hour that happened at some times, and the hour's row in the file registry."""
    rows = pa.table(
        {
            "id": pa.array([f"{hour} {time}" for time in times], pa.string()),
            "time": pa.array([seconds(f"2026-{time}:00") for time in times], pa.int64()),
            "hour": pa.array([at(hour)] * len(times), pa.timestamp("us")),
        }
    )
    if times:
        with session.attached("events", rows) as attached:
            session.execute(
                f"insert into {session.sql.table('currents_raw', TABLES[event_type])} (id, time, _hour) "
                f"select id, time, hour from {attached} as events"
            )
    deliver(session, event_type, hour, len(times))


def deliver(session: Session, event_type: str, hour: str, rows: int) -> None:
    session.execute(
        f"insert into {session.sql.table('currents_ledger', 'files')} (event_type, hour, row_count, load_id) "
        f"values ('{event_type}', timestamp '{at(hour)}', {rows}, 1)"
    )


@pytest.fixture
def loaded(settings_of_either: Settings) -> Settings:
    """Sends: two soon after they happened, and copies of them after weeks and months; clicks: one, in time."""
    with warehouse_of(settings_of_either).session() as session:
        ensure_raw_tables(session, list(TABLES))
        ensure_file_registry(session)
        write(session, SEND, "03-01 10", "03-01 09:20", "03-01 09:30")
        write(session, SEND, "03-09 12", "03-01 09:20", "03-09 11:10")
        write(session, SEND, "06-20 05", "03-01 09:30")
        write(session, CLICK, "03-01 10", "03-01 09:25")
        # delivered, and in the raw table no more; and one that lost its file
        deliver(session, SEND, "03-02 11", 3)
        deliver(session, SEND, "03-03 11", 0)
    return settings_of_either


def model(name: str, **more: object) -> Model:
    reads = frozenset([SEND])
    return Model(name, frozenset(), reads, True, "code", reads=reads, **more)  # type: ignore[arg-type]


def test_hours_beside_those_that_changed(loaded: Settings) -> None:
    with warehouse_of(loaded).session() as session:
        note_late_hours(session, TABLES, None, LOOK_BACK)
        # noted once, however often an hour is loaded
        note_late_hours(session, TABLES, [ChangedHour(SEND, at("06-20 05"), 2)], LOOK_BACK)
        noted = session.fetch(
            f"select hour, event_day from {session.sql.table('marts_ledger', 'late_hours')} order by hour"
        )
        first_of_march = (at("03-01 00") - datetime(1970, 1, 1)).days
        assert [(hour.replace(tzinfo=None), day) for hour, day in noted] == [
            (at("03-09 12"), first_of_march),
            (at("06-20 05"), first_of_march),
        ]
        changed = [ChangedHour(SEND, at("03-01 10"), 3), ChangedHour(CLICK, at("03-01 10"), 3)]
        followers = hours_that_follow(session, changed, LOOK_BACK)
        assert sorted(one.hour for one in followers) == [at("03-09 12"), at("06-20 05")]
        assert {(one.event_type, one.load_id) for one in followers} == {(SEND, 3)}
        ranges = {"sends": [(at("06-20 05"), at("06-20 05"))], "clicks": [(at("03-01 10"), at("03-01 10"))]}
        copies = hours_with_copies(session, {"sends": [SEND], "clicks": [CLICK]}, ranges, LOOK_BACK)
        assert copies.keys() == {"sends"}
        for hour in ("03-01 10", "03-09 12", "06-20 05"):
            assert any(first <= at(hour) <= last for first, last in copies["sends"]), hour


def test_hours_that_raw_tables_have_forgotten(loaded: Settings) -> None:
    held, over, day = (
        [(at("03-09 00"), at("06-20 23"))],
        [(at("03-01 10"), at("03-02 23"))],
        [(at("03-03 00"), at("03-03 23"))],
    )
    models = {
        "held": model("held"),
        "over": model("over"),
        "day": model("day"),
        "audit": model("audit", compares=True),
    }
    ranges = {"held": held, "over": over, "day": day, "audit": over}
    with warehouse_of(loaded).session() as session:
        found = without_expired_hours(session, models, ranges, TABLES, 0)
        # of the hour that lost its file nothing is kept, unless it is older than what raw tables keep
        assert found == {"held": held, "day": day, "audit": [(at("03-01 10"), at("03-01 23"))]}
        assert without_expired_hours(session, models, ranges, TABLES, 60).keys() == {"held", "audit"}
        assert without_expired_hours(session, models, {"held": []}, TABLES, 60) == {"held": []}


@pytest.mark.full
def test_a_whole_build_finds_the_hours_that_it_keeps(loaded: Settings) -> None:
    raw, name = TABLES[SEND], "built"
    with warehouse_of(loaded).session() as session:
        session.create_schema("staging", "Written by a test.")
        hours = ("03-01 09", "03-01 10", "03-02 11", "03-03 11", "06-20 05")
        session.execute(f"create table {session.sql.table('staging', name)} (delivered_hour timestamp)")
        for hour in hours:
            session.execute(
                f"insert into {session.sql.table('staging', name)} (delivered_hour) values (timestamp '{at(hour)}')"
            )
    relation = "api.Relation.create(database=target.database, schema=dataset_name('{}'), identifier='{}')"
    source = (
        "{'database': target.database, 'schema': dataset_name('currents_raw'), "
        f"'identifier': '{raw}', 'config': {{'meta': {{'event_type': '{SEND}'}}}}}}"
    )
    inline = f"{{{{ runs_of_hours({relation.format('staging', name)}, 'delivered_hour', 'timestamp', [{source}]) }}}}"
    loaded.state_dir.mkdir(exist_ok=True)
    compiled = dbt(loaded, "--quiet", "compile", "--inline", inline)
    with warehouse_of(loaded).session() as session:
        runs = session.fetch(compiled)
    assert [(first[:16], last[:16], kept, count) for first, last, kept, count in runs] == [
        ("2026-03-01 09:00", "2026-03-01 09:00", 1, 1),
        ("2026-03-01 10:00", "2026-03-01 10:00", 0, 1),
        ("2026-03-02 11:00", "2026-03-02 11:00", 1, 1),
        ("2026-03-03 11:00", "2026-06-20 05:00", 0, 3),
    ]
