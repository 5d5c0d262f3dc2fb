"""Cloud Data Ingestion and `/users/track/bulk` of the sandbox: rows by watermark, busy jobs, pages, limits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from served_sandbox import sandbox

from braze_platform.sandbox.api.cdi import integration_id
from braze_platform.sandbox.world.people import make_people
from braze_platform.settings import Settings

START = datetime(2026, 11, 24, 12, 0)
ONE = f"/cdi/integrations/{integration_id('cdi_customers')}"
USERS = make_people(7, 40).external_ids


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with sandbox(settings, cdi_start_seconds=0.05) as client:
        yield client


def lay(settings: Settings, *rows: dict[str, Any], name: str = "cdi_customers") -> None:
    settings.cdi_exports_dir.mkdir(parents=True, exist_ok=True)
    columns = [("UPDATED_AT", pa.timestamp("us")), ("PAYLOAD", pa.string()), ("EXTERNAL_ID", pa.string())]
    table = pa.Table.from_pylist(list(rows), schema=pa.schema(columns))
    pq.write_table(table, settings.cdi_exports_dir / f"{name}.parquet")


def row(user: int, seconds: int, **payload: Any) -> dict[str, Any]:
    return {
        "UPDATED_AT": START + timedelta(seconds=seconds),
        "PAYLOAD": json.dumps(payload),
        "EXTERNAL_ID": USERS[user],
    }


def job(client: httpx.Client) -> dict[str, Any]:
    """Start a job and wait for its end."""
    assert client.post(f"{ONE}/sync").status_code == 202
    while True:
        newest: dict[str, Any] = client.get(f"{ONE}/job_sync_status").json()["results"][0]
        if newest["job_status"] != "running":
            return newest
        time.sleep(0.05)


def value(client: httpx.Client, user: int) -> Any:
    body = {"external_ids": [USERS[user]], "fields_to_export": ["custom_attributes"]}
    return client.post("/users/export/ids", json=body).json()["users"][0].get("custom_attributes")


def test_rows_above_the_watermark_are_taken_once(client: httpx.Client, settings: Settings) -> None:
    lay(settings, row(0, 0, a=1), row(1, 1, a=2))
    first = job(client)
    assert (first["job_status"], first["rows_synced"]) == ("success", 2)
    assert first["last_timestamp_synced"] == "2026-11-24T12:00:01"
    assert job(client)["rows_synced"] == 0
    lay(settings, row(0, 0, a=9), row(1, 1, a=2), row(2, 2, a=3))
    assert job(client)["rows_synced"] == 1
    # The row that was edited without a new UPDATED_AT was never read again.
    assert [value(client, user) for user in range(3)] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_rows_at_the_watermark_come_again_when_there_are_more_of_them(
    client: httpx.Client, settings: Settings
) -> None:
    lay(settings, row(0, 0, a=1), row(1, 5, a=1))
    job(client)
    lay(settings, row(1, 5, a=2), row(2, 5, a=2))
    assert job(client)["rows_synced"] == 2
    assert value(client, 1) == {"a": 2}


def test_an_earlier_row_that_comes_late_is_never_read(client: httpx.Client, settings: Settings) -> None:
    lay(settings, row(0, 10, a=1))
    job(client)
    lay(settings, row(0, 10, a=1), row(1, 5, a=1))
    assert job(client)["rows_synced"] == 0


def test_bad_rows_fail_alone(client: httpx.Client, settings: Settings) -> None:
    nobody = row(3, 3, a=1) | {"EXTERNAL_ID": None}
    not_json = row(2, 2) | {"PAYLOAD": "{"}
    too_many = row(4, 4, **{f"a{i}": i for i in range(251)})
    lay(settings, row(0, 0, a=1), not_json, nobody, too_many)
    found = job(client)
    assert (found["job_status"], found["rows_synced"], found["rows_failed_with_errors"]) == ("partial", 1, 3)
    lay(settings, row(5, 9) | {"PAYLOAD": "[]"})
    assert job(client)["job_status"] == "error"


def test_a_second_job_is_told_that_one_is_running(client: httpx.Client, settings: Settings) -> None:
    lay(settings, row(0, 0, a=1))
    assert client.post(f"{ONE}/sync").status_code == 202
    busy = client.post(f"{ONE}/sync")
    assert (busy.status_code, busy.json()["message"]) == (429, "Another job is in progress")


def test_integrations_and_jobs_come_by_pages(client: httpx.Client, settings: Settings) -> None:
    for number in range(12):
        lay(settings, row(0, 0, a=1), name=f"table_{number:02d}")
    first = client.get("/cdi/integrations")
    assert len(first.json()["results"]) == 10 and 'rel="next"' in first.headers["Link"]
    second = client.get(first.headers["Link"].split(";")[0].strip("<>"))
    names = [entry["integration_name"] for entry in second.json()["results"]]
    assert names == ["table_10", "table_11"] and "next" not in second.headers["Link"]
    assert client.get("/cdi/integrations", params={"cursor": "?"}).status_code == 400


def test_an_unknown_integration_is_refused(client: httpx.Client) -> None:
    assert client.post("/cdi/integrations/none/sync").status_code == 404
    assert client.get("/cdi/integrations/none/job_sync_status").status_code == 400
    assert client.get("/cdi/integrations", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_table_without_its_columns_is_a_config_error(client: httpx.Client, settings: Settings) -> None:
    settings.cdi_exports_dir.mkdir(parents=True)
    pq.write_table(pa.table({"id": [1]}), settings.cdi_exports_dir / "cdi_customers.parquet")
    assert job(client)["job_status"] == "config_error"


def test_bulk_takes_a_thousand_objects_and_a_hundred_of_a_user(client: httpx.Client) -> None:
    def post(users: list[str]) -> Any:
        return client.post(
            "/users/track/bulk", json={"attributes": [{"external_id": u, "a": 1} for u in users]}
        )

    assert post([f"new-{i}" for i in range(1000)]).json()["attributes_processed"] == 1000
    assert post([f"new-{i}" for i in range(1001)]).status_code == 400
    assert post(["new-1"] * 101).status_code == 400
    assert client.post("/users/track/bulk", json={"attributes": [{"a": "x" * 2_100_000}]}).status_code == 400


def test_bulk_can_be_closed_to_a_key(settings: Settings) -> None:
    with sandbox(settings, cdi_start_seconds=0.05, bulk_permitted=False) as client:
        answer = client.post("/users/track/bulk", json={"attributes": [{"external_id": "a", "b": 1}]})
    assert answer.status_code == 403


def test_of_a_user_with_several_rows_no_order_is_kept(settings: Settings, client: httpx.Client) -> None:
    """Different attributes all arrive; of one attribute any row may be the last."""
    seen = set()
    for run in range(12):
        lay(settings, *(row(3, 100 * run + n, score=n, **{f"other_{n}": n}) for n in range(4)))
        assert job(client)["rows_synced"] == 4
        held = value(client, 3)
        assert all(held[f"other_{n}"] == n for n in range(4))
        seen.add(held["score"])
    assert len(seen) > 1
