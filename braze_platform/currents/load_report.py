"""What a load did, by event type: plain values that assets, checks and tests read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from braze_platform.currents.file_registry import BadFile, DayTotals
from braze_platform.currents.schemas import SeenSchema


@dataclass
class EventTypeLoad:
    """What a load did for one event type over its days."""

    event_type: str
    table: str
    rows_loaded: int = 0
    hours_loaded: int = 0
    files_loaded: int = 0
    bytes_loaded: int = 0
    #: Hours and files that were in the registry already, exactly as they are in the bucket.
    hours_unchanged: int = 0
    files_unchanged: int = 0
    #: Files that joined an hour which had been loaded before.
    late_files: int = 0
    #: Files of the registry that are no longer in the bucket.
    vanished_files: int = 0
    #: Columns that the files made necessary, that the catalogue lacks.
    new_columns: list[str] = field(default_factory=list)
    #: Objects of these days that cannot be loaded, known before or found now.
    quarantined: list[BadFile] = field(default_factory=list)
    #: The same for the days outside the load.
    quarantined_elsewhere: int = 0
    #: What the raw table now holds of each day.
    days: dict[date, DayTotals] = field(default_factory=dict)
    #: Fingerprint of the objects that this load saw, by day (`fingerprints.fingerprint`).
    fingerprints: dict[date, int] = field(default_factory=dict)
    #: Schemas of the loaded files of these days.
    schemas: list[SeenSchema] = field(default_factory=list)
    #: What stopped this event type; the hours of its finished transactions stay loaded.
    error: str | None = None

    @property
    def rows_held(self) -> int:
        """Rows of the raw table in these days."""
        return sum(day.rows for day in self.days.values())


@dataclass
class LoadReport:
    """What a load did."""

    first_day: date
    last_day: date
    event_types: dict[str, EventTypeLoad] = field(default_factory=dict)

    @property
    def rows_loaded(self) -> int:
        """Rows loaded over all event types."""
        return sum(load.rows_loaded for load in self.event_types.values())

    @property
    def files_loaded(self) -> int:
        """Files loaded over all event types."""
        return sum(load.files_loaded for load in self.event_types.values())

    @property
    def errors(self) -> dict[str, str]:
        """What stopped an event type, by its name."""
        return {name: load.error for name, load in self.event_types.items() if load.error is not None}


@dataclass(frozen=True)
class LoadProgress:
    """How far a load is, told after each transaction."""

    event_type: str
    first_hour: str
    last_hour: str
    rows: int
    #: Files behind us and in all, over all event types of the load.
    files_done: int
    files_total: int

    def __str__(self) -> str:
        """One line for a log."""
        return (
            f"{self.event_type} {self.first_hour}..{self.last_hour}: {self.rows:,} rows; "
            f"{self.files_done:,} of {self.files_total:,} files"
        )
