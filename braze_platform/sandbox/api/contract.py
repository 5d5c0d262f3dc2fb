"""What the sandbox allows and how it answers, where Braze's workspaces differ."""

from dataclasses import dataclass, field

from braze_platform.sandbox.api.rate_limits import RateLimit


@dataclass
class Contract:
    """Limits by endpoint, and what goes with them; by default those that Braze documents."""

    track_limit: RateLimit = field(default_factory=RateLimit)
    #: Of `/users/export/ids`.
    export_limit: RateLimit = field(default_factory=lambda: RateLimit(150_000, burst=2_500, burst_seconds=60))
    bulk_limit: RateLimit = field(default_factory=lambda: RateLimit(180_000, burst=50, burst_seconds=1))
    #: Of the workspace's export endpoints together.
    shared_limit: RateLimit = field(default_factory=lambda: RateLimit(burst=250_000, burst_seconds=3600))
    #: Of `/custom_attributes`.
    attributes_limit: RateLimit = field(
        default_factory=lambda: RateLimit(1_000, burst=1_000, burst_seconds=3600)
    )
    #: Whether the key has `/users/track/bulk`, which takes no new customers.
    bulk_permitted: bool = True
    #: The fixed start of every CDI job, which takes minutes at Braze's.
    cdi_start_seconds: float = 0.3
    #: Entries of one answer: https://www.braze.com/docs/api/endpoints/export/campaigns/get_campaigns and
    #: .../custom_attributes/get_custom_attributes
    list_page: int = 100
    attributes_page: int = 50
