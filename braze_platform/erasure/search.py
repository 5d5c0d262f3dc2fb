"""The proof of an erasure: nobody is found any more, in any text of any table that the platform keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from braze_platform.erasure.people import Deleted, attached_people, batches
from braze_platform.erasure.places import finding, patterns_of
from braze_platform.warehouse.dataset_names import PLATFORM_DATASETS, TEMPORARY
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.personal_names import holds_text, kind_of


def search(
    session: Session, people: Sequence[Deleted], left: dict[str, int], is_searched: Callable[[str], bool]
) -> None:
    """Look for all identities in all texts of all tables that the platform keeps, and note what is left where."""
    for schema in PLATFORM_DATASETS:
        for table in session.table_names(schema) if schema != TEMPORARY else ():
            name = f"{schema}.{table}"
            found = sum(_found(session, schema, table, people)) if is_searched(name) else 0
            if found:
                left[name] = found


def _found(session: Session, schema: str, table: str, people: Sequence[Deleted]) -> Iterator[int]:
    columns = session.columns(schema, table)
    named = [column for column in columns if kind_of(column) is not None]
    texts = [column for column, kind in columns.items() if holds_text(kind)]
    for _, batch in batches(people):
        patterns = list(patterns_of({one.identity for one in batch}))
        with attached_people(session, batch) as erased:
            query = finding(schema, table, session.sql, erased, named, texts, len(patterns))
            if query is not None:
                parameters = {f"pattern_{number}": pattern for number, pattern in enumerate(patterns)}
                yield int(session.fetch(query, parameters if texts else None)[0][0])
