"""How often a sync that fails is retried: every 15 minutes at first, then every four hours, then no more.

What an attribute's runs came to is kept by Dagster, as the history of its asset check `RETRIES_CHECK`; each evaluation
holds a fingerprint of what a person may have changed since, and counting starts again with another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from braze_platform.settings import Settings
from braze_platform.sync.declaration.sync import Sync

RETRIES_CHECK = "retries_continue"
BACKOFF_CHECK = "retries_not_backed_off"
#: How often a sync that failed is retried by itself, at first and after `FREQUENT_RETRIES` failures in a row.
RETRY_CRON = "*/15 * * * *"
BACKED_OFF_CRON = "0 */4 * * *"
FREQUENT_RETRIES = 4
MAX_FAILURES = 10


@dataclass(frozen=True)
class PastRun:
    """What one earlier run came to for an attribute."""

    failed: bool
    #: Of what could be changed: the declaration and the settings. None: the process died before it could say.
    fingerprint: str | None = None
    #: It failed only because Braze asked it to wait, or it made progress: the next run resumes it.
    is_progress: bool = False
    by_person: bool = False


@dataclass(frozen=True)
class RetryState:
    """Whether automation retries after the last run, and how often."""

    failures: int = 0

    @property
    def continues(self) -> bool:
        """Whether automation retries at all."""
        return self.failures < MAX_FAILURES

    @property
    def is_frequent(self) -> bool:
        """Whether it retries every quarter of an hour."""
        return self.failures < FREQUENT_RETRIES

    def describe(self, reason: str) -> str:
        """What happens next, and what makes automation resume."""
        if not self.failures:
            return "Nothing failed that a retry would not settle."
        summary = f"Failed {self.failures:,} times in a row: {reason}"
        resumes = (
            "the model is updated, the declaration or a setting (such as BRAZE_API_KEY) changes, or somebody "
            "materialises the attribute"
        )
        if not self.continues:
            return f"{summary} Automation has stopped retrying. It resumes when {resumes}."
        pace = "every 15 minutes" if self.is_frequent else "every four hours"
        return f"{summary} Retried {pace}; automation stops after {MAX_FAILURES} failures in a row, until {resumes}."


def retry_state(past: Sequence[PastRun], current: PastRun) -> RetryState:
    """The state after `current`; `past` has the runs before it, newest first."""
    failures = 0
    for run in (current, *past):
        if not run.failed or run.is_progress or run.fingerprint not in (None, current.fingerprint):
            break
        failures += 1
        if run.by_person:
            break
    return RetryState(failures)


def sync_fingerprint(sync: Sync, settings: Settings) -> str:
    """A hash of a sync's declaration and all settings; the key goes into it salted and stretched."""
    declared = repr(replace(sync, description=""))
    others = repr(settings.replace(braze_api_key=""))
    text = "\n".join((declared, others, key_fingerprint(settings.braze_api_key)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def key_fingerprint(key: str) -> str:
    """What tells a key from others without telling it."""
    return hashlib.pbkdf2_hmac("sha256", key.encode(), b"braze_platform key fingerprint", 100_000).hex()
