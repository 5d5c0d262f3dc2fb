"""Where a column comes from, walked through the column lineage that materialisations recorded. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from braze_platform.markdown import Markup, table

#: A column of an asset: the asset's key with slashes, and the column's name.
AssetColumn: TypeAlias = tuple[str, str]
#: For each column of an asset, the columns that it is made of; empty where the walk ends.
Lineage: TypeAlias = Mapping[str, Sequence[AssetColumn]]


class Origin(NamedTuple):
    """Columns of one asset that a column is made of, so many steps above it."""

    steps: int
    asset: str
    columns: tuple[str, ...]


def walk_origins(start: AssetColumn, lineage_of: Callable[[str], Lineage]) -> list[Origin]:
    """All columns that `start` is made of, itself first, then by distance and name; each asset stands once.

    `lineage_of` is asked once for every asset that is met.
    """
    distance: dict[str, int] = {}
    columns: dict[str, set[str]] = {}
    known: dict[str, Lineage] = {}
    level, steps = [start], 0
    while level:
        above: list[AssetColumn] = []
        for asset, column in level:
            distance.setdefault(asset, steps)
            met = columns.setdefault(asset, set())
            if column in met:
                continue
            met.add(column)
            if asset not in known:
                known[asset] = lineage_of(asset)
            above.extend(known[asset].get(column, ()))
        level, steps = above, steps + 1
    return [
        Origin(distance[asset], asset, tuple(sorted(columns[asset])))
        for asset in sorted(columns, key=lambda name: (distance[name], name))
    ]


def origins_markdown(origins: Sequence[Origin]) -> str:
    """The walk as a table whose assets are links of the Dagster UI."""
    return table(
        ["steps up:", "asset", "columns"],
        [
            [one.steps + 1, Markup(f"[{one.asset}](/assets/{one.asset})"), ", ".join(one.columns)]
            for one in origins
        ],
    )
