"""How much of a run Braze may reject before the run stops: most rejections at once have one cause. Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: So many values may be rejected whatever their share, so that small syncs work.
MIN_REJECTED = 100
DEFAULT_MAX_REJECTED_SHARE = 0.1


@dataclass
class RejectionLimit:
    """Counts the values that Braze settled in one run."""

    max_share: float
    delivered: int = 0
    rejected: int = 0
    #: Once it was exceeded it stays so: no rejection of the run is permanent.
    is_exceeded: bool = False

    def note_delivered(self, values: int) -> None:
        """Count values that Braze took."""
        self.delivered += values

    def note_rejected(self) -> None:
        """Count a value that Braze refused."""
        self.rejected += 1
        settled = self.delivered + self.rejected
        if self.rejected > MIN_REJECTED and self.rejected > self.max_share * settled:
            self.is_exceeded = True

    @property
    def violation(self) -> str:
        """Why the run stops and what to do; empty while it may continue."""
        if not self.is_exceeded:
            return ""
        return (
            f"Braze rejected {self.rejected:,} of the {self.delivered + self.rejected:,} values sent so far in this "
            f"run, more than max_rejected_share {self.max_share:.1%}; none is permanent, all are due. "
            "Look at the reasons, mend the model or the declaration, or raise max_rejected_share under limits in the "
            "declaration, and run again"
        )
