"""What becomes of profiles over HTTP: who is found, what is kept, overwritten, dropped, exported."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from served_sandbox import custom, sandbox, track

from braze_platform.sandbox.store.profiles import Store
from braze_platform.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with sandbox(settings) as opened:
        yield opened


def test_users_who_are_not_there_are_ignored_and_counted(client: httpx.Client) -> None:
    unknown = {"external_id": "nobody", "_update_existing_only": True, "a": 1}
    answer = track(client, {"external_id": "u000001", "a": 1}, unknown)
    assert (answer.status_code, answer.json()) == (201, {"message": "success", "attributes_processed": 2})
    assert custom(client, "nobody") is None
    assert custom(client, "u000001") == {"a": 1}


def test_an_email_names_the_profile_whatever_its_case(client: httpx.Client) -> None:
    track(client, {"external_id": "first", "email": "Some.One@Example.com"})
    track(client, {"external_id": "second", "email": "some.one@example.com"})
    named = {"_update_existing_only": True, "a": 1}
    track(client, {"email": "SOME.ONE@example.COM"} | named)
    assert (custom(client, "first"), custom(client, "second")) == ({}, {"a": 1}), "the most recently updated"
    track(client, {"external_id": "first", "b": 1})
    track(client, {"email": "some.One@example.com"} | named | {"a": 2})
    assert (custom(client, "first"), custom(client, "second")) == ({"a": 2, "b": 1}, {"a": 1})
    label = {"alias_name": "n", "alias_label": "l"}
    track(client, {"user_alias": label, "_update_existing_only": False, "email": "some.one@example.com"})
    track(client, {"email": "some.one@example.com"} | named | {"a": 3})
    assert custom(client, "first") == {"a": 3, "b": 1}, "one with an external id before one without"


def exported(client: httpx.Client, external_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.post("/users/export/ids", json={"external_ids": [external_id]}).json()
    return dict(found["users"][0])


def test_subscription_groups_are_set_one_by_one_and_for_all_with_the_address(settings: Settings) -> None:
    def group(name: str, state: str) -> dict[str, str]:
        return {"subscription_group_id": name, "subscription_state": state}

    with sandbox(settings) as client:
        for user in ("first", "second"):
            track(client, {"external_id": user, "email": "one@example.com"})
        track(client, {"external_id": "other", "email": "two@example.com"})
        track(client, {"external_id": "first", "subscription_groups": [group("a", "subscribed")]})
        changed = [group("a", "unsubscribed"), group("b", "subscribed")]
        track(client, {"external_id": "second", "subscription_groups": changed})
        track(client, {"external_id": "second", "subscription_groups": [group("b", "unsubscribed")]})
    store = Store(settings.sandbox_dir / "sandbox.sqlite")
    held = store.profiles_by("external_id", ["first", "second", "other"])
    expected = [group("a", "unsubscribed"), group("b", "unsubscribed")]
    assert held["first"].standard["subscription_groups"] == expected
    assert held["second"].standard["subscription_groups"] == expected
    assert "subscription_groups" not in held["other"].standard
    store.close()


def test_attributes_on_the_blocklist_are_dropped(client: httpx.Client) -> None:
    listed = client.get("/custom_attributes").json()["attributes"]
    (blocked,) = [found["name"] for found in listed if found["status"] == "Blocklisted"]
    assert track(client, {"external_id": "u000001", blocked: 1, "a": 1}).status_code == 201
    assert custom(client, "u000001") == {"a": 1}


def test_an_export_has_as_little_data_as_possible(client: httpx.Client) -> None:
    track(client, {"external_id": "u000002", "current_location": {"longitude": 13.4, "latitude": 52.5}})
    asked = {
        "external_ids": ["u000002"],
        "fields_to_export": ["external_id", "custom_attributes", "user_aliases", "last_coordinates"],
    }
    assert client.post("/users/export/ids", json=asked).json()["users"] == [
        {"external_id": "u000002", "last_coordinates": [13.4, 52.5]}
    ]


def test_accepted_is_queued_and_not_applied(settings: Settings) -> None:
    with sandbox(settings) as client:
        client.post("/sandbox/faults", json={"queue_ms": 60_000})
        assert track(client, {"external_id": "u000001", "a": 1}).status_code == 201
        assert custom(client, "u000001") == {}
    with sandbox(settings) as client:
        assert custom(client, "u000001") == {"a": 1}, "what was accepted is not lost when the sandbox stops"
        client.post("/sandbox/faults", json={"queue_ms": 20})
        for _ in range(30):
            track(client, {"external_id": "u000001", "a": 2})
            for _ in range(500):
                if custom(client, "u000001") == {"a": 2}:
                    break
            else:
                raise AssertionError("never applied")


def test_update_overwrites_objects_unless_told_to_merge(client: httpx.Client) -> None:
    pets = [{"id": 1, "name": "a", "age": 1}, {"id": 2, "name": "b"}]
    track(client, {"external_id": "u000001", "pets": pets})
    entry = {"$identifier_key": "id", "$identifier_value": 1, "$new_object": {"age": 9}}
    change = {"external_id": "u000001", "pets": {"$update": [entry]}}
    track(client, change | {"_merge_objects": True})
    assert custom(client, "u000001") == {"pets": [pets[0] | {"age": 9}, pets[1]]}
    track(client, change)
    assert custom(client, "u000001") == {"pets": [{"age": 9}, pets[1]]}
