"""Which requests and objects `/users/track` takes."""

from typing import Any

import pytest

from braze_platform.sandbox.api.attribute_rules import updates_of
from braze_platform.sandbox.api.track import Identifier, RequestRefused, read_request

EVENT = {"external_id": "u", "name": "seen", "time": "2026-01-02T03:04:05Z"}
PURCHASE = {
    "external_id": "u",
    "product_id": "p",
    "currency": "EUR",
    "price": 9.5,
    "time": "2026-01-02T03:04:05Z",
}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "must be a JSON object"),
        ({}, "at least one object"),
        ({"attributes": []}, "at least one object"),
        ({"attributes": {}}, "must be an array"),
        ({"attributes": [{}] * 76}, "Max Input Length Exceeded"),
        ({"attributes": [{}] * 40, "events": [{}] * 30, "purchases": [{}] * 6}, "Max Input Length Exceeded"),
    ],
)
def test_refused_requests(body: Any, message: str) -> None:
    with pytest.raises(RequestRefused, match=message):
        read_request(body)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("text", "JSON object"),
        ({"a": 1}, "is required"),
        ({"external_id": "u", "braze_id": "b"}, "Exactly one"),
        ({"external_id": "u", "user_alias": {"alias_name": "n", "alias_label": "l"}}, "Exactly one"),
        ({"external_id": 7}, "must be a text"),
        ({"external_id": "  "}, "must be a text"),
        ({"external_id": "é" * 494}, "fewer than 988 bytes"),
        ({"user_alias": {"alias_name": "n"}}, "alias_label"),
        ({"external_id": "u", "email": "nowhere"}, "EMAIL_BAD_FORMAT"),
        ({"email": 5}, "must be a text"),
        ({"email": " a@b.example"}, "EMAIL_BAD_FORMAT"),
        ({"phone": "0151 23456789"}, "valid phone number"),
    ],
)
def test_refused_objects_are_named_by_array_and_index(given: Any, message: str) -> None:
    request = read_request({"attributes": [{"external_id": "good", "a": 1}, given]})
    (error,) = request.answer()["errors"]
    assert (error["input_array"], error["index"]) == ("attributes", 1)
    assert message in error["type"]
    assert request.answer()["attributes_processed"] == 1
    assert request.answer()["message"] == "success"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"external_id": "x" * 987}, Identifier("external_id", "x" * 987)),
        ({"braze_id": "b"}, Identifier("braze_id", "b")),
        ({"user_alias": {"alias_name": "n", "alias_label": "l"}}, Identifier("user_alias", "n", "l")),
        ({"email": "A@b.example", "phone": "+4915123456789"}, Identifier("email", "a@b.example")),
        ({"phone": "+4915123456789"}, Identifier("phone", "+4915123456789")),
        ({"external_id": "u", "email": "a@b.example"}, Identifier("external_id", "u")),
    ],
)
def test_identifiers(given: dict[str, Any], expected: Identifier) -> None:
    (attributes,) = read_request({"attributes": [given]}).attributes
    assert attributes.identifier == expected


def test_a_name_with_spaces_around_it_is_the_name_without_them() -> None:
    (attributes,) = read_request({"attributes": [{"external_id": "u", " email ": "a@b.example"}]}).attributes
    assert (attributes.standard, attributes.custom) == ({"email": "a@b.example"}, {})


def test_reserved_names_are_no_custom_attributes() -> None:
    given = {"external_id": "u", "image_url": "https://example.com/a.png", "bio": "text"}
    (attributes,) = read_request({"attributes": [given]}).attributes
    assert attributes.standard == {"image_url": "https://example.com/a.png"}
    assert updates_of({}, attributes.custom, merge_objects=False) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"external_id": "u"}, False),
        ({"external_id": "u", "_update_existing_only": True}, True),
        ({"user_alias": {"alias_name": "n", "alias_label": "l"}}, True),
        ({"user_alias": {"alias_name": "n", "alias_label": "l"}, "_update_existing_only": False}, False),
    ],
)
def test_update_existing_only(given: dict[str, Any], expected: bool) -> None:
    assert read_request({"attributes": [given]}).attributes[0].existing_only is expected


def test_events_and_purchases() -> None:
    answer = read_request(
        {"attributes": [{"external_id": "u"}], "events": [EVENT, EVENT], "purchases": [PURCHASE]}
    ).answer()
    assert answer == {
        "message": "success",
        "attributes_processed": 1,
        "events_processed": 2,
        "purchases_processed": 1,
    }


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("events", {"name": ""}),
        ("events", {"time": "soon"}),
        ("events", {"time": None}),
        ("events", {"properties": []}),
        ("purchases", {"product_id": None}),
        ("events", {"name": "$seen"}),
        ("events", {"properties": {"time": 1}}),
        ("events", {"properties": {"event_name": "x"}}),
        ("events", {"properties": {"$a": 1}}),
        ("events", {"properties": {"": 1}}),
        ("events", {"properties": {"a": "x" * 256}}),
        ("events", {"properties": {"a": ["y" * 250] * 500}}),
        ("purchases", {"properties": {"time": 1}}),
        ("purchases", {"currency": "Euro"}),
        ("purchases", {"currency": "XYZ"}),
        ("purchases", {"price": "9"}),
        ("purchases", {"quantity": 101}),
    ],
)
def test_bad_events_and_purchases(array: str, change: dict[str, Any]) -> None:
    good = EVENT if array == "events" else PURCHASE
    request = read_request({array: [good, good | change]})
    assert [(error.input_array, error.index) for error in request.errors] == [(array, 1)]
    assert len(request.occurrences) == 1


def test_a_future_time_becomes_the_present() -> None:
    request = read_request({"events": [EVENT, EVENT | {"time": "2999-01-01T00:00:00Z"}]})
    kept, moved = (occurrence.body["time"] for occurrence in request.occurrences)
    assert kept == EVENT["time"]
    assert moved < "2999"
