"""A plan over many users against one count of a null-safe join of the same tables.

python -m benchmarks.attribute_plan --users 10000000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from braze_platform.attributes.deliver import run_sync
from braze_platform.attributes.ledger import SyncTables, prepare_tables
from braze_platform.attributes.planning import make_plan
from braze_platform.attributes.sync import AttributeSpec, Identifier, Sync
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse
from braze_platform.warehouse.interface import Session

ATTRIBUTES = 20
SYNC = Sync(
    name="benchmark",
    schema="attributes",
    table="benchmark",
    file="benchmark.yml",
    folder="attributes",
    transport="track",
    identifier=Identifier("external_id", ("external_id",)),
    attributes=tuple(AttributeSpec(f"a{i}", "integer") for i in range(ATTRIBUTES)),
)


def fill(session: Session, users: int, changed: bool) -> None:
    """The model; with `changed`, every hundredth user differs from the ledger in one attribute."""
    columns = ", ".join(
        f"cast(i * {n + 1} % 1000 + case when {str(changed).lower()} and i % 100 = 0 and {n} = 0 then 1 else 0 end "
        f"as bigint) as a{n}"
        for n in range(ATTRIBUTES)
    )
    session.execute("create schema if not exists attributes")
    session.execute(
        f"create or replace table attributes.benchmark as select 'user-' || i as external_id, {columns} "
        f"from range({users}) t(i)"
    )


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Print the plan's time, the join's, and the ratios of both runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    users = parser.parse_args().users
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder))
        warehouse = DuckDBWarehouse(settings.duckdb_path, threads=2, memory_limit="1GB")
        with warehouse.session() as session:
            fill(session, users, changed=False)
            prepare_tables(session, SYNC)
            ledger = SyncTables(SYNC, session.sql).ledger
            names = ", ".join(spec.name for spec in SYNC.attributes)
            session.execute(
                f"insert into {ledger} (_user, {names}) select external_id, {names} from attributes.benchmark"
            )
            nothing = seconds(
                lambda: run_sync(session, SYNC, settings, attributes=SYNC.attributes, run_id="nothing")
            )
            nothing_plan = seconds(lambda: make_plan(session, SYNC))
            fill(session, users, changed=True)
            differs = " or ".join(f"m.{s.name} is distinct from l.{s.name}" for s in SYNC.attributes)
            join = (
                f"select count(*) from attributes.benchmark m left join {ledger} l on m.external_id = l._user "
                f"where {differs}"
            )
            baseline = min(seconds(lambda: session.fetch(join)) for _ in range(2))
            plan = min(seconds(lambda: make_plan(session, SYNC)) for _ in range(2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"users {users:,} x {ATTRIBUTES} attributes, 1 % changed")
    print(f"join {baseline:.2f} s, plan {plan:.2f} s, ratio {plan / baseline:.2f} (at most 3)")
    print(
        f"run with nothing to send {nothing:.2f} s, its plan {nothing_plan:.2f} s, ratio {nothing / nothing_plan:.2f} "
        "(at most 1.2)"
    )
    print(f"peak memory {peak:,.0f} MB (under 1,000)")


if __name__ == "__main__":
    main()
