"""A folder lists like a bucket: in key order, from and to an offset, without files being written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.currents.bucket import FolderBucket

_names = st.sampled_from(["a", "a-b", "a.c", "b", "date=2026-11-10-05", "date=2026-11-10-06", "é"])
_keys = st.sets(
    st.lists(_names, min_size=1, max_size=3).map(lambda parts: "/".join([*parts, "f"])), max_size=12
)


@settings(deadline=None)
@given(_keys, st.sampled_from(["", "a", "a/", "date=", "b/a"]), _keys, _keys)
def test_lists_what_a_sorted_list_of_keys_would(
    keys: set[str], prefix: str, starts: set[str], ends: set[str]
) -> None:
    start, end = next(iter(starts), ""), next(iter(ends), "")
    with tempfile.TemporaryDirectory() as folder:
        for key in keys:
            path = Path(folder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(key.encode())
        found = FolderBucket(Path(folder)).objects(prefix, start_offset=start, end_offset=end)
        assert [listed.key for listed in found] == [
            key for key in sorted(keys) if key.startswith(prefix) and key >= start and (not end or key < end)
        ]


def test_leaves_out_files_being_written_and_changes_the_generation(tmp_path: Path) -> None:
    bucket = FolderBucket(tmp_path)
    assert list(bucket.objects("")) == []
    (tmp_path / "x").mkdir()
    for name in (".hidden", "half.tmp", "whole"):
        (tmp_path / "x" / name).write_bytes(b"1")
    [before] = bucket.objects("")
    assert (before.key, before.size_bytes) == ("x/whole", 1)
    (tmp_path / "x" / "whole").write_bytes(b"12")
    [after] = bucket.objects("x/")
    assert after.generation != before.generation
    assert bucket.folders("") == ["x"]
    assert bucket.folders("y/") == []
    with bucket.open("x/whole", "1") as stream:
        assert stream.read() == b"12"


def test_links_in_circles_and_names_of_odd_bytes_are_objects_like_any(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"1")
    (folder / "up").symlink_to(tmp_path / "root" / "a")
    (folder / "here").symlink_to(folder)
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    elsewhere = tmp_path / "mounted"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(b"2")
    (folder / "mounted").symlink_to(elsewhere)
    (folder / os.fsdecode(b"odd-\xff")).write_bytes(b"3")
    bucket = FolderBucket(tmp_path / "root")
    keys = [found.key for found in bucket.objects("a/")]
    assert keys == ["a/b/file", "a/b/here", "a/b/itself", "a/b/mounted/file", "a/b/odd-\\xff", "a/b/up"]
    assert bucket.folders("a/b/") == ["mounted"]
    assert "".join(keys).encode("utf-8")
