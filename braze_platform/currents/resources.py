"""The bucket as a resource of Dagster, which assets and the sensor ask for by the name `bucket`."""

from functools import lru_cache
from typing import Any

import dagster as dg

from braze_platform.currents.bucket import Bucket
from braze_platform.currents.targets import bucket_of
from braze_platform.settings import Settings


class BucketResource(dg.ConfigurableResource[Any]):
    """The bucket that Braze Currents writes into: a folder, or one of Cloud Storage."""

    settings: dg.ResourceDependency[Settings]

    def bucket(self) -> Bucket:
        """The bucket; nothing is opened until it is used."""
        return bucket_of(self.settings)


@lru_cache(maxsize=16)
def bucket_resource(settings: Settings) -> BucketResource:
    """The resource of an installation."""
    return BucketResource(settings=settings)
