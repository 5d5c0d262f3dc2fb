"""Small charts as SVG, for materialisation metadata that people look at rather than read. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

#: Width of a chart in pixels: what fits beside the metadata's names in the Dagster UI.
_WIDTH = 640
_LABELS = 190
_ROW = 22
_INK, _MUTED, _GRID = "#1f2937", "#6b7280", "#e5e7eb"
_COLOURS = ("#2563eb", "#16a34a", "#d97706", "#9333ea", "#dc2626", "#0891b2")


@dataclass(frozen=True)
class Interval:
    """A measured value with its interval, as one row of an interval chart; a bound may be missing."""

    label: str
    value: float | None
    low: float | None
    high: float | None


def interval_chart(rows: Sequence[Interval], title: str) -> str:
    """One line per row: a dot for the value, a bar for its interval, a rule at zero. Rows without a value are told."""
    drawn = [row for row in rows if row.value is not None]
    bounds = [
        bound for row in drawn for bound in (row.value, row.low, row.high, 0.0) if bound is not None
    ] or [0.0]
    low, high = min(bounds), max(bounds)
    span = (high - low) or 1.0
    low, span = low - 0.05 * span, 1.1 * span

    def x(value: float) -> float:
        return _LABELS + (value - low) / span * (_WIDTH - _LABELS - 80)

    parts = [
        f'<line x1="{x(0):.1f}" y1="30" x2="{x(0):.1f}" y2="{34 + _ROW * len(rows)}" stroke="{_MUTED}" '
        'stroke-dasharray="3 3"/>'
    ]
    for number, row in enumerate(rows):
        y = 30 + _ROW * number + _ROW / 2
        parts.append(_text(_LABELS - 8, y + 4, _short(row.label, 28), anchor="end"))
        if row.value is None:
            parts.append(_text(_LABELS + 4, y + 4, "no value", colour=_MUTED))
            continue
        if row.low is not None and row.high is not None:
            certain = row.low > 0 or row.high < 0
            parts.append(
                f'<line x1="{x(row.low):.1f}" y1="{y}" x2="{x(row.high):.1f}" y2="{y}" '
                f'stroke="{_COLOURS[0] if certain else _MUTED}" stroke-width="3"/>'
            )
        parts.append(f'<circle cx="{x(row.value):.1f}" cy="{y}" r="4.5" fill="{_INK}"/>')
        parts.append(_text(_WIDTH - 4, y + 4, f"{row.value:+.3f}", anchor="end"))
    return _svg(parts, 40 + _ROW * len(rows), title)


def funnel_chart(steps: Mapping[str, float], title: str) -> str:
    """One bar per step, the widest full, each with its number and its share of the step before."""
    most = max(steps.values(), default=0) or 1
    parts: list[str] = []
    before: float | None = None
    for number, (label, value) in enumerate(steps.items()):
        y = 30 + (_ROW + 6) * number
        width = value / most * (_WIDTH - _LABELS - 230)
        parts.append(_text(_LABELS - 8, y + 16, _short(label, 28), anchor="end"))
        parts.append(
            f'<rect x="{_LABELS}" y="{y}" width="{max(width, 1):.1f}" height="{_ROW}" rx="3" fill="{_COLOURS[0]}"/>'
        )
        share = "" if not before else f"  ({value / before:.1%} of the step before)"
        parts.append(_text(_LABELS + width + 8, y + 16, f"{value:,.0f}{share}"))
        before = value
    return _svg(parts, 40 + (_ROW + 6) * len(steps), title)


def trend_chart(days: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> str:
    """One line a series over days in order, each scaled to the same axis from zero."""
    height, top, left = 180, 34, 56
    most = max((value for values in series.values() for value in values), default=0) or 1
    step = (_WIDTH - left - 16) / max(len(days) - 1, 1)

    def y(value: float) -> float:
        return top + (1 - value / most) * height

    parts = [
        f'<line x1="{left}" y1="{y(most * part):.1f}" x2="{_WIDTH - 16}" y2="{y(most * part):.1f}" stroke="{_GRID}"/>'
        + _text(left - 6, y(most * part) + 4, f"{most * part:,.0f}", anchor="end", colour=_MUTED)
        for part in (0, 0.5, 1)
    ]
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(f"{left + step * index:.1f},{y(value):.1f}" for index, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(left + 150 * number, top + height + 40, f"— {name}", colour=colour))
    if days:
        parts.append(_text(left, top + height + 18, days[0], colour=_MUTED))
        parts.append(_text(_WIDTH - 16, top + height + 18, days[-1], anchor="end", colour=_MUTED))
    return _svg(parts, top + height + 52, title)


def as_markdown_image(svg: str, title: str) -> str:
    """The chart inside Markdown, as the Dagster UI shows it."""
    encoded = base64.b64encode(svg.encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{encoded})"


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="8" y="18" font-weight="bold" fill="{_INK}">{escape(title)}</text>{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
