"""One new hour on top of a short and of a ten times longer history: seconds of building all models."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

import click
import dagster as dg

from benchmarks.result import Result
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.file_registry import ensure_file_registry
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import local_warehouse
from braze_platform.warehouse.interface import Session

_EPOCH = datetime.fromisoformat("1970-01-01")
_LAST = datetime.fromisoformat("2026-11-20")
#: Hours of events written in one statement, for the memory that it takes.
_WRITTEN_AT_ONCE = 2_400
#: Shares of an hour's events, and the fields that matter beside those of every event.
_EVENTS = {
    "users.messages.email.Send": 0.30,
    "users.messages.email.Delivery": 0.29,
    "users.messages.email.Open": 0.25,
    "users.messages.email.Click": 0.06,
    "users.campaigns.Conversion": 0.02,
    "users.behaviors.app.SessionStart": 0.05,
    "users.behaviors.Purchase": 0.03,
}


def write_hours(
    session: Session, first: datetime, hours: int, events_an_hour: int, users: int, load: int
) -> None:
    """Raw events as the loader leaves them, and the file registry's rows. Equal numbers are one message."""
    for event_type, share in _EVENTS.items():
        declared = catalogue()[event_type]
        count = int(events_an_hour * share)
        campaign = "'campaign-' || cast(send % 40 as varchar)"
        values = {
            "id": f"'{declared.table}-' || cast(epoch(hour) as bigint) || '-' || number",
            "user_id": "'b-' || cast(hash(send) % $users as varchar)",
            "external_user_id": "'u-' || cast(hash(send) % $users as varchar)",
            "time": "cast(epoch(hour) as bigint) + number % 3600",
            "campaign_id": campaign,
            "campaign_name": "'Campaign ' || cast(send % 40 as varchar)",
            "message_variation_id": "'variation-' || cast(send % 2 as varchar)",
            "dispatch_id": "'dispatch-' || cast(send as varchar)",
            "machine_open": "case when send % 5 = 0 then 'true' end",
            "conversion_behavior_index": "0",
            "session_id": "'s-' || cast(send as varchar)",
            "product_id": "'p-' || cast(send % 99 as varchar)",
            "price": "9.99",
            "currency": "'EUR'",
            "properties": "'{}'",
            "_hour": "hour",
            "_file": "'file'",
            "_version": "'12'",
            "_loaded_at": "hour",
        }
        names = [name for name in values if name in declared.field_names or name.startswith("_")]
        session.execute(
            f"insert into currents_raw.{declared.table} ({', '.join(names)}) "
            f"select {', '.join(values[name] for name in names)} from ("
            "select timestamp '1970-01-01' + to_hours(h) as hour, number, h * 1000000 + number as send "
            "from range($first, $after) as hours(h) cross join range($count) as numbers(number)) as drawn",
            {"first": _number(first), "after": _number(first) + hours, "count": count, "users": users}
            if "user_id" in names
            else {"first": _number(first), "after": _number(first) + hours, "count": count},
        )
        session.execute(
            "insert into currents_ledger.files select $type, timestamp '1970-01-01' + to_hours(h), 'file-' || h, 'g', "
            "1, $count, '12', $load, timestamp '1970-01-01' + to_hours(h) from range($first, $after) as hours(h)",
            {
                "type": event_type,
                "count": count,
                "load": load,
                "first": _number(first),
                "after": _number(first) + hours,
            },
        )


def _number(hour: datetime) -> int:
    return int((hour - _EPOCH) / timedelta(hours=1))


def seconds_of_new_hour(
    events: int, events_a_day: int, users: int, folder: Path, memory_limit: str
) -> dict[str, float]:
    """Build the history as a whole, then time the build after one more hour, twice; the better one counts.

    The history is built within `memory_limit`, an hour within the default.
    """
    settings = Settings(state_dir=folder)
    hours = events // (events_a_day // 24)
    definitions = marts_definitions(settings, prepare_manifest(settings))
    generous = settings.replace(duckdb_memory_limit=memory_limit)
    with local_warehouse(settings).session() as session:
        ensure_raw_tables(session)
        ensure_file_registry(session)
        session.create_schema("company", "")
        session.execute(
            "create table company.users (user_id varchar, email varchar, country varchar, "
            "signed_up_at timestamp, marketing_consent boolean)"
        )
        session.execute(
            "create table company.orders (order_id varchar, user_id varchar, ordered_at timestamp, "
            "category varchar, currency varchar, amount double, status varchar)"
        )
        for start in range(0, hours, _WRITTEN_AT_ONCE):
            first = _LAST - timedelta(hours=hours - start)
            write_hours(session, first, min(_WRITTEN_AT_ONCE, hours - start), events_a_day // 24, users, 1)
    found: dict[str, float] = {}
    found["whole build, s"] = _build(marts_definitions(generous, prepare_manifest(generous)))
    for load in (2, 3):
        with local_warehouse(settings).session() as session:
            write_hours(session, _LAST + timedelta(hours=load), 1, events_a_day // 24, users, load)
        found[f"new hour {load - 1}, s"] = _build(definitions)
    return found


def _build(definitions: dg.Definitions) -> float:
    started = perf_counter()
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            list(definitions.assets or []),
            instance=instance,
            resources=definitions.resources,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
    return perf_counter() - started


@click.command(help=__doc__)
@click.option("--events", default=10_000_000, show_default=True, help="Events of the short history.")
@click.option("--times", default=10, show_default=True, help="How much longer the long one is.")
@click.option("--events-a-day", default=100_000, show_default=True)
@click.option("--users", default=100_000, show_default=True)
@click.option(
    "--memory-limit",
    default="6GB",
    show_default=True,
    help="Of DuckDB while the history is built as a whole.",
)
@click.option("--json", "as_json", is_flag=True)
def main(events: int, times: int, events_a_day: int, users: int, memory_limit: str, as_json: bool) -> None:
    """Print the ratio."""
    details: dict[str, float] = {}
    seconds: list[float] = []
    for size in (events, events * times):
        with tempfile.TemporaryDirectory() as name:
            found = seconds_of_new_hour(size, events_a_day, users, Path(name), memory_limit)
        details |= {f"{size:,} events: {what}": value for what, value in found.items()}
        seconds.append(min(value for what, value in found.items() if what.startswith("new hour")))
    Result(
        f"A new hour on {events * times:,} events against {events:,}",
        seconds[1] / seconds[0],
        1.3,
        at_least=False,
        details=details,
    ).tell(as_json=as_json)


if __name__ == "__main__":
    main()
