"""Answers that say nothing of any value: nothing is rejected, little is asked, and all of it is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fake_braze
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tiers import tiered

from braze_platform.sync.declaration.sync import AttributeSpec

HTML = "<html>blocked: user-7 secret-key-of-the-tests-5f1c</html>"
MEANINGLESS: dict[str, Callable[[], Response]] = {
    "200 {}": lambda: JSONResponse({}, 200),
    "200 maintenance": lambda: JSONResponse({"message": "maintenance"}, 200),
    "200 named without success": lambda: JSONResponse({"errors": [{"index": 0, "type": "BAD"}]}, 200),
    "200 html": lambda: Response(HTML, 200, media_type="text/html"),
    "201 empty": lambda: Response(b"", 201),
    "204": lambda: Response(None, 204),
    "201 list": lambda: JSONResponse([1], 201),
    "201 number": lambda: JSONResponse(7, 201),
    "201 null": lambda: JSONResponse(None, 201),
    "201 text": lambda: JSONResponse("success", 201),
    "302": lambda: Response(None, 302, headers={"Location": "/login"}),
    "400 html": lambda: Response(HTML, 400, media_type="text/html"),
    "400 empty": lambda: Response(b"", 400),
    "400 {}": lambda: JSONResponse({}, 400),
    "400 message": lambda: JSONResponse({"message": "something is wrong"}, 400),
    "404": lambda: Response(HTML, 404, media_type="text/html"),
    "409": lambda: JSONResponse({"message": "conflict"}, 409),
    "413": lambda: Response(HTML, 413, media_type="text/html"),
    "422": lambda: Response(HTML, 422),
    "451": lambda: Response(HTML, 451),
}
NAMES = {name: name for name in MEANINGLESS}
APPEARING = {name: name for name in ("200 {}", "400 html", "409", "413")}
#: By id, the scores of the objects that are refused.
BAD_SCORES = {"first": {0}, "last": {89}, "two": {0, 74}, "several": {3, 4, 5, 6, 7}}


@pytest.mark.parametrize("concurrency", [pytest.param(1, marks=pytest.mark.full), 32])
@pytest.mark.parametrize("name", tiered(NAMES, quick=("200 {}", "201 empty", "400 html", "409")))
def test_nothing_is_rejected_and_the_next_run_delivers_all(
    room: Any, braze: Any, name: str, concurrency: int
) -> None:
    braze.fault = lambda number, objects: MEANINGLESS[name]()
    room.users(150)
    room.configure(braze_concurrency=concurrency)
    run = room.run()
    assert len(braze.received) <= 5
    assert run.report.due == {"score": 150, "channel": 135, "seen_at": 150}
    assert run.report.rejected == {"score": 0, "channel": 0, "seen_at": 0}
    assert run.report.stopped.startswith(f"{name[:3]} (") and " bytes)" in run.report.stopped
    assert "user-" not in run.report.stopped and "secret" not in run.report.stopped
    assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
    assert room.sql("select count(*) from braze_sync.ledger_braze_customers") == [(0,)]
    braze.fault = None
    assert room.run().report.complete and len(braze.profiles) == 150


@pytest.mark.parametrize("name", tiered(NAMES, quick=("400 message",)))
def test_a_single_user_is_not_rejected_either(room: Any, braze: Any, name: str) -> None:
    braze.fault = lambda number, objects: MEANINGLESS[name]()
    room.users(1)
    run = room.run()
    assert not run.report.complete and len(braze.received) <= 5
    assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
    braze.fault = None
    assert room.run().report.complete and len(braze.profiles) == 1


@pytest.mark.parametrize("name", tiered(APPEARING, quick=("400 html",)))
def test_a_gateway_that_appears_while_sending_rejects_nothing(room: Any, braze: Any, name: str) -> None:
    braze.fault = lambda number, objects: MEANINGLESS[name]() if number > 6 else None
    room.users(1500)
    run = room.run()
    assert run.report.due["score"] == 1500 - 450 and len(braze.received) <= 6 + 3 * 4
    assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
    braze.fault = None
    assert room.run().report.complete and len(braze.profiles) == 1500


@pytest.mark.parametrize("bad_scores", tiered(BAD_SCORES, quick=("first", "several")))
@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.full), 90])
def test_bad_objects_among_good_ones_are_rejected_alone(
    room: Any, braze: Any, bad_scores: set[int], count: int
) -> None:
    braze.fault = lambda number, objects: (
        JSONResponse({"message": "something is wrong"}, 400)
        if any(entry.get("score") in bad_scores for entry in objects)
        else None
    )
    room.users(count)
    for _ in range(3):
        run = room.run()
        if run.report.complete:
            break
    bad = sum(i % 101 in bad_scores for i in range(count))
    assert run.report.complete
    assert room.sql("select attribute, count(*) from braze_sync.rejections group by 1") == (
        [("score", bad)] if bad else []
    )
    assert sum("score" in profile for profile in braze.profiles.values()) == count - bad
    assert all("seen_at" in profile for profile in braze.profiles.values()) and len(braze.profiles) == count


def test_a_bad_attribute_of_the_only_user_costs_no_other(room: Any, braze: Any) -> None:
    braze.fault = lambda number, objects: (
        JSONResponse({"message": "something is wrong"}, 400) if "score" in objects[0] else None
    )
    room.users(2)
    room.model(
        "select 'only' as external_id, 5 as score, 'sms' as channel, timestamp '2026-11-01' as seen_at"
    )
    run = room.run()
    assert run.report.rejected == {"score": 1, "channel": 0, "seen_at": 0} and run.report.complete
    assert set(braze.profiles["only"]) == {"channel", "seen_at"}


def test_what_a_firewall_blocks_is_isolated_and_due_not_rejected(room: Any, braze: Any) -> None:
    braze.fault = lambda number, objects: (
        MEANINGLESS["400 html"]() if any(entry.get("score") == 20 for entry in objects) else None
    )
    room.users(90)
    run = room.run()
    assert run.report.due == {"score": 1, "channel": 0, "seen_at": 1}
    assert len(braze.profiles) == 89 and len(braze.received) < 20
    assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
    braze.fault = None
    assert room.run().report.complete and braze.profiles["user-20"]["score"] == 20


@pytest.mark.parametrize(
    "name",
    [
        "400 html",
        *(pytest.param(name, marks=pytest.mark.full) for name in ("400 message", "409", "413", "302", "404")),
    ],
)
def test_operators_that_were_surely_not_processed_are_due(room: Any, braze: Any, name: str) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer", "skip", operator="inc"),))
    braze.fault = lambda number, objects: MEANINGLESS[name]()
    room.users(150)
    assert room.run().report.due == {"score": 150}
    assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
    braze.fault = None
    assert room.run().report.delivered == {"score": 150}


@pytest.mark.parametrize("name", ["200 {}", "200 html", "201 empty"])
def test_operators_in_doubt_cost_one_request(room: Any, braze: Any, name: str) -> None:
    room.declare(attributes=(AttributeSpec("score", "integer", "skip", operator="inc"),))
    braze.fault = lambda number, objects: MEANINGLESS[name]()
    room.users(400, score="1")
    room.configure(braze_concurrency=8)
    run = room.run()
    assert run.report.rejected == {"score": 75} and run.report.due == {"score": 325}
    assert room.sql("select refused_by, count(*) from braze_sync.rejections group by 1") == [("unclear", 75)]
    braze.fault = None
    assert room.run().report.delivered == {"score": 325}


@pytest.mark.parametrize(
    "name",
    ["400 message", *(pytest.param(name, marks=pytest.mark.full) for name in ("200 {}", "400 html", "409"))],
)
def test_bulk_rejects_nothing_either(room: Any, name: str) -> None:
    asked: list[str] = []

    async def bulk(request: Request) -> Response:
        asked.append(request.url.path)
        return MEANINGLESS[name]()

    server = fake_braze.FakeBraze()
    with fake_braze.serve(server, routes=[Route("/users/track/bulk", bulk, methods=["POST"])]) as url:
        room.configure(braze_rest_url=url)
        room.declare(transport="bulk")
        room.users(2500)
        run = room.run()
        assert run.report.due["score"] == 2500 and len(asked) <= 5
        assert room.sql("select count(*) from braze_sync.rejections") == [(0,)]
        room.declare(transport="track")
        assert room.run().report.complete and len(server.profiles) == 2500
