"""Cloud Data Ingestion: integrations over tables, their jobs, and how a job picks its rows.

The tables are Parquet files that the local target lays into a folder (the sandbox cannot open the warehouse while
another process has it): every file is an integration of its name. Rules: Braze's pages on table setup, best practices
and the three endpoints under `/cdi/integrations`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from braze_platform.sandbox.api.faults import Faults
from braze_platform.sandbox.api.ingest import ingest
from braze_platform.sandbox.api.rate_limits import RateLimit
from braze_platform.sandbox.api.track import RequestRefused, read_request
from braze_platform.sandbox.store.profiles import Store

PAGE = 10
MAX_PAYLOAD_BYTES = 1_000_000
MAX_ATTRIBUTES = 250
_REQUIRED = ("UPDATED_AT", "PAYLOAD")
_IDENTIFIERS = ("EXTERNAL_ID", "BRAZE_ID", "EMAIL", "PHONE")
_BATCH = 1_000
_KEPT_JOBS = 200

Answering = Callable[[Request], Awaitable[Response]]
Serving = Callable[[Request, RateLimit, Answering, Callable[[str], None]], Awaitable[Response]]


class CloudDataIngestion:
    """The three endpoints, and the jobs that they start. Integrations update existing users only."""

    def __init__(
        self, store: Store, faults: Faults, serve: Serving, folder: Path, start_seconds: float
    ) -> None:
        self._store = store
        self._faults = faults
        self._serve = serve
        self._folder = folder
        self._start_seconds = start_seconds
        self._limits = {
            name: RateLimit(per_hour=60 * a_minute, burst=a_minute, burst_seconds=60)
            for name, a_minute in (("list", 50), ("sync", 20), ("status", 100))
        }
        self._order = random.Random(0)
        self._running: dict[str, asyncio.Task[None]] = {}

    def routes(self) -> list[Route]:
        """The endpoints."""
        one = "/cdi/integrations/{integration_id}"
        return [
            Route("/cdi/integrations", self._route("list", self._list)),
            Route(f"{one}/sync", self._route("sync", self._sync), methods=["POST"]),
            Route(f"{one}/job_sync_status", self._route("status", self._status)),
        ]

    async def stop(self) -> None:
        """Break off running jobs; what they wrote stays, as after an outage at Braze."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _route(self, limit: str, answer: Callable[[Request], Response]) -> Answering:
        async def serving(request: Request) -> Response:
            def count(outcome: str) -> None:
                self._store.count_export("/cdi", outcome)

            async def answering(request: Request) -> Response:
                response = answer(request)
                if response.status_code < 400:
                    count("accepted")
                return response

            return await self._serve(request, self._limits[limit], answering, count)

        return serving

    def _list(self, request: Request) -> Response:
        def described(name: str) -> dict[str, Any]:
            state = self._state(name)
            last = state["jobs"][0] if state["jobs"] else {}
            return {
                "integration_id": integration_id(name),
                "app_group_id": "sandbox",
                "integration_name": name,
                "integration_type": "user_attributes",
                "integration_status": "active",
                "contact_emails": "data@example.com",
                "last_updated_at": state["watermark"],
                "warehouse_type": "BigQuery",
                "last_job_start_time": last.get("sync_start_time"),
                "last_job_status": last.get("job_status"),
                "next_scheduled_run": None,
            }

        names = sorted(path.stem for path in self._folder.glob("*.parquet"))
        return _page(request, [described(name) for name in names])

    def _sync(self, request: Request) -> Response:
        name = self._name(request)
        if name is None:
            return JSONResponse({"message": "Integration not found."}, 404)
        if name in self._running:
            return JSONResponse({"message": "Another job is in progress"}, 429)
        state = self._state(name)
        state["jobs"].insert(0, {"job_status": "running", "sync_start_time": _now()})
        self._save(name, state)
        task = asyncio.create_task(self._job(name))
        self._running[name] = task
        task.add_done_callback(lambda _: self._running.pop(name, None))
        return JSONResponse({"message": "success"}, 202)

    def _status(self, request: Request) -> Response:
        name = self._name(request)
        if name is None:
            return JSONResponse({"message": "Invalid integration ID"}, 400)
        return _page(request, self._state(name)["jobs"])

    async def _job(self, name: str) -> None:
        """One run: rows above the watermark, or at it as well when their number has grown since."""
        finished: dict[str, Any] = {"job_status": "error", "rows_synced": 0, "rows_failed_with_errors": 0}
        state = self._state(name)
        try:
            await asyncio.sleep(self._start_seconds)
            table = await asyncio.to_thread(_read, self._folder / f"{name}.parquet")
            missing = [column for column in _REQUIRED if column not in table.column_names]
            if missing:
                finished["job_status"] = "config_error"
                return
            rows = _rows_to_sync(table.to_pylist(), state["watermark"], state["rows_at_watermark"])
            # "If the same user is there several times, the order of the updates cannot be foreseen."
            self._order.shuffle(rows)
            synced = failed = 0
            for start in range(0, len(rows), _BATCH):
                taken = self._ingest(rows[start : start + _BATCH])
                synced, failed = synced + taken, failed + min(_BATCH, len(rows) - start) - taken
                await asyncio.sleep(0)
            if rows:
                newest = max(row["UPDATED_AT"] for row in rows)
                state["watermark"] = newest.isoformat()
                everything = table.column("UPDATED_AT").to_pylist()
                state["rows_at_watermark"] = sum(updated_at == newest for updated_at in everything)
            finished = {
                "job_status": "success" if not failed else "partial" if synced else "error",
                "rows_synced": synced,
                "rows_failed_with_errors": failed,
            }
        finally:
            state["jobs"][0] |= {
                **finished,
                "sync_finish_time": _now(),
                "last_timestamp_synced": state["watermark"],
            }
            self._save(name, state)

    def _ingest(self, rows: list[dict[str, Any]]) -> int:
        """Apply rows as `/users/track` would their objects; how many were taken."""
        objects = [found for row in rows if (found := _object(row)) is not None]
        if not objects:
            return 0
        try:
            request = self._faults.spoil(read_request({"attributes": objects}, _BATCH))
        except RequestRefused:
            return 0
        ingest(self._store, request)
        return len(request.attributes)

    def _name(self, request: Request) -> str | None:
        wanted = request.path_params["integration_id"]
        return next(
            (path.stem for path in self._folder.glob("*.parquet") if integration_id(path.stem) == wanted),
            None,
        )

    def _state(self, name: str) -> dict[str, Any]:
        known = self._store.meta(f"cdi:{name}")
        if known is None:
            return {"watermark": None, "rows_at_watermark": 0, "jobs": []}
        state: dict[str, Any] = json.loads(known)
        if name not in self._running and state["jobs"] and state["jobs"][0]["job_status"] == "running":
            # The sandbox was stopped in the middle of it.
            state["jobs"][0] |= {"job_status": "error", "sync_finish_time": _now()}
        return state

    def _save(self, name: str, state: dict[str, Any]) -> None:
        state["jobs"] = state["jobs"][:_KEPT_JOBS]
        self._store.set_meta(f"cdi:{name}", json.dumps(state))


def integration_id(name: str) -> str:
    """The id of an integration, made of its name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox/cdi/{name}"))


def _rows_to_sync(
    rows: list[dict[str, Any]], watermark: str | None, rows_at_watermark: int
) -> list[dict[str, Any]]:
    if watermark is None:
        return rows
    watermark_at = datetime.fromisoformat(watermark)
    grown = sum(row["UPDATED_AT"] == watermark_at for row in rows) > rows_at_watermark
    return [
        row
        for row in rows
        if row["UPDATED_AT"] > watermark_at or (grown and row["UPDATED_AT"] == watermark_at)
    ]


def _object(row: dict[str, Any]) -> dict[str, Any] | None:
    """The object that a row stands for; None for a row that is rejected."""
    identifiers: dict[str, Any] = {
        name.lower(): row[name] for name in _IDENTIFIERS if row.get(name) is not None
    }
    if row.get("ALIAS_NAME") is not None and row.get("ALIAS_LABEL") is not None:
        identifiers["user_alias"] = {"alias_name": row["ALIAS_NAME"], "alias_label": row["ALIAS_LABEL"]}
    text = row["PAYLOAD"]
    if len(identifiers) != 1 or not isinstance(text, str) or len(text.encode()) > MAX_PAYLOAD_BYTES:
        return None
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    if not isinstance(payload, dict) or len(payload) > MAX_ATTRIBUTES:
        return None
    return {**payload, **identifiers, "_update_existing_only": True}


def _read(path: Path) -> pa.Table:
    return pq.read_table(path)


def _page(request: Request, entries: list[dict[str, Any]]) -> Response:
    cursor = request.query_params.get("cursor")
    try:
        start = int(base64.urlsafe_b64decode(cursor).decode().removeprefix("skip:")) if cursor else 0
    except (binascii.Error, ValueError):
        return JSONResponse({"message": "Invalid cursor"}, 400)

    def link(at: int, relation: str) -> str:
        code = base64.urlsafe_b64encode(f"skip:{at}".encode()).decode()
        return f'<{request.url.path}?cursor={code}>; rel="{relation}"'

    links = [link(max(0, start - PAGE), "prev")] if start else []
    if start + PAGE < len(entries):
        links.append(link(start + PAGE, "next"))
    headers = {"Link": ",".join(links)} if links else None
    return JSONResponse({"results": entries[start : start + PAGE], "message": "success"}, headers=headers)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
