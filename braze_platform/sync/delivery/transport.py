"""What sending needs of a transport."""

from __future__ import annotations

from typing import Protocol

from braze_platform.braze_api.client import Answer
from braze_platform.braze_api.limiter import Limiter
from braze_platform.sync.delivery.requests import Request, RequestLimits


class SendingTransport(Protocol):
    """How requests reach Braze: one attempt at a time, over an endpoint that may fall back to another."""

    limits: RequestLimits
    path: str

    @property
    def limiter(self) -> Limiter:
        """That of the endpoint which is called at present."""
        ...

    async def send(self, request: Request) -> Answer:
        """One attempt."""
        ...

    def fall_back(self, path: str, status: int | None) -> bool:
        """Whether a request so answered on `path` is to be sent again another way, with `limits` of its own."""
        ...
