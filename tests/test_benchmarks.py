"""The benchmarks' own parts tell the truth: simulated listings, written files, results."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.event_files import EVENT_TYPE, write_hour
from benchmarks.result import Result
from benchmarks.sensor_tick import Ticking
from benchmarks.simulated_bucket import PAGE, SimulatedBucket

FIRST = datetime(2026, 11, 10, tzinfo=timezone.utc)


def bucket() -> SimulatedBucket:
    made = SimulatedBucket(["a.B", "a.C"], FIRST, 5, files_an_hour=2)
    made.others[f"{made.root}event_type=a.B/date=2026-11-10-02/x"] = "1"
    made.others["currents/readme.txt"] = "1"
    made.removed.add(made.key("a.C", FIRST + timedelta(hours=3), 1))
    return made


_ALL = [found.key for found in bucket().objects("")]


@given(
    st.sampled_from(["", *_ALL]),
    st.sampled_from(["", *_ALL]),
    st.sampled_from(["", "currents/", bucket().root]),
)
@settings(deadline=None)
def test_a_simulated_listing_is_that_of_a_sorted_list_of_keys(start: str, end: str, prefix: str) -> None:
    assert len(_ALL) == 2 * 5 * 2 + 2 - 1
    assert sorted(_ALL) == _ALL
    listed = [found.key for found in bucket().objects(prefix, start_offset=start, end_offset=end)]
    assert listed == [
        key for key in _ALL if key.startswith(prefix) and key >= start and (not end or key < end)
    ]


def test_requests_are_counted_by_the_page() -> None:
    made = SimulatedBucket(["a.B"], FIRST, PAGE * 2 + 1)
    assert len(list(made.objects(made.root))) == PAGE * 2 + 1
    assert made.requests == 3
    assert list(made.objects("nowhere/")) == []
    assert made.folders(made.root) == ["event_type=a.B"]
    assert made.requests == 5


def test_written_hours_hold_as_many_events_with_ids_of_their_own(tmp_path: Path) -> None:
    write_hour(tmp_path, 1_005, 4)
    records = [
        record for path in sorted(tmp_path.rglob("*.avro")) for record in fastavro.reader(path.open("rb"))
    ]
    assert len(records) == len({record["id"] for record in records}) == 1_005
    assert len(records[0]) == 30
    assert EVENT_TYPE in str(next(tmp_path.rglob("*.avro")))


def test_a_result_says_whether_it_holds() -> None:
    assert Result("a", 1.5, 1.5, False, {}).holds
    assert not Result("a", 1.6, 1.5, False, {}).holds
    assert Result("b", 51.0, 50, True, {}).holds


@pytest.mark.full
def test_a_tick_asks_as_often_on_a_large_bucket_as_on_a_small_one() -> None:
    little, large = Ticking(20_000), Ticking(60_000)
    for measured in (little, large):
        measured.find_a_new_file(0)
    assert little.requests == large.requests
