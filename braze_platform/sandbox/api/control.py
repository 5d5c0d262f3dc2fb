"""The endpoints that steer the sandbox: history, advance, flush, state, truth, faults, health."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from braze_platform.sandbox.api.faults import Faults, FaultSettings, FaultsRefused
from braze_platform.sandbox.world.simulation import Job, Simulation, SimulationRefused

_MAX_DAYS = 400


class ArgumentsRefused(ValueError):
    """A steering request's arguments are wrong; the message names them and what they must be."""


class Runner:
    """Runs the days asked for in a thread of its own, one run at a time."""

    def __init__(self, open_simulation: Callable[[], Simulation]) -> None:
        self._open_simulation = open_simulation
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.phase = "idle"
        self.progress = 0.0
        self.error: str | None = None

    def start(self, job: Job) -> None:
        """Start a run; the phase shows it until it is done."""
        self.phase, self.progress, self.error = job.phase, 0.0, None
        self._thread = threading.Thread(target=self._run, args=(job,), name="simulation", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the day that is being simulated, and wait for that; the next start resumes the run."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, job: Job) -> None:
        try:
            simulation = self._open_simulation()
            try:
                simulation.run(job, self._report)
            finally:
                simulation.close()
            self.progress = 1.0
        except Exception as error:  # noqa: BLE001 - the thread's end: whatever went wrong is shown in the state
            reason = f"{type(error).__name__}: {error}"
            self.error = f"{reason}. Restart the sandbox, or request the same history again, to resume."
        self.phase = "idle"

    def _report(self, share: float) -> bool:
        self.progress = share
        return not self._stop.is_set()


class Control:
    """The steering endpoints over one simulation."""

    def __init__(self, simulation: Simulation, runner: Runner, faults: Faults) -> None:
        self._simulation = simulation
        self._runner = runner
        self._faults = faults

    async def history(self, request: Request) -> Response:
        """`POST /sandbox/history {"days", "until"}`."""
        body = await _body(request)
        days = _days(body, 14)
        try:
            until = date.fromisoformat(body["until"]) if "until" in body else default_until()
        except (TypeError, ValueError):
            raise ArgumentsRefused("'until' must be a day, written YYYY-MM-DD.") from None
        if "until" not in body and (known := self._simulation.store.meta("history")) is not None:
            until = date.fromisoformat(json.loads(known)["until"])
        job = self._simulation.ask_history(days, until)
        if job is None and self._runner.phase == "idle":
            job = self._simulation.job()  # a run that failed: asking again resumes it
        if job is not None:
            self._runner.start(job)
        return JSONResponse({"days": days, "until": until.isoformat(), "started": job is not None}, 202)

    async def advance(self, request: Request) -> Response:
        """`POST /sandbox/advance {"days"}`."""
        job = self._simulation.ask_advance(_days(await _body(request), 1))
        self._runner.start(job)
        return JSONResponse({"days": job.last_day - job.first_day + 1, "started": True}, 202)

    async def flush(self, _request: Request) -> Response:
        """`POST /sandbox/flush`: export waiting profile updates now."""
        return JSONResponse({"profile_updates": self._simulation.flush()})

    async def state(self, _request: Request) -> Response:
        """`GET /sandbox/state`."""
        runner = self._runner
        state = {"phase": runner.phase, "progress": runner.progress, "error": runner.error}
        return JSONResponse({**state, **self._simulation.totals()})

    async def truth(self, _request: Request) -> Response:
        """`GET /sandbox/truth`."""
        return JSONResponse({"campaigns": self._simulation.truth()})

    async def get_faults(self, _request: Request) -> Response:
        """`GET /sandbox/faults`."""
        return JSONResponse(self._faults.settings.to_json())

    async def set_faults(self, request: Request) -> Response:
        """`POST /sandbox/faults`: what the body leaves out is switched off."""
        self._faults.settings = FaultSettings.from_json(await _body(request))
        return JSONResponse(self._faults.settings.to_json())

    async def break_objects(self, request: Request) -> Response:
        """`POST /sandbox/broken_objects {"<id>": "missing" | "malformed"}`: whose details cannot be read."""
        self._faults.break_objects(await _body(request))
        return JSONResponse(self._faults.broken_objects)

    async def health(self, _request: Request) -> Response:
        """`GET /sandbox/health`."""
        return JSONResponse({"status": "ok"})

    def routes(self, guarded: Callable[[Callable[..., Any]], Callable[..., Any]]) -> list[Route]:
        """All routes, each behind a guard that asks for the key."""
        return [
            Route("/sandbox/history", guarded(self.history), methods=["POST"]),
            Route("/sandbox/advance", guarded(self.advance), methods=["POST"]),
            Route("/sandbox/flush", guarded(self.flush), methods=["POST"]),
            Route("/sandbox/state", guarded(self.state)),
            Route("/sandbox/truth", guarded(self.truth)),
            Route("/sandbox/faults", guarded(self.get_faults)),
            Route("/sandbox/faults", guarded(self.set_faults), methods=["POST"]),
            Route("/sandbox/broken_objects", guarded(self.break_objects), methods=["POST"]),
            Route("/sandbox/health", guarded(self.health)),
        ]


def default_until() -> date:
    """Two days before today (UTC): an advance of a day or two stays in the past."""
    return datetime.now(timezone.utc).date() - timedelta(days=2)


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        raise ArgumentsRefused("The request body is not JSON.") from None
    if not isinstance(body, dict):
        raise ArgumentsRefused("The request body must be a JSON object.")
    return body


def _days(body: dict[str, Any], default: int) -> int:
    days = body.get("days", default)
    if isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= _MAX_DAYS:
        return days
    raise ArgumentsRefused(f"'days' must be a whole number from 1 to {_MAX_DAYS}.")


#: What a steering endpoint refuses, and the status that says so.
REFUSALS = {ArgumentsRefused: 400, FaultsRefused: 400, SimulationRefused: 409}
