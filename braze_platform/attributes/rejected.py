"""Why a value is not sent: the error that every canonical form raises. Pure."""

from __future__ import annotations


class ValueRejected(ValueError):
    """A value that must not be sent; `reason` says why without showing the value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
