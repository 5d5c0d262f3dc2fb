"""Braze as a resource of Dagster, which assets ask for by the name `braze`."""

from functools import lru_cache
from typing import Any

import dagster as dg

from braze_platform.settings import Settings


class BrazeResource(dg.ConfigurableResource[Any]):
    """The Braze workspace that is read and written: its endpoint, its key and what the contract allows.

    Clients (`BrazeClient` and what is built on it) are made where they are needed, from its settings.
    """

    settings: dg.ResourceDependency[Settings]


@lru_cache(maxsize=16)
def braze_resource(settings: Settings) -> BrazeResource:
    """The resource of an installation."""
    return BrazeResource(settings=settings)
