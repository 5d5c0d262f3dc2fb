"""A sync that fails for a lasting reason is retried less and less often, then no more, until something changes."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.sync.asset_keys import attribute_key, model_key
from braze_platform.sync.assets import sync_assets
from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits
from braze_platform.sync.retries import (
    FREQUENT_RETRIES,
    MAX_FAILURES,
    RETRIES_CHECK,
    PastRun,
    retry_state,
    sync_fingerprint,
)

FAILED = PastRun(failed=True, fingerprint="a")


class Loop:
    """Automation and its runs over a made-up clock."""

    def __init__(self, room: Any) -> None:
        self.room = room
        self.instance = dg.DagsterInstance.ephemeral()
        self.now = datetime.datetime(2026, 11, 2, 0, 1, tzinfo=datetime.timezone.utc)
        self.cursor: Any = None

    def definitions(self) -> dg.Definitions:
        @dg.asset(key=model_key(self.room.sync))
        def model() -> None:
            return None

        assets = sync_assets(self.room.sync, self.room.settings)
        return dg.Definitions(assets=[model, assets], resources=self.room.resources)

    def run(self, keys: list[dg.AssetKey], *, automated: bool = False) -> bool:
        job = self.definitions().resolve_implicit_global_asset_job_def()
        tags = {"dagster/from_automation_condition": "true"} if automated else {}
        return job.execute_in_process(
            instance=self.instance, asset_selection=keys, raise_on_error=False, tags=tags
        ).success

    def tick(self) -> bool:
        """One evaluation; whether the attributes are asked for."""
        result = dg.evaluate_automation_conditions(
            self.definitions(),
            instance=self.instance,
            asset_selection=dg.AssetSelection.all(),
            cursor=self.cursor,
            evaluation_time=self.now,
        )
        self.cursor = result.cursor
        return result.total_requested > 0

    def quarter(self) -> bool:
        """A quarter of an hour later; whether a run was made."""
        self.now += datetime.timedelta(minutes=15)
        if not self.tick():
            return False
        self.run([attribute_key(spec.name) for spec in self.room.sync.attributes], automated=True)
        return True

    def update_model(self) -> None:
        self.run([model_key(self.room.sync)])


@pytest.fixture
def loop(room: Any, monkeypatch: pytest.MonkeyPatch) -> Loop:
    quick = RetryLimits(fault_seconds=0.05, first_backoff_seconds=0.01)
    monkeypatch.setattr("braze_platform.sync.run.RETRY", quick)
    room.declare(attributes=(AttributeSpec("score", "integer"),))
    room.users(3)
    return Loop(room)


def wrong_key(room: Any, braze: Any) -> None:
    room.configure(braze_api_key="wrong")


def wrong_host(room: Any, braze: Any) -> None:
    room.configure(braze_rest_url="http://127.0.0.1:1")


def answered(status: int) -> Callable[[Any, Any], None]:
    def prepare(room: Any, braze: Any) -> None:
        braze.fault = lambda number, objects: JSONResponse({"message": "no"}, status)

    return prepare


def limit_violations(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_objects=2))


def calls_off(room: Any, braze: Any) -> None:
    room.configure(braze_rest_url="https://rest.example.com")


REASONS = {
    "wrong key": wrong_key,
    "wrong host": wrong_host,
    "plan over its limits": limit_violations,
    "calls are off": calls_off,
    "403": answered(403),
    "404": answered(404),
    "500": answered(500),
}


def failing_runs(loop: Loop, quarters: int) -> list[int]:
    """The quarters of an hour in which a run was made."""
    return [quarter for quarter in range(quarters) if loop.quarter()]


@pytest.mark.full
@pytest.mark.parametrize("reason", REASONS)
def test_a_lasting_failure_backs_off_and_stops(loop: Loop, braze: Any, reason: str) -> None:
    REASONS[reason](loop.room, braze)
    loop.tick()
    loop.update_model()
    made = failing_runs(loop, 4 * 36)
    assert made[:4] == [0, 1, 2, 3]
    assert len(made) == MAX_FAILURES and made[-1] < 4 * 30
    assert all(later - earlier >= 15 for earlier, later in itertools.pairwise(made[4:]))
    record = loop.instance.get_latest_asset_check_evaluation_record(
        dg.AssetCheckKey(attribute_key("score"), RETRIES_CHECK)
    )
    assert record is not None and record.event is not None
    evaluation = record.event.asset_check_evaluation
    assert evaluation is not None and not evaluation.passed
    assert "stopped retrying" in str(evaluation.description) and "secret" not in str(evaluation)
    loop.update_model()
    assert failing_runs(loop, 20) == [0]


@pytest.mark.full
@pytest.mark.parametrize("change", ["key", "declaration"])
def test_what_stopped_goes_on_when_something_changed(loop: Loop, braze: Any, change: str) -> None:
    wrong_key(loop.room, braze) if change == "key" else answered(403)(loop.room, braze)
    loop.tick()
    loop.update_model()
    loop.quarter()
    for _ in range(MAX_FAILURES - 1):
        loop.run([attribute_key("score")], automated=True)
    assert failing_runs(loop, 17) == []
    braze.fault = None
    if change == "key":
        loop.room.configure(braze_api_key="secret-key-of-the-tests-5f1c")
    else:
        loop.room.declare(limits=PlanLimits(max_objects=1000))
    assert loop.quarter() and len(braze.profiles) == 3
    assert failing_runs(loop, 17) == []


@pytest.mark.full
def test_a_person_who_materialises_starts_the_retries_again(loop: Loop, braze: Any) -> None:
    answered(403)(loop.room, braze)
    loop.tick()
    loop.update_model()
    loop.quarter()
    for _ in range(MAX_FAILURES - 1):
        loop.run([attribute_key("score")], automated=True)
    assert failing_runs(loop, 17) == []
    loop.run([attribute_key("score")])
    assert failing_runs(loop, 3) == [0, 1, 2]


runs = st.builds(
    PastRun,
    failed=st.booleans(),
    fingerprint=st.sampled_from(["a", "b", None]),
    is_progress=st.booleans(),
    by_person=st.booleans(),
)


@given(past=st.lists(runs, max_size=15))
def test_failures_count_since_the_last_success_or_change(past: list[PastRun]) -> None:
    assert retry_state(past, PastRun(failed=False, fingerprint="a")).failures == 0
    assert retry_state(past, dataclasses.replace(FAILED, is_progress=True)).failures == 0
    assert retry_state(past, dataclasses.replace(FAILED, by_person=True)).failures == 1
    assert retry_state(past, FAILED).failures == 1 + (
        0
        if not past or not past[0].failed or past[0].is_progress or past[0].fingerprint == "b"
        else 1
        if past[0].by_person
        else retry_state(past[1:], FAILED).failures
    )


def test_a_state_says_what_happens_next() -> None:
    assert retry_state([FAILED] * (FREQUENT_RETRIES - 2), FAILED).is_frequent
    backed_off = retry_state([FAILED] * (FREQUENT_RETRIES - 1), FAILED)
    assert not backed_off.is_frequent and "every four hours" in backed_off.describe("why.")
    assert not retry_state([FAILED] * (MAX_FAILURES - 1), FAILED).continues


def test_a_fingerprint_follows_key_settings_and_declaration_and_shows_no_key(room: Any) -> None:
    first = sync_fingerprint(room.sync, room.settings)
    assert first == sync_fingerprint(room.sync, room.settings)
    assert first != sync_fingerprint(room.sync, room.settings.replace(braze_api_key="other"))
    assert first != sync_fingerprint(room.sync, room.settings.replace(braze_rest_url="http://127.0.0.1:2"))
    assert first != sync_fingerprint(
        dataclasses.replace(room.sync, existing_only=not room.sync.existing_only), room.settings
    )
    assert len(first) == 16
