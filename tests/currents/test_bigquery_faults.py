"""BigQuery that refuses and loses answers, and loads that are killed: what is left equals an undisturbed load."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from currents_files import currents_file, opens
from fault_proxy import Fault, FaultProxy, fault_proxy
from google_emulators import GoogleEmulators
from installation import TABLE, Installation

from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.settings import Settings
from braze_platform.warehouse import bigquery_jobs
from braze_platform.warehouse.bigquery import STAGING, BigQuerySession
from braze_platform.warehouse.bigquery_jobs import Patience


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience(seconds=60, first_pause=0.02, longest_pause=0.1)
    monkeypatch.setattr(bigquery_jobs, "PATIENCE", patience)


def deliver(installation: Installation) -> None:
    for hour in range(2):
        for offset in range(3):
            installation.deliveries.put(
                currents_file(hour=f"2026-11-10-0{hour}", offset=offset),
                opens(f"{hour}-{offset}", f"x{offset}"),
            )


def contents(installation: Installation) -> tuple[list[Any], list[Any]]:
    """Raw rows and the ledger, without what differs between two loads by nature."""
    return (
        installation.fetch(
            f"select id, user_id, time, _hour, _file, _version from {TABLE} order by _file, id"
        ),
        installation.fetch(
            "select event_type, hour, object_key, size_bytes, row_count, version "
            "from currents_ledger.files order by object_key"
        ),
    )


def staging(installation: Installation) -> set[str]:
    with installation.warehouse.session() as session:
        assert isinstance(session, BigQuerySession)
        return {table.table_id for table in session.client.list_tables(session.dataset_id(STAGING))}


@pytest.fixture(scope="module")
def undisturbed_load(
    emulators: GoogleEmulators, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[Any, Any], int]:
    """What a load that nothing disturbs leaves, and the requests it makes once its tables are there."""
    with fault_proxy(emulators.bigquery_url) as proxy:
        settings = emulators.settings(tmp_path_factory.mktemp("undisturbed"))
        installation = Installation(settings.replace(bigquery_emulator_url=proxy.url))
        deliver(installation)
        with installation.warehouse.session() as session:
            ensure_raw_tables(session)
        proxy.seen.clear()
        assert installation.load_opens().rows_loaded == 12
        requests = len(proxy.seen)
        found = contents(installation)
        assert staging(installation) == set()
        emulators.forget(settings)
    return found, requests


@pytest.fixture(scope="module")
def undisturbed(undisturbed_load: tuple[tuple[Any, Any], int]) -> tuple[Any, Any]:
    return undisturbed_load[0]


@pytest.fixture
def proxy(emulators: GoogleEmulators) -> Iterator[FaultProxy]:
    with fault_proxy(emulators.bigquery_url) as running:
        yield running


@pytest.fixture
def disturbed(emulators: GoogleEmulators, google_settings: Settings, proxy: FaultProxy) -> Installation:
    settings = google_settings.replace(bigquery_emulator_url=proxy.url)
    installation = Installation(settings)
    deliver(installation)
    return installation


@pytest.mark.parametrize(
    ("faults", "saying"),
    [
        pytest.param((503, 503), b'"load"', id="load jobs refused"),
        pytest.param((429, 429, 429), b'"load"', id="too many load jobs"),
        pytest.param(("lost answer", "lost answer"), b'"load"', id="answers to load jobs lost"),
        pytest.param(("lost request",), b'"load"', id="load job lost on the way"),
        pytest.param((503,), b"begin transaction", id="transaction refused"),
        pytest.param((500, 429), b"begin transaction", id="transaction refused twice"),
        pytest.param(("lost answer",), b"begin transaction", id="answer to transaction lost"),
        pytest.param(("lost request",), b"begin transaction", id="transaction lost on the way"),
    ],
)
def test_a_load_outlasts_faults(
    disturbed: Installation,
    proxy: FaultProxy,
    undisturbed: tuple[Any, Any],
    faults: tuple[Fault, ...],
    saying: bytes,
) -> None:
    proxy.fail(*faults, path="/jobs", saying=saying)
    loaded = disturbed.load_opens()
    assert tuple(proxy.faults) == faults
    assert (loaded.error, loaded.rows_loaded) == (None, 12)
    assert contents(disturbed) == undisturbed
    assert staging(disturbed) == set()


@pytest.mark.parametrize("saying", [b'"load"', b"begin transaction"], ids=["load job", "transaction"])
def test_a_job_that_is_lost_after_it_was_submitted_runs_again(
    disturbed: Installation, proxy: FaultProxy, undisturbed: tuple[Any, Any], saying: bytes
) -> None:
    """BigQuery took the job, and then knows nothing of it: whether it ran is unknown, and running again is right."""
    lost: set[str] = set()
    submitted: list[str] = []

    def decide(method: str, path: str, body: bytes) -> Fault | None:
        if method == "POST" and path.split("?")[0].endswith("/jobs") and saying in body:
            job_id = json.loads(body)["jobReference"]["jobId"]
            submitted.append(job_id)
            if not lost:
                lost.add(job_id)
                return "lost answer"
        return 404 if any(path.split("?")[0].endswith(f"/{job_id}") for job_id in lost) else None

    proxy.decide = decide
    loaded = disturbed.load_opens()
    assert (loaded.error, loaded.rows_loaded) == (None, 12)
    assert 404 in proxy.faults
    [first] = lost
    # under the same id, or under the next one where the client was asking for the end of the first
    assert [name.removesuffix("_2") for name in submitted].count(first) >= 2
    assert contents(disturbed) == undisturbed
    assert staging(disturbed) == set()


@pytest.mark.parametrize(("fault", "after"), [(503, 1), ("lost request", 3), (503, 6), ("lost answer", 9)])
def test_a_bucket_that_drops_now_and_then_is_asked_again(
    emulators: GoogleEmulators,
    google_settings: Settings,
    undisturbed: tuple[Any, Any],
    fault: Fault,
    after: int,
) -> None:
    """In the middle of listing, of reading a file's ends, and of the second listing: three requests in a row fail."""
    with fault_proxy(emulators.storage_url) as proxy:
        installation = Installation(google_settings.replace(storage_emulator_url=proxy.url))
        deliver(installation)
        asked = 0

        def decide(method: str, path: str, body: bytes) -> Fault | None:
            nonlocal asked
            asked += 1
            return fault if after <= asked < after + 3 else None

        proxy.decide = decide
        loaded = installation.load_opens()
        assert proxy.faults == [fault] * 3
    assert (loaded.error, loaded.rows_loaded) == (None, 12)
    assert contents(installation) == undisturbed
    assert staging(installation) == set()


def test_a_job_whose_answer_was_lost_is_not_submitted_again(
    disturbed: Installation, proxy: FaultProxy
) -> None:
    proxy.fail("lost answer", path="/jobs", saying=b"begin transaction")
    submitted: list[bytes] = []
    decide = proxy.decide

    def counting(method: str, path: str, body: bytes) -> Fault | None:
        if b"begin transaction" in body:
            submitted.append(body)
        return decide(method, path, body)

    proxy.decide = counting
    disturbed.load_opens()
    assert len(submitted) == 1


def test_patience_ends_and_the_next_load_repairs(
    disturbed: Installation,
    proxy: FaultProxy,
    undisturbed: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disturbed.load_opens()
    disturbed.deliveries.put(currents_file(hour="2026-11-10-07"), opens("late"))
    proxy.fail(*([503] * 500), path="/jobs", saying=b"begin transaction")
    with monkeypatch.context() as hurried:
        patience = Patience(seconds=0.3, first_pause=0.05, longest_pause=0.1)
        hurried.setattr(bigquery_jobs, "PATIENCE", patience)
        error = disturbed.load_opens().error
    assert error is not None
    assert "still refuses" in error
    assert contents(disturbed) == undisturbed
    proxy.decide = lambda *_: None
    assert disturbed.load_opens().rows_loaded == 1
    assert staging(disturbed) == set()


def _load_and_end(installation: Installation) -> None:
    installation.load_opens()
    os._exit(0)


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_load_is_finished_by_the_next(
    disturbed: Installation, proxy: FaultProxy, undisturbed_load: tuple[tuple[Any, Any], int], seed: int
) -> None:
    """SIGKILL when a request chosen by chance arrives, before or after BigQuery did what it asks for."""
    undisturbed, requests = undisturbed_load
    with disturbed.warehouse.session() as session:
        ensure_raw_tables(session)
    chance = random.Random(seed)
    # a load that finds its tables made by another session makes more requests, never fewer
    fatal = chance.randrange(2, requests)
    fault: Fault = chance.choice(["lost answer", "lost request"])
    child = multiprocessing.get_context("fork").Process(target=_load_and_end, args=(disturbed,))
    asked = 0

    def decide(method: str, path: str, body: bytes) -> Fault | None:
        nonlocal asked
        asked += 1
        if asked == fatal and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
        return fault if asked >= fatal else None

    proxy.decide = decide
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL, f"only {asked} requests"
    proxy.decide = lambda *_: None
    assert disturbed.load_opens().error is None
    assert contents(disturbed) == undisturbed
    assert staging(disturbed) == set()


def test_files_written_anew_while_they_are_read_are_left_to_the_next_load(
    disturbed: Installation, proxy: FaultProxy
) -> None:
    key = currents_file(hour="2026-11-10-00").key

    def decide(method: str, path: str, body: bytes) -> Fault | None:
        if method == "POST" and b'"load"' in body and key.encode() in body:
            proxy.decide = lambda *_: None
            disturbed.deliveries.put(currents_file(hour="2026-11-10-00"), opens("anew"))
        return None

    proxy.decide = decide
    first = disturbed.load_opens()
    assert first.error is None
    assert "anew" not in disturbed.ids()
    assert "0-0" not in disturbed.ids()
    assert disturbed.load_opens().rows_loaded == 5
    assert "anew" in disturbed.ids()
    assert staging(disturbed) == set()


def test_two_loads_of_the_same_hours_at_once(disturbed: Installation, undisturbed: tuple[Any, Any]) -> None:
    """They share jobs and staging tables; a load that finds its table dropped by the other stages it again."""
    with ThreadPoolExecutor(2) as pool:
        reports = [future.result() for future in [pool.submit(disturbed.load_opens) for _ in range(2)]]
    assert [report.error for report in reports] == [None, None]
    assert contents(disturbed) == undisturbed
    disturbed.load_opens()
    assert staging(disturbed) == set()


def test_a_staging_table_that_another_load_drops_at_once_is_made_again(
    disturbed: Installation, proxy: FaultProxy, undisturbed: tuple[Any, Any]
) -> None:
    """It was there when this load wanted to make it, and is gone when it would be looked at."""
    proxy.fail(409, path="_temporary/tables")
    assert disturbed.load_opens().error is None
    assert proxy.faults == [409]
    assert contents(disturbed) == undisturbed


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "_temporary/tables"), ("DELETE", "_temporary/tables/load_")]
)
def test_a_request_that_is_refused_fails_its_event_type_alone(
    disturbed: Installation, proxy: FaultProxy, undisturbed: tuple[Any, Any], method: str, path: str
) -> None:
    proxy.fail(*[403] * 50, method=method, path=path)
    error = disturbed.load_opens().error
    assert error is not None
    assert "the staging table load_" in error
    proxy.decide = lambda *_: None
    assert disturbed.load_opens().error is None
    assert contents(disturbed) == undisturbed
    assert staging(disturbed) == set()
