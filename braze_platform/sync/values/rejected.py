"""Why a value is not sent: the error that every canonical form raises. Pure."""

from __future__ import annotations

import re


class ValueRejected(ValueError):
    """A value that must not be sent; `reason` says why without showing the value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def shown_reason(reason: str, *, max_length: int = 200) -> str:
    """A reason without what may be personal: quoted text, addresses, numbers and long tokens are masked."""
    text = re.sub(r"\S+@\S+", "…", reason)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|‘[^’]*’|“[^”]*”", "…", text)
    text = re.sub(r"\b(?=\w*\d)[\w-]{6,}\b", "…", text)
    return text[:max_length]
