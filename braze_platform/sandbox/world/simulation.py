"""The simulation: its clock, its days, and how it resumes after being stopped at any point.

A day is computed from the state kept at its start, written to the bucket under keys that depend on nothing else,
and then committed with its totals in one transaction. A process killed inside a day computes the same day again
and overwrites the same objects with the same bytes. What profiles held when a run was asked for is kept with the
run, so that attributes arriving meanwhile change nothing in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import numpy as np

from braze_platform.currents.catalogue import catalogue
from braze_platform.sandbox.currents.currents_writer import RELEASE_10, CurrentsWriter, FilePlan, Written
from braze_platform.sandbox.currents.edge_cases import EVENTS_PER_FILE, DaySetting, write_day
from braze_platform.sandbox.currents.event_log import DayLog
from braze_platform.sandbox.store.profiles import PendingUpdate, Store
from braze_platform.sandbox.store.state import HeldAttributes, SimulationState
from braze_platform.sandbox.world.behaviour import (
    Orders,
    earlier_orders,
    run_arrivals,
    run_sessions,
    run_shopping,
)
from braze_platform.sandbox.world.campaigns import CAMPAIGNS
from braze_platform.sandbox.world.canvases import CANVASES, run_canvases
from braze_platform.sandbox.world.enrolments import run_campaigns, truth
from braze_platform.sandbox.world.lifecycle import Departures, run_lifecycle
from braze_platform.sandbox.world.people import APP_GROUP_ID, JOINING_DAYS, People, generator, make_people
from braze_platform.sandbox.world.shop import export_shop
from braze_platform.sandbox.world.workspace import SimulatedTime
from braze_platform.settings import Settings

_PROFILE_UPDATE = "users.profile.Update"
#: Offsets of profile updates that came by API: away from those of any simulated day.
_UPDATE_OFFSETS = 1_000_000_000_000


class SimulationRefused(Exception):
    """What was asked for cannot be done now; the message says why and what to do."""


@dataclass(frozen=True)
class Job:
    """A run of days that was asked for, as it is kept until it is done."""

    phase: str
    first_day: int
    last_day: int
    #: Newest attribute change that this run exports.
    pending_upto: int

    def to_json(self) -> str:
        """As kept in the file."""
        return json.dumps(vars(self))


class Simulation:
    """The people, campaigns and clock behind one sandbox file. Use it in the thread that made it."""

    def __init__(self, settings: Settings, seed: int, users: int, people: People | None = None) -> None:
        self._settings = settings
        self.store = Store(settings.sandbox_dir / "sandbox.sqlite")
        self._writer = CurrentsWriter(
            settings.bucket_dir, settings.currents_prefix, settings.sandbox_dir / "staging"
        )
        self._seed = seed
        made = _population(self.store, settings, seed, users)
        self.people: People = people or make_people(seed, users)
        if not made:
            self._make_profiles(users)

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    # Asking for days

    def ask_history(self, days: int, until: date) -> Job | None:
        """Ask for the history of `days` days that ends with the midnight at which `until` begins.

        Returns `None` when that very history is there already (or being written). Raises `SimulationRefused` when
        another one is.
        """
        asked = json.dumps({"days": days, "until": until.isoformat()})
        known = self.store.meta("history")
        if known == asked:
            return None
        if known is not None:
            raise SimulationRefused(
                f"A history is there already ({known}); advance it, or remove {self._settings.sandbox_dir} "
                "and the bucket to write another."
            )
        start = datetime.combine(until, time(), timezone.utc) - timedelta(days=days)
        job = Job("history", 0, days - 1, self.store.last_pending())
        fresh = SimulationState.new(len(self.people), len(CAMPAIGNS), len(CANVASES))
        log = DayLog(self.people, int(start.timestamp()), generator(self._seed, "before"))
        with self.store.transaction():
            self.store.set_meta("history", asked)
            self.store.set_meta("start", int(start.timestamp()))
            self.store.set_meta("history_days", days)
            self.store.set_meta("days_done", 0)
            self.store.set_meta("state", fresh.to_bytes())
            self._keep(job)
            self.store.replace_orders(-1, _rows(earlier_orders(log, self._seed)))
            self._set_sign_ups(int(start.timestamp()))
        return job

    def ask_advance(self, days: int) -> Job:
        """Ask for the next days, with the attributes held now; `SimulationRefused` without history or when busy."""
        if self.store.meta("job") is not None:
            raise SimulationRefused("Days are being simulated; ask again when the phase is idle.")
        if self.store.meta("history") is None:
            raise SimulationRefused("There is no history to advance from; ask for /sandbox/history first.")
        done = int(self.store.meta("days_done"))
        job = Job("advance", done, done + days - 1, self.store.last_pending())
        with self.store.transaction():
            self._keep(job)
        return job

    def job(self) -> Job | None:
        """The run that is not done yet, if any."""
        kept = self.store.meta("job")
        return Job(**json.loads(kept)) if kept else None

    def run(self, job: Job, progress: Callable[[float], bool] = lambda share: True) -> None:
        """Simulate the days of a run that are not done yet, and export the shop's tables.

        `progress` receives the share done after each day; when it returns false, the run stops there, to be resumed.
        The bucket gets the days of a run together, at its end.
        """
        held = HeldAttributes.from_bytes(self.store.meta("held"))
        state = SimulationState.from_bytes(self.store.meta("state"))
        count = job.last_day - job.first_day + 1
        while (day := int(self.store.meta("days_done"))) <= job.last_day:
            if day == job.first_day:
                self._export_pending(job.pending_upto)
            self._simulate_day(day, state, held)
            if not progress((day - job.first_day + 1) / count):
                return
        export_shop(self.store, self.simulated_until, self._settings.company_exports_dir)
        self._writer.publish()
        with self.store.transaction():
            self.store.set_meta("job", None)
            self.store.set_meta("held", None)

    def flush(self) -> int:
        """Write waiting profile updates into the current simulated hour; returns how many."""
        if self.store.meta("job") is not None:
            raise SimulationRefused("Days are being simulated; they export waiting updates themselves.")
        if self.store.meta("history") is None:
            raise SimulationRefused(
                "There is no simulated time before the history; ask for /sandbox/history first."
            )
        exported = self._export_pending(self.store.last_pending())
        self._writer.publish()
        return exported

    # What can be seen

    @property
    def simulated_until(self) -> datetime:
        """The midnight at which the simulated time stands. Raises `SimulationRefused` without history."""
        start = self.store.meta("start")
        if start is None:
            raise SimulationRefused("There is no simulated time before the history.")
        return datetime.fromtimestamp(start, timezone.utc) + timedelta(days=int(self.store.meta("days_done")))

    def simulated_time(self) -> SimulatedTime | None:
        """Where the simulated time stands; None before the history, when the workspace is empty."""
        start = self.store.meta("start")
        if start is None:
            return None
        return SimulatedTime(
            datetime.fromtimestamp(start, timezone.utc),
            int(self.store.meta("history_days")),
            self.simulated_until,
        )

    def truth(self) -> dict[str, Any]:
        """The true effect of each campaign, see `campaigns`."""
        kept = self.store.meta("state")
        state = (
            SimulationState.from_bytes(kept)
            if kept
            else SimulationState.new(len(self.people), len(CAMPAIGNS), len(CANVASES))
        )
        return truth(state)

    def totals(self) -> dict[str, Any]:
        """Counts for the sandbox's state."""
        (events, files, size), by_type, injected = self.store.totals()
        users, with_attributes = self.store.count_profiles()
        start = self.store.meta("start")
        return {
            "simulated_until": None if start is None else self.simulated_until.isoformat(),
            "events": events,
            "files": files,
            "bytes": size,
            "event_types": sum(count > 0 for count in by_type.values()),
            "users": users,
            "campaigns": len(CAMPAIGNS),
            "canvases": len(CANVASES),
            "profiles_with_attributes": with_attributes,
            "requests": self.store.request_counts(),
            "export_requests": self.store.export_counts(),
            "edge_cases": dict(sorted(injected.items())),
        }

    # Inside

    def _keep(self, job: Job) -> None:
        attributes = self.store.custom_attributes()
        held = HeldAttributes.read(
            [attributes.get(i, {}) for i in self.people.external_ids], len(self.people)
        )
        self.store.set_meta("job", job.to_json())
        self.store.set_meta("held", held.to_bytes())

    def _make_profiles(self, users: int) -> None:
        names = ("first_name", "last_name", "dob", "gender", "country", "language", "timezone")
        columns = self.people.columns
        with self.store.transaction():
            self.store.insert_profiles(
                (
                    columns["user_id"][i],
                    columns["external_user_id"][i],
                    columns["email_address"][i],
                    columns["phone_number"][i],
                    {
                        "email": columns["email_address"][i],
                        "phone": columns["phone_number"][i],
                        **{"time_zone" if n == "timezone" else n: columns[n][i] for n in names},
                        "email_subscribe": "opted_in" if self.people.email_reachable[i] else "unsubscribed",
                        "push_subscribe": "opted_in" if self.people.push_reachable[i] else "unsubscribed",
                    },
                )
                for i in range(len(self.people))
            )
            self.store.set_meta("population", json.dumps({"seed": self._seed, "users": users}))

    def _set_sign_ups(self, start: int) -> None:
        """Sign-up times become known with the simulation's start."""
        rng = generator(self._seed, "sign-ups")
        before = rng.integers(40, 1500, self.people.identified) * 86_400
        joined = self.people.joined[: self.people.identified]
        times = np.where(joined >= 0, start + np.minimum(joined, JOINING_DAYS) * 86_400, start - before)
        profiles = self.store.profiles_by_people(self.people.external_ids)
        for external_id, second in zip(self.people.external_ids, times.tolist(), strict=True):
            if external_id in profiles:
                profiles[external_id].standard["signed_up_at"] = second
                profiles[external_id].standard_changed = True
        self.store.save_profiles(profiles.values(), updated=0)

    def _simulate_day(self, day: int, state: SimulationState, held: HeldAttributes) -> None:
        history_days = int(self.store.meta("history_days"))
        start = datetime.fromtimestamp(self.store.meta("start"), timezone.utc)
        setting = DaySetting(day, start + timedelta(days=day), history_days, self._seed)
        log = DayLog(self.people, int(setting.midnight.timestamp()), generator(self._seed, "day", day))
        orders = Orders()
        email_on = ~state.email_off
        departures = run_lifecycle(log, state, day)
        log.rng = generator(self._seed, "sessions", day)
        sessions = run_sessions(log, state, day)
        run_arrivals(log, sessions, day)
        left = run_shopping(log, orders, sessions, day)
        basket_left = np.full(len(self.people), -1, dtype=np.int64)
        basket_left[sessions.who[left]] = sessions.seconds[left]
        bots_known = day >= history_days // 2
        run_campaigns(
            log,
            state,
            held,
            orders,
            day=day,
            history_days=history_days,
            bots_known=bots_known,
            session_seconds=sessions.first,
            seed=self._seed,
        )
        run_canvases(
            log, state, orders, day=day, basket_left=basket_left, bots_known=bots_known, seed=self._seed
        )
        written, injected = write_day(self._writer, log, setting)
        with self.store.transaction():
            self._commit_people(departures, np.flatnonzero(email_on & state.email_off))
            self.store.replace_orders(day, _rows(orders))
            totals = (written.events, written.files, written.bytes)
            self.store.save_day(day, totals, written.by_type, injected)
            self.store.set_meta("state", state.to_bytes())
            self.store.set_meta("days_done", day + 1)

    def _commit_people(self, departures: Departures, unsubscribed: Any) -> None:
        ids = self.people.columns["user_id"]
        self.store.unsubscribe(ids[unsubscribed].tolist())
        self.store.delete_profiles([ids[index] for index in departures.deleted], merged=False)
        self.store.delete_profiles([ids[orphan] for orphan, _ in departures.merged], merged=True)

    def _export_pending(self, upto: int) -> int:
        """Write waiting profile updates into the hour at which the simulated time stands."""
        pending = self.store.pending(upto)
        if not pending:
            return 0
        hour = self.simulated_until
        written = Written()
        records = [self._update_record(update, hour) for update in pending]
        for start in range(0, len(records), EVENTS_PER_FILE):
            offset = _UPDATE_OFFSETS + pending[start].sequence
            part = records[start : start + EVENTS_PER_FILE]
            self._writer.write(
                FilePlan(_PROFILE_UPDATE, hour, RELEASE_10, part, offset, partition=1), written
            )
        with self.store.transaction():
            # Totals of exports are kept as days of their own, below those of the simulation.
            totals = (written.events, written.files, written.bytes)
            self.store.save_day(-1 - pending[-1].sequence, totals, written.by_type, {})
            self.store.forget_pending(upto)
        return len(pending)

    def _update_record(self, update: PendingUpdate, hour: datetime) -> dict[str, Any]:
        digest = hashlib.sha256(f"{self._seed}/update/{update.sequence}".encode()).hexdigest()
        event_id = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
        time_ms = int(hour.timestamp()) * 1000 + update.sequence % 3_600_000
        standard = json.loads(update.standard)
        renamed = {"email_address": "email", "phone_number": "phone", "timezone": "time_zone"}
        record: dict[str, Any] = {
            described.name: standard.get(renamed.get(described.name, described.name))
            for described in catalogue()[_PROFILE_UPDATE].fields
        }
        record.update(
            id=event_id,
            app_group_id=APP_GROUP_ID,
            user_id=update.braze_id,
            external_user_id=update.external_id,
            time=time_ms // 1000,
            time_ms=time_ms,
            update_source="REST API",
            custom_attributes=update.custom if update.custom != "{}" else None,
        )
        return record


def check_population(settings: Settings, seed: int, users: int) -> None:
    """Raise `SimulationRefused` when the sandbox folder holds people of another seed or number."""
    store = Store(settings.sandbox_dir / "sandbox.sqlite")
    try:
        _population(store, settings, seed, users)
    finally:
        store.close()


def _population(store: Store, settings: Settings, seed: int, users: int) -> bool:
    """Whether the people are there already."""
    made = json.loads(store.meta("population") or "null")
    if made is not None and made != {"seed": seed, "users": users}:
        raise SimulationRefused(
            f"{settings.sandbox_dir} holds a sandbox of seed {made['seed']} and {made['users']} users, not of "
            f"seed {seed} and {users} users; start it with those, or remove the folder to start again."
        )
    return made is not None


def _rows(orders: Orders) -> list[tuple[Any, ...]]:
    return list(
        zip(
            orders.order_id,
            orders.user_id,
            orders.ordered_at,
            orders.category,
            orders.currency,
            orders.amount,
            orders.status,
            strict=True,
        )
    )
