"""The demo's summary: what went in, what it did, what went out, and whether the measured lift is the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

from braze_platform.demo.measuring import ATTRIBUTE_COUNTS, Round
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

#: A 95 % interval misses the truth in one campaign of twenty; of a dozen campaigns more than two misses are an error.
MISSES_ALLOWED = 2

_CAMPAIGN_COLUMNS = (
    "campaign_id",
    "campaign_name",
    "channel",
    "sends",
    "deliveries",
    "unique_human_opens",
    "unique_human_clicks",
    "conversions",
    "treated_users",
    "control_users",
    "lift",
    "lift_low",
    "lift_high",
)


@dataclass(frozen=True)
class DemoSummary:
    """All that the demo has to say; `problems` is empty when every part worked."""

    seconds: float
    rounds: Sequence[Round]
    campaigns: Sequence[Mapping[str, Any]]
    problems: Sequence[str] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """The summary for machines."""
        return {
            "ok": not self.problems,
            "problems": list(self.problems),
            "seconds": round(self.seconds, 1),
            "rounds": [asdict(r) for r in self.rounds],
            "campaigns": [dict(c) for c in self.campaigns],
        }

    def as_text(self) -> str:
        """The summary for people."""
        console = Console(file=StringIO(), width=150, force_terminal=False)
        console.print()
        console.print(_rounds_table(self.rounds))
        for this in self.rounds:
            console.print(_attributes_table(this))
        console.print(_sent_in_words(self.rounds))
        console.print(_campaigns_table(self.campaigns))
        console.print(
            "lift: conversion of treated users less that of the control group, in percentage points;\n"
            "truth: the lift that the sandbox simulated. An interval misses the truth once in twenty."
        )
        console.print(f"\n{self.seconds:.0f} seconds in all.")
        for problem in self.problems:
            console.print(f"PROBLEM: {problem}")
        if not self.problems:
            console.print("Every part worked.")
        text = console.file
        assert isinstance(text, StringIO)
        return text.getvalue()


def summarise(
    settings: Settings, truth: Mapping[str, Any], rounds: Sequence[Round], seconds: float
) -> DemoSummary:
    """Read the campaigns' mart, hold it against the truth, and judge all parts."""
    campaigns = campaigns_beside_truth(settings, truth)
    return DemoSummary(seconds, rounds, campaigns, tuple(problems_of(rounds, campaigns)))


def campaigns_beside_truth(settings: Settings, truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a campaign of the sandbox: the mart's measures, the true lift, and whether the interval covers it."""
    with warehouse_of(settings).session() as session:
        mart = session.sql.table("marts", "mart_campaign_performance")
        found = session.fetch(f"select {', '.join(_CAMPAIGN_COLUMNS)} from {mart}")
    measured = {row[0]: dict(zip(_CAMPAIGN_COLUMNS, row, strict=True)) for row in found}
    rows = []
    for campaign_id, facts in sorted(truth["campaigns"].items(), key=lambda item: str(item[1]["name"])):
        row = measured.get(campaign_id, {"campaign_id": campaign_id, "campaign_name": facts["name"]})
        low, high = row.get("lift_low"), row.get("lift_high")
        covered = low is not None and high is not None and low <= facts["true_lift"] <= high
        rows.append({**row, "true_lift": facts["true_lift"], "interval_covers_truth": covered})
    return rows


def problems_of(rounds: Sequence[Round], campaigns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every part that did not work, in words; empty when all did."""
    problems = []
    for this in rounds:
        for status in ("failure", "canceled"):
            if this.runs.get(status):
                problems.append(f"Round {this.number}: {this.runs[status]} Dagster runs ended as {status}.")
        if not this.attributes:
            problems.append(f"Round {this.number}: no attribute was materialised.")
        due = sum(counts["due"] for counts in this.attributes.values())
        if due:
            problems.append(f"Round {this.number}: {due:,} attribute values are still due.")
        injected = this.sandbox["edge_cases"]
        unreadable = sum(
            int(injected.get(kind, 0))
            for kind in ("truncated_files", "empty_files", "text_files", "keys_of_neither_layout")
        )
        if this.warehouse.quarantined != unreadable:
            problems.append(
                f"Round {this.number}: {this.warehouse.quarantined} objects are quarantined, "
                f"but the sandbox injected {unreadable} unreadable ones."
            )
        if this.warehouse.rows != this.sandbox["events"]:
            problems.append(
                f"Round {this.number}: the raw tables hold {this.warehouse.rows:,} rows, "
                f"but the sandbox delivered {this.sandbox['events']:,} events."
            )
    if len(rounds) == 2:
        first, second = (this.values_delivered for this in rounds)
        if first == 0:
            problems.append("Round one delivered no attribute value.")
        if second == 0:
            problems.append("Round two delivered no attribute value, though two more days of events came in.")
        if second >= first:
            problems.append(f"Round two sent {second:,} values, round one {first:,}: not only what changed.")
    missed = [c["campaign_name"] for c in campaigns if not c["interval_covers_truth"]]
    if len(missed) > MISSES_ALLOWED:
        problems.append(
            f"The lift's interval misses the truth in {len(missed)} campaigns: {', '.join(map(str, missed))}."
        )
    if not campaigns:
        problems.append("The sandbox knows no campaign.")
    return problems


def _rounds_table(rounds: Sequence[Round]) -> Table:
    table = Table(title="In", title_justify="left")
    table.add_column("")
    for this in rounds:
        table.add_column(f"after round {this.number}", justify="right")
    lines: list[tuple[str, list[str]]] = [
        ("events delivered by the sandbox", [f"{r.sandbox['events']:,}" for r in rounds]),
        ("rows in raw tables", [f"{r.warehouse.rows:,}" for r in rounds]),
        ("event types", [f"{r.warehouse.event_types}" for r in rounds]),
        (
            "  unknown to the catalogue, loaded all the same",
            [f"{len(r.warehouse.unknown_event_types)}" for r in rounds],
        ),
        ("files loaded", [f"{r.warehouse.files:,}" for r in rounds]),
        ("duplicates dropped downstream", [f"{r.warehouse.duplicates:,}" for r in rounds]),
        ("files quarantined", [f"{r.warehouse.quarantined:,}" for r in rounds]),
        ("Dagster runs of the round", [", ".join(f"{n} {s}" for s, n in r.runs.items()) for r in rounds]),
    ]
    for name, values in lines:
        table.add_row(name, *values)
    return table


def _attributes_table(this: Round) -> Table:
    table = Table(title=f"Out, round {this.number}: users by attribute", title_justify="left")
    table.add_column("attribute")
    for name in ATTRIBUTE_COUNTS:
        table.add_column(name, justify="right")
    for attribute, counts in sorted(this.attributes.items()):
        table.add_row(attribute, *(f"{counts.get(name, 0):,}" for name in ATTRIBUTE_COUNTS))
    return table


def _sent_in_words(rounds: Sequence[Round]) -> str:
    """What each round sent, the later ones against the first."""
    sentences = []
    first = 0
    accepted = 0
    for this in rounds:
        sent = this.values_delivered
        share = f", {sent / first:.0%} of round {rounds[0].number}" if first else ""
        sentences.append(
            f"Round {this.number} sent {sent:,} values in {this.requests - accepted:,} requests{share}."
        )
        first, accepted = first or sent, this.requests
    return "\n".join(sentences)


def _campaigns_table(campaigns: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Campaigns", title_justify="left")
    for name in ("campaign", "channel"):
        table.add_column(name)
    for name in (
        "sends",
        "deliveries",
        "opens",
        "clicks",
        "conversions",
        "lift",
        "95 % interval",
        "truth",
        "",
    ):
        table.add_column(name, justify="right")
    for row in campaigns:
        numbers = [
            row.get(name)
            for name in ("sends", "deliveries", "unique_human_opens", "unique_human_clicks", "conversions")
        ]
        table.add_row(
            str(row.get("campaign_name")),
            str(row.get("channel", "")),
            *("" if n is None else f"{n:,}" for n in numbers),
            _points(row.get("lift")),
            f"{_points(row.get('lift_low'))} to {_points(row.get('lift_high'))}",
            _points(row["true_lift"]),
            "covered" if row["interval_covers_truth"] else "missed",
        )
    return table


def _points(share: float | None) -> str:
    return "" if share is None else f"{100 * share:+.2f}"
