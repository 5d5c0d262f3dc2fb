"""What a sync would send, decided row by row: pure, without a warehouse."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from braze_platform.sync.declaration.sync import AttributeSpec, PlanLimits, Sync
from braze_platform.sync.delivery.requests import Packed, Packer, RequestLimits, body_overhead
from braze_platform.sync.ledger.actions import SENT, Action, Actions
from braze_platform.sync.values.data_points import data_points
from braze_platform.sync.values.exact_numbers import differ_by_rounding_alone
from braze_platform.sync.values.identifiers import key_refusal
from braze_platform.sync.values.json_text import value_hash
from braze_platform.sync.values.operators import is_operation, needs_merge, operation
from braze_platform.sync.values.values import JsonValue, ValueRejected, canonicalise, encode

EXAMPLES = 20
MAX_PARTS_NAMED = 5
_BODY_OVERHEAD = body_overhead()


@dataclass
class AttributeCounts:
    """Users by what the plan does with one attribute."""

    new: int = 0
    changed: int = 0
    cleared: int = 0
    unchanged: int = 0
    rejected: int = 0
    known_rejected: int = 0
    #: Sent without nested parts that must not be sent; counted among new and changed too.
    trimmed: int = 0

    @property
    def sent(self) -> int:
        """Users for whom the attribute would be sent."""
        return self.new + self.changed + self.cleared


@dataclass(frozen=True)
class Example:
    """One change of the plan with personal data masked."""

    attribute: str
    user: str
    change: str
    before: str
    after: str


@dataclass
class Plan:
    """The difference between a sync's model and its ledger; its rows are in the warehouse.

    `plan_id` is a hash of all that would be sent: the same plan has the same id, any other has another.
    """

    sync: str
    plan_id: str
    attributes: dict[str, AttributeCounts]
    users: int
    #: Users in the ledger of whom Braze acknowledged what it has.
    users_in_ledger: int
    users_changed: int
    #: Users of whom something would be sent; one with values and operators has two objects.
    users_sent: int
    objects: int
    requests: int
    bytes: int
    minutes: float
    #: What it costs under contracts that count data points; an estimate.
    data_points: int = 0
    without_identifier: int = 0
    #: Users to whom nothing is sent, because Braze says that it does not have them.
    users_missing: int = 0
    #: Users in the ledger who got values while nobody knew whether Braze has them: these values are unconfirmed.
    users_unconfirmed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    limit_violations: list[str] = field(default_factory=list)
    #: What a run would do to the ledger before it sends; a plan that is only looked at is made as if it were done.
    first: list[str] = field(default_factory=list)

    @property
    def within_limits(self) -> bool:
        """Whether the plan may be applied without a person's approval."""
        return not self.limit_violations

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-serialisable values."""
        return asdict(self) | {"within_limits": self.within_limits}


class AttributeChange(NamedTuple):
    """One attribute of one user whose source value differs from the acknowledged one: the input of a decision."""

    position: int
    new: object
    acknowledged: object
    resend: bool = False


class RowDecision(NamedTuple):
    """What becomes of one user: one action per attribute, the object to send, and what was refused.

    A rejection is an attribute's position, the reason, the value's hash and what was refused: the whole `value`,
    or a nested `part` of one that is sent without it. A change is a position, the acknowledged value and the new one.
    """

    actions: Actions
    encoded: bytes | None
    #: The object of operators, sent after all absolute values.
    encoded_operations: bytes | None
    rejections: tuple[tuple[int, str, str, str], ...]
    changes: tuple[tuple[int, JsonValue, JsonValue], ...]


def rejected_before(text: str | None) -> dict[str, str]:
    """Rejected value hashes by attribute, from the lines `<hash><attribute>` that the warehouse joins."""
    if not text:
        return {}
    return {line[32:]: line[:32] for line in text.split("\n")}


def decide_row(
    sync: Sync,
    specs: Sequence[AttributeSpec],
    key: tuple[str, ...],
    changes: Sequence[AttributeChange],
    before: Mapping[str, str],
    *,
    gone: bool,
    limits: RequestLimits,
) -> RowDecision:
    """Decide one user. `changes` are those of its attributes that differ; `before` hashes of values rejected earlier.

    One bad value costs its own attribute only. A user whose key cannot be an identifier is refused whole.
    """
    refusal = key_refusal(sync.identifier, key)
    if refusal is not None:
        return refused_row(specs, changes, refusal)
    actions: list[str] = [Action.UNCHANGED] * len(specs)
    values: dict[str, JsonValue] = {}
    operations: dict[str, JsonValue] = {}
    rejections: list[tuple[int, str, str, str]] = []
    sent: list[tuple[int, JsonValue, JsonValue]] = []
    for change in changes:
        position = change.position
        spec = specs[position]
        parts: list[str] = []
        try:
            value = None if gone else canonicalise(change.new, spec, parts)
        except ValueRejected as error:
            actions[position] = Action.REJECTED
            rejections.append((position, error.reason, value_hash(repr(change.new)), "value"))
            continue
        action, acknowledged = _action(spec, value, change, gone=gone)
        expression = value
        if spec.operator and action in SENT and not change.resend:
            # What Braze holds is not known of a value that is to be sent again: only the whole value corrects it.
            try:
                expression = operation(spec, acknowledged, value)
            except ValueRejected as error:
                actions[position] = Action.REJECTED
                rejections.append((position, error.reason, value_hash(value), "value"))
                continue
            action = (
                Action.LEDGER_ONLY
                if expression is None
                else Action.OPERATOR
                if is_operation(expression)
                else action
            )
        if action in SENT and before and before.get(spec.name) == value_hash(value):
            action = Action.KNOWN_REJECTED
        actions[position] = action
        if parts and action not in (Action.UNCHANGED, Action.KNOWN_REJECTED):
            rejections.append((position, _part_reason(parts), value_hash(parts), "part"))
        if action in SENT:
            (operations if action == Action.OPERATOR else values)[spec.name] = expression
            sent.append((position, acknowledged, value))
    encoded: bytes | None = None
    encoded_operations: bytes | None = None
    if sent:
        head: dict[str, object] = {
            **sync.identifier.fields(key),
            "_update_existing_only": sync.existing_only,
        }
        encoded = encode({**head, **values}).encode("utf-8") if values else None
        merging = {"_merge_objects": True} if any(map(needs_merge, operations.values())) else {}
        encoded_operations = encode({**head, **merging, **operations}).encode("utf-8") if operations else None
        if max(len(encoded or b""), len(encoded_operations or b"")) > limits.bytes - _BODY_OVERHEAD:
            refusal = "the object alone is larger than a request may be"
            for position, _, value in sent:
                actions[position] = Action.REJECTED
                rejections.append((position, refusal, value_hash(value), "value"))
            encoded, encoded_operations, sent = None, None, []
    return RowDecision(Actions.of(actions), encoded, encoded_operations, tuple(rejections), tuple(sent))


def refused_row(
    specs: Sequence[AttributeSpec], changes: Sequence[AttributeChange], reason: str
) -> RowDecision:
    """The decision for a user whose identifier must not be sent: every value that differs is refused.

    The hash is that of the reason: which values the row has does not matter, as long as nobody knows whose they are.
    """
    refused = {change.position for change in changes}
    actions = Actions.of(
        [Action.REJECTED if position in refused else Action.UNCHANGED for position in range(len(specs))]
    )
    hashed = value_hash(reason)
    return RowDecision(
        actions, None, None, tuple((position, reason, hashed, "value") for position in sorted(refused)), ()
    )


def _action(
    spec: AttributeSpec, value: JsonValue, change: AttributeChange, *, gone: bool
) -> tuple[str, JsonValue]:
    """The action, and the canonical value that Braze acknowledged."""
    try:
        acknowledged = canonicalise(change.acknowledged, spec)
    except ValueRejected:
        # Acknowledged under an earlier declaration: whatever Braze holds, it is not this value.
        acknowledged = None
        change = AttributeChange(change.position, change.new, None, resend=True)
    if value is None:
        if spec.operator or (spec.nulls == "skip" and not gone):
            return Action.UNCHANGED, acknowledged
        return (
            Action.CLEARED if acknowledged is not None or change.resend else Action.UNCHANGED
        ), acknowledged
    if change.resend:
        return Action.CHANGED, acknowledged
    if acknowledged is None:
        return Action.NEW, None
    if encode(value) == encode(acknowledged):
        return Action.LEDGER_ONLY, acknowledged
    # Two forms for what lies on both sides of an edge. The ledger stays, so that no drift goes unnoticed.
    same = spec.type == "number" and differ_by_rounding_alone(change.new, change.acknowledged)
    return (Action.UNCHANGED if same else Action.CHANGED), acknowledged


def _part_reason(parts: Sequence[str]) -> str:
    more = len(parts) - MAX_PARTS_NAMED
    return "sent without " + "; ".join(parts[:MAX_PARTS_NAMED]) + (f"; and {more} more" if more > 0 else "")


def limit_violations(limits: PlanLimits, *, objects: int, changed: int, in_ledger: int) -> list[str]:
    """Why a plan needs approval; empty when it does not.

    The share is of users already in the ledger, so that a first run is held by `max_objects` alone.
    """
    reasons = []
    if limits.max_objects is not None and objects > limits.max_objects:
        reasons.append(f"{objects:,} objects, more than max_objects {limits.max_objects:,}")
    if limits.max_changed_share is not None and in_ledger:
        share = changed / in_ledger
        if share > limits.max_changed_share:
            reasons.append(
                f"{share:.1%} of the {in_ledger:,} users in the ledger would change, more than "
                f"max_changed_share {limits.max_changed_share:.1%}"
            )
    return reasons


def masked_user(key: tuple[str, ...]) -> str:
    """A user's key as a short hash: examples can be distinguished, people cannot."""
    return "user " + hashlib.sha256("\x1f".join(key).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def masked_value(value: JsonValue) -> str:
    """A value for display: numbers and booleans as they are, text by its first letter and its length."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float, Decimal)):
        return encode(value)
    if isinstance(value, str):
        return f"{value[:1]}… ({len(value)} characters)" if value else "empty text"
    return f"{'array' if isinstance(value, list) else 'object'} of {len(value)}"


_CHANGE_WORDS: dict[str, str] = {Action.NEW: "new", Action.CHANGED: "changed", Action.CLEARED: "cleared"}


class PlanTotals:
    """Adds up decisions into a `Plan`, in any order, holding nothing per user."""

    def __init__(self, sync: Sync, specs: Sequence[AttributeSpec], limits: RequestLimits) -> None:
        self._sync = sync
        self._specs = specs
        self._limits = limits
        self._packers = {kind: Packer[None](limits) for kind in ("values", "operations")}
        #: The sum of the objects' hashes: the warehouse hands out rows in no order, the id must not depend on it.
        self._hash = 0
        self._counts = {spec.name: AttributeCounts() for spec in specs}
        self._reasons: dict[str, int] = {}
        self._examples: list[tuple[str, int, Example]] = []
        self._users = self._objects = self._requests = self._bytes = self._changed_known = (
            self._data_points
        ) = 0

    def add(self, key: tuple[str, ...], decision: RowDecision, *, known: bool) -> None:
        """Count one user's decision."""
        actions = decision.actions
        for position, acknowledged, value in decision.changes:
            counts = self._counts[self._specs[position].name]
            if actions[position] == Action.CLEARED:
                counts.cleared += 1
            elif actions[position] == Action.NEW or (
                actions[position] == Action.OPERATOR and acknowledged is None
            ):
                counts.new += 1
            else:
                counts.changed += 1
            self._data_points += data_points(self._specs[position], value, acknowledged)
        for position, reason, _, refused in decision.rejections:
            if refused == "part":
                self._counts[self._specs[position].name].trimmed += 1
            else:
                self._counts[self._specs[position].name].rejected += 1
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
        if Action.KNOWN_REJECTED in actions:
            for position, action in enumerate(actions):
                self._counts[self._specs[position].name].known_rejected += action == Action.KNOWN_REJECTED
        if not decision.changes:
            return
        self._changed_known += known
        self._users += 1
        for kind, encoded in (("values", decision.encoded), ("operations", decision.encoded_operations)):
            if encoded is not None:
                self._hash += int.from_bytes(hashlib.sha256(encoded).digest(), "big")
                self._objects += 1
                self._count(self._packers[kind].add(None, len(encoded)))
        self._keep_example(key, decision)

    def _count(self, requests: Sequence[Packed[None]]) -> None:
        self._requests += len(requests)
        self._bytes += sum(request.bytes for request in requests)

    def _keep_example(self, key: tuple[str, ...], decision: RowDecision) -> None:
        """Keep the examples of the users whose masks come first, so that one plan has one set of examples."""
        user = masked_user(key)
        if len(self._examples) >= EXAMPLES and user > self._examples[-1][0]:
            return
        for position, acknowledged, value in decision.changes:
            word = _CHANGE_WORDS.get(decision.actions[position], "changed")
            if decision.actions[position] == Action.OPERATOR:
                word = f"by {self._specs[position].operator}"
            example = Example(
                self._specs[position].name, user, word, masked_value(acknowledged), masked_value(value)
            )
            self._examples.append((user, position, example))
        self._examples.sort(key=lambda entry: entry[:2])
        del self._examples[EXAMPLES:]

    def finish(
        self, *, users: int, users_in_ledger: int, without_identifier: int, present: Mapping[str, int]
    ) -> Plan:
        """The plan; `present` counts per attribute the users whose value in the model is not null."""
        for packer in self._packers.values():
            self._count(packer.finish())
        for name, counts in self._counts.items():
            valued = counts.new + counts.changed + counts.rejected + counts.known_rejected
            counts.unchanged = max(0, present[name] - valued)
        return Plan(
            sync=self._sync.name,
            plan_id=hashlib.sha256(
                f"{self._sync.name}\n{self._sync.transport}\n{self._hash}".encode()
            ).hexdigest()[:16],
            attributes=self._counts,
            users=users,
            users_in_ledger=users_in_ledger,
            users_changed=self._changed_known,
            users_sent=self._users,
            objects=self._objects,
            requests=self._requests,
            bytes=self._bytes,
            minutes=self._limits.minutes(self._requests),
            data_points=self._data_points,
            without_identifier=without_identifier,
            reasons=self._reasons,
            examples=[example for _, _, example in self._examples],
            limit_violations=limit_violations(
                self._sync.limits,
                objects=self._objects,
                changed=self._changed_known,
                in_ledger=users_in_ledger,
            ),
        )
