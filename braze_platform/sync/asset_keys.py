"""The keys of attributes and of the models that they are columns of."""

import dagster as dg

from braze_platform.sync.declaration.sync import Sync
from braze_platform.warehouse.ledger_columns import ledger_column


def attribute_key(attribute: str) -> dg.AssetKey:
    """The asset key of an attribute.

    Dagster makes names of letters, digits and underscores out of keys; another name has the form of its ledger column.
    """
    return dg.AssetKey(["braze", "user_attributes", ledger_column(attribute)])


def model_key(sync: Sync) -> dg.AssetKey:
    """The asset key of a sync's dbt model."""
    return dg.AssetKey([sync.folder, sync.name])
