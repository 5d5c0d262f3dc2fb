"""Runs: a sign of life of each, and what becomes of those that give none any more."""
