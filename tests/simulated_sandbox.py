"""Simulating a small sandbox and reading its bucket back."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

import fastavro

from braze_platform.currents.layout import CurrentsFile, parse_key
from braze_platform.sandbox.api.ingest import ingest
from braze_platform.sandbox.api.track import read_request
from braze_platform.sandbox.store.profiles import Store
from braze_platform.sandbox.world.people import CATEGORIES, CHANNELS, People
from braze_platform.sandbox.world.simulation import Simulation
from braze_platform.settings import Settings

UNTIL = date(2026, 9, 20)


@dataclass
class Bucket:
    """What lies in the bucket, read back: objects by kind, records by event type."""

    files: dict[str, CurrentsFile]
    broken: dict[str, str]
    records: dict[str, list[tuple[CurrentsFile, dict[str, Any]]]]

    def distinct(self, event_type: str) -> list[dict[str, Any]]:
        """Records of a type, each event once."""
        return list({record["id"]: record for _, record in self.records[event_type]}.values())


def read_bucket(settings: Settings) -> Bucket:
    """Read everything in the bucket; objects that cannot be read are told by key with the reason."""
    bucket = Bucket({}, {}, defaultdict(list))
    for path in sorted(settings.bucket_dir.rglob("*.avro")):
        key = path.relative_to(settings.bucket_dir).as_posix()
        parsed = parse_key(key)
        if parsed is None:
            bucket.broken[key] = "key"
            continue
        bucket.files[key] = parsed
        found = []
        try:
            with path.open("rb") as stream:
                found = list(fastavro.reader(stream))
        except (EOFError, ValueError, IndexError) as error:
            bucket.broken[key] = "empty" if path.stat().st_size == 0 else type(error).__name__
            continue
        bucket.records[parsed.event_type].extend((parsed, record) for record in found)
    return bucket


def simulate(settings: Settings, users: int, days: int, *, until: date = UNTIL, seed: int = 7) -> Simulation:
    """A sandbox with its history written."""
    simulation = Simulation(settings, seed, users)
    job = simulation.ask_history(days, until)
    assert job is not None
    simulation.run(job)
    return simulation


def right_attributes(people: People, person: int) -> dict[str, Any]:
    """The attributes that fit a person's latent traits."""
    value = float(people.value[person])
    return {
        "favourite_category": CATEGORIES[people.favourite[person]],
        "preferred_channel": CHANNELS[people.channel[person]],
        "best_send_hour": int(people.active_hour[person]),
        "fatigue_level": "high" if people.fatigue[person] > 0.75 else "low",
        "value_segment": "vip" if value > 0.6 else "loyal" if value > 0.35 else "occasional",
    }


def give_attributes(store: Store, people: People) -> int:
    """Set everybody's right attributes by the rules of the API; returns how many objects."""
    objects = [
        {"external_id": external_id, "_update_existing_only": True, **right_attributes(people, person)}
        for person, external_id in enumerate(people.external_ids)
    ]
    for start in range(0, len(objects), 75):
        ingest(store, read_request({"attributes": objects[start : start + 75]}))
    return len(objects)


@dataclass
class Simulated:
    """A sandbox after its history, and again after the advance."""

    settings: Settings
    simulation: Simulation
    history_truth: dict[str, Any]
    history_events: int
    given: int
    bucket: Bucket
