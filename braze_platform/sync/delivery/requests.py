"""Packing objects into requests for `/users/track`: in order, none split, none lost, sizes exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import Transport
from braze_platform.sync.values.values import decode, encode

T = TypeVar("T")


@dataclass(frozen=True)
class RequestLimits:
    """What one request may hold, and how fast requests may follow one another.

    The defaults are those of `/users/track` (https://www.braze.com/docs/api/endpoints/user_data/post_user_track
    and https://www.braze.com/docs/api/api_limits): 75 objects in total, 4 MB, 3,000 requests in 3 seconds.
    `requests_per_hour` is None where the contract has no hourly limit.
    Contracts differ; whatever the server's headers say holds over these.
    """

    objects: int = 75
    bytes: int = 4_000_000
    requests_per_second: float = 1000.0
    concurrency: int = 32
    requests_per_hour: int | None = None

    def __post_init__(self) -> None:
        if (
            min(self.objects, self.bytes, self.concurrency) < 1
            or self.requests_per_second <= 0
            or (self.requests_per_hour is not None and self.requests_per_hour < 1)
        ):
            raise ValueError("request limits must be positive")

    @property
    def burst(self) -> int:
        """Requests in one of Braze's windows of 3 seconds."""
        return max(1, int(self.requests_per_second * BURST_SECONDS))

    def minutes(self, requests: int) -> float:
        """How long so many requests take at the limits, in minutes."""
        seconds = requests / self.requests_per_second
        if self.requests_per_hour is not None:
            # The hour's share is sent at full speed; the rest waits for the next hours.
            hours, rest = divmod(requests, self.requests_per_hour)
            seconds = max(seconds, hours * 3600 + rest / self.requests_per_second)
        return seconds / 60


#: Braze's short window (https://www.braze.com/docs/api/endpoints/user_data/post_user_track).
BURST_SECONDS = 3


def limits_of(settings: Settings, transport: Transport) -> RequestLimits:
    """The limits of a transport under the installation's contract.

    `data_points`: 75 objects, 3,000 requests in 3 seconds. `mau`: the same objects, a burst and an hourly limit that
    the contract states. `legacy`: 75 objects of each array (a sync sends one array), 50,000 requests per minute.
    `/users/track/bulk` takes 1,000 objects, 2 MB and 50 requests per second whatever the contract, unless set otherwise
    (https://www.braze.com/docs/api/endpoints/user_data/post_user_track_bulk).
    """
    if transport == "bulk":
        limits = RequestLimits(objects=1_000, bytes=2_000_000, requests_per_second=50.0)
    elif settings.braze_contract == "legacy":
        limits = RequestLimits(requests_per_second=50_000 / 60)
    else:
        limits = RequestLimits()
    if transport != "bulk":
        if settings.braze_objects_per_request is not None:
            limits = replace(limits, objects=settings.braze_objects_per_request)
        if settings.braze_bytes_per_request is not None:
            limits = replace(limits, bytes=settings.braze_bytes_per_request)
        if settings.braze_requests_per_burst is not None:
            limits = replace(limits, requests_per_second=settings.braze_requests_per_burst / BURST_SECONDS)
        limits = replace(limits, requests_per_hour=settings.braze_requests_per_hour)
    return replace(limits, concurrency=settings.braze_concurrency)


@dataclass(frozen=True)
class Request:
    """The objects of one request, each already encoded.

    `oversized` marks an object that alone exceeds the byte limit: it has a request of its own, is not to be
    sent, and `verdicts.interpret` rejects it.
    """

    parts: tuple[bytes, ...]
    oversized: bool = False
    array: str = "attributes"

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects, decoded."""
        return [cast("dict[str, Any]", decode(part)) for part in self.parts]

    @property
    def body(self) -> bytes:
        """The JSON body, exactly as sent and as measured."""
        return _opening(self.array) + b",".join(self.parts) + _CLOSING

    def halves(self) -> tuple[Request, Request]:
        """Two requests with the same objects in the same order."""
        middle = len(self.parts) // 2
        return Request(self.parts[:middle], array=self.array), Request(self.parts[middle:], array=self.array)


_CLOSING = b"]}"


def _opening(array: str) -> bytes:
    return b'{"' + array.encode() + b'":['


def body_overhead(array: str = "attributes") -> int:
    """Bytes of a body beside its objects and the commas between them."""
    return len(_opening(array)) + len(_CLOSING)


@dataclass(frozen=True)
class Packed(Generic[T]):
    """What goes into one request, in order, and the bytes of its body."""

    entries: list[T]
    bytes: int
    oversized: bool = False


class Packer(Generic[T]):
    """Decides where one request ends and the next begins, for all who count requests or send them.

    Takes objects one by one, each with its encoded size in bytes, and gives a request once the next object does not
    fit into it. An object that alone exceeds the limit has a request of its own, marked, at its place in the order.
    """

    def __init__(self, limits: RequestLimits, array: str = "attributes") -> None:
        self._limits = limits
        self._overhead = body_overhead(array)
        self._entries: list[T] = []
        self._bytes = self._overhead

    def fits(self, size: int) -> bool:
        """Whether an object of `size` bytes may join the request that is being filled."""
        comma = 1 if self._entries else 0
        return len(self._entries) < self._limits.objects and self._bytes + size + comma <= self._limits.bytes

    def add(self, entry: T, size: int) -> Sequence[Packed[T]]:
        """Take an object of `size` bytes; returns the requests that are complete by that, mostly none."""
        if self.fits(size):
            self._bytes += size + (1 if self._entries else 0)
            self._entries.append(entry)
            return ()
        done = self.finish()
        if self._overhead + size > self._limits.bytes:
            return [*done, Packed([entry], self._overhead + size, oversized=True)]
        self._entries.append(entry)
        self._bytes += size
        return done

    def finish(self) -> Sequence[Packed[T]]:
        """The request that is being filled, if it has anything; the next begins."""
        if not self._entries:
            return ()
        done = Packed(self._entries, self._bytes)
        self._entries, self._bytes = [], self._overhead
        return (done,)


def packed(
    entries: Iterable[T], size: Callable[[T], int], limits: RequestLimits, array: str = "attributes"
) -> Iterator[Packed[T]]:
    """All of some objects by a `Packer`; lazy, holds one request at a time."""
    packer = Packer[T](limits, array)
    for entry in entries:
        yield from packer.add(entry, size(entry))
    yield from packer.finish()


def build_requests(objects: Iterable[dict[str, Any]], limits: RequestLimits) -> Iterator[Request]:
    """Pack objects into as few requests as their order allows.

    Lazy: holds one request at a time. An object that alone exceeds `limits.bytes` comes as a request of its
    own, marked `oversized`, at its place in the order.
    """
    for request in packed((encode(entry).encode("utf-8") for entry in objects), len, limits):
        yield Request(tuple(request.entries), oversized=request.oversized)
