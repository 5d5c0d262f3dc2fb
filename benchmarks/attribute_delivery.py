"""Delivering changed users against a bare loop over the same transport, both to a sandbox of this machine.

python -m benchmarks.attribute_delivery --users 300000 [--latency-ms 120]
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.attribute_plan import SYNC
from benchmarks.result import Result
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.delivery.requests import Request, RequestLimits, build_requests, limits_of
from braze_platform.sync.run import run_sync
from braze_platform.sync.transports.track import TrackTransport
from braze_platform.warehouse.duckdb import local_warehouse


async def bare_loop(settings: Settings, limits: RequestLimits, requests: list[Request]) -> float:
    """Requests a second of workers that do nothing but post."""
    waiting = iter(requests)

    async def worker(transport: TrackTransport) -> None:
        for request in waiting:
            await transport.send(request)

    async with TrackTransport(settings, limits) as transport:
        started = time.perf_counter()
        await asyncio.gather(*(worker(transport) for _ in range(limits.concurrency)))
        return len(requests) / (time.perf_counter() - started)


def read_back_seconds(users: int, requests: int, requests_per_second: float) -> float:
    """What an engine needs that reads every user back to learn what changed, and sends as fast as we do (computed).

    250 requests per minute of at most 50 users each, the limit of workspaces made since August 2024
    (https://www.braze.com/docs/api/endpoints/export/user_data/post_users_identifier).
    """
    return users / 50 / 250 * 60 + requests / requests_per_second


def main() -> None:
    """Print requests a second of both, and what they come to end to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=30_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    sync = dataclasses.replace(SYNC, attributes=SYNC.attributes[:3], existing_only=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            state_dir=Path(folder),
            braze_rest_url=f"http://127.0.0.1:{port}",
            braze_concurrency=160 if arguments.latency_ms else 32,
        )
        limits = limits_of(settings, sync.transport)
        environment = settings.as_environment()
        with subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from braze_platform.cli import main; main()",
                "sandbox",
                "--port",
                str(port),
            ],
            env={"PATH": "/usr/bin:/bin", **environment},
            stdout=subprocess.DEVNULL,
        ) as sandbox:
            try:
                with httpx.Client(base_url=settings.braze_rest_url) as client:
                    headers = {"Authorization": f"Bearer {settings.braze_api_key}"}
                    _until_up(client, headers)
                    faults = {"latency_ms": arguments.latency_ms}
                    client.post("/sandbox/faults", json=faults, headers=headers).raise_for_status()
                # Once to make the users, so that all that is measured updates profiles that are there.
                asyncio.run(bare_loop(settings, limits, requests_of(arguments.users, 0, limits)))
                measured = [
                    one_round(settings, sync, limits, arguments.users, number)
                    for number in range(1, arguments.rounds + 1)
                ]
            finally:
                sandbox.terminate()
    # What else runs on the machine slows some rounds down: the best of each side is held against the other's.
    bare = max(before for before, _, _, _ in measured)
    rate = max(rate for _, rate, _, _ in measured)
    requests, end_to_end = measured[0][2], min(seconds for *_, seconds in measured)
    limit = limits.requests_per_second
    Result(
        f"requests a second of a sync of {arguments.users:,} users, latency {arguments.latency_ms:g} ms, to "
        "those of a bare loop (or of the limit, if that is less)",
        rate / min(bare, limit),
        0.9 if arguments.latency_ms else 0.85,
        True,
        {"sync, requests/s": rate, "bare loop, requests/s": bare, "limit, requests/s": limit},
    ).tell()
    rows = arguments.users / end_to_end
    Result(
        "rows a second end to end (plan, send, ledger), to the 3,300 that Braze publishes of its CSV importer",
        rows / 3_300,
        1,
        True,
        {"rows/s": rows, "seconds": end_to_end},
    ).tell()
    computed = read_back_seconds(arguments.users, requests, rate)
    Result(
        "seconds of an engine that reads back at 250 requests per minute (computed), to ours",
        computed / end_to_end,
        1,
        True,
        {"computed seconds": computed, "ours": end_to_end},
    ).tell()


def requests_of(users: int, number: int, limits: RequestLimits) -> list[Request]:
    """The requests that the sync would make of a round, built beforehand."""
    return list(
        build_requests(
            (
                {
                    "external_id": f"user-{i}",
                    "_update_existing_only": False,
                    "a0": i + number,
                    "a1": 2 * i + number,
                    "a2": 3 * i + number,
                }
                for i in range(users)
            ),
            limits,
        )
    )


def one_round(
    settings: Settings, sync: Sync, limits: RequestLimits, users: int, number: int
) -> tuple[float, float, int, float]:
    """Requests a second of the bare loop, then of the sync, with its requests and seconds in all; all values change."""
    bare = asyncio.run(bare_loop(settings, limits, requests_of(users, -number, limits)))
    warehouse = local_warehouse(settings.replace(duckdb_memory_limit=settings.duckdb_sync_memory_limit))
    with warehouse.session() as session:
        session.execute("create schema if not exists attributes")
        session.execute(
            "create or replace table attributes.benchmark as select 'user-' || i as external_id, "
            f"i + {number} as a0, 2 * i + {number} as a1, 3 * i + {number} as a2 from range({users}) t(i)"
        )
        started = time.perf_counter()
        run = run_sync(session, sync, settings, f"round-{number}")
        seconds = time.perf_counter() - started
    report = run.report
    if report is None or not report.complete or report.objects_delivered != users:
        raise SystemExit(f"The sync did not deliver everything: {report}")
    return bare, report.requests / report.seconds, report.requests, seconds


def _until_up(client: httpx.Client, headers: dict[str, str]) -> None:
    for _ in range(600):
        try:
            if client.get("/sandbox/health", headers=headers).status_code == 200:
                return
        except httpx.ConnectError:
            time.sleep(0.1)
    raise SystemExit("The sandbox did not start within a minute.")


if __name__ == "__main__":
    main()
