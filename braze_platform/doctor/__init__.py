"""Looks whether an installation can work, changes nothing, and says what is missing."""
