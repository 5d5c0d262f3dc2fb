"""The loop on one machine as processes: a sandbox and a Dagster instance over one state folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import httpx
import yaml
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from braze_platform.braze_api.http_clients import loopback_exempted, request_once
from braze_platform.demo.dagster_storage import OpenSqliteStorage
from braze_platform.demo.processes import ChildProcess, ProcessDied, end_leftovers, interruptible
from braze_platform.demo.watching import RunWatcher, ticks_after
from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.state_folder import StateInUse, make_private, refuse_another

#: The sensors that turn the loop; each has to look once after the last run and find nothing to do.
SENSORS = ("currents_hours", "company_exports", "automation")

#: Runs in one of these will still do something.
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

Say = Callable[[str], None]


class LoopTimeout(RuntimeError):
    """The loop did not come to rest in time."""


@dataclass(frozen=True)
class SandboxOptions:
    """What the sandbox simulates: how many people, from which seed."""

    users: int = 20_000
    seed: int = 7


class LocalLoop:
    """Sandbox and Dagster (webserver, daemon, code server) running on one state folder."""

    def __init__(
        self,
        settings: Settings,
        *,
        webserver_port: int,
        sandbox: SandboxOptions | None = None,
        say: Say = print,
    ) -> None:
        self.settings = settings
        self.webserver_port = webserver_port
        self.sandbox_options = sandbox or SandboxOptions()
        self.say = say
        self._children: list[ChildProcess] = []
        self._watcher = RunWatcher(say)
        self.instance: DagsterInstance | None = None

    # --- starting and stopping ---------------------------------------------------------------------------------

    def start_sandbox(self) -> None:
        """Start the sandbox and wait until it answers; a no-op for a URL at which one already answers."""
        port = httpx.URL(self.settings.braze_rest_url).port
        options = self.sandbox_options
        command = [sys.executable, "-m", "braze_platform", "sandbox", "--port", str(port)]
        command += ["--users", str(options.users), "--seed", str(options.seed)]
        self._start("sandbox", command, self.settings.as_environment())
        self._wait_until("the sandbox answers", self._sandbox_answers, seconds=60)

    def start_dagster(self) -> None:
        """Start webserver, daemon and code server, and wait until the webserver answers."""
        prepare_dagster_home(self.settings)
        self.instance = DagsterInstance.from_config(str(self.settings.dagster_home))
        fail_orphaned_runs(self.instance, self.say)
        workspace = self.settings.dagster_home / "served_workspace.yaml"
        workspace.unlink(missing_ok=True)
        environment = dagster_environment(self.settings)
        command = [sys.executable, "-m", "braze_platform.demo.dagster_services"]
        command += ["--port", str(self.webserver_port), "--served-workspace", str(workspace)]
        self._start("dagster", command, environment)
        self._wait_until("the code server runs", workspace.exists, seconds=180)
        command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(workspace)]
        self._start("daemon", command, environment)
        self._wait_until("the Dagster UI answers", self._webserver_answers, seconds=180)

    def stop(self) -> None:
        """Stop all processes, Dagster first."""
        for child in reversed(self._children):
            child.stop()
        self._children.clear()
        if self.instance is not None:
            self.instance.dispose()
            self.instance = None

    def check(self) -> None:
        """Raise `ProcessDied` when a process ended."""
        for child in self._children:
            child.check()

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        log = self.settings.state_dir / "logs" / f"{name}.log"
        self._children.append(ChildProcess(name, command, environment=environment, log=log))

    def _wait_until(self, what: str, holds: Callable[[], bool], *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            self.check()
            if time.monotonic() > deadline:
                raise LoopTimeout(
                    f"Waited {seconds:.0f} s until {what}. See {self.settings.state_dir / 'logs'}."
                )
            time.sleep(0.3)

    def _webserver_answers(self) -> bool:
        try:
            answer = request_once("GET", f"http://127.0.0.1:{self.webserver_port}", "/server_info", timeout=2)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    # --- the sandbox -------------------------------------------------------------------------------------------

    def _sandbox_answers(self) -> bool:
        try:
            return self._sandbox("GET", "/sandbox/health").status_code == 200
        except httpx.TransportError:
            return False

    def _sandbox(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.settings.braze_api_key}"}
        return request_once(
            method, self.settings.braze_rest_url, path, timeout=60, headers=headers, json=body
        )

    def sandbox_get(self, path: str) -> dict[str, Any]:
        """A control document of the sandbox, e.g. `/sandbox/state`."""
        answer = self._sandbox("GET", path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def sandbox_post(self, path: str, body: dict[str, Any]) -> None:
        """Tell the sandbox something, e.g. `/sandbox/faults`."""
        self._sandbox("POST", path, body).raise_for_status()

    def write_history(self, days: int, *, until: str | None = None) -> dict[str, Any]:
        """Let the sandbox write its history; return its state when done."""
        return self._simulate("/sandbox/history", {"days": days, **({"until": until} if until else {})})

    def advance(self, days: int) -> dict[str, Any]:
        """Let the sandbox live on for some days; return its state when done."""
        return self._simulate("/sandbox/advance", {"days": days})

    def _simulate(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sandbox_post(path, body)
        reported = -1
        while True:
            self.check()
            state = self.sandbox_get("/sandbox/state")
            if state.get("error"):
                raise ProcessDied(f"The sandbox could not simulate: {state['error']}")
            if state["phase"] == "idle":
                return state
            tenths = int(state["progress"] * 10)
            if tenths != reported:
                reported = tenths
                self.say(
                    f"  sandbox {state['phase']}: {state['progress']:4.0%}, {state['events']:,} events in "
                    f"{state['files']:,} files, simulated until {state['simulated_until']}"
                )
            time.sleep(0.3)

    # --- Dagster -----------------------------------------------------------------------------------------------

    def unfinished_runs(self) -> list[str]:
        """Ids of runs that are queued or in progress."""
        return [
            r.dagster_run.run_id for r in self._instance().get_run_records(RunsFilter(statuses=UNFINISHED))
        ]

    def wait_until_settled(self, *, seconds: float = 600.0) -> None:
        """Wait until nothing is left to do: no run in progress, and every sensor had its say after the last one.

        Raises `LoopTimeout` naming what was still in progress after `seconds` in which no run began, materialised
        anything or ended: how long a whole build takes is the machine's affair.
        """
        instance = self._instance()
        began = time.monotonic()
        # Files that were written a moment ago are only looked at once nothing arrives any more.
        quiet_since = time.time() + self.settings.currents_quiet_seconds
        while True:
            self.check()
            unfinished = self._watcher.report(instance)
            # Not when a run was last seen in progress: a tick that began between that and its end saw nothing of it.
            quiet_since = max(quiet_since, self._watcher.ended_at)
            ticks = {} if unfinished else ticks_after(instance, quiet_since)
            # Automation waits one tick after a load has ended, and asks in the second.
            looks = {**dict.fromkeys(SENSORS, 1), "automation": 2 if self._watcher.loaded_last else 1}
            if not unfinished and all(ticks.get(sensor, 0) >= count for sensor, count in looks.items()):
                return
            if time.monotonic() > max(began, self._watcher.progressed_at) + seconds:
                raise LoopTimeout(
                    f"The loop made no progress for {seconds:.0f} s; in progress: {unfinished or 'no run'}; "
                    f"ticks since the last run: {ticks}."
                )
            time.sleep(1)

    def _instance(self) -> DagsterInstance:
        if self.instance is None:
            raise RuntimeError("Dagster is not started: call start_dagster() first.")
        return self.instance


@contextmanager
def exclusive_state(settings: Settings) -> Iterator[None]:
    """Own the state folder while the context lasts; raise `StateInUse` when another process does.

    Processes that an owner before left behind when it was killed are ended first.
    """
    lock = filelock.FileLock(str(settings.state_dir) + ".lock")
    settings.state_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise StateInUse(
            f"Another `braze-platform demo` or `dev` runs on {settings.state_dir}. Stop it (Ctrl-C in its terminal), "
            "or set BRAZE_PLATFORM_STATE_DIR to another folder."
        ) from error
    try:
        make_private(settings.state_dir)
        end_leftovers(settings.state_dir / "logs")
        refuse_another(settings.state_dir)
        with interruptible():
            yield
    finally:
        lock.release()


def prepare_dagster_home(settings: Settings) -> Path:
    """Make the Dagster home of the local target: the project's `dagster.yaml`, and the storage of one machine."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    storage = {
        "module": OpenSqliteStorage.__module__,
        "class": OpenSqliteStorage.__name__,
        "config": {"base_dir": str(settings.dagster_home)},
    }
    (settings.dagster_home / "dagster.yaml").write_text(
        (PROJECT_ROOT / "dagster.yaml").read_text(encoding="utf-8")
        + "\n"
        + yaml.safe_dump({"storage": {"custom": storage}}),
        encoding="utf-8",
    )
    return settings.dagster_home


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Variables for Dagster's processes: our settings and Dagster's home."""
    return {
        **settings.as_environment(),
        **loopback_exempted(),
        "DAGSTER_HOME": str(settings.dagster_home),
        "DO_NOT_TRACK": "1",
    }


def fail_orphaned_runs(instance: DagsterInstance, say: Say) -> None:
    """Mark runs that a killed Dagster left behind as failed, so that automation starts their work again.

    Only right while no Dagster runs on this instance: the default run launcher keeps runs as children of the code
    server, and says nothing of them once that is gone.
    """
    started = [s for s in UNFINISHED if s is not DagsterRunStatus.QUEUED]
    for record in instance.get_run_records(RunsFilter(statuses=started)):
        run = record.dagster_run
        say(f"  run {run.run_id[:8]} was left behind by a Dagster that was killed: marked as failed")
        instance.report_run_failed(
            run, "The Dagster that ran this was killed; automation starts the work again."
        )
