"""The whole loop on the emulated BigQuery and Cloud Storage, twice round: the sandbox's process is Braze."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from google_emulators import GoogleEmulators

from braze_platform.definitions import build_definitions
from braze_platform.demo.local_loop import LocalLoop, SandboxOptions
from braze_platform.demo.processes import free_port
from braze_platform.service.exports import SERVICE_SCHEMA, SERVICE_TABLES
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

UNTIL = (datetime.now(timezone.utc) - timedelta(days=2)).date()
USERS = 60
SYNCS = ("braze_customer_value", "braze_engagement")


class GoogleLoop:
    """An installation on the emulators, over the bucket and the shop of a running sandbox."""

    def __init__(self, sandbox: LocalLoop, emulators: GoogleEmulators, settings: Settings) -> None:
        self.sandbox = sandbox
        self.emulators = emulators
        self.settings = settings.but(
            braze_rest_url=sandbox.settings.braze_rest_url,
            braze_api_key=sandbox.settings.braze_api_key,
            currents_start_day=UNTIL - timedelta(days=1),
            currents_quiet_seconds=0,
        )
        self.instance = dg.DagsterInstance.ephemeral()
        self.defs = build_definitions(self.settings)
        self._uploaded: set[Path] = set()
        self._cursor: str | None = None

    def turn(self) -> None:
        """Files and exports arrive; their days are loaded; models and syncs run in one run, as automation does."""
        self._deliver_files()
        self._deliver_exports()
        self._load_days()
        self._run(self._unpartitioned(), None)

    def _deliver_files(self) -> None:
        bucket = self.emulators.storage().bucket(self.settings.bucket_name)
        folder = self.sandbox.settings.bucket_dir
        for path in sorted({found for found in folder.rglob("*") if found.is_file()} - self._uploaded):
            bucket.blob(path.relative_to(folder).as_posix()).upload_from_filename(str(path))
            self._uploaded.add(path)

    def _deliver_exports(self) -> None:
        """The company's own pipeline replaces its tables."""
        with warehouse_of(self.settings).session() as session:
            session.create_schema(SERVICE_SCHEMA, "The shop.")
            for table in SERVICE_TABLES:
                exported = pq.read_table(table.export_in(self.sandbox.settings.service_exports_dir))
                name = session.sql.table(SERVICE_SCHEMA, table.name)
                columns = ", ".join(
                    f"cast({column} as {session.sql.type(kind)}) as {column}"
                    for column, (kind, _) in table.columns.items()
                )
                with session.attached("exported", exported) as attached:
                    session.execute(
                        f"create or replace table {name} as select {columns} from {attached} as rows"
                    )

    def _load_days(self) -> None:
        sensor = self.defs.resolve_sensor_def("currents_hours")
        with dg.build_sensor_context(
            instance=self.instance, definitions=self.defs, cursor=self._cursor
        ) as context:
            tick = sensor.evaluate_tick(context)
        self._cursor = tick.cursor
        assert tick.run_requests, tick.skip_message
        for request in tick.run_requests:
            first = request.partition_key or request.tags.get("dagster/asset_partition_range_start")
            last = request.partition_key or request.tags.get("dagster/asset_partition_range_end")
            graph = self.defs.resolve_asset_graph()
            keys = [*(request.asset_selection or ())]
            by_day = [key for key in keys if graph.get(key).is_partitioned]
            for day in days(first, last):
                self._run(by_day, day)
            self._run([key for key in keys if key not in by_day], None)

    def _unpartitioned(self) -> list[dg.AssetKey]:
        graph = self.defs.resolve_asset_graph()
        return [key for key in graph.executable_asset_keys if not graph.get(key).is_partitioned]

    def _run(self, keys: list[dg.AssetKey], day: str | None) -> None:
        if not keys:
            return
        job = self.defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            asset_selection=keys, partition_key=day, instance=self.instance, raise_on_error=True
        )
        assert result.success

    def attributes(self, sync: str) -> dict[str, str]:
        """What the sync's model says of each user."""
        with warehouse_of(self.settings).session() as session:
            rows = session.fetch(
                f"select external_id, to_json_string(m) from {session.sql.table('attributes', sync)} as m"
            )
        return dict(rows)

    def delivered(self) -> list[tuple[str, str]]:
        """(sync, user) of every object that Braze took, one item an object."""
        with warehouse_of(self.settings).session() as session:
            deliveries = session.sql.table("braze_sync", "deliveries")
            return session.fetch(f"select sync, _user from {deliveries} where verdict = 'delivered'")

    def accepted_requests(self) -> int:
        """Requests to which the sandbox said yes."""
        return int(self.sandbox.sandbox_get("/sandbox/state")["requests"]["accepted"])


def days(first: str | None, last: str | None) -> list[str]:
    if first is None or last is None:
        return []
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + timedelta(days=number)) for number in range((end - start).days + 1)]


@pytest.fixture
def loop(emulators: GoogleEmulators, google_settings: Settings, tmp_path: Path) -> Iterator[GoogleLoop]:
    sandbox = LocalLoop(
        Settings(
            state_dir=tmp_path / "sandbox",
            braze_rest_url=f"http://127.0.0.1:{free_port()}",
            braze_api_key="the-key-of-this-test",
        ),
        webserver_port=free_port(),
        sandbox=SandboxOptions(users=USERS, seed=11),
    )
    try:
        sandbox.start_sandbox()
        sandbox.write_history(1, until=UNTIL.isoformat())
        yield GoogleLoop(sandbox, emulators, google_settings)
    finally:
        sandbox.stop()


def test_the_loop_turns_twice_and_only_changes_go_out(loop: GoogleLoop) -> None:
    loop.turn()
    first = {sync: loop.attributes(sync) for sync in SYNCS}
    delivered = loop.delivered()
    requests = loop.accepted_requests()
    assert requests > 0
    for sync in SYNCS:
        assert {user for name, user in delivered if name == sync} == first[sync].keys() != set()

    loop.sandbox.advance(1)
    loop.turn()
    second = {sync: loop.attributes(sync) for sync in SYNCS}
    later = loop.delivered()
    for pair in delivered:
        later.remove(pair)
    changed = {
        (sync, user)
        for sync in SYNCS
        for user, values in second[sync].items()
        if json.loads(values) != json.loads(first[sync].get(user, "null"))
    }
    assert changed
    assert sorted(later) == sorted(changed), "each change once, and nothing else"
    assert loop.accepted_requests() > requests
