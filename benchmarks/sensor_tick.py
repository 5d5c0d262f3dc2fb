"""(f) A tick of the sensor on a bucket of 2,000,000 keys against one of 20,000 keys with the same look-back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from time import process_time

import click

from benchmarks.result import Result
from benchmarks.simulated_bucket import SimulatedBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.cursor import Cursor
from braze_platform.currents.tick import run_tick

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
#: So that the three days of the look-back and some more are in the smaller bucket too.
EVENT_TYPES = 20
_ROUNDS = 8


class Ticking:
    """Ticks on a bucket with so many keys, all of which were loaded and reconciled before."""

    def __init__(self, keys: int) -> None:
        hours = keys // EVENT_TYPES // 8
        first = NOW.replace(minute=0) - timedelta(hours=hours)
        self.keys = keys
        self.bucket = SimulatedBucket(sorted(catalogue())[:EVENT_TYPES], first, hours, files_an_hour=8)
        self.start_day = first.date()
        self.cursor = ""
        self.at = NOW
        self.requests = 0
        self.seconds: list[float] = []
        while self._tick():
            pass

    def find_a_new_file(self, number: int) -> None:
        """Measure a tick that finds one new file, and let its run succeed."""
        self.bucket.others[self.bucket.key(self.bucket.event_types[number], NOW, 90 + number)] = "new"
        before, started = self.bucket.requests, process_time()
        if not self._tick():
            raise click.ClickException("a tick did not find the new file")
        self.seconds.append(process_time() - started)
        self.requests += self.bucket.requests - before
        self._tick()

    def _tick(self) -> bool:
        done = run_tick(
            Cursor.read(self.cursor),
            self.bucket,
            "currents",
            self.start_day,
            now=self.at.timestamp(),
            today=self.at.date(),
            run_state_of=lambda _: "succeeded",
            loaded_by=lambda _: {},
        )
        self.cursor = done.cursor.write()
        self.at += timedelta(minutes=1)
        return done.request is not None or done.cursor.full is not None


@click.command()
@click.option("--small", is_flag=True, help="200,000 keys instead of 2,000,000.")
@click.option("--json", "as_json", is_flag=True)
def main(small: bool, as_json: bool) -> None:
    """Measure requests and seconds of a tick."""
    little, large = (Ticking(keys) for keys in (20_000, 200_000 if small else 2_000_000))
    for number in range(_ROUNDS):  # in turns, so that a disturbance meets both
        little.find_a_new_file(number)
        large.find_a_new_file(number)
    for what, ratio in (
        ("requests", large.requests / little.requests),
        ("seconds", min(large.seconds) / min(little.seconds)),
    ):
        Result(
            f"(f) {what} of a tick on {large.keys:,} keys / on {little.keys:,} keys",
            ratio,
            1.2,
            False,
            {
                "requests a tick": f"{large.requests // _ROUNDS} / {little.requests // _ROUNDS}",
                "milliseconds": f"{min(large.seconds) * 1000:.0f} / {min(little.seconds) * 1000:.0f}",
                "bytes of the cursor": f"{len(large.cursor):,} / {len(little.cursor):,}",
            },
        ).tell(as_json=as_json)


if __name__ == "__main__":
    main()
