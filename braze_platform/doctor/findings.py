"""What a check found, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "not checked"]
_SHOWN: dict[State, str] = {"ok": "OK     ", "missing": "MISSING", "not checked": "SKIPPED"}


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it stands, and what it says or what to do."""

    what: str
    state: State
    text: str

    def __str__(self) -> str:
        """The line."""
        return f"{_SHOWN[self.state]}  {self.what}: {self.text}"


def ok(what: str, text: str) -> Finding:
    """All is well."""
    return Finding(what, "ok", text)


def missing(what: str, text: str) -> Finding:
    """Something must be done; the text says what."""
    return Finding(what, "missing", text)


def not_checked(what: str, text: str) -> Finding:
    """It could not be looked at; the text says why."""
    return Finding(what, "not checked", text)
