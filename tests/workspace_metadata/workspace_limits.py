"""Limits under which these tests do not wait."""

from braze_platform.braze_api.retries import RetryLimits
from braze_platform.workspace_metadata.reader import ReadLimits

QUICK = ReadLimits(
    requests_per_second=2_000,
    retry=RetryLimits(fault_seconds=0.5, rate_limit_seconds=3.0, first_backoff_seconds=0.01),
    own_share=0.9,
)
