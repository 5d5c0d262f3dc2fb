"""The numbers of the loads of Currents, by which all that is built from raw tables tells what is new."""

from __future__ import annotations

from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import FILES, LOADS


def latest_loads(session: Session) -> dict[str, int]:
    """The number of the latest load of each event type that was ever loaded; none before the first, also where there
    is no file registry yet. The greatest of them is the number of the latest load."""
    loads: dict[str, int] = {}
    if LOADS.exists(session):
        loads = dict(session.fetch(f"select event_type, load_id from {LOADS.ref(session.sql)}"))
    if not loads and FILES.exists(session):
        # An installation that counted its loads in `files`, and has not loaded since.
        files = FILES.ref(session.sql)
        loads = dict(session.fetch(f"select event_type, max(load_id) from {files} group by event_type"))
    return loads
