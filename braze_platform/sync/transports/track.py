"""The transports `track` and `bulk`: requests to Braze's `/users/track` and its sibling over kept connections."""

from __future__ import annotations

from braze_platform.braze_api.client import Answer, BrazeClient
from braze_platform.braze_api.limiter import Limiter
from braze_platform.settings import Settings
from braze_platform.sync.delivery.requests import Request, RequestLimits, limits_of

TRACK_PATH = "/users/track"
BULK_PATH = "/users/track/bulk"
#: How Braze says that a key or a contract does not have the bulk endpoint.
_NOT_PERMITTED = (403, 404)


class TrackTransport(BrazeClient):
    """Posts requests to `/users/track`. Refuses with `OutwardCallsOff` unless the settings allow calls."""

    def __init__(self, settings: Settings, limits: RequestLimits | None = None) -> None:
        self.limits = limits or limits_of(settings, "track")
        super().__init__(settings, connections=self.limits.concurrency, nothing="Nothing was sent to")
        self.path = TRACK_PATH
        #: By endpoint that may be called.
        self.limiters = {TRACK_PATH: _limiter(self.limits)}

    @property
    def limiter(self) -> Limiter:
        """The limiter of the endpoint that is called at present."""
        return self.limiters[self.path]

    async def send(self, request: Request) -> Answer:
        """One attempt; network faults come back as an answer without status, nothing is retried here."""
        return await self.request("POST", self.path, content=request.body)

    def fall_back(self, path: str, status: int | None) -> bool:
        """Whether a request that was answered so on `path` is to be sent again another way, now taken."""
        del path, status
        return False


class BulkTransport(TrackTransport):
    """Posts larger requests to `/users/track/bulk`; goes over to `/users/track` for good where that is not permitted.

    The endpoint is a limited beta that takes no new customers, so that a key without it is the usual case
    (https://www.braze.com/docs/api/endpoints/user_data/post_user_track_bulk).
    """

    def __init__(self, settings: Settings, limits: RequestLimits | None = None) -> None:
        super().__init__(settings, limits or limits_of(settings, "bulk"))
        self.path = BULK_PATH
        self._track_limits = limits_of(settings, "track")
        self.limiters = {BULK_PATH: _limiter(self.limits), TRACK_PATH: _limiter(self._track_limits)}

    def fall_back(self, path: str, status: int | None) -> bool:
        """Take `/users/track` from now on, when the bulk endpoint is not for this key."""
        if path != BULK_PATH or status not in _NOT_PERMITTED:
            return False
        self.path, self.limits = TRACK_PATH, self._track_limits
        return True


def _limiter(limits: RequestLimits) -> Limiter:
    return Limiter(per_second=limits.requests_per_second, per_hour=limits.requests_per_hour)
