"""The grammar of object keys: both layouts, near misses, and its inverse."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.layout import CurrentsFile, parse_key

CONNECTOR = "dataexport.prod-01.GCS.integration.64f0a1b2c3d4e5f607182930"
HOUR = f"{CONNECTOR}/event_type=users.messages.email.Open/date=2026-11-10-05"
TODAY = f"currents/{HOUR}/version=10/us-01/{CONNECTOR}+0+42.avro"
BEFORE = f"currents/{HOUR}/1523/us-01/{CONNECTOR}+0+42.avro"

_words = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
_files = st.builds(
    CurrentsFile,
    prefix=st.lists(_words, max_size=3).map("/".join),
    cluster=_words,
    connection=st.sampled_from(["GCS", "S3", "AzureBlob"]),
    integration_id=st.from_regex(r"[0-9a-f]{24}", fullmatch=True),
    event_type=st.sampled_from(sorted(catalogue())) | st.from_regex(r"[A-Za-z0-9_.]{1,30}", fullmatch=True),
    hour=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
        lambda at: at.replace(minute=0, second=0, microsecond=0, tzinfo=timezone.utc)
    ),
    layout=st.sampled_from(["version", "schema_id"]),
    number=st.integers(0, 10**6),
    environment=_words,
    partition=st.integers(0, 1000),
    offset=st.integers(0, 10**12),
)


@given(_files)
def test_a_key_says_all_that_its_file_is(file: CurrentsFile) -> None:
    assert parse_key(file.key) == file


@pytest.mark.parametrize(
    ("key", "layout", "version", "prefix"),
    [
        pytest.param(TODAY, "version", "10", "currents", id="today"),
        pytest.param(BEFORE, "schema_id", "schema-1523", "currents", id="before"),
        pytest.param(TODAY.removeprefix("currents/"), "version", "10", "", id="no prefix"),
        pytest.param(f"a/b/{TODAY}", "version", "10", "a/b/currents", id="deep prefix"),
    ],
)
def test_reads_both_layouts(key: str, layout: str, version: str, prefix: str) -> None:
    file = parse_key(key)
    assert file is not None
    assert (file.layout, file.version, file.prefix, file.offset) == (layout, version, prefix, 42)
    assert file.hour == datetime(2026, 11, 10, 5, tzinfo=timezone.utc)
    assert file.key == key


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(TODAY.replace("2026-11-10-05", "2026-11-10-24"), id="hour 24"),
        pytest.param(TODAY.replace("2026-11-10-05", "2026-02-30-05"), id="30 February"),
        pytest.param(TODAY.replace("2026-11-10-05", "2026-11-10"), id="no hour"),
        pytest.param(TODAY.replace("version=10", "version=ten"), id="version in words"),
        pytest.param(TODAY.replace("/us-01", ""), id="no environment"),
        pytest.param(TODAY.replace("+0+42", "+42"), id="no partition"),
        pytest.param(TODAY.replace(".avro", ".parquet"), id="another format"),
        pytest.param(TODAY + ".tmp", id="something after"),
        pytest.param(TODAY.replace("event_type=", "type="), id="no event type"),
        pytest.param(
            TODAY.replace(f"{CONNECTOR}+", "dataexport.other.GCS.integration.1+"), id="other connector"
        ),
        pytest.param(TODAY.replace(CONNECTOR, f"{CONNECTOR}/copy/{CONNECTOR}", 1), id="in another connector"),
        pytest.param(f"event_type=x/{TODAY}", id="in the folder of an event type"),
        pytest.param("currents/README.txt", id="a stranger"),
        pytest.param("", id="nothing"),
    ],
)
def test_near_misses_are_not_read(key: str) -> None:
    assert parse_key(key) is None
