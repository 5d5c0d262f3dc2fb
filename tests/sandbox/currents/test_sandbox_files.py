"""What lies in the bucket: keys, schemas, counts, edge cases; the same again from the same seed."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
import pytest
from simulated_sandbox import UNTIL, Simulated, read_bucket, simulate

from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.layout import parse_key
from braze_platform.sandbox.currents.currents_writer import UNKNOWN_TYPE
from braze_platform.sandbox.world.simulation import Simulation
from braze_platform.settings import Settings

AVRO_TYPES = {"string": str, "int": int, "long": int, "float": float, "boolean": bool}


def test_every_key_fits_the_grammar_but_the_injected_ones(simulated: Simulated) -> None:
    injected = simulated.simulation.totals()["edge_cases"]
    reasons = Counter(simulated.bucket.broken.values())
    assert reasons["key"] == injected["keys_of_neither_layout"] > 0
    assert reasons["empty"] == injected["empty_files"] > 0
    assert sum(reasons.values()) == sum(
        injected[name] for name in ("keys_of_neither_layout", "empty_files", "text_files", "truncated_files")
    )
    assert all(file.key == key and file.prefix == "currents" for key, file in simulated.bucket.files.items())
    assert {file.layout for file in simulated.bucket.files.values()} == {"version", "schema_id"}
    objects = [path for path in simulated.settings.bucket_dir.rglob("*") if path.is_file()]
    assert len(objects) == simulated.simulation.totals()["files"]
    assert sum(path.stat().st_size for path in objects) == simulated.simulation.totals()["bytes"]


def test_schemas_agree_with_the_catalogue(simulated: Simulated) -> None:
    seen: set[tuple[str, str]] = set()
    for key, file in simulated.bucket.files.items():
        if key in simulated.bucket.broken or (file.event_type, file.version) in seen:
            continue
        seen.add((file.event_type, file.version))
        with (simulated.settings.bucket_dir / key).open("rb") as stream:
            schema: Any = fastavro.reader(stream).writer_schema
        assert file.event_type != UNKNOWN_TYPE or file.event_type not in catalogue()
        if file.event_type == UNKNOWN_TYPE:
            continue
        known = {f.name: f for f in catalogue()[file.event_type].fields}
        for declared in schema["fields"]:
            described = known.pop(declared["name"])
            assert isinstance(declared["type"], list) == described.nullable
            inner = declared["type"][1] if described.nullable else declared["type"]
            if described.type.startswith("array"):
                assert inner["type"] == "array"
            else:
                assert inner == described.type
        assert all(missing.nullable for missing in known.values()), "only nullable fields may be missing"
        if file.version == "10":
            assert not known
    versions = {version for _, version in seen}
    assert {"9", "10"} < versions
    assert any(version.startswith("schema-") for version in versions)


def test_values_are_of_the_types_declared_and_inside_their_hour(simulated: Simulated) -> None:
    for event_type, found in simulated.bucket.records.items():
        if event_type == UNKNOWN_TYPE:
            continue
        fields = {f.name: f for f in catalogue()[event_type].fields}
        for file, record in found:
            assert record["time"] < file.hour.timestamp() + 3600, "nothing is queued before it happens"
            for name, value in record.items():
                if value is not None and not fields[name].type.startswith("array"):
                    assert isinstance(value, AVRO_TYPES[fields[name].type])


def test_counts(simulated: Simulated) -> None:
    totals = simulated.simulation.totals()
    assert sum(map(len, simulated.bucket.records.values())) == totals["events"]
    assert totals["event_types"] == len(simulated.bucket.records) >= 35
    assert totals["campaigns"] == 12
    assert totals["canvases"] == 2
    sent = {r["campaign_id"] for _, r in simulated.bucket.records["users.messages.email.Send"]}
    assert len(sent - {None}) >= 4
    steps = simulated.bucket.distinct("users.canvasstep.Progression")
    assert {r["progression_type"] for r in steps} == {"entry", "advance"}
    assert {
        r["in_control_group"] for r in simulated.bucket.distinct("users.canvas.experimentstep.SplitEntry")
    } == {True, False}


def test_edge_cases_are_injected_and_counted(simulated: Simulated) -> None:
    injected, records = simulated.simulation.totals()["edge_cases"], simulated.bucket.records
    repeated = 0
    for found in records.values():
        repeated += len(found) - len({record["id"] for _, record in found})
    assert repeated == injected["duplicate_events"]
    assert injected["duplicates_in_same_hour"] > 0 < injected["duplicates_in_later_hour"]
    late = {
        record["id"]
        for found in records.values()
        for file, record in found
        if record["time"] < file.hour.replace(hour=0).timestamp()
    }
    assert len(late) == injected["late_events"] > 0
    per_hour: dict[tuple[str, Any], set[str]] = {}
    for file in simulated.bucket.files.values():
        per_hour.setdefault((file.event_type, file.hour), set()).add(file.version)
    assert (
        sum(len(versions) == 2 for versions in per_hour.values()) >= injected["hours_with_two_versions"] > 0
    )
    assert injected["hours_with_two_layouts"] > 0
    assert len(records[UNKNOWN_TYPE]) == injected["unknown_type_events"] > 0
    opens = simulated.bucket.distinct("users.messages.email.Open")
    nonsense = [r for r in opens if r["timezone"] and "/" not in r["timezone"]]
    assert nonsense
    assert sum(r["machine_open"] == "true" for r in opens) == injected["machine_opens"] > 0
    clicks = simulated.bucket.distinct("users.messages.email.Click") + simulated.bucket.distinct(
        "users.messages.sms.ShortLinkClick"
    )
    assert sum(r["is_suspected_bot_click"] is True for r in clicks) == injected["bot_clicks"] > 0
    assert (
        sum(r["is_suspected_bot_click"] is None for r in clicks) == injected["clicks_without_bot_check"] > 0
    )
    assert len(simulated.bucket.distinct("users.UserOrphan")) == injected["merged_users"] > 0
    assert len(simulated.bucket.distinct("users.UserDeleteRequest")) == injected["deleted_users"] > 0
    anonymous = [
        r
        for r in simulated.bucket.distinct("users.behaviors.app.SessionStart")
        if r["external_user_id"] is None
    ]
    assert anonymous
    names = {
        r["campaign_name"] for r in simulated.bucket.distinct("users.messages.email.Send") if r["campaign_id"]
    }
    assert {"Garden weekend", "Garden days", None} <= names


def test_a_truncated_file_has_its_complete_twin(simulated: Simulated) -> None:
    twins = 0
    by_hour: dict[tuple[str, Any, str], list[Path]] = {}
    for key, file in simulated.bucket.files.items():
        by_hour.setdefault((file.event_type, file.hour, file.version), []).append(
            simulated.settings.bucket_dir / key
        )
    for key in simulated.bucket.broken:
        parsed = parse_key(key)
        content = (simulated.settings.bucket_dir / key).read_bytes()
        if parsed is None or not content.startswith(b"Obj"):
            continue
        others = by_hour[parsed.event_type, parsed.hour, parsed.version]
        twins += any(o.name != Path(key).name and o.read_bytes().startswith(content) for o in others)
    assert twins == simulated.simulation.totals()["edge_cases"]["truncated_files"] > 0


def test_each_accepted_object_is_told_as_a_profile_update(simulated: Simulated) -> None:
    updates = [
        r for r in simulated.bucket.distinct("users.profile.Update") if r["update_source"] == "REST API"
    ]
    # People deleted in the history are not updated.
    gone = simulated.simulation.people.identified - simulated.simulation.store.count_profiles()[0]
    assert simulated.given - gone <= len(updates) <= simulated.given
    assert all("preferred_channel" in r["custom_attributes"] for r in updates)
    assert simulated.simulation.store.last_pending() == 0


def test_the_shop_exports_what_was_bought(simulated: Simulated) -> None:
    orders = pq.read_table(simulated.settings.company_exports_dir / "orders.parquet").to_pylist()
    users = pq.read_table(simulated.settings.company_exports_dir / "users.parquet").to_pylist()
    assert {row["user_id"] for row in orders} <= {row["user_id"] for row in users}
    assert {row["status"] for row in orders} == {"completed", "refunded"}
    assert {row["currency"] for row in orders} == {"EUR", "GBP"}
    assert max(row["ordered_at"] for row in orders) < simulated.simulation.simulated_until.replace(
        tzinfo=None
    )
    sold = {
        r["properties"].split('"order_id": "')[1][:15]
        for r in simulated.bucket.distinct("users.behaviors.Purchase")
        if "order_id" in r["properties"] and r["external_user_id"]
    }
    assert {row["order_id"] for row in orders if "old" not in row["order_id"]} <= sold


def contents(settings: Settings) -> dict[str, bytes]:
    return {
        path.relative_to(settings.bucket_dir).as_posix(): path.read_bytes()
        for path in settings.bucket_dir.rglob("*")
        if path.is_file()
    }


def test_only_the_times_depend_on_the_calendar(tmp_path: Path) -> None:
    here, there = Settings(state_dir=tmp_path / "a"), Settings(state_dir=tmp_path / "b")
    simulate(here, users=150, days=3).close()
    simulate(there, users=150, days=3, until=UNTIL + timedelta(days=101)).close()
    shifted = ("time", "time_ms", "push_token_created_at", "push_token_updated_at")

    def events(settings: Settings, shift: int) -> dict[str, Counter[str]]:
        told: dict[str, Counter[str]] = {}
        for event_type, found in read_bucket(settings).records.items():
            told[event_type] = Counter()
            for file, record in found:
                moved = {
                    name: value - shift * (1000 if name == "time_ms" else 1)
                    if name in shifted and value
                    else value
                    for name, value in record.items()
                }
                told[event_type][
                    repr((file.hour - timedelta(seconds=shift), file.version, file.offset, moved))
                ] += 1
        return told

    assert events(here, 0) == events(there, 101 * 86_400)


def test_a_day_cut_short_is_written_again_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = Settings(state_dir=tmp_path / "whole"), Settings(state_dir=tmp_path / "cut")
    simulate(whole, users=120, days=3).close()

    class Killed(BaseException):
        pass

    simulation = Simulation(cut, 7, 120)
    job = simulation.ask_history(3, UNTIL)
    assert job is not None
    put, calls = simulation._writer.put, [0]

    def put_until_killed(key: str, content: bytes) -> None:
        calls[0] += 1
        if calls[0] > 300:
            raise Killed
        put(key, content)

    monkeypatch.setattr(simulation._writer, "put", put_until_killed)
    with pytest.raises(Killed):
        simulation.run(job)
    simulation.close()

    again = Simulation(cut, 7, 120)
    rest = again.job()
    assert rest == job
    assert not contents(cut), "the days of a run appear together"
    move, moved = Path.replace, [0]

    def move_until_killed(path: Path, target: Path) -> Path:
        moved[0] += target.is_relative_to(cut.bucket_dir)
        if moved[0] > 300:
            raise Killed
        return move(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", move_until_killed)
        with pytest.raises(Killed):
            again.run(rest)
    again.close()
    assert 0 < len(contents(cut)) < len(contents(whole))

    again = Simulation(cut, 7, 120)
    rest = again.job()
    assert rest == job
    again.run(rest)
    assert contents(cut) == contents(whole)
    assert again.job() is None
    assert again.ask_history(3, UNTIL) is None, "asking for the same history again changes nothing"


def test_another_seed_tells_another_story(tmp_path: Path) -> None:
    here, there = Settings(state_dir=tmp_path / "a"), Settings(state_dir=tmp_path / "b")
    simulate(here, users=60, days=1).close()
    simulate(there, users=60, days=1, seed=8, until=date(2026, 9, 20)).close()
    ids = [
        {record["id"] for found in read_bucket(settings).records.values() for _, record in found}
        for settings in (here, there)
    ]
    assert ids[0]
    assert not ids[0] & ids[1]
