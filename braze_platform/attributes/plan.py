"""What a sync would send, decided row by row: pure, without a warehouse."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from braze_platform.attributes.data_points import data_points
from braze_platform.attributes.requests import RequestLimits, RequestSize, body_overhead
from braze_platform.attributes.sync import AttributeSpec, PlanLimits, Sync
from braze_platform.attributes.values import JsonValue, ValueRejected, canonicalise, encode

#: One letter per attribute and user, as the plan's table stores them.
NEW, CHANGED, CLEARED = "n", "c", "x"
FOLLOWS = "f"  #: the source value changed, its canonical form did not: the ledger follows, nothing is sent
REJECTED = "r"  #: the value must not be sent
LEFT_OUT = "p"  #: Braze rejected this very value before
NOTHING = "-"
SENT = frozenset({NEW, CHANGED, CLEARED})

#: `external_id` is at most this long (https://www.braze.com/docs/api/endpoints/user_data/post_user_track).
MAX_IDENTIFIER_BYTES = 987
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
    left_out: int = 0
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
    users_in_ledger: int
    users_changed: int
    objects: int
    requests: int
    bytes: int
    minutes: float
    #: What it costs under contracts that count data points; an estimate.
    data_points: int = 0
    without_identifier: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)

    @property
    def within_limits(self) -> bool:
        """Whether the plan may be applied without a person's approval."""
        return not self.beyond

    def may_apply(self, approved_plan: str | None) -> bool:
        """Within the limits, or approved by the id of this very plan."""
        return self.within_limits or approved_plan == self.plan_id

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-serialisable values."""
        return asdict(self) | {"within_limits": self.within_limits}


class AttributeChange(NamedTuple):
    """What the warehouse knows of one attribute of one user: the input of a decision."""

    differs: bool
    new: object
    acknowledged: object
    resend: bool = False


class RowDecision(NamedTuple):
    """What becomes of one user: one action per attribute, the object to send, and what was refused.

    A rejection is an attribute's position, the reason, the value's hash and what was refused: the whole `value`,
    or a nested `part` of one that is sent without it.
    """

    actions: str
    encoded: bytes | None
    rejections: tuple[tuple[int, str, str, str], ...]
    changes: tuple[tuple[int, JsonValue, JsonValue], ...]


def value_hash(value: object) -> str:
    """A short hash of a value, by which a rejected value is known again without keeping it."""
    return hashlib.sha256(encode(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
    """Decide one user. `changes` is parallel to `specs`; `before` are hashes of values rejected earlier.

    One bad value costs its own attribute only. A user whose key cannot be an identifier is refused whole.
    """
    actions: list[str] = []
    values: dict[str, JsonValue] = {}
    rejections: list[tuple[int, str, str, str]] = []
    sent: list[tuple[int, JsonValue, JsonValue]] = []
    for position, (spec, change) in enumerate(zip(specs, changes, strict=True)):
        if not change.differs:
            actions.append(NOTHING)
            continue
        parts: list[str] = []
        try:
            value = None if gone else canonicalise(change.new, spec, parts)
        except ValueRejected as error:
            actions.append(REJECTED)
            rejections.append((position, error.reason, value_hash(repr(change.new)), "value"))
            continue
        action, acknowledged = _action(spec, value, change, gone=gone)
        if action in SENT and before and before.get(spec.name) == value_hash(value):
            action = LEFT_OUT
        actions.append(action)
        if parts and action not in (NOTHING, LEFT_OUT):
            rejections.append((position, _part_reason(parts), value_hash(parts), "part"))
        if action in SENT:
            values[spec.name] = value
            sent.append((position, acknowledged, value))
    encoded: bytes | None = None
    if values:
        refusal = _identifier_refusal(key)
        if refusal is None:
            encoded = encode(
                {**sync.identifier.fields(key), "_update_existing_only": sync.existing_only, **values}
            ).encode("utf-8")
            if len(encoded) > limits.bytes - _BODY_OVERHEAD:
                refusal = "the object alone is larger than a request may be"
        if refusal is not None:
            for position, _, value in sent:
                actions[position] = REJECTED
                rejections.append((position, refusal, value_hash(value), "value"))
            encoded, sent = None, []
    return RowDecision("".join(actions), encoded, tuple(rejections), tuple(sent))


def _action(
    spec: AttributeSpec, value: JsonValue, change: AttributeChange, *, gone: bool
) -> tuple[str, JsonValue]:
    """The action, and the canonical value that Braze acknowledged."""
    try:
        acknowledged = canonicalise(change.acknowledged, spec)
    except ValueRejected:
        # Acknowledged under an earlier declaration: whatever Braze holds, it is not this value.
        acknowledged = None
        change = AttributeChange(True, change.new, None, resend=True)
    if value is None:
        if spec.nulls == "skip" and not gone:
            return NOTHING, acknowledged
        return (CLEARED if acknowledged is not None or change.resend else NOTHING), acknowledged
    if change.resend:
        return CHANGED, acknowledged
    if acknowledged is None:
        return NEW, None
    return (FOLLOWS if encode(value) == encode(acknowledged) else CHANGED), acknowledged


def _part_reason(parts: Sequence[str]) -> str:
    more = len(parts) - MAX_PARTS_NAMED
    return "sent without " + "; ".join(parts[:MAX_PARTS_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _identifier_refusal(key: tuple[str, ...]) -> str | None:
    if any(not part.strip() for part in key):
        return "the identifier is empty"
    if any(len(part.encode("utf-8", "surrogatepass")) > MAX_IDENTIFIER_BYTES for part in key):
        return f"the identifier is longer than {MAX_IDENTIFIER_BYTES} bytes"
    return None


def beyond_limits(limits: PlanLimits, *, objects: int, changed: int, in_ledger: int) -> list[str]:
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
    """A user's key as a short hash: examples can be told apart, people cannot."""
    return "user " + hashlib.sha256("\x1f".join(key).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def masked_value(value: JsonValue) -> str:
    """A value for display: numbers and booleans as they are, text by its first letter and its length."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float)):
        return encode(value)
    if isinstance(value, str):
        return f"{value[:1]}… ({len(value)} characters)" if value else "empty text"
    return f"{'array' if isinstance(value, list) else 'object'} of {len(value)}"


_CHANGE_WORDS = {NEW: "new", CHANGED: "changed", CLEARED: "cleared"}


class PlanTotals:
    """Adds up decisions into a `Plan`, holding nothing per user."""

    def __init__(self, sync: Sync, specs: Sequence[AttributeSpec], limits: RequestLimits) -> None:
        self._sync = sync
        self._specs = specs
        self._limits = limits
        self._size = RequestSize(limits)
        self._hash = hashlib.sha256(f"{sync.name}\n{sync.transport}\n".encode())
        self._counts = {spec.name: AttributeCounts() for spec in specs}
        self._reasons: dict[str, int] = {}
        self._examples: list[Example] = []
        self._objects = self._requests = self._bytes = self._changed_known = self._data_points = 0

    def add(self, key: tuple[str, ...], decision: RowDecision, *, known: bool) -> None:
        """Count one user's decision."""
        for spec, action in zip(self._specs, decision.actions, strict=True):
            counts = self._counts[spec.name]
            if action == NEW:
                counts.new += 1
            elif action == CHANGED:
                counts.changed += 1
            elif action == CLEARED:
                counts.cleared += 1
            elif action == REJECTED:
                counts.rejected += 1
            elif action == LEFT_OUT:
                counts.left_out += 1
        for position, reason, _, refused in decision.rejections:
            if refused == "part":
                self._counts[self._specs[position].name].trimmed += 1
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
        if decision.encoded is None:
            return
        self._hash.update(decision.encoded + b"\n")
        self._objects += 1
        self._changed_known += known
        size = len(decision.encoded)
        if not self._requests or not self._size.fits(size):
            self._size.restart()
            self._requests += 1
            self._bytes += self._size.bytes
        before = self._size.bytes
        self._size.add(size)
        self._bytes += self._size.bytes - before
        self._data_points += sum(data_points(self._specs[i], value) for i, _, value in decision.changes)
        for position, acknowledged, value in decision.changes:
            if len(self._examples) >= EXAMPLES:
                break
            self._examples.append(
                Example(
                    self._specs[position].name,
                    masked_user(key),
                    _CHANGE_WORDS[decision.actions[position]],
                    masked_value(acknowledged),
                    masked_value(value),
                )
            )

    def finish(
        self, *, users: int, users_in_ledger: int, without_identifier: int, present: Mapping[str, int]
    ) -> Plan:
        """The plan; `present` counts per attribute the users whose value in the model is not null."""
        for name, counts in self._counts.items():
            valued = counts.new + counts.changed + counts.rejected + counts.left_out
            counts.unchanged = max(0, present[name] - valued)
        return Plan(
            sync=self._sync.name,
            plan_id=self._hash.hexdigest()[:16],
            attributes=self._counts,
            users=users,
            users_in_ledger=users_in_ledger,
            users_changed=self._changed_known,
            objects=self._objects,
            requests=self._requests,
            bytes=self._bytes,
            minutes=self._limits.minutes(self._requests),
            data_points=self._data_points,
            without_identifier=without_identifier,
            reasons=self._reasons,
            examples=self._examples,
            beyond=beyond_limits(
                self._sync.limits,
                objects=self._objects,
                changed=self._changed_known,
                in_ledger=users_in_ledger,
            ),
        )
