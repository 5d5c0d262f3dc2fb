"""Measurements of the platform, each a ratio against a baseline of the same run; see README.md."""
