"""`braze-platform approve`, where the command line looks for it."""

from __future__ import annotations

from braze_platform.sync.plan_command import approve_command as command

__all__ = ["command"]
