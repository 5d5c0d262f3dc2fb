from __future__ import annotations

import json
import random
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from braze_platform.braze_api.client import OutwardCallsOff
from braze_platform.braze_api.retries import RetryLimits
from braze_platform.sync.declaration.sync import AttributeSpec, Identifier, PlanLimits
from braze_platform.sync.values.json_text import value_hash

ONE = "select 'u1' as external_id, 5 as score, 'email' as channel, null::timestamp as seen_at"


def test_a_first_run_sends_everything_and_a_second_makes_no_request(room: Any, braze: Any) -> None:
    room.users(1000)
    run = room.run()
    assert run.report.delivered == {"score": 1000, "channel": 900, "seen_at": 1000}
    assert run.report.complete
    assert run.report.requests == run.plan.requests == 14
    assert len(braze.profiles) == 1000
    assert braze.profiles["user-7"] == {"score": 7, "channel": "email", "seen_at": "2026-11-01T08:00:07Z"}
    assert all(entry["_update_existing_only"] is False for objects in braze.received for entry in objects)
    again = room.run()
    assert len(braze.received) == 14
    assert again.plan.objects == 0 and again.report.requests == 0
    assert {n: c.unchanged for n, c in again.plan.attributes.items()} == {
        "score": 1000,
        "channel": 900,
        "seen_at": 1000,
    }


def test_only_what_changed_is_sent(room: Any, braze: Any) -> None:
    room.users(300)
    room.run()
    before = len(braze.received)
    room.users(300, score="case when i < 3 then 200 + i else i % 101 end")
    run = room.run()
    assert run.plan.attributes["score"].changed == 3
    assert run.plan.objects == 3
    sent = [entry for objects in braze.received[before:] for entry in objects]
    assert [sorted(entry) for entry in sent] == [["_update_existing_only", "external_id", "score"]] * 3


def test_the_plan_says_exactly_what_is_sent(room: Any, braze: Any) -> None:
    room.users(500)
    plan = room.plan()
    assert plan.plan_id == room.plan().plan_id
    run = room.run()
    assert run.plan.plan_id == plan.plan_id
    bodies = [json.dumps({"attributes": objects}, separators=(",", ":")) for objects in braze.received]
    assert sum(len(body.encode()) for body in bodies) == plan.bytes
    assert len(plan.examples) == 20
    assert "user-" not in json.dumps(plan.as_dict()) and "email" not in json.dumps(plan.as_dict())


def test_null_clears_or_is_skipped_by_policy(room: Any, braze: Any) -> None:
    room.users(3)
    room.run()
    room.model(
        "select 'user-' || i as external_id, null::bigint as score, null::varchar as channel, "
        "null::timestamp as seen_at from range(3) t(i) "
        # An attribute that nobody has any more would wait for approval.
        "union all select 'keeper', 1, 'email', null"
    )
    run = room.run()
    assert run.plan.attributes["score"].cleared == 3
    assert run.plan.attributes["channel"].cleared == 2
    assert run.plan.attributes["seen_at"].sent == 0
    assert braze.profiles["user-1"] == {"seen_at": "2026-11-01T08:00:01Z"}
    assert room.run().plan.objects == 0


def test_a_null_that_was_never_acknowledged_sends_nothing(room: Any, braze: Any) -> None:
    room.model(
        "select 'u1' as external_id, null::bigint as score, null::varchar as channel, null::timestamp as seen_at"
    )
    assert room.run().plan.objects == 0
    assert braze.received == []


@pytest.mark.parametrize(("policy", "left"), [("keep", {"score", "channel", "seen_at"}), ("clear", set())])
def test_users_who_left_the_model(room: Any, braze: Any, policy: str, left: set[str]) -> None:
    room.declare(when_row_disappears=policy)
    room.users(20)
    room.run()
    room.users(10)
    run = room.run()
    assert set(braze.profiles["user-11"]) == left
    assert run.plan.objects == (10 if policy == "clear" else 0)
    assert room.run().plan.objects == 0


def test_one_canonical_value_is_not_sent_twice_and_the_ledger_follows(room: Any, braze: Any) -> None:
    room.model("select 'u1' as external_id, 5 as score, 'a' as channel, timestamp '2026-01-01' as seen_at")
    room.run()
    room.model(
        "select 'u1' as external_id, 5.0::double as score, 'a' as channel, "
        "timestamptz '2026-01-01 01:00:00+01' as seen_at"
    )
    run = room.run()
    assert run.plan.objects == 0 and len(braze.received) == 1
    assert room.sql("select score from braze_sync.ledger_braze_customers") == [(5.0,)]


def test_an_attribute_can_be_sent_alone(room: Any, braze: Any) -> None:
    room.users(10)
    run = room.run(attributes=room.only("channel"))
    assert list(run.plan.attributes) == ["channel"]
    assert all(set(profile) == {"channel"} for profile in braze.profiles.values())
    rest = room.run()
    assert rest.plan.attributes["score"].new == 10 and rest.plan.attributes["channel"].sent == 0


def test_a_plan_over_its_limits_waits_for_the_approval_of_that_plan(room: Any, braze: Any) -> None:
    room.declare(limits=PlanLimits(max_changed_share=0.5, max_objects=50))
    room.users(51)
    run = room.run()
    assert run.report is None and braze.received == []
    assert "max_objects" in run.plan.limit_violations[0]
    assert room.run(approved_plan="another").report is None
    assert room.run(approved_plan=run.plan.plan_id).report.complete
    room.users(51, score="i % 101 + 1")
    changed = room.run(approved_plan=run.plan.plan_id)
    assert changed.report is None and any(
        "max_changed_share" in reason for reason in changed.plan.limit_violations
    )


def test_invalid_values_are_rejected_without_costing_their_neighbours(room: Any, braze: Any) -> None:
    room.model(
        "select 'u1' as external_id, 'NaN'::double as score, repeat('x', 300) as channel, now()::timestamp as seen_at "
        "union all select 'u2', 1, 'sms', null"
    )
    run = room.run()
    assert run.report.rejected == {"score": 1, "channel": 1, "seen_at": 0}
    assert set(braze.profiles["u1"]) == {"seen_at"}
    listed = (
        "select attribute, refused_by, reason from braze_sync.rejections where resolved_at is null order by 1"
    )
    assert [row[:2] for row in room.sql(listed)] == [("channel", "value"), ("score", "value")]
    room.run()
    assert len(room.sql(listed)) == 2
    room.model("select 'u1' as external_id, 3::double as score, 'sms' as channel, null::timestamp as seen_at")
    room.run()
    assert room.sql(listed) == []


def test_a_bad_value_is_isolated_to_its_attribute_and_not_sent_again_until_it_changes(
    room: Any, braze: Any
) -> None:
    braze.rejects = lambda entry: "BAD_VALUE" if entry.get("score") == 13 else None
    room.users(100)
    run = room.run()
    assert run.report.rejected == {"score": 1, "channel": 0, "seen_at": 0}
    assert run.report.delivered["channel"] == 90 and run.report.complete
    assert set(braze.profiles["user-13"]) == {"channel", "seen_at"}
    requests = len(braze.received)
    again = room.run()
    assert again.plan.attributes["score"].known_rejected == 1 and len(braze.received) == requests
    room.users(100, score="case when i = 13 then 14 else i % 101 end")
    room.run()
    assert braze.profiles["user-13"]["score"] == 14
    assert room.sql("select count(*) from braze_sync.rejections where resolved_at is null") == [(0,)]


def test_a_rejected_user_costs_one_request_not_one_per_attribute(room: Any, braze: Any) -> None:
    braze.rejects = lambda entry: "BLACKLISTED_EXTERNAL_USER_ID" if entry["external_id"] == "user-3" else None
    room.users(10)
    run = room.run()
    assert run.report.rejected == {"score": 1, "channel": 1, "seen_at": 1}
    assert len(braze.received) == 1
    room.run()
    assert len(braze.received) == 1


def test_an_opaque_400_is_split_until_the_bad_record_is_alone(room: Any, braze: Any) -> None:
    def refuse(number: int, objects: list[dict[str, Any]]) -> Response | None:
        bad = any(entry.get("score") in (20, 55) for entry in objects)
        return JSONResponse({"message": "something is wrong"}, 400) if bad else None

    braze.fault = refuse
    room.users(90)
    run = room.run()
    assert run.report.rejected == {"score": 2, "channel": 0, "seen_at": 0}
    assert run.report.delivered == {"score": 88, "channel": 81, "seen_at": 90}
    assert "channel" not in braze.profiles["user-20"] and braze.profiles["user-55"]["channel"] == "email"
    assert "score" not in braze.profiles["user-55"]


def test_two_updates_of_one_user_are_never_in_flight_together(room: Any, braze: Any) -> None:
    braze.delay = 0.005
    room.declare(limits=PlanLimits(max_rejected_share=0.5, max_first_users=10_000_000))
    braze.rejects = lambda entry: (
        "BAD" if int(entry["external_id"][5:]) % 3 == 0 and "score" in entry else None
    )
    room.users(1500)
    run = room.run()
    assert braze.overlaps == 0 and braze.max_in_flight > 75
    assert run.report.rejected["score"] == 500 and run.report.delivered["seen_at"] == 1500


def test_partial_faults_of_five_percent_end_in_the_right_profiles(room: Any, braze: Any) -> None:
    seen: set[str] = set()

    def flaky(entry: dict[str, Any]) -> str | None:
        user = entry["external_id"]
        if int(user[5:]) % 20 == 0 and user not in seen:
            seen.add(user)
            return "SOMETHING_TRANSIENT"
        return None

    braze.rejects = flaky
    room.users(2000)
    run = room.run()
    assert run.report.complete and len(braze.profiles) == 2000
    assert run.report.delivered == {"score": 2000, "channel": 1800, "seen_at": 2000}
    verdicts = dict(room.sql("select verdict, count(distinct _user) from braze_sync.deliveries group by 1"))
    assert verdicts == {"delivered": 2000, "due": 100}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_stops_at_once(room: Any, braze: Any, status: int) -> None:
    braze.fault = lambda number, objects: JSONResponse({"message": "no"}, status)
    room.users(3000)
    run = room.run()
    assert str(status) in run.report.stopped
    assert run.report.requests <= 4
    assert run.report.due["score"] == 3000
    assert room.sql("select count(*) from braze_sync.ledger_braze_customers") == [(0,)]


def test_braze_down_marks_nothing_delivered_and_the_next_run_completes(room: Any, braze: Any) -> None:
    room.users(400)
    url = room.settings.braze_rest_url
    room.configure(braze_rest_url="http://127.0.0.1:1")
    run = room.run()
    assert not run.report.complete and run.report.stopped
    assert run.report.due == {"score": 400, "channel": 360, "seen_at": 400}
    assert room.sql("select count(*) from braze_sync.ledger_braze_customers") == [(0,)]
    assert room.sql("select count(*) from braze_sync.deliveries where verdict = 'delivered'") == [(0,)]
    room.configure(braze_rest_url=url)
    assert room.run().report.complete
    assert len(braze.profiles) == 400


def test_transient_faults_are_retried_within_the_run(
    room: Any, braze: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(3)

    def shaky(number: int, objects: list[dict[str, Any]]) -> Response | None:
        return dice.choice(
            [
                Response("", 503),
                JSONResponse({"message": "slow down"}, 429, headers={"X-Ratelimit-Retry-After": "0"}),
                Response(b'{"messa', 201),
                None,
                None,
            ]
        )

    braze.fault = shaky
    room.users(600)
    monkeypatch.setattr(
        "braze_platform.sync.run.RETRY", RetryLimits(fault_seconds=60, first_backoff_seconds=0.005)
    )
    run = room.run()
    assert run.report.complete and len(braze.profiles) == 600


def test_a_rate_limit_longer_than_patience_stops_and_the_rest_is_due(room: Any, braze: Any) -> None:
    braze.fault = lambda number, objects: (
        JSONResponse({"message": "no"}, 429, headers={"X-RateLimit-Reset": "3000"}) if number > 2 else None
    )
    room.users(1000)
    run = room.run()
    assert "rate limit" in run.report.stopped
    assert run.report.delivered["score"] == 150 and run.report.due["score"] == 850
    braze.fault = None
    assert room.run().report.delivered["score"] == 850
    assert len(braze.profiles) == 1000


def test_nothing_leaves_when_outward_calls_are_off(room: Any, braze: Any) -> None:
    room.users(1)
    room.configure(braze_rest_url="https://rest.example.com")
    with pytest.raises(OutwardCallsOff, match="BRAZE_PLATFORM_ENVIRONMENT"):
        room.run()
    assert braze.received == []


def test_deliveries_keep_hashes_or_values_by_choice(room: Any, braze: Any) -> None:
    room.model(ONE)
    room.run("first")
    room.model(ONE.replace("5 as", "6 as"))
    room.configure(deliveries_with_values=True)
    room.run("second")
    rows = room.sql(
        "select run_id, _user, verdict, status, attempts, attribute_values from braze_sync.deliveries order by 1"
    )
    assert rows[0][:-1] == ("first", "u1", "delivered", 201, 1)
    assert json.loads(rows[0][-1]) == [
        {"attribute": "score", "hash": value_hash(5)},
        {"attribute": "channel", "hash": value_hash("email")},
    ]
    assert json.loads(rows[1][-1]) == [{"attribute": "score", "hash": value_hash(6), "value": 6}]


def test_the_key_is_in_no_file_of_the_installation(room: Any, braze: Any) -> None:
    room.users(50)
    room.run()
    files = [path for path in room.folder.rglob("*") if path.is_file()]
    assert files
    assert all(room.settings.braze_api_key.encode() not in path.read_bytes() for path in files)


def test_a_user_alias_is_an_identifier_of_two_columns(room: Any, braze: Any) -> None:
    room.declare(
        identifier=Identifier("user_alias", ("alias", "label")),
        attributes=(AttributeSpec("score", "integer"),),
    )
    room.model("select 'a' as alias, 'crm' as label, 1 as score union all select 'a', 'shop', 2")
    assert room.run().report.complete
    assert braze.profiles == {"crm:a": {"score": 1}, "shop:a": {"score": 2}}
    assert room.run().plan.objects == 0
