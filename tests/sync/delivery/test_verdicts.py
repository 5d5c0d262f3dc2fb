from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sync.delivery.requests import Request, RequestLimits, build_requests
from braze_platform.sync.delivery.verdicts import Verdict, concerns_user, interpret
from braze_platform.sync.values.rejected import shown_reason

NOW = 1_800_000_000.0


def request(count: int) -> Request:
    return next(iter(build_requests(({"external_id": str(i)} for i in range(count)), RequestLimits())))


def error(index: Any, kind: Any = "BAD", array: Any = "attributes") -> dict[str, Any]:
    return {"type": kind, "input_array": array, "index": index}


def ok(*errors: Any) -> bytes:
    return json.dumps(
        {"message": "success", "errors": list(errors)} if errors else {"message": "success"}
    ).encode()


#: d delivered, r rejected, a due again as it is, s due in smaller requests, x due and the sync stops
CASES: list[tuple[str, int, int | None, bytes, str]] = [
    ("clean", 3, 201, ok(), "ddd"),
    ("clean 200", 2, 200, ok(), "dd"),
    ("queued in maintenance", 2, 202, b'{"message":"queued"}', "dd"),
    ("errors is null", 2, 201, b'{"message":"success","errors":null}', "dd"),
    ("errors is empty", 2, 201, b'{"message":"success","errors":[]}', "dd"),
    ("one error", 3, 201, ok(error(1)), "drd"),
    ("several errors of one object", 3, 201, ok(error(1, "A"), error(1, "B")), "drd"),
    ("errors of several objects", 3, 201, ok(error(0), error(2)), "rdr"),
    ("index as text", 3, 201, ok(error("2")), "ddr"),
    ("index as a whole float", 3, 201, ok(error(1.0)), "drd"),
    ("index is negative zero", 3, 201, ok(error(-0.0)), "rdd"),
    ("index is a negative float", 3, 201, ok(error(-1.0)), "sss"),
    ("index is huge", 3, 201, ok(error(1e300)), "sss"),
    ("index is a long text", 3, 201, ok(error("9" * 5000)), "sss"),
    ("no input_array", 2, 201, ok({"type": "BAD", "index": 0}), "rd"),
    ("unknown error type", 2, 201, ok(error(0, {"odd": 1})), "rd"),
    ("error without type", 2, 201, ok({"index": 0, "input_array": "attributes"}), "rd"),
    ("error without index", 3, 201, ok({"type": "BAD"}), "sss"),
    ("error as a sentence", 3, 201, ok("'external_id' must be fewer than 988 bytes"), "sss"),
    ("errors is not a list", 2, 201, b'{"message":"success","errors":"BAD"}', "ss"),
    ("index out of range", 3, 201, ok(error(3)), "sss"),
    ("negative index", 3, 201, ok(error(-1)), "sss"),
    ("index is a boolean", 3, 201, ok(error(True)), "sss"),
    ("index is a fraction", 3, 201, ok(error(1.5)), "sss"),
    ("another array", 3, 201, ok(error(0, array="events")), "sss"),
    ("with and without index", 3, 201, ok(error(0), {"type": "BAD"}), "rss"),
    ("without index, alone", 1, 201, ok({"type": "BAD"}), "r"),
    ("2xx without success", 2, 200, b'{"message":"Something else"}', "ss"),
    ("2xx without success, alone", 1, 200, b'{"message":"Something else"}', "s"),
    ("2xx without success, named", 2, 200, b'{"message":"no","errors":[{"type":"B","index":1}]}', "ss"),
    ("2xx without message", 2, 201, b"{}", "ss"),
    ("2xx empty", 2, 201, b"", "aa"),
    ("2xx null", 2, 201, b"null", "ss"),
    ("2xx list", 2, 201, b"[]", "ss"),
    ("2xx number", 2, 201, b"7", "ss"),
    ("2xx list, alone", 1, 201, b"[]", "s"),
    ("2xx truncated", 2, 201, b'{"message":"succ', "aa"),
    ("2xx html", 2, 200, b"<html>", "ss"),
    ("2xx not UTF-8", 2, 200, b"\xff\xfe\xff", "ss"),
    ("400 named", 3, 400, json.dumps({"message": "m", "errors": [error(1)]}).encode(), "ara"),
    ("400 opaque", 3, 400, b'{"message":"no"}', "sss"),
    ("400 opaque, alone", 1, 400, b'{"message":"no"}', "r"),
    ("400 empty", 2, 400, b"", "ss"),
    ("400 index out of range", 2, 400, json.dumps({"errors": [error(9)]}).encode(), "ss"),
    ("400 html, alone", 1, 400, b"<html>blocked</html>", "s"),
    ("400 says nothing, alone", 1, 400, b"{}", "s"),
    ("409", 2, 409, b'{"message":"conflict"}', "xx"),
    ("406", 1, 406, b"", "x"),
    ("422", 2, 422, b"", "ss"),
    ("401", 2, 401, b'{"message":"Invalid API Key"}', "xx"),
    ("403", 2, 403, b"", "xx"),
    ("404", 2, 404, b"", "xx"),
    ("405", 2, 405, b"", "xx"),
    ("415", 2, 415, b"", "xx"),
    ("redirect", 2, 302, b"", "xx"),
    ("408", 2, 408, b"", "aa"),
    ("413", 4, 413, b"", "ssss"),
    ("413 alone", 1, 413, b"", "r"),
    ("429", 2, 429, b"", "aa"),
    ("500", 2, 500, b"", "aa"),
    ("502", 2, 502, b"<html>", "aa"),
    ("503", 2, 503, b"", "aa"),
    ("504", 2, 504, b"", "aa"),
    ("no answer", 2, None, b"", "aa"),
]
LETTERS = {"resend": "a", "split": "s", "stop": "x"}


def letter(verdict: Verdict) -> str:
    return verdict.outcome[0] if verdict.outcome != "due" else LETTERS[verdict.next_step]


@pytest.mark.parametrize(
    ("count", "status", "body", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_the_verdict_of_each_object(count: int, status: int | None, body: bytes, expected: str) -> None:
    verdicts = interpret(request(count), status, {}, body, now=NOW)
    assert "".join(letter(verdict) for verdict in verdicts) == expected
    assert all(verdict.reason for verdict in verdicts if verdict.outcome != "delivered")


#: Whether Braze may have taken what is due all the same, so that an operator must not be sent again.
UNCLEAR = {
    "2xx empty",
    "2xx null",
    "2xx list",
    "2xx number",
    "2xx list, alone",
    "2xx without success, alone",
    "index is a negative float",
    "index is huge",
    "index is a long text",
    "2xx truncated",
    "2xx html",
    "2xx not UTF-8",
    "2xx without success",
    "2xx without success, named",
    "2xx without message",
    "error without index",
    "error as a sentence",
    "errors is not a list",
    "index out of range",
    "negative index",
    "index is a boolean",
    "index is a fraction",
    "another array",
    "with and without index",
    "408",
    "500",
    "504",
    "no answer",
}


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_which_answers_leave_open_what_braze_took(case: tuple[str, int, int | None, bytes, str]) -> None:
    name, count, status, body, _ = case
    due = [v for v in interpret(request(count), status, {}, body, now=NOW) if v.outcome == "due"]
    assert [verdict.unclear for verdict in due] == [name in UNCLEAR] * len(due)


def test_a_request_that_never_left_leaves_nothing_open() -> None:
    verdicts = interpret(request(2), None, {}, b"", now=NOW, written=False)
    assert [(verdict.outcome, verdict.unclear) for verdict in verdicts] == [("due", False)] * 2


def test_all_reasons_of_one_object_are_kept() -> None:
    assert interpret(request(1), 201, {}, ok(error(0, "A"), error(0, "B")))[0].reason == "A; B"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"X-Ratelimit-Retry-After": "7"}, 7),
        ({"x-ratelimit-retry-after": "7", "Retry-After": "9"}, 7),
        ({"Retry-After": "9"}, 9),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30),
        ({"X-RateLimit-Reset": str(int(NOW) + 11)}, 11),
        ({"X-RateLimit-Reset": "12"}, 12),
        ({"X-RateLimit-Reset": str(int(NOW) - 5)}, 0),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "nan"}, 5),
        ({}, 5),
    ],
)
def test_a_429_says_when_to_come_back(headers: dict[str, str], wait: float) -> None:
    assert {verdict.retry_after for verdict in interpret(request(2), 429, headers, b"", now=NOW)} == {wait}


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Content-Type": "Text/HTML; charset=utf-8"}, "text/html, 30 bytes"),
        ({}, "no content type, 30 bytes"),
        ({"content-type": "ann@example.com"}, "no content type, 30 bytes"),
    ],
)
@pytest.mark.parametrize("status", [200, 302, 400, 404, 409, 413])
def test_a_meaningless_answer_is_described_without_its_body(
    status: int, headers: dict[str, str], words: str
) -> None:
    for verdict in interpret(request(2), status, headers, b"<html>ann@example.com's</html>", now=NOW):
        assert f"{status} ({words})" in verdict.reason and "ann" not in verdict.reason


def test_an_oversized_object_is_rejected_without_being_sent() -> None:
    verdicts = interpret(Request((b"{}",), oversized=True), None, {}, b"")
    assert [verdict.outcome for verdict in verdicts] == ["rejected"]


@given(
    count=st.integers(1, 75),
    status=st.none() | st.integers(100, 599),
    headers=st.dictionaries(
        st.sampled_from(
            ["Retry-After", "X-RateLimit-Reset", "X-RateLimit-Remaining", "X-Ratelimit-Retry-After"]
        ),
        st.text(max_size=12),
    ),
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["message", "errors", "index", "type", "input_array"]), inner, max_size=4
            )
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_answer_has_one_verdict_an_object(
    count: int, status: int | None, headers: dict[str, str], body: bytes
) -> None:
    verdicts = interpret(request(count), status, headers, body, now=NOW)
    assert len(verdicts) == count
    assert (
        status is None or 200 <= status < 300 or all(verdict.outcome != "delivered" for verdict in verdicts)
    )


@pytest.mark.parametrize(
    ("reason", "user"),
    [
        ("BLACKLISTED_EXTERNAL_USER_ID", True),
        ("EXTERNAL_USER_ID_TOO_LARGE", True),
        ("'external_id' must be fewer than 988 bytes", True),
        ("BAD_LOCATION_UPDATE", False),
        ("value is invalid", False),
    ],
)
def test_which_rejections_concern_the_user(reason: str, user: bool) -> None:
    assert concerns_user(reason) is user


def test_a_shown_reason_holds_no_personal_data() -> None:
    shown = shown_reason("email ann@example.com of 'Ann B' (\"x\", user-1234567) is invalid: BAD_EMAIL")
    assert "ann" not in shown.lower() and "1234567" not in shown and "BAD_EMAIL" in shown
