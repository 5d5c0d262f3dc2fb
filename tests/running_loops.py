"""Whole loops in real processes, and what they leave behind: tables, profiles, checks, files."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import served_sandbox
from dagster import AssetCheckKey, DagsterRun, DagsterRunStatus, RunsFilter

from braze_platform.definitions import build_definitions
from braze_platform.demo.local_loop import LocalLoop
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

PATIENCE_SECONDS = 900.0


def kill_run(loop: LocalLoop, first_key_part: str, ripe: Callable[[DagsterRun], bool]) -> None:
    """Wait for a run over assets of one kind, and kill its process when it is ripe."""
    assert loop.instance is not None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        loop.check()
        for record in loop.instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTED])):
            run = record.dagster_run
            kinds = {key.path[0] for key in run.asset_selection or ()}
            if first_key_part in kinds and ripe(run):
                os.kill(process_of(loop, run), signal.SIGKILL)
                while loop.instance.get_run_by_id(run.run_id).status is DagsterRunStatus.STARTED:  # type: ignore[union-attr]
                    time.sleep(0.2)
                assert loop.instance.get_run_by_id(run.run_id).status is DagsterRunStatus.FAILURE  # type: ignore[union-attr]
                return
        time.sleep(0.05)
    raise AssertionError(f"no run over {first_key_part} became ripe for being killed")


def materialisations(loop: LocalLoop, run: DagsterRun) -> int:
    assert loop.instance is not None
    return loop.instance.get_run_stats(run.run_id).materializations


def process_of(loop: LocalLoop, run: DagsterRun) -> int:
    assert loop.instance is not None
    for entry in loop.instance.all_logs(run.run_id):
        found = re.search(r"Started process for run \(pid: (\d+)\)", entry.message)
        if found:
            return int(found[1])
    raise AssertionError("Dagster did not log the process of the run")


def checks_by_status(loop: LocalLoop) -> dict[AssetCheckKey, str]:
    """How the latest evaluation of every check ended, `never` where there was none."""
    assert loop.instance is not None
    keys = build_definitions(loop.settings).get_repository_def().asset_graph.asset_check_keys
    latest = loop.instance.event_log_storage.get_latest_asset_check_execution_by_key(sorted(keys, key=str))
    return {key: latest[key].status.value if key in latest else "never" for key in keys}


def everything(loop: LocalLoop, users: int) -> dict[str, Any]:
    """All rows that must not depend on what happened on the way, and all profiles."""
    return {"tables": tables(loop.settings), "profiles": profiles(loop, users)}


def tables(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """By schema and table, the rows that must not depend on what happened on the way.

    Events of updated profiles tell what was delivered and when: a killed sync rightly delivers its last seconds again.
    """
    found: dict[str, list[tuple[Any, ...]]] = {}
    with warehouse_of(settings).session() as session:
        for schema, table in session.fetch(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema in ('currents_raw', 'marts', 'attributes', 'company')"
        ):
            if table == "users_profile_update":
                continue
            counted = "where event_type <> 'users.profile.Update'" if table == "audit_event_counts" else ""
            left_out = {"_loaded_at"}
            if table == "dim_user_identity":
                # of some users the last event is such an update: in which second depends on which request came first
                left_out.add("last_seen_at")
            columns = [c for c in session.columns(schema, table) if c not in left_out]
            rows = session.fetch(f'select {", ".join(columns)} from {schema}."{table}" {counted}')
            found[f"{schema}.{table}"] = sorted(rows, key=repr)
        for (table,) in session.fetch(
            "select table_name from information_schema.tables "
            "where table_schema = 'braze_sync' and table_name like 'ledger_%'"
        ):
            columns = [c for c in session.columns("braze_sync", table) if not c.startswith("_")]
            rows = session.fetch(f'select {", ".join(columns)} from braze_sync."{table}"')
            found[f"braze_sync.{table}"] = sorted(rows, key=repr)
    return found


def profiles(loop: LocalLoop, users: int) -> dict[str, dict[str, Any]]:
    with served_sandbox.sandbox_client(loop.settings) as client:
        return served_sandbox.profiles(client, [f"u{number:06d}" for number in range(1, users + 1)])


def files_holding(folder: Path, secret: bytes) -> list[str]:
    return [
        str(p.relative_to(folder))
        for p in sorted(folder.rglob("*"))
        if p.is_file() and secret in p.read_bytes()
    ]
