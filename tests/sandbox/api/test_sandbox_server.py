"""The sandbox over HTTP: key, bodies, limits, faults, profiles, steering, restart; once over a real socket."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from served_sandbox import custom, sandbox, sandbox_client, track
from simulated_sandbox import read_bucket

from braze_platform.sandbox.api.rate_limits import RateLimit
from braze_platform.sandbox.api.server import MAX_BODY_BYTES
from braze_platform.sandbox.command import command
from braze_platform.sandbox.world.simulation import Simulation, SimulationRefused
from braze_platform.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with sandbox(settings) as opened:
        yield opened


def wait_until_idle(client: Any) -> dict[str, Any]:
    for _ in range(600):
        state: dict[str, Any] = client.get("/sandbox/state").json()
        if state["phase"] == "idle":
            assert state["error"] is None
            return state
        time.sleep(0.05)
    raise AssertionError("the sandbox did not become idle")


def test_keys_and_bodies(client: httpx.Client) -> None:
    good = {"attributes": [{"external_id": "u000001", "a": 1}]}
    assert (
        client.post("/users/track", json=good, headers={"Authorization": "Bearer wrong"}).status_code == 401
    )
    assert client.get("/sandbox/state", headers={"Authorization": ""}).status_code == 401
    assert (
        client.post(
            "/users/track", content=json.dumps(good), headers={"Content-Type": "text/plain"}
        ).status_code
        == 415
    )
    plain = {"Content-Type": "application/json"}
    assert client.post("/users/track", content="{", headers=plain).status_code == 400
    assert (
        client.post(
            "/users/track", content='{"attributes": [{"external_id": "u", "a": NaN}]}', headers=plain
        ).status_code
        == 400
    )
    assert client.post("/users/track", content=b" " * (MAX_BODY_BYTES + 1), headers=plain).status_code == 413
    too_many = track(client, *[{"external_id": "u000001"}] * 76)
    assert too_many.status_code == 400
    assert "Max Input Length Exceeded" in too_many.json()["message"]
    assert custom(client, "u000001") == {}
    answer = client.post("/users/track", json=good)
    assert (answer.status_code, answer.json()) == (201, {"message": "success", "attributes_processed": 1})
    assert client.get("/sandbox/state").json()["requests"] == {
        "accepted": 2,
        "rejected": 6,
        "limited": 0,
        "faulted": 0,
    }


def test_headers_and_429(settings: Settings) -> None:
    limit = RateLimit(per_hour=2, clock=lambda: 3600.0 * 9 + 1800)
    with sandbox(settings, track_limit=limit) as client:
        headers = track(client, {"external_id": "u000001", "a": 1}).headers
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("2", "1")
        assert headers["X-RateLimit-Reset"] == str(36_000)
        track(client, {"external_id": "u000001", "a": 2})
        refused = track(client, {"external_id": "u000001", "a": 3})
        assert refused.status_code == 429
        assert refused.headers["X-Ratelimit-Retry-After"] == "1800"
        assert "X-RateLimit-Remaining" not in refused.headers
        assert custom(client, "u000001") == {"a": 2}
        assert client.get("/sandbox/state").json()["requests"]["limited"] == 1


def test_partial_errors_leave_the_rest(client: httpx.Client) -> None:
    answer = track(
        client, {"external_id": "u000001", "a": 1}, {"a": 2}, {"external_id": "u000003", "email": "bad"}
    )
    assert answer.status_code == 201
    body = answer.json()
    assert (body["message"], body["attributes_processed"]) == ("success", 1)
    assert [(e["input_array"], e["index"]) for e in body["errors"]] == [("attributes", 1), ("attributes", 2)]
    assert custom(client, "u000001") == {"a": 1}
    assert custom(client, "u000003") == {}


def test_profiles_are_made_changed_and_cleared(client: httpx.Client) -> None:
    track(client, {"external_id": "new", "_update_existing_only": True, "a": 1})
    assert custom(client, "new") is None
    track(client, {"external_id": "new", "a": 1, "b": "x"}, {"external_id": "new", "a": {"inc": 4}})
    assert custom(client, "new") == {"a": 5, "b": "x"}
    track(client, {"external_id": "new", "b": None})
    assert custom(client, "new") == {"a": 5}
    alias = {"alias_name": "n", "alias_label": "l"}
    track(client, {"user_alias": alias, "a": 1})
    exported = client.post("/users/export/ids", json={"user_aliases": [alias]}).json()
    assert (exported["users"], exported["invalid_user_ids"]) == ([], [alias])
    track(client, {"user_alias": alias, "_update_existing_only": False, "a": 1})
    users = client.post("/users/export/ids", json={"user_aliases": [alias]}).json()["users"]
    assert users[0]["custom_attributes"] == {"a": 1}
    track(client, {"email": "Some@One.example", "a": 7})
    users = client.post("/users/export/ids", json={"email_address": "some@one.example"}).json()["users"]
    assert users[0]["custom_attributes"] == {"a": 7}
    track(client, {"braze_id": users[0]["braze_id"], "a": 8})
    assert client.post("/users/export/ids", json={"braze_id": users[0]["braze_id"]}).json()["users"][0][
        "custom_attributes"
    ] == {"a": 8}


def test_export(client: httpx.Client) -> None:
    event = {"external_id": "u000001", "name": "seen", "time": "2026-01-02T03:04:05Z"}
    assert track(client, events=[event, event]).json() == {"message": "success", "events_processed": 2}
    body = {
        "external_ids": ["u000001", "nobody"],
        "fields_to_export": ["external_id", "custom_events", "home_city"],
    }
    answer = client.post("/users/export/ids", json=body)
    assert answer.status_code == 201
    assert answer.json()["invalid_user_ids"] == ["nobody"]
    (user,) = answer.json()["users"]
    assert user["custom_events"] == [
        {"name": "seen", "first": event["time"], "last": event["time"], "count": 2}
    ]
    assert "home_city" not in user
    assert (
        client.post("/users/export/ids", json={"external_ids": [f"u{n}" for n in range(51)]}).status_code
        == 400
    )
    assert client.post("/users/export/ids", json={}).status_code == 400


def test_faults(client: httpx.Client) -> None:
    assert client.get("/sandbox/faults").json() == {
        "latency_ms": 0.0,
        "rate_429": 0.0,
        "rate_5xx": 0.0,
        "rate_drop": 0.0,
        "rate_partial": 0.0,
        "rate_gateway": 0.0,
        "gateway_status": 200,
        "gateway_body": "html",
        "queue_ms": 0.0,
    }
    assert client.post("/sandbox/faults", json={"rate_5xx": 2}).status_code == 400
    assert client.post("/sandbox/faults", json={"rate": 1}).status_code == 400
    client.post("/sandbox/faults", json={"rate_429": 1})
    limited = track(client, {"external_id": "u000001", "a": 1})
    assert (limited.status_code, limited.headers["X-Ratelimit-Retry-After"]) == (429, "1")
    client.post("/sandbox/faults", json={"rate_5xx": 1})
    statuses = {track(client, {"external_id": f"u{n:06d}", "a": 1}).status_code: n for n in range(1, 31)}
    assert set(statuses) <= {500, 502, 503, 504} and 504 in statuses
    client.post("/sandbox/faults", json={"rate_drop": 1})
    with pytest.raises(httpx.TransportError):
        track(client, {"external_id": "u000001", "a": 1})
    client.post("/sandbox/faults", json={"rate_partial": 1})
    spoiled = track(client, {"external_id": "u000002", "b": 1}).json()
    assert [(e["input_array"], e["index"]) for e in spoiled["errors"]] == [("attributes", 0)]
    assert "attributes_processed" not in spoiled
    client.post("/sandbox/faults", json={})
    assert custom(client, f"u{statuses[504]:06d}") == {"a": 1}, "a 504 took effect all the same"
    assert client.get("/sandbox/state").json()["requests"]["faulted"] == 31


GATEWAY_ANSWERS = [
    (status, body)
    for status in (200, 400, 403, 409, 413, 502)
    for body in ("html", "nothing", "empty_json", "other_json", "json_array")
]


def test_a_gateway_in_front_answers_in_brazes_place(client: httpx.Client) -> None:
    for status, body in GATEWAY_ANSWERS:
        fault = {"rate_gateway": 1, "gateway_status": status, "gateway_body": body}
        assert client.post("/sandbox/faults", json=fault).status_code == 200
        answer = track(client, {"external_id": "u000003", "a": 1})
        assert answer.status_code == status
        assert (b"<html>" in answer.content) is (body == "html")
        assert b"success" not in answer.content
        assert client.post("/users/export/ids", json={"external_ids": ["u000003"]}).status_code == status
    client.post("/sandbox/faults", json={})
    assert custom(client, "u000003") == {}, "nothing of it took effect"
    assert client.post("/sandbox/faults", json={"gateway_body": "xml"}).status_code == 400
    assert client.post("/sandbox/faults", json={"gateway_status": 99}).status_code == 400


def test_an_address_with_a_slash_too_many_is_forbidden(client: httpx.Client) -> None:
    answer = client.post("/users/track/", json={"attributes": [{"external_id": "u000001", "a": 1}]})
    assert answer.status_code == 403 and "slash" in answer.json()["message"]


def test_steering(settings: Settings) -> None:
    with sandbox(settings) as client:
        assert client.get("/sandbox/health").json() == {"status": "ok"}
        assert client.get("/sandbox/state").json()["simulated_until"] is None
        assert client.post("/sandbox/advance", json={"days": 1}).status_code == 409
        assert client.post("/sandbox/flush").status_code == 409
        assert client.post("/sandbox/history", json={"days": 0}).status_code == 400
        assert client.post("/sandbox/history", json={"until": "soon"}).status_code == 400
        asked = {"days": 2, "until": "2026-09-20"}
        started = client.post("/sandbox/history", json=asked)
        assert (started.status_code, started.json()["started"]) == (202, True)
        state = wait_until_idle(client)
        assert state["simulated_until"] == "2026-09-20T00:00:00+00:00"
        assert state["users"] > 30
        again = client.post("/sandbox/history", json=asked)
        assert (again.status_code, again.json()["started"]) == (202, False)
        assert client.post("/sandbox/history", json=asked | {"days": 3}).status_code == 409
        track(client, {"external_id": "u000001", "shoe_size": 41, "first_name": "Ida"})
    # Changes not yet told of outlive the process.
    with sandbox(settings) as client:
        assert client.post("/sandbox/flush").json() == {"profile_updates": 1}
        assert client.post("/sandbox/flush").json() == {"profile_updates": 0}
        assert client.post("/sandbox/advance", json={"days": 1}).status_code == 202
        state = wait_until_idle(client)
        assert state["simulated_until"] == "2026-09-21T00:00:00+00:00"
        assert len(client.get("/sandbox/truth").json()["campaigns"]) == 12
    (found,) = [
        (f, r)
        for f, r in read_bucket(settings).records["users.profile.Update"]
        if r["update_source"] == "REST API"
    ]
    file, record = found
    assert file.hour.isoformat() == "2026-09-20T00:00:00+00:00"
    assert (record["external_user_id"], record["custom_attributes"], record["first_name"]) == (
        "u000001",
        '{"shoe_size": 41}',
        "Ida",
    )
    assert record["email_address"] is None


def test_deleted_users_do_not_come_back(settings: Settings) -> None:
    with sandbox(settings) as client:
        client.post("/sandbox/history", json={"days": 4, "until": "2026-09-20"})
        state = wait_until_idle(client)
        assert state["edge_cases"]["deleted_users"] > 0
        everyone = [f"u{n:06d}" for n in range(1, 41)]
        for start in (0, 20):
            track(
                client,
                *[
                    {"external_id": i, "_update_existing_only": True, "a": 1}
                    for i in everyone[start : start + 20]
                ],
            )
        exported = client.post("/users/export/ids", json={"external_ids": everyone}).json()
        assert len(exported["invalid_user_ids"]) == 40 - state["users"] > 0
        assert client.get("/sandbox/state").json()["profiles_with_attributes"] == state["users"]


def test_another_population_is_refused(settings: Settings) -> None:
    Simulation(settings, 7, 40).close()
    with pytest.raises(SimulationRefused, match="start it with those"):
        Simulation(settings, 8, 40)
    environment = {name: str(value) for name, value in settings.as_environment().items()}
    result = CliRunner().invoke(command, ["--users", "50"], env=environment)
    assert result.exit_code == 1
    assert "start it with those" in result.output


def start_server(settings: Settings, port: int) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **settings.as_environment()}
    command = [sys.executable, "-m", "braze_platform", "sandbox", "--port", str(port), "--users", "300"]
    return subprocess.Popen(command, env=environment)


def wait_for(client: httpx.Client) -> None:
    for _ in range(300):
        with contextlib.suppress(httpx.TransportError):
            if client.get("/sandbox/health").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.mark.full
def test_killed_and_started_again_over_a_real_socket(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with sandbox_client(settings, f"http://127.0.0.1:{port}") as client:
        server = start_server(settings, port)
        try:
            wait_for(client)
            client.post("/sandbox/faults", json={"rate_drop": 1})
            with pytest.raises(httpx.TransportError):
                client.post("/users/track", json={"attributes": [{"external_id": "u000001"}]})
            client.post("/sandbox/faults", json={})
            answer = client.post("/users/track", json={"attributes": [{"external_id": "u000001", "a": 1}]})
            assert answer.status_code == 201
            client.post("/sandbox/history", json={"days": 5, "until": "2026-09-20"})
            for _ in range(600):
                if any(settings.bucket_dir.rglob("*.avro")):
                    break
                time.sleep(0.02)
            server.send_signal(signal.SIGKILL)
            server.wait()
            server = start_server(settings, port)
            wait_for(client)
            state = wait_until_idle(client)
            assert state["simulated_until"] == "2026-09-20T00:00:00+00:00"
            assert state["files"] == sum(path.is_file() for path in settings.bucket_dir.rglob("*"))
            assert state["profiles_with_attributes"] == 1
            bucket = read_bucket(settings)
            assert sum(map(len, bucket.records.values())) == state["events"]
        finally:
            server.kill()
            server.wait()
