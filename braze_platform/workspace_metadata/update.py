"""One run of the room: what is known, what Braze says, what that changes. No session is open while Braze is asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.tables import now_utc
from braze_platform.warehouse.workspace_tables import TABLES
from braze_platform.workspace_metadata.reader import WorkspaceReading, read_workspace
from braze_platform.workspace_metadata.snapshots import (
    TableState,
    WrittenChanges,
    apply,
    known_readings,
    make_tables,
    state_of,
)


@dataclass(frozen=True)
class WorkspaceUpdate:
    """What a run read, changed and left, by endpoint and by table."""

    reading: WorkspaceReading
    changes: WrittenChanges
    states: dict[str, TableState]


def update_workspace(warehouse: Warehouse, settings: Settings) -> WorkspaceUpdate:
    """Bring the tables up to what the workspace is now.

    When nothing was edited since the last time, only lists are requested and nothing is written. Raises
    `OutwardCallsOff` before any request where calls are not allowed; a failure of Braze's is told in the result.
    """
    observed_at = now_utc()
    with warehouse.session() as session:
        migrate(session)
        make_tables(session)
        known = known_readings(session)
    reading = asyncio.run(read_workspace(settings, known, now=observed_at))
    with warehouse.session() as session:
        changes = apply(session, reading, observed_at)
        states = {table.name: state_of(session, table) for table in TABLES}
    return WorkspaceUpdate(reading, changes, states)
