"""A ledger made from what a workspace holds already."""
