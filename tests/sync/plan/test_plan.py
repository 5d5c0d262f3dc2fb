from __future__ import annotations

import json
from typing import Any

import pytest

from braze_platform.sync.declaration.sync import AttributeSpec, Identifier, PlanLimits, Sync
from braze_platform.sync.delivery.requests import RequestLimits
from braze_platform.sync.plan.plan import AttributeChange, decide_row, limit_violations, masked_value
from braze_platform.sync.values.json_text import value_hash

SYNC = Sync(
    "s", "attributes", "s", "f.yml", "attributes", "track", Identifier("external_id", ("external_id",)), ()
)


def decide(
    change: AttributeChange,
    nulls: Any = "clear",
    kind: Any = "number",
    gone: bool = False,
    before: Any = None,
):
    spec = AttributeSpec("a", kind, nulls)
    return decide_row(SYNC, [spec], ("u",), [change], before or {}, gone=gone, limits=RequestLimits())


@pytest.mark.parametrize(
    ("new", "acknowledged", "options", "resend", "action"),
    [
        (1, None, {}, False, "n"),
        (1, 2, {}, False, "c"),
        (1, 1.0, {}, False, "f"),
        ("1", 1, {}, False, "f"),
        (None, 1, {}, False, "x"),
        (None, 1, {"nulls": "skip"}, False, "-"),
        (None, 1, {"nulls": "skip", "gone": True}, False, "x"),
        (None, None, {}, False, "-"),
        (None, None, {}, True, "x"),
        (1, 1, {}, True, "c"),
        ("x", 1, {}, False, "r"),
        (1, "x", {}, False, "c"),
        (1, 2, {"before": {"a": value_hash(1)}}, False, "p"),
        (1, 2, {"before": {"a": value_hash(3)}}, False, "c"),
    ],
)
def test_the_action_for_one_value(
    new: object, acknowledged: object, options: dict[str, Any], resend: bool, action: str
) -> None:
    decision = decide(AttributeChange(0, new, acknowledged, resend), **options)
    assert decision.actions == action
    assert (decision.encoded is not None) is (action in "ncx")


def test_an_object_holds_the_identifier_the_control_and_what_changed() -> None:
    decision = decide(AttributeChange(0, 1, None))
    assert decision.encoded is not None
    assert json.loads(decision.encoded) == {"external_id": "u", "_update_existing_only": True, "a": 1}


@pytest.mark.parametrize(("user", "reason"), [("  ", "empty"), ("x" * 988, "987 bytes")])
def test_a_user_that_cannot_be_named_is_refused(user: str, reason: str) -> None:
    spec = AttributeSpec("a", "number")
    decision = decide_row(
        SYNC, [spec], (user,), [AttributeChange(0, 1, None)], {}, gone=False, limits=RequestLimits()
    )
    assert decision.actions == "r" and decision.encoded is None
    assert reason in decision.rejections[0][1]


def test_an_object_larger_than_a_request_is_refused() -> None:
    spec = AttributeSpec("a", "string")
    decision = decide_row(
        SYNC,
        [spec],
        ("u",),
        [AttributeChange(0, "x" * 200, None)],
        {},
        gone=False,
        limits=RequestLimits(bytes=150),
    )
    assert decision.actions == "r" and decision.encoded is None


@pytest.mark.parametrize(
    ("limits", "objects", "changed", "in_ledger", "count"),
    [
        (PlanLimits(), 10, 10, 10, 0),
        (PlanLimits(max_objects=10), 10, 0, 0, 0),
        (PlanLimits(max_objects=9), 10, 0, 0, 1),
        (PlanLimits(max_changed_share=0.5), 10, 5, 10, 0),
        (PlanLimits(max_changed_share=0.5), 10, 6, 10, 1),
        (PlanLimits(max_changed_share=0.0), 10, 10, 0, 0),
        (PlanLimits(max_changed_share=0.0, max_objects=0), 1, 1, 1, 2),
    ],
)
def test_when_a_plan_needs_approval(
    limits: PlanLimits, objects: int, changed: int, in_ledger: int, count: int
) -> None:
    assert len(limit_violations(limits, objects=objects, changed=changed, in_ledger=in_ledger)) == count


def test_masked_values_show_no_text() -> None:
    shown = [masked_value(v) for v in ("ann@example.com", ["ann"], {"n": "ann"}, None, 3, True, "")]
    assert not any("nn" in text for text in shown)
    assert shown[4:6] == ["3", "true"]
