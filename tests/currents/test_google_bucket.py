"""Cloud Storage as a bucket: listings in key order and ranges, reads in parts, and files that are gone."""

from __future__ import annotations

import io

import pytest
from currents_files import GoogleDeliveries, avro_bytes, currents_file, opens
from fault_proxy import fault_proxy
from google_emulators import GoogleEmulators

from braze_platform.currents.avro_files import UnreadableFile, inspect, inspect_ends
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.targets import bucket_of
from braze_platform.settings import Settings


@pytest.fixture
def deliveries(google_settings: Settings) -> GoogleDeliveries:
    return GoogleDeliveries(google_settings)


@pytest.fixture
def bucket(google_settings: Settings) -> Bucket:
    return bucket_of(google_settings)


def test_a_listing_is_ordered_and_bounded(bucket: Bucket, deliveries: GoogleDeliveries) -> None:
    for key in ("a/2/x", "a/1/x", "a/1/y", "b/1", "a/3"):
        deliveries.put_bytes(key, b"123")
    assert [found.key for found in bucket.objects("a/")] == ["a/1/x", "a/1/y", "a/2/x", "a/3"]
    ranged = bucket.objects("a/", start_offset="a/1/x\0", end_offset="a/3")
    assert [found.key for found in ranged] == ["a/1/y", "a/2/x"]
    assert bucket.folders("") == ["a", "b"]
    assert bucket.folders("a/") == ["1", "2"]
    assert bucket.folders("c/") == []
    [before] = bucket.objects("b/")
    deliveries.put_bytes("b/1", b"4567")
    [after] = bucket.objects("b/")
    assert (before.size_bytes, after.size_bytes) == (3, 4)
    assert before.generation != after.generation
    assert after.updated_at.tzinfo is not None


def test_a_large_file_is_known_by_small_reads_of_its_ends(
    emulators: GoogleEmulators, google_settings: Settings, deliveries: GoogleDeliveries
) -> None:
    data = avro_bytes(opens(*map(str, range(20_000))))
    assert len(data) > 300_000
    key = deliveries.put_bytes(currents_file().key, data)
    with fault_proxy(emulators.storage_url) as proxy:
        bucket = bucket_of(google_settings.replace(storage_emulator_url=proxy.url))
        [found] = bucket.objects(key)
        proxy.seen.clear()
        with bucket.open(key, found.generation) as stream:
            seen = inspect_ends(stream)
    assert 1 <= len(proxy.seen) <= 3
    whole = inspect(io.BytesIO(data))
    assert (seen.fields, seen.schema, seen.row_count) == (whole.fields, whole.schema, None)


@pytest.mark.parametrize(
    ("cut", "reason"),
    [(0, "empty"), (2, "not an Avro"), (30, "header"), (-1, "sync marker"), (-40, "sync marker")],
)
def test_a_cut_file_is_noticed_at_its_ends(
    bucket: Bucket, deliveries: GoogleDeliveries, cut: int, reason: str
) -> None:
    key = deliveries.put_bytes("cut.avro", avro_bytes(opens(*map(str, range(50))))[:cut])
    [found] = bucket.objects(key)
    with pytest.raises(UnreadableFile, match=reason), bucket.open(key, found.generation) as stream:
        inspect_ends(stream)


def test_a_file_that_is_gone_says_so(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        bucket.open("nothing.avro", "1")
