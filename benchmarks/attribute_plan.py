"""A plan over many users against one count of a null-safe join of the same tables; and what memory it takes.

python -m benchmarks.attribute_plan --users 10000000

Tables are made in one process, measured in a second, and planned once more in a third whose peak memory is told.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.result import Result, seconds_of
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec, Identifier, PlanLimits, Sync
from braze_platform.sync.ledger.ledger_shape import prepare_tables
from braze_platform.sync.ledger.store import SyncStore
from braze_platform.sync.plan.planning import drop_plan, make_plan
from braze_platform.sync.run import run_sync
from braze_platform.warehouse.duckdb import local_warehouse
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.leases import hold_lease

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
    limits=PlanLimits(max_first_users=100_000_000),
)
MEMORY_MEGABYTES = 1_000


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


def prepare(settings: Settings, users: int) -> None:
    """A ledger that has every value of the model."""
    with local_warehouse(settings).session() as session:
        fill(session, users, changed=False)
        prepare_tables(SyncStore(session, SYNC))
        names = ", ".join(spec.name for spec in SYNC.attributes)
        session.execute(
            f"insert into {SyncStore(session, SYNC).ledger} (_user, {names}) "
            f"select external_id, {names} from attributes.benchmark"
        )


def plan(session: Session) -> None:
    """Plan as a run does: under the sync's lease, into tables."""
    with hold_lease(session, SYNC.name, "the benchmark", wait_seconds=0) as leased:
        store = SyncStore(leased, SYNC)
        make_plan(store)
        drop_plan(store)


def measure(settings: Settings, users: int, rounds: int) -> None:
    """Print the ratios of a run with nothing to send to its plan, and of a plan to a count of the join."""
    with local_warehouse(settings).session() as session:
        nothing = min(seconds_of(lambda: run_sync(session, SYNC, settings, "nothing")) for _ in range(rounds))
        nothing_plan = min(seconds_of(lambda: plan(session)) for _ in range(rounds))
        fill(session, users, changed=True)
        differs = " or ".join(f"m.{spec.name} is distinct from l.{spec.name}" for spec in SYNC.attributes)
        join = (
            f"select count(*) from attributes.benchmark m left join {SyncStore(session, SYNC).ledger} l "
            f"on m.external_id = l._user where {differs}"
        )
        pairs = [
            (seconds_of(lambda: session.fetch(join)), seconds_of(lambda: plan(session)))
            for _ in range(rounds)
        ]
    baseline, planning = (min(column) for column in zip(*pairs, strict=True))
    Result(
        f"plan of {users:,} users x {ATTRIBUTES} attributes, 1 % changed, to a count of the join",
        planning / baseline,
        3,
        False,
        {"plan seconds": planning, "join seconds": baseline},
    ).tell()
    Result(
        "run with nothing to send, to its plan",
        nothing / nothing_plan,
        1.2,
        False,
        {"run seconds": nothing, "plan seconds": nothing_plan},
    ).tell()


def measure_memory(settings: Settings, users: int) -> None:
    """Print the peak memory of this process, which does nothing but plan."""
    with local_warehouse(settings).session() as session:
        plan(session)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Result(
        f"peak memory of a process that plans {users:,} users, to {MEMORY_MEGABYTES:,} MB",
        peak / MEMORY_MEGABYTES,
        1,
        False,
        {"peak MB": peak, "DuckDB may use": settings.duckdb_memory_limit},
    ).tell()


def main() -> None:
    """Run every step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-limit", default=Settings().duckdb_sync_memory_limit)
    parser.add_argument("--step", choices=["prepare", "measure", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step is None:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("prepare", "measure", "memory"):
                command = [sys.executable, "-m", "benchmarks.attribute_plan", *sys.argv[1:]]
                subprocess.run([*command, "--step", step, "--folder", folder], check=True)
        return
    settings = Settings(state_dir=given.folder, duckdb_memory_limit=given.memory_limit)
    if given.step == "prepare":
        prepare(settings, given.users)
    elif given.step == "measure":
        measure(settings, given.users, given.rounds)
    else:
        measure_memory(settings, given.users)


if __name__ == "__main__":
    main()
