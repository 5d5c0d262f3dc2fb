"""The use of requests in the hour, kept in the warehouse between runs, where the contract has an hourly limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone

from braze_platform.braze_api.limiter import Limiter
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import REQUEST_USAGE
from braze_platform.warehouse.tables import ensure


@contextmanager
def kept_usage(session: Session, limiters: Mapping[str, Limiter]) -> Iterator[None]:
    """Tell limiters, by endpoint, what earlier runs used of the hour (UTC); afterwards write down what is used by then.

    Limiters without an hourly limit are left alone. A killed run's use is lost: Braze's headers tell of it.
    """
    hourly = {endpoint: limiter for endpoint, limiter in limiters.items() if limiter.per_hour is not None}
    if not hourly:
        yield
        return
    ensure(session, REQUEST_USAGE)
    table = REQUEST_USAGE.ref(session.sql)
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
                REQUEST_USAGE.append(session, [(endpoint, begun, used)])
