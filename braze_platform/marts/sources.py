"""Which dbt sources the platform itself writes, and so may make when they are missing. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

#: The mark of such a table in `models/sources`.
_MARK = "created_when_missing"


class SourceError(ValueError):
    """A source is marked as the platform's own and is not; the message names it, its file and the remedy."""


def check_own_sources(manifest: Mapping[str, Any], own: Mapping[str, Collection[str]]) -> None:
    """Raise `SourceError` where a table with `meta: {created_when_missing: true}` is none that the platform writes.

    `own` are the tables that it writes, by dbt's name of the source. An empty table under a misspelt name would look
    like one into which nothing was delivered yet.
    """
    mistakes = []
    for source in manifest["sources"].values():
        name, table = str(source["source_name"]), str(source["identifier"])
        if not source["config"]["meta"].get(_MARK) or table in own.get(name, ()):
            continue
        near = difflib.get_close_matches(table, own.get(name, ()), n=1)
        mistakes.append(
            f"- {source['original_file_path']}: the source {name}.{source['name']} has `{_MARK}: true`, but the "
            f"platform writes no table {table} in the data set {source['schema']}"
            + (f" (did you mean {near[0]}?)" if near else "")
            + f". Correct its name, or set `config: {{meta: {{{_MARK}: false}}}}` where something else makes it."
        )
    if mistakes:
        raise SourceError("\n".join(["Sources of the dbt project are declared wrongly:", *sorted(mistakes)]))
