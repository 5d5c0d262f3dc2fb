"""Tables for the Dagster UI, in which text from elsewhere is text: no link, no image, no HTML. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"[\\|\[\]<>`]")
#: What a Markdown reader makes a link of by itself.
_ADDRESSES = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)


class Markup(str):
    """Markdown of the platform's own, which a cell takes as it stands."""


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns whose head ends in a colon hold numbers and stand to the right.

    >>> print(table(["campaign", "sends:"], [["Sale ![x](http://a.b/c) | now", 1200], [None, 0]]))
    | campaign | sends |
    | --- | ---: |
    | Sale !\\[x\\](http\\://a.b/c) \\| now | 1,200 |
    |  | 0 |
    """
    lines = [
        [head.removesuffix(":") for head in heads],
        ["---:" if h.endswith(":") else "---" for h in heads],
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [*lines, *(map(cell, row) for row in rows)])


def cell(value: object) -> str:
    """A value as text in a cell: nothing for null, whole numbers in groups of thousands."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    escaped = _MARKS.sub(r"\\\g<0>", " ".join(str(value).splitlines()))
    return _ADDRESSES.sub(r"\\\g<0>", escaped)
