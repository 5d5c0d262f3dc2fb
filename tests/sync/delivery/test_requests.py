from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sync.delivery.requests import RequestLimits, build_requests
from braze_platform.sync.values.values import encode

OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=40), max_size=3), max_size=60)


@given(objects=OBJECTS, most=st.integers(1, 20), size=st.integers(20, 400))
def test_none_lost_none_split_order_kept_sizes_exact(
    objects: list[dict[str, Any]], most: int, size: int
) -> None:
    limits = RequestLimits(objects=most, bytes=size)
    requests = list(build_requests(objects, limits))
    assert [entry for request in requests for entry in request.objects] == objects
    for request in requests:
        assert json.loads(request.body) == {"attributes": request.objects}
        if request.oversized:
            assert len(request) == 1 and len(request.body) > size
        else:
            assert 1 <= len(request) <= most and len(request.body) <= size
    for left, right in itertools.pairwise(requests):
        if not (left.oversized or right.oversized):
            joined = encode({"attributes": [*left.objects, right.objects[0]]}).encode()
            assert len(left) == most or len(joined) > size


def test_the_byte_limit_is_exact() -> None:
    objects = [{"a": "é"}, {"a": "é"}]
    size = len(encode({"attributes": objects}).encode())
    assert [len(r) for r in build_requests(objects, RequestLimits(bytes=size))] == [2]
    assert [len(r) for r in build_requests(objects, RequestLimits(bytes=size - 1))] == [1, 1]


def test_an_oversized_object_has_a_marked_request_at_its_place() -> None:
    requests = list(build_requests([{"a": 1}, {"a": "x" * 100}, {"a": 2}], RequestLimits(bytes=60)))
    assert [(len(r), r.oversized) for r in requests] == [(1, False), (1, True), (1, False)]


def test_objects_are_taken_lazily() -> None:
    def endless() -> Any:
        while True:
            yield {"a": 1}

    assert len(next(build_requests(endless(), RequestLimits()))) == 75


@pytest.mark.parametrize(
    "wrong", [{"objects": 0}, {"bytes": 0}, {"requests_per_second": 0}, {"concurrency": 0}]
)
def test_limits_must_be_positive(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive"):
        RequestLimits(**wrong)
