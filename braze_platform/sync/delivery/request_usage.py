"""The use of requests in the hour, kept in the warehouse between runs, where the contract has an hourly limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone

from braze_platform.braze_api.limiter import Limiter
from braze_platform.sync.ledger.ledger import SCHEMA
from braze_platform.warehouse.interface import Session

_COLUMNS = {"endpoint": "string", "hour": "timestamp", "used": "bigint"}


@contextmanager
def kept_usage(session: Session, limiters: Mapping[str, Limiter]) -> Iterator[None]:
    """Tell limiters, by endpoint, what earlier runs used of the hour (UTC); afterwards write down what is used by then.

    Limiters without an hourly limit are left alone. A killed run's use is lost: Braze's headers tell of it.
    """
    hourly = {endpoint: limiter for endpoint, limiter in limiters.items() if limiter.per_hour is not None}
    if not hourly:
        yield
        return
    table = session.sql.table(SCHEMA, "request_usage")
    columns = ", ".join(f"{name} {session.sql.type(kind)}" for name, kind in _COLUMNS.items())
    session.execute(f"create table if not exists {table} ({columns})")
    for endpoint, hour, used in session.fetch(f"select endpoint, hour, used from {table}"):
        if endpoint in hourly:
            hourly[endpoint].resume(int(hour.replace(tzinfo=timezone.utc).timestamp()), used)
    try:
        yield
    finally:
        with session.transaction():
            for endpoint, limiter in hourly.items():
                hour, used = limiter.use_of_hour()
                begun = datetime.fromtimestamp(hour, timezone.utc).replace(tzinfo=None)
                session.execute(f"delete from {table} where endpoint = $endpoint", {"endpoint": endpoint})
                session.execute(
                    f"insert into {table} (endpoint, hour, used) values ($endpoint, $hour, $used)",
                    {"endpoint": endpoint, "hour": begun, "used": used},
                )
