"""The numbers of the loads of Currents, by which all that is built from raw tables tells what is new."""

from __future__ import annotations

from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import LOADS


def latest_loads(session: Session) -> dict[str, int]:
    """The number of the latest load of each event type that was ever loaded; none before the first.

    The greatest of them is the number of the latest load.
    """
    if not LOADS.exists(session):
        return {}
    return dict(session.fetch(f"select event_type, load_id from {LOADS.ref(session.sql)}"))
