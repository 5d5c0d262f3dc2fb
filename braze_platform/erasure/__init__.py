"""Erasure: what people who were deleted in Braze leave behind goes, everywhere in the warehouse."""
