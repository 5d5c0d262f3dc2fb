"""The whole loop with real processes: sandbox, Dagster daemon and webserver, sensors and automation.

One loop is left alone. In a second one, over the same simulated world, the run process is killed in the middle of a
load and in the middle of a sync: it must end with the same tables and the same profiles. A third one turns on BigQuery
and Cloud Storage, emulated: it must end with the same profiles and the same measures.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from dagster import AssetCheckKey
from google_emulators import GoogleEmulators
from once_per_run import once_per_run
from running_loops import (
    PATIENCE_SECONDS,
    checks_by_status,
    everything,
    files_holding,
    kill_run,
    materialisations,
    profiles,
)

from braze_platform.company.exports import COMPANY_SCHEMA, COMPANY_TABLES
from braze_platform.demo.local_loop import LocalLoop, SandboxOptions
from braze_platform.demo.measuring import run_counts, warehouse_counts
from braze_platform.demo.processes import free_port
from braze_platform.demo.summary import MISSES_ALLOWED, campaigns_beside_truth
from braze_platform.settings import Settings
from braze_platform.sync.checks import OVERWRITTEN_CHECK, SEEN_CHECK
from braze_platform.warehouse.targets import warehouse_of

pytestmark = [pytest.mark.full, pytest.mark.long]
USERS = 1_000
DAYS = 4
#: The history ends so late that the sensor still asks for days, not for months, and a day can follow it.
UNTIL = (datetime.now(timezone.utc) - timedelta(days=2)).date().isoformat()


def impatient(settings: Settings) -> Settings:
    """A sandbox of its own for Braze, and sensors that look often."""
    return settings.replace(
        braze_rest_url=f"http://127.0.0.1:{free_port()}",
        braze_api_key="the-key-of-this-test",
        sensor_interval_seconds=4,
        automation_interval_seconds=4,
    )


@contextmanager
def running_loop(state_dir: Path) -> Iterator[LocalLoop]:
    settings = impatient(Settings(state_dir=state_dir))
    loop = LocalLoop(settings, webserver_port=free_port(), sandbox=SandboxOptions(users=USERS, seed=11))
    try:
        loop.start_sandbox()
        loop.write_history(DAYS, until=UNTIL)
        loop.start_dagster()
        yield loop
    finally:
        loop.stop()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    def make(folder: Path) -> None:
        (folder / "result.pickle").write_bytes(pickle.dumps(undisturbed_loop(folder / "state")))

    folder = once_per_run(tmp_path_factory, "undisturbed", make)
    result: dict[str, Any] = pickle.loads((folder / "result.pickle").read_bytes())
    return result


@pytest.fixture
def undisturbed_later(request: pytest.FixtureRequest) -> Callable[[], dict[str, Any]]:
    """For tests that turn a loop themselves: another worker turns the undisturbed one meanwhile."""
    return lambda: request.getfixturevalue("undisturbed")


def undisturbed_loop(state_dir: Path) -> dict[str, Any]:
    with running_loop(state_dir) as loop:
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        after_first = dict(loop.sandbox_get("/sandbox/state")["requests"])
        loop.advance(1)
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        result = everything(loop, USERS)
        result["first_round_requests"] = after_first["accepted"]
        result["runs"] = run_counts(loop.instance, 0)  # type: ignore[arg-type]
        result["checks"] = checks_by_status(loop)
        result["counts"] = warehouse_counts(loop.settings)
        result["campaigns"] = campaigns_beside_truth(loop.settings, loop.sandbox_get("/sandbox/truth"))
        result["state"] = loop.sandbox_get("/sandbox/state")
        result["files_with_the_key"] = files_holding(loop.settings.state_dir, b"the-key-of-this-test")
        return result


def test_sensors_and_automation_turn_the_loop(undisturbed: dict[str, Any]) -> None:
    assert set(undisturbed["runs"]) == {"success"}
    assert undisturbed["counts"].rows == undisturbed["state"]["events"]
    assert undisturbed["counts"].duplicates > 0
    assert undisturbed["counts"].unknown_event_types
    with_attributes = [p for p in undisturbed["profiles"].values() if p.get("engagement_score") is not None]
    assert len(with_attributes) > USERS / 2
    assert undisturbed["state"]["requests"]["accepted"] > undisturbed["first_round_requests"] > 0


def test_automated_runs_evaluate_every_check(undisturbed: dict[str, Any]) -> None:
    """Of what has data here: an event type that was never delivered has no hours to check."""
    assert_evaluated(undisturbed["checks"])


def assert_evaluated(checks: Mapping[AssetCheckKey, str]) -> None:
    assert len(checks) > 400
    never = [key for key, status in checks.items() if status == "never"]
    assert {key.asset_key.path[0] for key in never} <= {"currents"}, never
    # Currents tell of what was delivered in the day after: nothing is proven before.
    waiting = [key for key, status in checks.items() if status == "PLANNED"]
    assert {key.name for key in waiting} <= {SEEN_CHECK, OVERWRITTEN_CHECK}
    # The sandbox delivers an event type that the catalogue does not know, and broken files.
    failed = [key for key, status in checks.items() if status not in {"never", "PLANNED", "SUCCEEDED"}]
    assert {key.asset_key.path[0] for key in failed} <= {"currents"}, failed


def test_the_measured_lift_covers_the_simulated_one(undisturbed: dict[str, Any]) -> None:
    campaigns = undisturbed["campaigns"]
    assert len(campaigns) == 12
    assert all(campaign["lift_low"] < campaign["lift"] < campaign["lift_high"] for campaign in campaigns)
    missed = [campaign["campaign_name"] for campaign in campaigns if not campaign["interval_covers_truth"]]
    assert len(missed) <= MISSES_ALLOWED, missed


def test_the_key_is_in_no_file(undisturbed: dict[str, Any]) -> None:
    assert undisturbed["files_with_the_key"] == []


def test_killed_runs_end_like_undisturbed_ones(
    undisturbed_later: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    with running_loop(tmp_path / "state") as loop:
        kill_run(loop, "currents", lambda run: materialisations(loop, run) >= 3)
        # slow answers keep the sync in progress long enough to be killed in the middle
        loop.sandbox_post("/sandbox/faults", {"latency_ms": 400})
        kill_run(loop, "braze", lambda run: loop.sandbox_get("/sandbox/state")["requests"]["accepted"] >= 1)
        loop.sandbox_post("/sandbox/faults", {"latency_ms": 0})
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        loop.advance(1)
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        runs = run_counts(loop.instance, 0)  # type: ignore[arg-type]
        assert runs.pop("retried") == 2
        assert set(runs) == {"success"}
        killed = everything(loop, USERS)
    undisturbed = undisturbed_later()
    assert killed["profiles"] == undisturbed["profiles"]
    assert killed["tables"].keys() == undisturbed["tables"].keys()
    for table, content in undisturbed["tables"].items():
        assert killed["tables"][table] == content, table


def test_the_loop_turns_on_bigquery(
    undisturbed_later: Callable[[], dict[str, Any]],
    emulators: GoogleEmulators,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("braze_platform.demo.local_loop.SENSORS", SENSORS_ON_BIGQUERY)
    settings = impatient(emulators.settings(tmp_path / "state"))
    options = SandboxOptions(users=USERS, seed=11)
    loop = LocalLoop(settings, webserver_port=free_port(), sandbox=options)
    sent: dict[Path, int] = {}
    try:
        loop.start_sandbox()
        loop.write_history(DAYS, until=UNTIL)
        deliver(loop, emulators, sent)
        loop.start_dagster()
        switch_on(loop, SENSORS_ON_BIGQUERY)
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        first_requests = loop.sandbox_get("/sandbox/state")["requests"]["accepted"]
        loop.advance(1)
        deliver(loop, emulators, sent)
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        assert set(run_counts(loop.instance, 0)) == {"success"}  # type: ignore[arg-type]
        assert loop.sandbox_get("/sandbox/state")["requests"]["accepted"] > first_requests > 0
        assert_evaluated(checks_by_status(loop))
        counts, found = warehouse_counts(settings), profiles(loop, USERS)
        campaigns = campaigns_beside_truth(settings, loop.sandbox_get("/sandbox/truth"))
    finally:
        loop.stop()
        emulators.forget(settings)
    undisturbed = undisturbed_later()
    assert counts == undisturbed["counts"]
    assert found == undisturbed["profiles"]
    for here, there in zip(campaigns, undisturbed["campaigns"], strict=True):
        assert here == {
            name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for name, value in there.items()
        }


#: The company's own tables come from its own pipelines there, so there is no sensor on exports.
SENSORS_ON_BIGQUERY = ("currents_hours", "automation")


def deliver(loop: LocalLoop, emulators: GoogleEmulators, sent: dict[Path, int]) -> None:
    """Put what the sandbox wrote where Braze and the company's own pipelines put it in production."""
    bucket = emulators.storage().bucket(loop.settings.bucket_name)
    for path in sorted(loop.settings.bucket_dir.rglob("*")):
        written = path.stat().st_mtime_ns
        if path.is_file() and sent.get(path) != written:
            bucket.blob(str(path.relative_to(loop.settings.bucket_dir))).upload_from_filename(path)
            sent[path] = written
    with warehouse_of(loop.settings).session() as session:
        session.create_schema(COMPANY_SCHEMA, "Written by the shop.")
        for table in COMPANY_TABLES:
            name, columns = session.sql.table(COMPANY_SCHEMA, table.name), ", ".join(table.columns)
            kinds = ", ".join(
                f"{column} {session.sql.type(kind)}" for column, (kind, _) in table.columns.items()
            )
            session.execute(f"create or replace table {name} ({kinds})")
            rows = pq.read_table(table.export_in(loop.settings.company_exports_dir))
            with session.attached("export", rows) as attached:
                session.execute(f"insert into {name} ({columns}) select {columns} from {attached} as export")


def switch_on(loop: LocalLoop, sensors: tuple[str, ...]) -> None:
    """What a person does in the UI once: on BigQuery nothing runs by itself before."""
    for sensor in sensors:
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "braze_platform",
            "sensorName": sensor,
        }
        answer = httpx.post(
            f"http://127.0.0.1:{loop.webserver_port}/graphql",
            headers={"Origin": f"http://127.0.0.1:{loop.webserver_port}"},
            json={
                "query": "mutation($sensor: SensorSelector!) "
                "{startSensor(sensorSelector: $sensor) {__typename ... on Sensor {sensorState {status}}}}",
                "variables": {"sensor": selector},
            },
            timeout=60,
        )
        assert answer.json()["data"]["startSensor"]["sensorState"]["status"] == "RUNNING", answer.text
