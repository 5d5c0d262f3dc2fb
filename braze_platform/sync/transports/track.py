"""The transports `track` and `bulk`: requests to Braze's `/users/track` and its sibling over kept connections."""

from __future__ import annotations

from types import TracebackType

from braze_platform.braze_api.connection import Answer, BrazeConnection
from braze_platform.braze_api.shared_budget import SharedBudget
from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import PRIORITIES, Priority
from braze_platform.sync.delivery.requests import Request, RequestLimits, limits_of

TRACK_PATH = "/users/track"
BULK_PATH = "/users/track/bulk"
#: How Braze says that a key or a contract does not have the bulk endpoint.
_NOT_PERMITTED = (403, 404)


class TrackTransport:
    """Posts requests to `/users/track`. Its `repr` and its errors never hold the key.

    Use it as an asynchronous context manager. Refuses with `OutwardCallsOff` unless the settings allow calls.
    """

    def __init__(
        self,
        settings: Settings,
        limits: RequestLimits | None = None,
        *,
        priority: Priority = "normal",
        timeout_seconds: float = 30.0,
    ) -> None:
        self.path = TRACK_PATH
        self._priority = PRIORITIES.index(priority)
        self.limits = limits or limits_of(settings, "track")
        self._connection = BrazeConnection(
            settings,
            connections=self.limits.concurrency,
            nothing="Nothing was sent to",
            timeout_seconds=timeout_seconds,
        )
        self.url = self._connection.url
        self._budget_file = settings.state_dir / "braze_budget.sqlite"
        self.budget = self._budget_of(TRACK_PATH, self.limits)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r}, key=…)"

    def _budget_of(self, path: str, limits: RequestLimits) -> SharedBudget:
        return SharedBudget(
            self._budget_file,
            path,
            per_burst=limits.burst,
            per_hour=limits.requests_per_hour,
            priority=self._priority,
        )

    async def __aenter__(self) -> TrackTransport:
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)

    async def send(self, request: Request) -> Answer:
        """One attempt; network faults come back as an answer without status, nothing is retried here."""
        return await self._connection.request("POST", self.path, content=request.body)

    def fall_back(self, path: str, status: int | None) -> bool:
        """Whether a request that was answered so on `path` is to be sent again another way, now taken."""
        del path, status
        return False


class BulkTransport(TrackTransport):
    """Posts larger requests to `/users/track/bulk`; goes over to `/users/track` for good where that is not permitted.

    The endpoint is a limited beta that takes no new customers, so that a key without it is the usual case
    (https://www.braze.com/docs/api/endpoints/user_data/post_user_track_bulk).
    """

    def __init__(
        self,
        settings: Settings,
        limits: RequestLimits | None = None,
        *,
        track_limits: RequestLimits | None = None,
        priority: Priority = "normal",
        timeout_seconds: float = 30.0,
    ) -> None:
        super().__init__(
            settings,
            limits or limits_of(settings, "bulk"),
            priority=priority,
            timeout_seconds=timeout_seconds,
        )
        self.path = BULK_PATH
        self.budget = self._budget_of(BULK_PATH, self.limits)
        self._track_limits = track_limits or limits_of(settings, "track")

    def fall_back(self, path: str, status: int | None) -> bool:
        """Take `/users/track` from now on, when the bulk endpoint is not for this key."""
        if path != BULK_PATH or status not in _NOT_PERMITTED:
            return False
        self.path, self.limits = TRACK_PATH, self._track_limits
        self.budget = self._budget_of(TRACK_PATH, self.limits)
        return True
