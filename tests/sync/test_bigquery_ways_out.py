"""What BigQuery has beside a plain sync: Cloud Data Ingestion, operators, plans that wait, runs that are killed."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fake_braze
import pytest
import sandbox_room
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.seeding.rebuild import rebuild
from braze_platform.warehouse.leases import lease_table, leased_syncs

KILLS = 3

_RUN = """
import pickle, sys
from pathlib import Path
from braze_platform.sync import run as deliver
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

deliver.FLUSH_OBJECTS = 150
settings, sync = Settings.from_environment(), pickle.loads(Path(sys.argv[1]).read_bytes())
with warehouse_of(settings).session() as session:
    deliver.run_sync(session, sync, settings.replace(braze_concurrency=2), "killed")
"""


def customers(room: Any, count: int, columns: str = "n as score, 'email' as channel") -> None:
    room.model(
        f"select concat('user-', cast(n as string)) as external_id, {columns}, "
        f"timestamp '2026-11-01 08:00:00+00' as seen_at from unnest(generate_array(1, {count})) as n"
    )


def rows(room: Any, table: str, columns: str, after: str = "") -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = room.sql(f"select {columns} from braze_sync.{table} {after}")
    return found


class Ingestion:
    """Braze's side of Cloud Data Ingestion: a job takes the rows above the last `UPDATED_AT` that it saw."""

    def __init__(self, room: Any, braze: Any) -> None:
        self.room, self.braze = room, braze
        self.last: datetime | None = None
        self.jobs: list[dict[str, Any]] = []
        self.moments: list[datetime] = []

    def routes(self) -> list[Route]:
        return [
            Route("/cdi/integrations", self.integrations),
            Route("/cdi/integrations/one/job_sync_status", self.status),
            Route("/cdi/integrations/one/sync", self.sync, methods=["POST"]),
        ]

    def integrations(self, _request: Request) -> Response:
        entry = {"integration_id": "one", "integration_name": "cdi_braze_customers"}
        if self.last is not None:
            entry["last_updated_at"] = self.last.replace(tzinfo=timezone.utc).isoformat()
        return JSONResponse({"results": [entry], "message": "success"})

    def status(self, _request: Request) -> Response:
        return JSONResponse({"results": self.jobs[::-1], "message": "success"})

    def sync(self, _request: Request) -> Response:
        started = datetime.now(timezone.utc).isoformat()
        found = rows(
            self.room,
            "cdi_braze_customers",
            "UPDATED_AT, EXTERNAL_ID, to_json_string(PAYLOAD)",
            "order by UPDATED_AT",
        )
        taken = [row for row in found if self.last is None or row[0] > self.last]
        for moment, user, payload in taken:
            self.braze.apply(user, json.loads(payload))
            self.moments.append(moment)
            self.last = moment
        self.jobs.append(
            {
                "job_status": "success",
                "sync_start_time": started,
                "rows_synced": len(taken),
                "rows_failed_with_errors": 0,
            }
        )
        return JSONResponse({"message": "success"}, 202)


@pytest.fixture
def ingestion(google_room: Any, braze: Any) -> Iterator[Ingestion]:
    found = Ingestion(google_room, braze)
    with fake_braze.serve(braze, routes=found.routes()) as url:
        google_room.configure(braze_rest_url=url)
        yield found


def test_cloud_data_ingestion_reads_the_table(google_room: Any, ingestion: Ingestion, braze: Any) -> None:
    google_room.declare(transport="cdi")
    customers(google_room, 40)
    first = google_room.run()
    assert first.report.complete
    assert first.report.delivered == {"score": 40, "channel": 40, "seen_at": 40}
    assert braze.profiles["user-7"] == {"score": 7, "channel": "email", "seen_at": "2026-11-01T08:00:00Z"}
    customers(google_room, 40, "if(n = 7, 70, n) as score, 'email' as channel")
    second = google_room.run()
    assert second.report.delivered == {"score": 1, "channel": 0, "seen_at": 0}
    assert braze.profiles["user-7"]["score"] == 70
    assert len(ingestion.moments) == 41
    assert ingestion.moments == sorted(set(ingestion.moments)), "strictly later, from run to run, too"
    assert ingestion.moments[-1] < datetime.now(timezone.utc).replace(tzinfo=None)
    assert rows(google_room, "cdi_runs", "status, planned_rows, rows_synced", "order by written_at") == [
        ("delivered", 40, 40),
        ("delivered", 1, 1),
    ]
    assert rows(google_room, "cdi_braze_customers", "count(*)") == [(0,)], "pruned"
    assert google_room.run().plan.objects == 0


def test_operators_carry_the_difference(google_room: Any, braze: Any) -> None:
    google_room.declare(attributes=(AttributeSpec("visits", "integer", "skip", operator="inc"),))
    customers(google_room, 3, "2 * n as visits")
    assert google_room.run().report.complete
    customers(google_room, 3, "2 * n + if(n = 2, 5, 0) as visits")
    assert google_room.run().report.delivered == {"visits": 1}
    sent = [entry for objects in braze.received for entry in objects if entry["external_id"] == "user-2"]
    assert [entry["visits"] for entry in sent][-1] == {"inc": 5}
    assert google_room.run().plan.objects == 0


def test_a_plan_over_its_limits_waits_for_its_approval(google_room: Any, braze: Any) -> None:
    google_room.declare(limits=PlanLimits(max_row_fall=0.2), when_row_disappears="clear")
    customers(google_room, 20)
    assert google_room.run().report.complete
    customers(google_room, 10)
    waiting = google_room.run()
    assert waiting.report is None and waiting.plan.limit_violations
    assert google_room.run(approved_plan="another").report is None
    assert google_room.run(approved_plan=waiting.plan.plan_id).report.complete
    assert not braze.profiles["user-20"] and braze.profiles["user-1"]


def test_a_ledger_is_seeded_from_what_braze_holds(google_settings: Settings, tmp_path: Path) -> None:
    with sandbox_room.serve(tmp_path, 50) as room:
        held = [{"external_id": f"user-{n}", "score": n, "channel": "email"} for n in range(1, 31)]
        room.request("POST", "/users/track", {"attributes": held})
        room.move_to(google_settings)
        room.declare(attributes=room.only("score", "channel"), existing_only=False)
        customers(room, 32, "if(n = 2, 20, n) as score, 'email' as channel")
        with room.warehouse.session() as session:
            found = rebuild(session, room.sync, room.settings, max_users=1_000)
        assert (found.users, found.unknown, found.equal, found.different) == (32, 2, 59, 1)
        run = room.run()
        counts = {name: (one.new, one.changed) for name, one in run.plan.attributes.items()}
        assert counts == {"score": (2, 1), "channel": (2, 0)}
        assert room.run().plan.objects == 0


def let_the_lease_expire(google_room: Any) -> None:
    """The quarter of an hour after which a killed run's lease is free."""
    with google_room.warehouse.session() as session:
        if leased_syncs(session):
            table = lease_table(session.sql, google_room.sync.name)
            session.execute(f"update {table} set expires_at = timestamp '2000-01-01 00:00:00' where true")


@pytest.mark.full
def test_killed_runs_lose_nothing(google_room: Any, braze: Any, tmp_path: Path) -> None:
    """At seeded moments, each run going on from the last."""
    users, chance = 900, random.Random(5)
    braze.delay = 0.02
    customers(google_room, users)
    declared = tmp_path / "sync.pickle"
    declared.write_bytes(pickle.dumps(google_room.sync))
    environment = os.environ | google_room.settings.as_environment()
    for _ in range(KILLS):
        at_request = len(braze.received) + chance.randrange(0, 6)
        process = subprocess.Popen([sys.executable, "-c", _RUN, str(declared)], env=environment)
        try:
            while len(braze.received) < at_request and process.poll() is None:
                time.sleep(0.002)
            time.sleep(chance.random() * 0.3)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        let_the_lease_expire(google_room)
    assert braze.received, "no run came so far as to send anything"
    run = google_room.run()
    assert run.report is not None and run.report.complete
    assert {user: profile["score"] for user, profile in braze.profiles.items()} == {
        f"user-{n}": n for n in range(1, users + 1)
    }
    assert rows(google_room, "ledger_braze_customers", "count(*), count(distinct _user)") == [(users, users)]
    assert google_room.run().plan.objects == 0
