"""The sandbox's population: who there is, and the latent traits that decide how each person behaves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Objects: TypeAlias = npt.NDArray[np.object_]

#: What the web shop "Harbour & Field" sells; a person's favourite is an index into it.
CATEGORIES = ("books", "garden", "kitchen", "outdoor", "toys")
#: Channels by the names that the attribute `preferred_channel` uses; a preference is an index into it.
CHANNELS = ("email", "push", "in_app_message", "sms")
#: Hours (UTC) around which people are active, and how many people each has.
ACTIVE_HOURS = (7, 8, 12, 13, 17, 18, 19, 20)
_ACTIVE_HOUR_SHARES = (0.12, 0.10, 0.13, 0.09, 0.12, 0.16, 0.16, 0.12)

#: The shop's app group and its three apps in Braze.
APP_GROUP_ID = "5f0c2b7e9d41a83b6c7710aa"
APP_IDS = {
    "ios": "0d7c4b1e-5a39-4f0d-9c52-1b3a6be0a101",
    "android": "0d7c4b1e-5a39-4f0d-9c52-1b3a6be0a102",
    "web": "0d7c4b1e-5a39-4f0d-9c52-1b3a6be0a103",
}
#: Days after the start within which the last people join.
JOINING_DAYS = 30

_COUNTRIES = ("DE", "GB", "FR", "NL", "IE")
_COUNTRY_SHARES = (0.34, 0.30, 0.18, 0.12, 0.06)
_TIMEZONES = ("Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Amsterdam", "Europe/Dublin")
_LANGUAGES = ("de", "en", "fr", "nl", "en")
_DIAL_CODES = ("49151", "44770", "33612", "31612", "35385")
_LATITUDES = (52.52, 51.51, 48.86, 52.37, 53.35)
_LONGITUDES = (13.40, -0.13, 2.35, 4.90, -6.26)
_FIRST_NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fynn", "Greta", "Hugo", "Ines", "Jan", "Kira", "Lars")
_LAST_NAMES = ("Albers", "Brook", "Carver", "Dupont", "Ellis", "Falk", "Groen", "Hayes", "Jansen", "Keller")
_DEVICES = {
    "ios": (("iPhone 14", "17.6"), ("iPhone 15", "18.1"), ("iPhone 16", "18.2")),
    "android": (("Pixel 8", "14"), ("SM-S921B", "15"), ("SM-A546B", "14")),
    "web": (("Chrome", "Windows 11"), ("Safari", "macOS 15"), ("Firefox", "Linux")),
}


@dataclass(frozen=True)
class People:
    """Everybody, one element of each array a person: the identified first, the anonymous after them.

    `columns` holds what Currents says of a person, under Currents' field names, as Python objects.
    """

    #: How many have an external id.
    identified: int
    favourite: Integers
    channel: Integers
    active_hour: Integers
    #: 0 to 1: how much and how often a person buys.
    value: Floats
    #: 0 to 1: how soon messages tire a person.
    fatigue: Floats
    #: Probability of opening the app or the shop on a day.
    activity: Floats
    #: Day (from the simulation's start) on which the person first appears; negative: was there before.
    joined: Integers
    country: Integers
    email_reachable: Flags
    push_reachable: Flags
    sms_reachable: Flags
    latitude: Floats
    longitude: Floats
    currency: Objects
    columns: dict[str, Objects]

    def __len__(self) -> int:
        return len(self.favourite)

    @property
    def external_ids(self) -> list[str]:
        """External ids of the identified people, in order."""
        ids: list[str] = self.columns["external_user_id"][: self.identified].tolist()
        return ids


def generator(seed: int, *stream: int | str) -> np.random.Generator:
    """Random numbers for one purpose: the same seed and stream always give the same numbers."""
    words = [seed] + [
        part if isinstance(part, int) else int.from_bytes(hashlib.sha256(part.encode()).digest()[:4], "big")
        for part in stream
    ]
    return np.random.default_rng([word & 0xFFFFFFFF for word in words])


def hexadecimal_id(seed: int, *name: object) -> str:
    """A Braze-like identifier of 24 hexadecimal digits, always the same for the same name."""
    return hashlib.sha256(f"{seed}/{'/'.join(map(str, name))}".encode()).hexdigest()[:24]


def uuids(rng: np.random.Generator, count: int) -> list[str]:
    """`count` random UUIDs in their usual form."""
    digits = rng.bytes(16 * count).hex()
    return [
        f"{digits[i : i + 8]}-{digits[i + 8 : i + 12]}-4{digits[i + 13 : i + 16]}"
        f"-a{digits[i + 17 : i + 20]}-{digits[i + 20 : i + 32]}"
        for i in range(0, 32 * count, 32)
    ]


def _objects(values: list[Any]) -> Objects:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def make_people(seed: int, users: int) -> People:
    """`users` identified people and some 8 in 100 anonymous ones more, all from the seed."""
    if users < 20:
        raise ValueError(f"A population of {users} is too small for 12 campaigns; use at least 20 users.")
    rng = generator(seed, "people")
    anonymous = max(4, round(users * 0.08))
    n = users + anonymous
    is_anonymous = np.arange(n) >= users
    country = rng.choice(len(_COUNTRIES), n, p=_COUNTRY_SHARES)
    value = rng.beta(1.6, 3.2, n)
    activity = np.clip(0.03 + 0.55 * rng.beta(1.3, 3.0, n) + 0.12 * value, 0.02, 0.85)
    joins = rng.random(n) < np.where(is_anonymous, 0.6, 0.06)
    joined = np.where(joins, rng.integers(0, JOINING_DAYS, n), -1)
    channel = rng.choice(4, n, p=(0.42, 0.30, 0.18, 0.10))
    platform = rng.choice(3, n, p=(0.42, 0.38, 0.20))
    # Nobody prefers a channel that cannot reach them.
    reach = rng.random((3, n))
    email_reachable = ((reach[0] < 0.92) | (channel == 0)) & ~is_anonymous
    push_reachable = (platform < 2) & (reach[1] < 0.82)
    channel = np.where((channel == 1) & ~push_reachable, 0, channel)
    email_reachable |= (channel == 0) & ~is_anonymous
    sms_reachable = ((reach[2] < 0.35) | (channel == 3)) & ~is_anonymous
    first_hours = rng.choice(len(ACTIVE_HOURS), n, p=_ACTIVE_HOUR_SHARES)
    columns = _columns(seed, rng, users, n, country, platform, push_reachable)
    return People(
        identified=users,
        favourite=rng.choice(5, n, p=(0.24, 0.18, 0.22, 0.2, 0.16)),
        channel=channel,
        active_hour=np.asarray(ACTIVE_HOURS)[first_hours],
        value=value,
        fatigue=rng.beta(2.0, 4.0, n),
        activity=activity,
        joined=joined,
        country=country,
        email_reachable=email_reachable,
        push_reachable=push_reachable,
        sms_reachable=sms_reachable,
        latitude=np.asarray(_LATITUDES)[country] + rng.normal(0, 0.4, n),
        longitude=np.asarray(_LONGITUDES)[country] + rng.normal(0, 0.6, n),
        currency=_objects(["GBP" if c == 1 else "EUR" for c in country.tolist()]),
        columns=columns,
    )


def _columns(
    seed: int,
    rng: np.random.Generator,
    users: int,
    n: int,
    country: Integers,
    platform: Integers,
    push_reachable: Flags,
) -> dict[str, Objects]:
    """What Currents and profiles say of each person, by Currents' field names."""
    platforms = [("ios", "android", "web")[p] for p in platform.tolist()]
    model_index = rng.integers(0, 3, n).tolist()
    devices = [_DEVICES[p][m] for p, m in zip(platforms, model_index, strict=True)]
    first = rng.integers(0, len(_FIRST_NAMES), n).tolist()
    last = rng.integers(0, len(_LAST_NAMES), n).tolist()
    birth_year = rng.integers(1950, 2006, n).tolist()
    birth_day = rng.integers(1, 29, n).tolist()
    digits = rng.integers(0, 10_000_000, n).tolist()
    gender = rng.choice(4, n, p=(0.47, 0.45, 0.02, 0.06)).tolist()
    device_ids = uuids(rng, n)
    ad_ids = uuids(rng, n)
    ad_known = (rng.random(n) < 0.3).tolist()
    places = country.tolist()
    external = [f"u{i + 1:06d}" if i < users else None for i in range(n)]
    phones = [
        f"+{_DIAL_CODES[c]}{d:07d}" if i < users else None
        for i, (c, d) in enumerate(zip(places, digits, strict=True))
    ]
    return {
        "user_id": _objects([hexadecimal_id(seed, "person", i) for i in range(n)]),
        "external_user_id": _objects(external),
        "email_address": _objects(
            [
                f"{_FIRST_NAMES[f]}.{_LAST_NAMES[s]}.{i + 1}@example.com".lower() if i < users else None
                for i, (f, s) in enumerate(zip(first, last, strict=True))
            ]
        ),
        "to_phone_number": _objects(phones),
        "phone_number": _objects(phones),
        "user_phone_number": _objects(phones),
        "first_name": _objects([_FIRST_NAMES[f] if i < users else None for i, f in enumerate(first)]),
        "last_name": _objects([_LAST_NAMES[s] if i < users else None for i, s in enumerate(last)]),
        "dob": _objects(
            [f"{y}-{d % 12 + 1:02d}-{d:02d}" for y, d in zip(birth_year, birth_day, strict=True)]
        ),
        "gender": _objects([("F", "M", "O", None)[g] for g in gender]),
        "country": _objects([_COUNTRIES[c] for c in places]),
        "language": _objects([_LANGUAGES[c] for c in places]),
        "timezone": _objects([_TIMEZONES[c] for c in places]),
        "platform": _objects(platforms),
        "app_id": _objects([APP_IDS[p] for p in platforms]),
        "device_model": _objects([model for model, _ in devices]),
        "os_version": _objects([version for _, version in devices]),
        "sdk_version": _objects(
            [{"ios": "11.3.0", "android": "33.1.0", "web": "5.6.1"}[p] for p in platforms]
        ),
        "device_id": _objects(device_ids),
        "push_token": _objects(
            [
                hexadecimal_id(seed, "token", i) * 2 if p else None
                for i, p in enumerate(push_reachable.tolist())
            ]
        ),
        "ad_id": _objects([a if known else None for a, known in zip(ad_ids, ad_known, strict=True)]),
        "ad_id_type": _objects(
            [
                ("ios_idfa" if p == "ios" else "google_ad_id") if k else None
                for p, k in zip(platforms, ad_known, strict=True)
            ]
        ),
        "ad_tracking_enabled": _objects([True if known else None for known in ad_known]),
    }
