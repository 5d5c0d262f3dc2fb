"""Whatever the model becomes and whatever goes wrong: in the end Braze holds the model, and nothing is sent twice."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import sync_room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.sync.declaration.sync import AttributeSpec

SPECS = (AttributeSpec("score", "integer"), AttributeSpec("channel", "string"))
VALUES = st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["email", "push"]))
MODELS = st.dictionaries(st.integers(0, 8), VALUES, min_size=1)
FAULTS = ("", "5xx before", "5xx after", "429", "unreadable", "refused", "partly")
ROUNDS = st.lists(
    st.tuples(MODELS, st.sampled_from(FAULTS), st.sampled_from(["keep", "clear"])), min_size=1, max_size=4
)


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = RetryLimits(fault_seconds=0.2, first_backoff_seconds=0.001)
    monkeypatch.setattr("braze_platform.sync.run.RETRY", quick)


def write(room: Any, model: dict[int, tuple[int | None, str | None]]) -> None:
    rows = ", ".join(
        f"('u{user}', {'null' if score is None else score}, {'null' if channel is None else repr(channel)})"
        for user, (score, channel) in model.items()
    )
    room.model(
        "select u as external_id, cast(s as bigint) as score, cast(c as varchar) as channel "
        f"from (values {rows}) t(u, s, c)"
    )


def break_braze(braze: Any, kind: str) -> None:
    """The named fault meets every second request (`partly`: every object with an even score)."""

    def fault(number: int, objects: list[dict[str, Any]]) -> Response | None:
        if number % 2 or kind in ("", "partly"):
            return None
        if kind in ("5xx after", "unreadable"):
            for entry in objects:
                braze.apply(braze.user(entry), entry)
        return {
            "5xx before": lambda: JSONResponse({"message": "x"}, 503),
            "5xx after": lambda: JSONResponse({"message": "x"}, 504),
            "429": lambda: JSONResponse({"message": "x"}, 429, headers={"X-Ratelimit-Retry-After": "0"}),
            "unreadable": lambda: Response(b'{"mes', 201),
            "refused": lambda: JSONResponse({"message": "no"}, 401),
        }[kind]()

    braze.fault = fault
    braze.rejects = lambda entry: "BAD" if kind == "partly" and entry.get("score") in (0, 2) else None


def _in_the_end_braze_holds_the_model(
    braze: Any, rounds: list[tuple[dict[int, Any], str, str]], final: dict[int, Any]
) -> None:
    for kept in (braze.profiles, braze.taken, braze.received):
        kept.clear()
    with tempfile.TemporaryDirectory() as folder:
        room = sync_room.SyncRoom(Path(folder), braze.url)
        room.configure(braze_objects_per_request=2, braze_concurrency=2)
        for model, fault, disappears in rounds:
            room.declare(attributes=SPECS, when_row_disappears=disappears)
            write(room, model)
            break_braze(braze, fault)
            room.run()
            check_ledger(room, braze)
        break_braze(braze, "")
        room.declare(attributes=SPECS, when_row_disappears="clear")
        # Values that were refused are not sent until they change: another value first, then the last one.
        for score in (7, None):
            model = {user: ((s if score is None else score), c) for user, (s, c) in final.items()}
            write(room, model)
            run = room.run()
            if not run.plan.within_limits:  # a model without a value of an attribute waits for a person
                run = room.run(approved_plan=run.plan.plan_id)
            assert run.report.complete
        expected = {
            f"u{user}": {
                name: value
                for name, value in zip(("score", "channel"), values, strict=True)
                if value is not None
            }
            for user, values in final.items()
        }
        held = {user: profile for user, profile in braze.profiles.items() if profile}
        assert held == {user: profile for user, profile in expected.items() if profile}
        requests = len(braze.received)
        assert room.run().plan.objects == 0 and len(braze.received) == requests


def check_ledger(room: Any, braze: Any) -> None:
    """The ledger never claims a value that Braze did not take."""
    acknowledged = room.sql("select _user, score, channel from braze_sync.ledger_braze_customers")
    for user, score, channel in acknowledged:
        assert braze.has_taken(user, "score", score) and braze.has_taken(user, "channel", channel)


def _tried(examples: int) -> Any:
    law = given(rounds=ROUNDS, final=MODELS)(_in_the_end_braze_holds_the_model)
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))(law)


test_in_the_end_braze_holds_the_model = _tried(4)
test_in_the_end_braze_holds_the_model_of_many = pytest.mark.full(_tried(20))
