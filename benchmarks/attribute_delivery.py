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

from benchmarks.attribute_plan import SYNC, fill
from braze_platform.attributes.deliver import run_sync
from braze_platform.attributes.requests import Request, RequestLimits, build_requests
from braze_platform.attributes.track import TrackTransport
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse


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


def main() -> None:
    """Print requests a second of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=30_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    arguments = parser.parse_args()
    sync = dataclasses.replace(SYNC, attributes=SYNC.attributes[:3], existing_only=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            state_dir=Path(folder), braze_rest_url=f"http://127.0.0.1:{port}", braze_concurrency=32
        )
        limits = RequestLimits(concurrency=160 if arguments.latency_ms else 32)
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
                objects = [
                    {
                        "external_id": f"user-{i}",
                        "_update_existing_only": False,
                        "a0": i,
                        "a1": 2 * i,
                        "a2": 3 * i,
                    }
                    for i in range(arguments.users)
                ]
                requests = list(build_requests(objects, limits))
                # Once to make the users, so that both sides update the same profiles.
                asyncio.run(bare_loop(settings, limits, requests))
                bare = asyncio.run(bare_loop(settings, limits, requests))
                warehouse = DuckDBWarehouse(settings.duckdb_path, threads=2, memory_limit="1GB")
                with warehouse.session() as session:
                    fill(session, arguments.users, changed=False)
                    run = run_sync(session, sync, settings, run_id="benchmark", limits=limits)
            finally:
                sandbox.terminate()
    report = run.report
    if report is None or not report.complete:
        raise SystemExit(f"The sync did not deliver everything: {report}")
    rate = report.requests / report.seconds
    print(f"users {arguments.users:,}, latency {arguments.latency_ms:g} ms")
    print(
        f"bare loop {bare:,.0f} requests/s, sync {rate:,.0f} requests/s, ratio {rate / bare:.2f} (at least 0.85)"
    )
    print(
        f"{arguments.users / report.seconds:,.0f} users/s delivered; Braze's CSV importer: 3,300 rows/s published"
    )


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
