"""The export endpoints of the workspace: pages, edits in simulated time, the ids of Currents, faults."""

from typing import Any

import httpx
import pytest
from simulated_sandbox import read_bucket
from test_sandbox_server import sandbox, track, wait_until_idle

from braze_platform.sandbox.api.rate_limits import RateLimit
from braze_platform.sandbox.world.campaigns import CAMPAIGNS
from braze_platform.sandbox.world.canvases import CANVASES
from braze_platform.settings import Settings


def get(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["message"] == "success"
    return body


def simulate(client: httpx.Client, path: str, **body: Any) -> None:
    assert client.post(path, json=body).status_code == 202
    wait_until_idle(client)


def test_the_workspace_is_what_currents_tells_of(settings: Settings) -> None:
    with sandbox(settings) as client:
        assert get(client, "/campaigns/list") == {"message": "success", "campaigns": []}
        simulate(client, "/sandbox/history", days=4, until="2026-09-20")
        told: dict[str, set[tuple[str, str]]] = {"campaign": set(), "variation": set(), "step": set()}
        for records in read_bucket(settings).records.values():
            for _, record in records:
                if len(record.get("campaign_id") or record.get("canvas_id") or "") != 24:
                    continue  # of no campaign and no canvas, or a test event: a UUID wherever an id should be
                if record.get("campaign_name") and record.get("message_variation_name"):
                    told["campaign"].add((record["campaign_id"], record["campaign_name"]))
                    told["variation"].add((record["message_variation_id"], record["message_variation_name"]))
                if record.get("canvas_step_name"):
                    told["step"].add((record["canvas_step_id"], record["canvas_step_name"]))
        listed = get(client, "/campaigns/list")["campaigns"]
        assert len(listed) == len(CAMPAIGNS) + 1, "the archived one is left out"
        assert len(get(client, "/campaigns/list", include_archived="true")["campaigns"]) == len(CAMPAIGNS) + 2
        names: set[tuple[str, str]] = set()
        for entry in listed:
            details = get(client, "/campaigns/details", campaign_id=entry["id"])
            assert (details["name"], details["updated_at"]) == (entry["name"], entry["last_edited"])
            assert details["tags"] == entry["tags"]
            assert details["channels"] and details["schedule_type"]
            names |= {(variation, message["name"]) for variation, message in details["messages"].items()}
        assert told["variation"] <= names
        known = {(entry["id"], entry["name"]) for entry in listed}
        earlier = {(c.campaign_id, c.name) for c in CAMPAIGNS if c.renamed}
        assert told["campaign"] <= known | earlier and told["campaign"] & earlier
        steps = set()
        for entry in get(client, "/canvas/list")["canvases"]:
            details = get(client, "/canvas/details", canvas_id=entry["id"])
            steps |= {(step["id"], step["name"]) for step in details["steps"]}
            assert [variant["name"] for variant in details["variants"]] == [
                "Variant A",
                "Variant B",
                "Control",
            ]
        assert told["step"] and told["step"] <= steps


def test_edits_follow_the_simulated_time(settings: Settings) -> None:
    with sandbox(settings) as client:
        simulate(client, "/sandbox/history", days=4, until="2026-09-20")
        before = {c["id"]: c for c in get(client, "/campaigns/list")["campaigns"]}
        canvases = {c["id"]: c for c in get(client, "/canvas/list")["canvases"]}
        segments = get(client, "/segments/list")["segments"]
        assert "Garden days" in {c["name"] for c in before.values()}
        assert get(client, "/campaigns/list")["campaigns"] == [*before.values()], (
            "it is the same at one moment"
        )
        simulate(client, "/sandbox/advance", days=1)
        after = {c["id"]: c for c in get(client, "/campaigns/list")["campaigns"]}
        (edited,) = [i for i in after if after[i]["last_edited"] != before[i]["last_edited"]]
        assert (before[edited]["name"], after[edited]["name"]) == (
            "Toys for rainy days",
            "Toys for all weathers",
        )
        assert after[edited]["last_edited"] == "2026-09-20T06:00:00.000+00:00"
        since = get(client, "/campaigns/list", **{"last_edit.time[gt]": "2026-09-20T00:00:00.000+00:00"})
        assert [c["id"] for c in since["campaigns"]] == [edited]
        for canvas in get(client, "/canvas/list")["canvases"]:
            assert canvas["tags"] == [*canvases[canvas["id"]]["tags"], "retention"]
        renamed = [s["name"] for s in get(client, "/segments/list")["segments"]]
        assert [s["name"] for s in segments if s["name"] not in renamed] == ["Quiet for 30 days"]
        assert "last_edited" not in segments[0]
        details = get(client, "/segments/details", segment_id=segments[1]["id"])
        assert (details["name"], details["updated_at"]) == (
            "Quiet for 45 days",
            "2026-09-20T06:00:00.000+00:00",
        )
        toys = {
            r["campaign_name"]
            for _, r in read_bucket(settings).records["users.messages.pushnotification.Send"]
            if r["campaign_id"] == edited
        }
        assert toys - {None} <= {"Toys for rainy days", "Toys for all weathers"}


def test_pages_and_cursors(settings: Settings) -> None:
    with sandbox(settings, list_page=5, attributes_page=2) as client:
        simulate(client, "/sandbox/history", days=1, until="2026-09-20")
        pages = [
            get(client, "/campaigns/list", page=p, include_archived="true")["campaigns"] for p in range(4)
        ]
        assert [len(page) for page in pages] == [5, 5, 4, 0]
        ids = [c["id"] for page in pages for c in page]
        newest = get(client, "/campaigns/list", sort_direction="desc", include_archived="true")["campaigns"]
        assert [c["id"] for c in newest] == ids[::-1][:5]
        track(client, {"external_id": "u000001", "score": 3, "colours": ["red"], "big": True})
        names, address = [], "/custom_attributes"
        while address:
            answer = client.get(address)
            assert len(answer.json()["attributes"]) <= 2
            names += [(a["name"], a["data_type"]) for a in answer.json()["attributes"]]
            address = answer.links.get("next", {}).get("url", "")
        assert names == [
            ("app_theme", "String"),
            ("big", "Boolean"),
            ("colours", "Array"),
            ("newsletter_topics", "Array"),
            ("score", "Number"),
            ("shoe_size_2019", "Number"),
        ]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/campaigns/list?page=-1", 400),
        ("/campaigns/list?sort_direction=up", 400),
        ("/campaigns/details", 400),
        ("/campaigns/details?campaign_id=nobody", 404),
        ("/custom_attributes?cursor=c2tpcDp4", 400),
        ("/custom_attributes?cursor=c2tpcDow", 200),
    ],
)
def test_wrong_requests(settings: Settings, address: str, status: int) -> None:
    with sandbox(settings) as client:
        assert client.get(address).status_code == status
        path, outcome = address.partition("?")[0], "accepted" if status == 200 else "rejected"
        state = client.get("/sandbox/state").json()
        assert state["export_requests"] == {path: {outcome: 1}}
        assert state["requests"]["accepted"] == state["requests"]["rejected"] == 0


def test_key_limits_and_faults(settings: Settings) -> None:
    clock = lambda: 3600.0 * 9 + 1800  # noqa: E731
    limits = {
        "shared_limit": RateLimit(per_hour=3, clock=clock),
        "attributes_limit": RateLimit(per_hour=1, clock=clock),
    }
    with sandbox(settings, **limits) as client:
        assert client.get("/segments/list", headers={"Authorization": "Bearer wrong"}).status_code == 401
        first = client.get("/campaigns/list").headers
        assert (first["X-RateLimit-Limit"], first["X-RateLimit-Remaining"]) == ("3", "2")
        client.get("/canvas/list")
        assert client.get("/segments/list").headers["X-RateLimit-Remaining"] == "0"
        refused = client.get("/campaigns/list")
        assert (refused.status_code, refused.headers["X-Ratelimit-Retry-After"]) == (429, "1800")
        assert client.get("/custom_attributes").status_code == 200
        assert client.get("/custom_attributes").status_code == 429
        client.post("/sandbox/faults", json={"rate_5xx": 1})
        assert client.get("/campaigns/list").status_code in (429, 500, 502, 503)


def test_broken_objects(settings: Settings) -> None:
    with sandbox(settings) as client:
        simulate(client, "/sandbox/history", days=1, until="2026-09-20")
        one, two = CAMPAIGNS[0].campaign_id, CANVASES[0].id_of()
        assert client.post("/sandbox/broken_objects", json={one: "odd"}).status_code == 400
        assert (
            client.post("/sandbox/broken_objects", json={one: "missing", two: "malformed"}).status_code == 200
        )
        assert client.get("/campaigns/details", params={"campaign_id": one}).status_code == 404
        broken = client.get("/canvas/details", params={"canvas_id": two})
        assert broken.status_code == 200
        with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
            broken.json()
        client.post("/sandbox/broken_objects", json={})
        assert client.get("/campaigns/details", params={"campaign_id": one}).status_code == 200
