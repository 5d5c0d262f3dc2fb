"""How a benchmark tells its result: the ratio to a baseline of the same run, and the target it is held against."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import click


@dataclass(frozen=True)
class Result:
    """One measured ratio."""

    what: str
    ratio: float
    target: float
    #: Whether the ratio must be at least the target, not at most.
    at_least: bool
    details: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the target is met."""
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    def tell(self, *, as_json: bool = False) -> None:
        """Print it; the exit code stays 0, because a small or disturbed run proves nothing."""
        if as_json:
            click.echo(json.dumps({**asdict(self), "holds": self.holds, "cores": os.cpu_count()}))
            return
        sign = "at least" if self.at_least else "at most"
        for name, value in self.details.items():
            click.echo(f"  {name}: {value:,.2f}" if isinstance(value, float) else f"  {name}: {value}")
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        click.echo(
            f"{self.what}: {self.ratio:.2f} (target: {sign} {self.target:g}; {verdict}; {os.cpu_count()} cores)"
        )


def seconds_of(work: Callable[[], Any]) -> float:
    """How long a piece of work takes."""
    started = perf_counter()
    work()
    return perf_counter() - started
