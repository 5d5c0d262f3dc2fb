"""The proof of an erasure: nobody is found any more, in any text of any table that the platform keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from braze_platform.erasure.people import Deleted, attached_people, batches
from braze_platform.erasure.places import patterns_of, searching
from braze_platform.warehouse.dataset_names import PLATFORM_DATASETS, TEMPORARY
from braze_platform.warehouse.interface import Session


@dataclass
class Found:
    """Rows in which people are found, by table."""

    #: In a column of identities.
    rows: dict[str, int] = field(default_factory=dict)
    #: Named somewhere in a text: perhaps by chance, where somebody is known by a common word.
    traces: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows or self.traces)


def search(
    session: Session, people: Sequence[Deleted], found: Found, is_searched: Callable[[str], bool]
) -> None:
    """Look for all identities in all texts of all tables that the platform keeps, and note what is left where."""
    for schema in PLATFORM_DATASETS:
        for table in session.table_names(schema) if schema != TEMPORARY else ():
            name = f"{schema}.{table}"
            if is_searched(name):
                _search_table(session, schema, table, people, found)


def _search_table(session: Session, schema: str, table: str, people: Sequence[Deleted], found: Found) -> None:
    columns = session.columns(schema, table)
    for _, batch in batches(people):
        patterns = list(patterns_of({one.identity for one in batch}))
        with attached_people(session, batch) as erased:
            query = searching(schema, table, session.sql, erased, columns, len(patterns))
            if query is None:
                return
            parameters = {f"pattern_{number}": pattern for number, pattern in enumerate(patterns)}
            [(rows, traces)] = session.fetch(query, parameters or None)
        for counts, count in ((found.rows, int(rows)), (found.traces, int(traces))):
            if count:
                counts[f"{schema}.{table}"] = counts.get(f"{schema}.{table}", 0) + count
