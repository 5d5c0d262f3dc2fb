"""Which of a test's cases `make test` tries; `make test-all` tries all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest


def tiered(cases: Mapping[str, Any], quick: Collection[str]) -> list[Any]:
    """Parameters by their ids, of which all but those of `quick` are marked `full`."""
    unknown = set(quick) - cases.keys()
    assert not unknown, unknown
    return [
        pytest.param(case, id=name, marks=() if name in quick else (pytest.mark.full,))
        for name, case in cases.items()
    ]
