"""What the events of a large run take in the local target's Dagster storage, against Dagster's default."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import dagster as dg

from benchmarks.result import Result, seconds_of
from braze_platform.demo.local_loop import prepare_dagster_home
from braze_platform.settings import Settings

ASSETS = 300
NAMES = [f"asset_{number}" for number in range(ASSETS)]


@dg.multi_asset(
    specs=[dg.AssetSpec(name) for name in NAMES],
    check_specs=[dg.AssetCheckSpec("checked", asset=name) for name in NAMES],
)
def many_assets() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Assets that do nothing, each with a check: all that a run of them takes is Dagster's."""
    for name in NAMES:
        yield dg.MaterializeResult(asset_key=name, metadata={"rows": 1})
        yield dg.AssetCheckResult(asset_key=name, check_name="checked", passed=True)


def run_seconds(*, plain: bool) -> float:
    """Seconds of a run over all assets in a new Dagster home."""
    with tempfile.TemporaryDirectory() as name:
        home = prepare_dagster_home(Settings(state_dir=Path(name)))
        settings = (
            "telemetry: {enabled: false}\n" if plain else (home / "dagster.yaml").read_text(encoding="utf-8")
        )
        # Printing 2,000 lines takes as long in both, and hides the difference.
        quiet = "python_logs: {python_log_level: ERROR}\n"
        (home / "dagster.yaml").write_text(settings + quiet, encoding="utf-8")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            return seconds_of(lambda: dg.materialize([many_assets], instance=instance))


@click.command()
@click.option("--json", "as_json", is_flag=True)
def main(as_json: bool) -> None:
    """Measure a run of many assets and checks."""
    before, ours, after = run_seconds(plain=True), run_seconds(plain=False), run_seconds(plain=True)
    Result(
        f"a run over {ASSETS} assets and {ASSETS} checks, databases kept open / Dagster's default",
        ours / ((before + after) / 2),
        0.6,
        False,
        {
            "seconds, default, before": before,
            "seconds, kept open": ours,
            "seconds, default, after": after,
        },
    ).tell(as_json=as_json)


if __name__ == "__main__":
    main()
