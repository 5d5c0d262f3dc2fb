"""The outcome of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from braze_platform.sync.declaration.sync import AttributeSpec
from braze_platform.sync.delivery.outcomes import Outcomes
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.values.rejected import shown_reason


@dataclass(frozen=True)
class DeliveryReport:
    """The outcome of a plan. Counts are users by attribute; `reasons` have personal data masked."""

    delivered: dict[str, int]
    rejected: dict[str, int]
    due: dict[str, int]
    requests: int
    objects_delivered: int
    seconds: float
    stopped: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    #: It stopped because of a rate limit or a budget, which the next hour lifts.
    has_to_wait: bool = False
    #: Sent while nobody knew whether Braze has these users, for whom 201 acknowledges nothing.
    unconfirmed: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is left due."""
        return not any(self.due.values())


def report_of_nothing(plan: Plan, specs: Sequence[AttributeSpec]) -> DeliveryReport:
    """The outcome of a plan that has nothing to send."""
    nothing = {spec.name: 0 for spec in specs}
    return DeliveryReport(
        delivered=nothing,
        unconfirmed=dict(nothing),
        rejected={name: counts.rejected for name, counts in plan.attributes.items()},
        due=dict(nothing),
        requests=0,
        objects_delivered=0,
        seconds=0.0,
        reasons={shown_reason(reason): count for reason, count in plan.reasons.items()},
    )


def report_of(
    plan: Plan, outcomes: Outcomes, *, requests: int, seconds: float, stopped: str = ""
) -> DeliveryReport:
    """Add up a plan and what its outcomes say; what is neither delivered nor rejected is due."""
    delivered, refused, unconfirmed = outcomes.delivered, outcomes.rejected, outcomes.unconfirmed
    reasons = dict(outcomes.reasons)
    for reason, count in plan.reasons.items():
        reasons[shown_reason(reason)] = reasons.get(shown_reason(reason), 0) + count
    return DeliveryReport(
        delivered=delivered,
        rejected={name: refused[name] + counts.rejected for name, counts in plan.attributes.items()},
        due={
            name: counts.sent - delivered[name] - unconfirmed[name] - refused[name]
            for name, counts in plan.attributes.items()
        },
        requests=requests,
        objects_delivered=outcomes.objects_settled,
        seconds=seconds,
        stopped=shown_reason(stopped, max_length=600),
        reasons=reasons,
        has_to_wait=outcomes.has_to_wait,
        unconfirmed=unconfirmed,
    )
