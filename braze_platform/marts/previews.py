"""What a mart's materialisation shows of it: a sample of rows, and a chart where its YAML declares one.

    config:
      meta:
        chart: {kind: interval, title: ..., label: campaign_name, value: lift, low: lift_low, high: lift_high}
        chart: {kind: funnel, title: ..., steps: [sends, deliveries, ...]}     # sums of columns
        chart: {kind: trend, title: ..., day: day, series: [sends, ...]}       # sums of columns by day

Of a table of people no rows are shown: Dagster keeps them, and erasure does not reach there. Of a model of hours or
days the sample shows the latest: it may cost no more with the years (BigQuery bills what is read, not what is shown).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from braze_platform.markdown import table
from braze_platform.marts.charts import (
    Interval,
    as_markdown_image,
    funnel_chart,
    interval_chart,
    trend_chart,
)
from braze_platform.warehouse.personal_names import is_identifier

#: Runs a query and gives its rows.
Fetch: TypeAlias = Callable[[str], Sequence[Sequence[Any]]]

_SAMPLE_ROWS = 8
_SAMPLE_DAYS = 7
#: More rows than this make an interval chart unreadable; days are bounded so that a trend stays one screen wide.
_MAX_ROWS = 24
_MAX_DAYS = 120


class ChartDeclarationError(ValueError):
    """A chart in a model's YAML that cannot be drawn; the message names model, key and remedy."""


def preview(node: Mapping[str, Any], fetch: Fetch, latest_hour: datetime | None) -> dict[str, str]:
    """Markdown by name: `sample`, and `chart` where one is declared, for a model of the manifest. `latest_hour` is the
    latest hour of events (naive UTC)."""
    metadata = {"sample": sample_table(node, fetch, latest_hour)}
    chart = node["config"]["meta"].get("chart")
    if chart:
        metadata["chart"] = _chart(node, chart, fetch)
    return metadata


def check_chart(node: Mapping[str, Any]) -> None:
    """Raise `ChartDeclarationError` when the model's chart names a column that it lacks, or an unknown kind."""
    chart = node["config"]["meta"].get("chart")
    if not chart:
        return
    location = f"{node['original_file_path']}, model {node['name']}, meta.chart"
    wanted = {
        "interval": ("label", "value", "low", "high"),
        "funnel": ("steps",),
        "trend": ("day", "series"),
    }.get(str(chart.get("kind")))
    if wanted is None:
        raise ChartDeclarationError(
            f"{location}: kind is interval, funnel or trend, not {chart.get('kind')!r}."
        )
    for key in (*wanted, "title"):
        if key not in chart:
            raise ChartDeclarationError(f"{location}: a chart of kind {chart['kind']} needs {key!r}.")
    named = [chart[key] for key in wanted]
    for column in (name for part in named for name in (part if isinstance(part, list) else [part])):
        if column not in node["columns"]:
            raise ChartDeclarationError(
                f"{location}: the model has no column {column!r}; it has {', '.join(node['columns'])}."
            )


def sample_table(node: Mapping[str, Any], fetch: Fetch, latest_hour: datetime | None) -> str:
    """A few rows as a Markdown table, in the order of the first column; none of a table of people."""
    named = [
        name
        for name, column in node["columns"].items()
        if column["config"]["meta"].get("personal") or is_identifier(name)
    ]
    if named:
        return f"Not shown: a row is about a person ({', '.join(named)}), and Dagster keeps what it shows."
    rebuild = node["config"]["meta"].get("rebuild", {})
    if rebuild.get("follows"):
        return "Not shown: a few rows of this view take as long as all of them."
    columns = list(node["columns"])
    of_late = _of_late(rebuild, latest_hour)
    rows = fetch(
        f"select {', '.join(columns)} from {node['relation_name']}{of_late} "
        f"order by {columns[0]} limit {_SAMPLE_ROWS}"
    )
    shown = ([None if value is None else str(value)[:60] for value in row] for row in rows)
    return (
        table(columns, shown)
        if rows
        else "no rows" + (f" of the last {_SAMPLE_DAYS} days" if of_late else "")
    )


def _of_late(rebuild: Mapping[str, Any], latest_hour: datetime | None) -> str:
    """The condition on the column by which a model is reprocessed (`dbt_project/macros/replaced_rows.sql`)."""
    column = rebuild.get("column") or rebuild.get("snapshot")
    if column is None or latest_hour is None:
        return ""
    is_day = rebuild.get("kind") == "date" or "snapshot" in rebuild
    since = latest_hour - timedelta(days=_SAMPLE_DAYS)
    written = f"date '{since:%Y-%m-%d}'" if is_day else f"timestamp '{since:%Y-%m-%d %H:%M:%S}'"
    return f" where {column} >= {written}"


def _chart(node: Mapping[str, Any], chart: Mapping[str, Any], fetch: Fetch) -> str:
    relation, title = node["relation_name"], str(chart["title"])
    if chart["kind"] == "interval":
        rows = fetch(
            f"select {chart['label']}, {chart['value']}, {chart['low']}, {chart['high']} from {relation} "
            f"where {chart['value']} is not null order by {chart['value']} desc limit {_MAX_ROWS}"
        )
        intervals = [
            Interval(str(label), _number(value), _number(low), _number(high))
            for label, value, low, high in rows
        ]
        return as_markdown_image(interval_chart(intervals, title), title)
    if chart["kind"] == "funnel":
        sums = ", ".join(f"coalesce(sum({step}), 0)" for step in chart["steps"])
        [row] = fetch(f"select {sums} from {relation}")
        steps = {
            str(step).replace("_", " "): float(value) for step, value in zip(chart["steps"], row, strict=True)
        }
        return as_markdown_image(funnel_chart(steps, title), title)
    sums = ", ".join(f"sum({name})" for name in chart["series"])
    rows = fetch(
        f"select {chart['day']}, {sums} from {relation} group by {chart['day']} "
        f"order by {chart['day']} desc limit {_MAX_DAYS}"
    )[::-1]
    series = {
        str(name).replace("_", " "): [float(row[number] or 0) for row in rows]
        for number, name in enumerate(chart["series"], start=1)
    }
    return as_markdown_image(trend_chart([str(row[0])[:10] for row in rows], series, title), title)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
