"""Faults that can be switched on, to see how a sender stands a bad day of Braze's."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from braze_platform.sandbox.api.track import InputArray, ObjectError, TrackRequest

#: `drop_before`/`drop_after`: the connection breaks before or after the request took effect.
#: `gateway`: something in front answers in Braze's place.
Fault = Literal["limited", "drop_before", "drop_after", "error_before", "error_after", "gateway"]

#: What a gateway in front says: a page, nothing, an empty JSON object, JSON of its own, JSON that is not an object.
GatewayBody = Literal["html", "nothing", "empty_json", "other_json", "json_array"]
_GATEWAY_BODIES: dict[GatewayBody, tuple[str, bytes]] = {
    "html": (
        "text/html; charset=utf-8",
        b"<!DOCTYPE html><html><body><h1>Request blocked</h1></body></html>",
    ),
    "nothing": ("text/plain", b""),
    "empty_json": ("application/json", b"{}"),
    "other_json": ("application/json", b'{"message":"maintenance","support_id":"1234567890"}'),
    "json_array": ("application/json", b"[]"),
}

#: `missing`: 404; `malformed`: a body that is cut off.
BrokenObject = Literal["missing", "malformed"]


#: The minimum and maximum of a setting that is not a share.
_RANGES = {"latency_ms": (0, 60_000), "queue_ms": (0, 60_000), "gateway_status": (200, 599)}


class FaultsRefused(ValueError):
    """The faults asked for make no sense; the message says which and why."""


@dataclass(frozen=True)
class FaultSettings:
    """Shares of requests (`rate_partial`: of objects) that meet a fault, and a delay for every request.

    `rate_gateway` is the share that a proxy, firewall or load balancer in front answers in Braze's place: the request
    does not take effect, the answer has the status `gateway_status` and a body of the kind `gateway_body`.
    `queue_ms` is how long an accepted request of `/users/track` waits at most until it is applied: a 201 says that it
    is queued, and of two requests in quick succession the later one may be applied first.
    """

    latency_ms: float = 0.0
    rate_429: float = 0.0
    rate_5xx: float = 0.0
    rate_drop: float = 0.0
    rate_partial: float = 0.0
    rate_gateway: float = 0.0
    gateway_status: int = 200
    gateway_body: GatewayBody = "html"
    queue_ms: float = 0.0

    @classmethod
    def from_json(cls, body: Any) -> FaultSettings:
        """Read a body; what it leaves out is off. Raises `FaultsRefused`."""
        if not isinstance(body, Mapping):
            raise FaultsRefused("Faults are a JSON object.")
        unknown = set(body) - set(asdict(cls()))
        if unknown:
            raise FaultsRefused(
                f"Unknown faults: {', '.join(sorted(unknown))}; there are {', '.join(asdict(cls()))}."
            )
        given: dict[str, Any] = {}
        for name, value in body.items():
            if name == "gateway_body":
                if value not in get_args(GatewayBody):
                    raise FaultsRefused(f"{name} must be one of {', '.join(get_args(GatewayBody))}.")
                given[name] = value
                continue
            min_value, max_value = _RANGES.get(name, (0, 1))
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not min_value <= value <= max_value
            ):
                raise FaultsRefused(f"{name} must be a number from {min_value} to {max_value}.")
            given[name] = int(value) if name == "gateway_status" else float(value)
        return cls(**given)

    def to_json(self) -> dict[str, float | str]:
        """The settings by name."""
        return asdict(self)


@dataclass
class Faults:
    """Decides which request meets which fault; the same seed decides the same."""

    settings: FaultSettings = field(default_factory=FaultSettings)
    random: random.Random = field(default_factory=lambda: random.Random(0))
    #: Campaigns, canvases and segments whose details are broken, by id: their list names them all the same.
    broken_objects: dict[str, BrokenObject] = field(default_factory=dict)

    def break_objects(self, body: Any) -> None:
        """Break the details of the objects that a body names, and mend all others. Raises `FaultsRefused`."""
        kinds = get_args(BrokenObject)
        if not isinstance(body, Mapping) or not all(value in kinds for value in body.values()):
            raise FaultsRefused(f"Broken objects are a JSON object of ids to one of {', '.join(kinds)}.")
        self.broken_objects = dict(body)

    def choose(self) -> Fault | None:
        """The fault of the next request, if it meets one. Broken connections and 5xx come as often before as
        after the request took effect: a sender cannot know."""
        settings, draw = self.settings, self.random.random()
        for share, fault in (
            (settings.rate_gateway, "gateway"),
            (settings.rate_drop, "drop"),
            (settings.rate_5xx, "error"),
            (settings.rate_429, "limited"),
        ):
            if draw < share:
                if fault == "gateway":
                    return "gateway"
                if fault == "limited":
                    return "limited"
                after = self.random.random() < 0.5
                if fault == "drop":
                    return "drop_after" if after else "drop_before"
                return "error_after" if after else "error_before"
            draw -= share
        return None

    def queue_seconds(self) -> float:
        """How long an accepted request waits until it is applied."""
        longest = self.settings.queue_ms / 1000
        return self.random.uniform(0, longest) if longest else 0.0

    def gateway_answer(self) -> tuple[int, str, bytes]:
        """Status, content type and body of what a gateway in front answers."""
        content_type, body = _GATEWAY_BODIES[self.settings.gateway_body]
        return self.settings.gateway_status, content_type, body

    def error_status(self, fault: Fault) -> int:
        """A status: 504 when the request took effect all the same, else 500, 502 or 503."""
        return 504 if fault == "error_after" else self.random.choice((500, 502, 503))

    def spoil(self, request: TrackRequest) -> TrackRequest:
        """Refuse a share of a request's good objects."""
        share = self.settings.rate_partial
        if not share:
            return request
        spoiled = TrackRequest(errors=list(request.errors))
        for attributes in request.attributes:
            if self.random.random() < share:
                spoiled.errors.append(_error("attributes", attributes.index))
            else:
                spoiled.attributes.append(attributes)
        for occurrence in request.occurrences:
            if self.random.random() < share:
                spoiled.errors.append(_error(occurrence.array, occurrence.index))
            else:
                spoiled.occurrences.append(occurrence)
        return spoiled


def _error(array: InputArray, index: int) -> ObjectError:
    return ObjectError("The object could not be processed", array, index)
