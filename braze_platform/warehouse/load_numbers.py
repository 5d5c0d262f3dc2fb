"""The numbers of the loads of Currents, by which all that is built from raw tables tells what is new."""

from __future__ import annotations

from braze_platform.warehouse.interface import Session

_LEDGER = "currents_ledger"


def latest_loads(session: Session) -> dict[str, int]:
    """The number of the latest load of each event type that was ever loaded; none before the first, also where there
    is no file registry yet. The greatest of them is the number of the latest load."""
    loads: dict[str, int] = {}
    if session.columns(_LEDGER, "loads"):
        loads = dict(session.fetch(f"select event_type, load_id from {session.sql.table(_LEDGER, 'loads')}"))
    if not loads and session.columns(_LEDGER, "files"):
        # An installation that counted its loads in `files`, and has not loaded since.
        files = session.sql.table(_LEDGER, "files")
        loads = dict(session.fetch(f"select event_type, max(load_id) from {files} group by event_type"))
    return loads
