"""Backups of what the local warehouse holds and nothing can rebuild, and their way back."""
