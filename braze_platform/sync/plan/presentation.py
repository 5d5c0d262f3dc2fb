"""Plans and reports as people read them: text for a terminal, Markdown for the UI, no personal data."""

from __future__ import annotations

from collections.abc import Mapping

from braze_platform.markdown import table
from braze_platform.sync.plan.plan import Plan


def plan_markdown(plan: Plan) -> str:
    """The plan as a Markdown table per attribute, with what it costs. Short, for the UI hides what is long."""
    counted = table(
        [
            "attribute",
            *(
                f"{name}:"
                for name in ("new", "changed", "cleared", "unchanged", "rejected", "known rejected")
            ),
        ],
        [
            [name, c.new, c.changed, c.cleared, c.unchanged, c.rejected, c.known_rejected]
            for name, c in plan.attributes.items()
        ],
    )
    lines = [f"Plan `{plan.plan_id}` of `{plan.sync}`: {_cost(plan)}", "", counted]
    if plan.limit_violations:
        lines += ["", "Limits exceeded: " + "; ".join(plan.limit_violations) + "."]
    return "\n".join(lines)


def examples_markdown(plan: Plan) -> str:
    """Up to twenty changes of the plan, masked."""
    if not plan.examples:
        return "Nothing would be sent."
    return table(
        ["example", "attribute", "change", "before", "after"],
        [[one.user, one.attribute, one.change, one.before, one.after] for one in plan.examples],
    )


def plan_text(plan: Plan) -> str:
    """The plan for a terminal."""
    widths = (max(len("attribute"), *(len(name) for name in plan.attributes)), *(10,) * 5, 14)
    header = ("attribute", "new", "changed", "cleared", "unchanged", "rejected", "known rejected")
    rows = [header] + [
        (name, *(f"{n:,}" for n in (c.new, c.changed, c.cleared, c.unchanged, c.rejected, c.known_rejected)))
        for name, c in plan.attributes.items()
    ]
    lines = [f"{plan.sync}: plan {plan.plan_id}", f"  {_cost(plan)}"]
    lines += [
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines += [
        f"  e.g. {example.user}: {example.attribute} {example.change}, {example.before} -> {example.after}"
        for example in plan.examples
    ]
    if plan.without_identifier:
        lines.append(f"  {plan.without_identifier:,} rows have no identifier and are skipped")
    if plan.users_missing or plan.users_unconfirmed:
        lines.append(
            f"  {plan.users_missing + plan.users_unconfirmed:,} users are not known to Braze: {plan.users_missing:,} "
            f"do not exist there, {plan.users_unconfirmed:,} were sent values that are unconfirmed"
        )
    lines += [f"  rejected: {reason} ({count:,})" for reason, count in sorted(plan.reasons.items())]
    lines += [f"  A run would first {action}." for action in plan.first]
    if plan.limit_violations:
        lines.append(f"  LIMITS EXCEEDED: {'; '.join(plan.limit_violations)}")
        lines.append(f"  {approval_remedy(plan)}")
    return "\n".join(lines)


def approval_remedy(plan: Plan) -> str:
    """How a person approves this very plan: on a machine of the installation, never by what a web page can ask for."""
    return (
        f"To send it, run `braze-platform approve {plan.plan_id}`. "
        "The approval is for this plan alone: another change of the model makes another plan."
    )


def reasons_markdown(reasons: Mapping[str, int]) -> str:
    """Rejection reasons with their counts, most frequent first."""
    if not reasons:
        return "Nothing was rejected."
    rows = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return table(["reason", "values:"], rows)


def _cost(plan: Plan) -> str:
    return (
        f"{plan.users_sent:,} of {plan.users:,} users in {plan.objects:,} objects, {plan.requests:,} requests, "
        f"{plan.bytes:,} bytes, {plan.minutes:.1f} minutes at the limit, about {plan.data_points:,} data points where "
        f"the contract counts them; {plan.users_in_ledger:,} users in the ledger"
    )
