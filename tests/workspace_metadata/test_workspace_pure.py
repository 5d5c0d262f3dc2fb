"""What the room decides without Braze and warehouse: pages, what is due, the budget, answers, objects, versions."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.settings import PROJECT_ROOT
from braze_platform.warehouse.workspace_tables import TABLES
from braze_platform.workspace_metadata.answers import interpret_response
from braze_platform.workspace_metadata.due import Reading, due_objects, entry_hash, missing_objects
from braze_platform.workspace_metadata.objects import (
    ObjectUnreadable,
    campaign,
    canvas,
    custom_attribute,
    segment,
)
from braze_platform.workspace_metadata.paging import has_next_page, next_cursor
from braze_platform.workspace_metadata.versions import History, Observation, changes

NOW = datetime(2026, 11, 20, 12)


@pytest.mark.parametrize(
    ("link", "cursor"),
    [
        ("", None),
        ('<https://rest.example/custom_attributes?cursor=c2tpcDo1MA>; rel="next"', "c2tpcDo1MA"),
        ("<https://elsewhere.example/?cursor=a%2Bb>; rel=next", "a+b"),
        ('<https://r.example/?cursor=p>; rel="prev", <https://r.example/?cursor=n>; rel="next"', "n"),
        ('<https://r.example/?cursor=p>; rel="prev"', None),
        ('<https://r.example/>; rel="next"', None),
        ("no link at all", None),
    ],
)
def test_cursors_of_links(link: str, cursor: str | None) -> None:
    assert next_cursor({"Link": link}) == next_cursor({"link": link}) == cursor


def test_pages_go_on_until_nothing_new_comes() -> None:
    assert has_next_page({"a"}, set(), 1, page=0), "the size of a page is not known yet"
    assert not has_next_page(set(), set(), 0, page=0)
    assert has_next_page({"c", "d"}, {"a", "b"}, 2, page=1)
    assert not has_next_page({"c"}, {"a", "b"}, 2, page=1)
    assert not has_next_page({"a", "b"}, {"a", "b"}, 2, page=1), "a server that ignores the page"


def test_what_is_due() -> None:
    entry = {"id": "x", "name": "X", "last_edited": "2026-01-01T00:00:00+00:00"}
    moved = {**entry, "last_edited": "2026-01-02T00:00:00+00:00"}
    day = timedelta(hours=24)
    known = {
        "same": Reading(entry_hash(entry), NOW - 9 * day, True),
        "moved": Reading(entry_hash(entry), NOW, True),
        "open_today": Reading(entry_hash(entry), NOW - day / 2, False),
        "open_yesterday": Reading(entry_hash(entry), NOW - day, False),
        "gone": Reading(entry_hash(entry), NOW, True),
    }
    entries = {"new": entry, "same": entry, "moved": moved, "open_today": entry, "open_yesterday": entry}
    assert due_objects(entries, known, NOW) == ["new", "moved", "open_yesterday"]
    assert missing_objects(entries, known) == {"gone"}


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, b'{"message": "success", "name": "x"}', "body"),
        (200, b'{"message": "queued"}', "invalid"),
        (200, b"[]", "invalid"),
        (200, b'{"message": "succ', "invalid"),
        (None, b"", "retry"),
        (429, b"", "retry"),
        (503, b"", "retry"),
        (408, b"", "retry"),
        (404, b'{"message": "secret"}', "object"),
        (400, b"", "object"),
        (401, b'{"message": "secret"}', "stop"),
        (403, b'{"message": "secret"}', "stop"),
        (302, b"", "stop"),
    ],
)
def test_what_answers_mean(status: int | None, body: bytes, meaning: str) -> None:
    response = interpret_response(status, body, permissions="campaigns.list")
    assert response.kind == meaning
    assert "secret" not in response.reason
    assert status != 403 or "campaigns.list" in response.reason


ENTRY = {
    "id": "c1",
    "name": "Toys",
    "is_api_campaign": False,
    "tags": ["b", "a"],
    "last_edited": "2026-01-02",
}
DETAILS: dict[str, Any] = {
    "name": "Toys",
    "tags": ["b", "a", "b"],
    "channels": ["email"],
    "schedule_type": "time_based",
    "created_at": "2026-01-01T10:00:00+02:00",
    "updated_at": "2026-01-02T10:00:00Z",
    "first_sent": "2026-01-03T00:00:00.500Z",
    "archived": False,
    "draft": False,
    "messages": {"m1": {"channel": "email", "name": "Variant 1", "body": "<p>long</p>"}},
}


def test_a_campaign_as_rows() -> None:
    read = campaign(ENTRY, DETAILS)
    (row,) = read.rows["campaigns"]
    assert (row["tags"], row["created_at"]) == ('["a","b"]', datetime(2026, 1, 1, 8))
    assert (read.edited_at, read.settled) == (datetime(2026, 1, 2, 10), True)
    assert read.rows["message_variations"] == [
        {
            "message_variation_id": "m1",
            "campaign_id": "c1",
            "canvas_id": None,
            "canvas_step_id": None,
            "name": "Variant 1",
            "channel": "email",
            "is_control": False,
        }
    ]
    assert "long" not in json.dumps(read.rows, default=str)
    assert not campaign(ENTRY, {**DETAILS, "first_sent": None}).settled
    assert campaign(ENTRY, {**DETAILS, "first_sent": None, "draft": True}).settled
    assert not campaign({"id": "c1", "name": "Toys"}, DETAILS).settled


@pytest.mark.parametrize(
    ("read", "entry", "details", "field"),
    [
        (campaign, ENTRY, {**DETAILS, "name": None}, "name"),
        (campaign, ENTRY, {**DETAILS, "tags": "a"}, "tags"),
        (campaign, ENTRY, {**DETAILS, "updated_at": "soon"}, "updated_at"),
        (campaign, ENTRY, {**DETAILS, "archived": "no"}, "archived"),
        (campaign, ENTRY, {**DETAILS, "messages": ["m1"]}, "messages"),
        (canvas, ENTRY, {**DETAILS, "steps": [{"name": "one"}]}, "id"),
        (canvas, ENTRY, {**DETAILS, "variants": {}, "steps": 3}, "steps"),
        (segment, ENTRY, {"name": 3}, "name"),
        (custom_attribute, {"name": "a", "array_length": "5"}, {}, "array_length"),
    ],
)
def test_what_cannot_be_understood_names_its_field(read: Any, entry: Any, details: Any, field: str) -> None:
    with pytest.raises(ObjectUnreadable, match=f"'{field}'"):
        read(entry, details)


_EDITS = st.timedeltas(timedelta(days=-9), timedelta(days=9))


@given(
    readings=st.lists(
        st.tuples(
            st.timedeltas(timedelta(0), timedelta(hours=3)),
            st.one_of(
                st.none(),
                st.tuples(
                    st.integers(0, 2),
                    st.one_of(st.none(), st.timedeltas(timedelta(days=-9), timedelta(days=9))),
                ),
            ),
        ),
        max_size=12,
    )
)
def test_versions_follow_one_another(readings: list[Any]) -> None:
    """Whatever comes when: versions do not overlap, first-seen never moves, and a second look changes nothing."""
    versions: list[dict[str, Any]] = []
    now = NOW

    def history() -> dict[str, History]:
        if not versions:
            return {}
        last = versions[-1]
        current = last["values"] if last["to"] is None else None
        return {"x": History(versions[0]["first"], last["to"] or last["from"], current)}

    for pause, observation in readings:
        now += pause
        seen = (
            {}
            if observation is None
            else {
                "x": Observation((observation[0],), None if observation[1] is None else NOW + observation[1])
            }
        )
        for attempt in range(2):
            found = changes(history(), seen, {"x"} if observation is None else (), now)
            assert attempt == 0 or not found
            if "x" in found.ended:
                versions[-1]["to"] = found.ended["x"]
            for version in found.begun:
                versions.append(
                    {
                        "values": version.values,
                        "first": version.first_seen_at,
                        "from": version.valid_from,
                        "to": None,
                    }
                )
    for before, after in itertools.pairwise(versions):
        assert before["from"] < before["to"] <= after["from"]
        assert before["first"] == after["first"]
        assert before["values"] != after["values"] or before["to"] < after["from"]


def test_dbt_sources_are_the_tables() -> None:
    path = PROJECT_ROOT / "dbt_project" / "models" / "sources" / "braze_workspace.yml"
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    declared = {
        table["name"]: (
            table["description"],
            [(column["name"], column["data_type"], column["description"]) for column in table["columns"]],
        )
        for table in source["tables"]
    }
    assert declared == {
        one.name: (
            one.description,
            [(c.name, c.type.replace("bigint", "integer"), c.description) for c in one.table.columns],
        )
        for one in TABLES
    }
