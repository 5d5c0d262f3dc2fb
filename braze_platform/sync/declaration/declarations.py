"""Sync declarations, read from the dbt manifest; every mistake is reported at once, with its remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, cast

import phonenumbers

from braze_platform.sync.declaration.attribute_names import name_mistakes
from braze_platform.sync.declaration.rejection_limit import DEFAULT_MAX_REJECTED_SHARE
from braze_platform.sync.declaration.sync import (
    ATTRIBUTE_TYPES,
    DISAPPEARANCE_POLICIES,
    IDENTIFIER_KINDS,
    NEVER_CLEARED,
    NULL_POLICIES,
    OPERATORS,
    OWNERS,
    PRIORITIES,
    PROFILE_FIELDS,
    TRANSPORTS,
    AttributeSpec,
    AttributeType,
    DisappearancePolicy,
    Identifier,
    IdentifierKind,
    NullPolicy,
    Operator,
    Owner,
    PlanLimits,
    Priority,
    Sync,
    Transport,
)
from braze_platform.warehouse.dataset_names import logical_schema

REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)

_SYNC_KEYS = (
    "transport",
    "identifier",
    "existing_only",
    "when_row_disappears",
    "limits",
    "owner",
    "priority",
    "formerly",
)
_LIMIT_KEYS = (
    "max_changed_share",
    "max_objects",
    "max_cleared_share",
    "max_rejected_share",
    "max_lookups",
    "max_row_fall",
    "max_first_users",
    "max_renamed_users",
    "fresh",
)
_ATTRIBUTE_KEYS = (
    "type",
    "nulls",
    "name",
    "profile_field",
    "region",
    "operator",
    "identifier_key",
    "owner",
    "unordered",
    "decimals",
)
#: More places than a BIGNUMERIC has after its point make no sense.
_MAX_DECIMALS = 38


class DeclarationError(ValueError):
    """One or more sync declarations are wrong; `mistakes` holds one line each, with file, model, column."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        super().__init__(
            f"{count} mistake{'s' if count > 1 else ''} in the sync declarations:\n"
            + "\n".join(f"- {mistake}" for mistake in self.mistakes)
        )


def read_syncs(manifest: Mapping[str, Any]) -> tuple[Sync, ...]:
    """The syncs that a dbt manifest declares, by name.

    A sync is a model with `config.meta.braze_sync`; its attributes are the columns with
    `config.meta.braze_attribute`. Raises `DeclarationError` listing every mistake found.
    """
    mistakes: list[str] = []
    syncs: list[Sync] = []
    former_names = _FormerNames(manifest)
    writers: dict[str, str] = {}
    for node in sorted(manifest.get("nodes", {}).values(), key=lambda node: str(node.get("name"))):
        if node.get("resource_type") != "model":
            continue
        reader = _ModelReader(node, mistakes)
        sync = reader.read()
        mistakes += former_names.mistakes(reader.model, reader.formerly, reader.file)
        for attribute, place in ((name.lower(), place) for name, place in reader.attribute_places):
            if attribute in writers:
                mistakes.append(
                    f"{place}: the attribute {attribute!r} is already written by {writers[attribute]}. "
                    "One attribute has one writer: remove one of the two, or give one another `name`."
                )
            else:
                writers[attribute] = place
        if sync is not None:
            syncs.append(sync)
    if mistakes:
        raise DeclarationError(mistakes)
    return tuple(syncs)


class _FormerNames:
    """The names that syncs had before, each of which is claimed by one sync and is no sync any more."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._present = {
            str(node["name"]).lower()
            for node in manifest.get("nodes", {}).values()
            if node.get("resource_type") == "model" and "braze_sync" in _meta(node)
        }
        self._claimed: dict[str, str] = {}

    def mistakes(self, model: str, formerly: str, file: str) -> Iterator[str]:
        """What is wrong with one sync's former name; nothing when it has none."""
        if not formerly:
            return
        place = f"{file}, model {model}"
        if formerly.lower() in self._present:
            yield (
                f"{place}: `formerly` is {formerly!r}, which is a sync still, so that its ledger cannot follow this "
                "one. Remove `formerly`, or the `braze_sync` of that model."
            )
        other = self._claimed.setdefault(formerly.lower(), place)
        if other != place:
            yield (
                f"{place}: `formerly` is {formerly!r}, which {other} names too; one ledger follows one sync. Remove "
                "one of the two."
            )


class _ModelReader:
    """Reads one model of the manifest and appends what is wrong in it to `mistakes`."""

    def __init__(self, node: Mapping[str, Any], mistakes: list[str]) -> None:
        self.node = node
        self.mistakes = mistakes
        self.model = str(node["name"])
        self.file = _yaml_file(node)
        self.attribute_places: list[tuple[str, str]] = []
        self.owner = "shared"
        self.formerly = ""

    def read(self) -> Sync | None:
        declared = _meta(self.node).get("braze_sync")
        columns: Mapping[str, Mapping[str, Any]] = self.node.get("columns") or {}
        marked = {
            str(column["name"]): _meta(column)["braze_attribute"]
            for column in columns.values()
            if "braze_attribute" in _meta(column)
        }
        if declared is None:
            for column in marked:
                self._wrong(
                    "has `braze_attribute`, but its model is no sync. Add `config.meta.braze_sync` to the "
                    "model, or remove `braze_attribute`.",
                    column,
                )
            return None
        before = len(self.mistakes)
        if not self._is_mapping(declared, "`braze_sync`"):
            return None
        self._check_keys(declared, _SYNC_KEYS, "`braze_sync`")
        transport = self._one_of(declared.get("transport", "track"), TRANSPORTS, "`transport`")
        disappears = self._one_of(
            declared.get("when_row_disappears", "keep"), DISAPPEARANCE_POLICIES, "`when_row_disappears`"
        )
        existing_only = declared.get("existing_only", True)
        if not isinstance(existing_only, bool):
            self._wrong(f"`existing_only` is {existing_only!r}; write true or false.")
        identifier = self._identifier(declared.get("identifier"), columns)
        limits = self._limits(declared.get("limits") or {}, columns)
        self.owner = self._one_of(declared.get("owner", "shared"), OWNERS, "`owner`") or "shared"
        priority = self._one_of(declared.get("priority", "normal"), PRIORITIES, "`priority`")
        self.formerly = self._former_name(declared.get("formerly"))
        if not marked:
            self._wrong(
                "declares a sync without attributes. Add `config: {meta: {braze_attribute: {type: ...}}}` to "
                "the columns that are to be sent."
            )
        attributes = [self._attribute(column, value, columns[column]) for column, value in marked.items()]
        for spec in attributes:
            if spec is not None and spec.operator and transport == "cdi":
                self._wrong(
                    f"has `operator: {spec.operator}` and its sync `transport: cdi`: Braze does not say which "
                    "rows of a job failed, and an operator is never sent twice. Use `track` or `bulk`.",
                    spec.column,
                )
        for column in marked:
            if identifier is not None and column in identifier.columns:
                self._wrong("is the identifier and cannot be an attribute too.", column)
        for spec in attributes:
            if spec is not None and identifier is not None and spec.name == identifier.kind:
                self._wrong(
                    f"writes {spec.name!r}, by which this sync finds its users; a sync cannot change its identifier.",
                    spec.column,
                )
            elif spec is not None and spec.name == "email" and getattr(identifier, "kind", "") == "phone":
                self._wrong(
                    "writes 'email' to users found by phone: of an object with both, Braze takes the e-mail address "
                    "for the identifier. Find the users by another identifier.",
                    spec.column,
                )
        if len(self.mistakes) > before or identifier is None:
            return None
        fqn = [str(part) for part in self.node.get("fqn") or ()]
        return Sync(
            name=self.model,
            schema=logical_schema(self.node),
            table=str(self.node.get("alias") or self.model),
            file=self.file,
            folder=fqn[-2] if len(fqn) > 2 else "attributes",
            transport=cast(Transport, transport),
            identifier=identifier,
            attributes=tuple(spec for spec in attributes if spec is not None),
            existing_only=existing_only,
            when_row_disappears=cast(DisappearancePolicy, disappears),
            limits=limits,
            description=str(self.node.get("description") or ""),
            priority=cast(Priority, priority),
            formerly=self.formerly,
        )

    def _former_name(self, formerly: object) -> str:
        if formerly is None:
            return ""
        if not isinstance(formerly, str) or not re.fullmatch(r"\w+", formerly):
            self._wrong(f"`formerly` is {formerly!r}; write the name that this model had before.")
            return ""
        return formerly

    def _attribute(self, column: str, declared: object, described: Mapping[str, Any]) -> AttributeSpec | None:
        if not self._is_mapping(declared, "`braze_attribute`", column):
            return None
        values = cast("Mapping[str, Any]", declared)
        self._check_keys(values, _ATTRIBUTE_KEYS, "`braze_attribute`", column)
        nulls = self._one_of(values.get("nulls", "clear"), NULL_POLICIES, "`nulls`", column)
        if "profile_field" in values:
            name, kind = self._profile_field(values, column)
        else:
            name, kind = self._custom_attribute(values, column)
        if name is None:
            return None
        self.attribute_places.append((name, self._place(column)))
        region = values.get("region", "")
        if region:
            self._check_region(region, kind, column)
        return AttributeSpec(
            name=name,
            type=cast(AttributeType, kind),
            nulls=cast(NullPolicy, nulls),
            column=column,
            description=str(described.get("description") or ""),
            region=str(region),
            operator=cast("Operator | Literal['']", self._operator(values, kind, nulls, column)),
            identifier_key=str(values.get("identifier_key", "")),
            owner=cast(Owner, self._one_of(values.get("owner", self.owner), OWNERS, "`owner`", column)),
            unordered=self._unordered(values, kind, column),
            decimals=self._decimals(values, kind, column),
        )

    def _unordered(self, values: Mapping[str, Any], kind: object, column: str) -> bool:
        unordered = values.get("unordered", False)
        if not isinstance(unordered, bool):
            self._wrong(f"`unordered` is {unordered!r}; write true or false.", column)
            return False
        if unordered and kind != "array":
            self._wrong("has `unordered`, which only an attribute of `type: array` takes.", column)
        return bool(unordered)

    def _decimals(self, values: Mapping[str, Any], kind: object, column: str) -> int | None:
        decimals = values.get("decimals")
        if decimals is None:
            return None
        if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= _MAX_DECIMALS:
            self._wrong(
                f"`decimals` is {decimals!r}; write a whole number from 0 to {_MAX_DECIMALS}.", column
            )
            return None
        if kind != "number":
            self._wrong("has `decimals`, which only an attribute of `type: number` takes.", column)
        return int(decimals)

    def _operator(self, values: Mapping[str, Any], kind: object, nulls: object, column: str) -> object:
        """`operator: inc`, with the type that it changes, and `nulls: skip`: a null would clear what others wrote."""
        operator = values.get("operator", "")
        if not operator:
            if "identifier_key" in values:
                self._wrong("has `identifier_key`, which only `operator: objects` takes.", column)
            return ""
        if self._one_of(operator, tuple(OPERATORS), "`operator`", column) is None:
            return ""
        if kind != OPERATORS[operator]:
            self._wrong(
                f"`operator: {operator}` changes an attribute of `type: {OPERATORS[operator]}`.", column
            )
        if nulls != "skip":
            self._wrong(
                f"has `operator: {operator}`; write `nulls: skip`, since a null would clear what others wrote, too.",
                column,
            )
        key = values.get("identifier_key")
        if (operator == "objects") is not (isinstance(key, str) and bool(key)):
            self._wrong(
                "`operator: objects` needs `identifier_key`: the key by which its objects are told apart."
                if operator == "objects"
                else f"has `identifier_key`, which `operator: {operator}` does not take.",
                column,
            )
        return operator

    def _custom_attribute(self, values: Mapping[str, Any], column: str) -> tuple[str | None, object]:
        if "type" not in values:
            self._wrong(
                f"has no `type`; use one of {', '.join(ATTRIBUTE_TYPES)}, or name a profile field of Braze by "
                "`profile_field`.",
                column,
            )
        else:
            self._one_of(values["type"], ATTRIBUTE_TYPES, "`type`", column)
        name = values.get("name", column)
        if not isinstance(name, str) or not name:
            self._wrong(f"`name` is {name!r}; write the attribute's name as text.", column)
            return None, None
        self._check_name(name, column)
        return name, values.get("type")

    def _profile_field(self, values: Mapping[str, Any], column: str) -> tuple[str | None, object]:
        """A field of the profile: Braze gives its name and its type."""
        name = self._one_of(values["profile_field"], tuple(PROFILE_FIELDS), "`profile_field`", column)
        for key in ("type", "name"):
            if key in values:
                self._wrong(f"has `profile_field` and `{key}`; Braze gives the field its {key}.", column)
        if name in NEVER_CLEARED and values.get("nulls") != "skip":
            self._wrong(
                f"the profile field {name!r} cannot be emptied in Braze; write `nulls: skip`.", column
            )
        return name, PROFILE_FIELDS.get(str(name))

    def _check_region(self, region: object, kind: object, column: str | None = None) -> None:
        if kind != "phone":
            self._wrong(
                "has `region`, which only the profile field `phone` and the identifier `phone` take.", column
            )
        elif region not in REGIONS:
            self._wrong(
                f"`region` is {region!r}; write a country's two letters (ISO 3166-1), e.g. DE.", column
            )

    def _check_name(self, name: str, column: str) -> None:
        for mistake in name_mistakes(name):
            self._wrong(mistake, column)

    def _identifier(self, declared: object, columns: Mapping[str, Mapping[str, Any]]) -> Identifier | None:
        """`external_id`, `{braze_id: x}`, `{phone: x, region: DE}`, `{user_alias: {name: x, label: y}}`: columns."""
        region: object = ""
        if declared is None:
            self._wrong(
                "has no `identifier`. Name the column that holds the user: `identifier: external_id`."
            )
            return None
        if isinstance(declared, str):
            kind = declared if declared in IDENTIFIER_KINDS and declared != "user_alias" else "external_id"
            names: tuple[object, ...] = (declared,)
        elif isinstance(declared, Mapping) and len(set(declared) - {"region"}) == 1:
            kind, value = next(item for item in declared.items() if item[0] != "region")
            if self._one_of(kind, IDENTIFIER_KINDS, "`identifier`") is None:
                return None
            if kind == "user_alias":
                if not isinstance(value, Mapping) or set(value) != {"name", "label"}:
                    self._wrong("`user_alias` needs `{name: <column>, label: <column>}`.")
                    return None
                names = (value["name"], value["label"])
            else:
                names = (value,)
            region = declared.get("region", "")
            if region:
                self._check_region(region, kind)
        else:
            self._wrong(
                f"`identifier` is {declared!r}; write a column, or one of {', '.join(IDENTIFIER_KINDS)} "
                "with its column."
            )
            return None
        known = {str(column["name"]) for column in columns.values()}
        for name in names:
            if not isinstance(name, str) or name not in known:
                self._wrong(
                    f"the identifier column {name!r} is not among the model's columns"
                    f"{_did_you_mean(str(name), known)}. Describe the column in the YAML file, or correct "
                    "`identifier`."
                )
                return None
        return Identifier(cast(IdentifierKind, kind), tuple(str(name) for name in names), str(region))

    def _limits(self, declared: object, columns: Mapping[str, Mapping[str, Any]]) -> PlanLimits:
        if not self._is_mapping(declared, "`limits`"):
            return PlanLimits()
        values = cast("Mapping[str, Any]", declared)
        self._check_keys(values, _LIMIT_KEYS, "`limits`")
        rejected = self._share(values, "max_rejected_share")
        lookups = self._count(values, "max_lookups")
        column, hours = self._freshness(values.get("fresh"), columns)
        return PlanLimits(
            max_changed_share=self._share(values, "max_changed_share"),
            max_objects=self._count(values, "max_objects"),
            max_cleared_share=self._share(values, "max_cleared_share"),
            max_rejected_share=DEFAULT_MAX_REJECTED_SHARE if rejected is None else rejected,
            max_lookups=PlanLimits.max_lookups if lookups is None else lookups,
            max_row_fall=self._share(values, "max_row_fall"),
            fresh_column=column,
            max_age_hours=hours,
            max_first_users=self._count(values, "max_first_users"),
            max_renamed_users=self._count(values, "max_renamed_users") or 0,
        )

    def _count(self, values: Mapping[str, Any], name: str) -> int | None:
        count = values.get(name)
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            self._wrong(f"`{name}` is {count!r}; write a whole number.")
            return None
        return count

    def _share(self, values: Mapping[str, Any], name: str) -> float | None:
        share = values.get(name)
        if share is None:
            return None
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            self._wrong(f"`{name}` is {share!r}; write a number from 0 to 1.")
            return None
        return float(share)

    def _freshness(self, declared: object, columns: Mapping[str, Mapping[str, Any]]) -> tuple[str, float]:
        """`fresh: {column: loaded_at, max_hours: 24}`: how old the newest value of a column may be."""
        if declared is None:
            return "", 0.0
        known = {str(column["name"]) for column in columns.values()}
        if not isinstance(declared, Mapping) or set(declared) != {"column", "max_hours"}:
            self._wrong("`fresh` needs `{column: <column with a time>, max_hours: <number>}`.")
            return "", 0.0
        column, hours = declared["column"], declared["max_hours"]
        if column not in known:
            self._wrong(
                f"the column {column!r} of `fresh` is not among the model's columns"
                f"{_did_you_mean(str(column), known)}. Describe it in the YAML file, or correct `fresh`."
            )
        if isinstance(hours, bool) or not isinstance(hours, (int, float)) or hours <= 0:
            self._wrong(f"`max_hours` of `fresh` is {hours!r}; write a number above 0.")
            return "", 0.0
        return str(column), float(hours)

    def _place(self, column: str | None = None) -> str:
        place = f"{self.file}, model {self.model}"
        return f"{place}, column {column}" if column else place

    def _wrong(self, what: str, column: str | None = None) -> None:
        self.mistakes.append(f"{self._place(column)}: {what}")

    def _is_mapping(self, value: object, what: str, column: str | None = None) -> bool:
        if isinstance(value, Mapping):
            return True
        self._wrong(f"{what} is {value!r}; write a mapping of settings.", column)
        return False

    def _check_keys(
        self, values: Mapping[str, Any], known: tuple[str, ...], what: str, column: str | None = None
    ) -> None:
        for key in values:
            if key not in known:
                self._wrong(
                    f"{what} has the unknown key {key!r}{_did_you_mean(str(key), known)}. "
                    f"Known keys: {', '.join(known)}.",
                    column,
                )

    def _one_of(
        self, value: object, known: tuple[str, ...], what: str, column: str | None = None
    ) -> str | None:
        if isinstance(value, str) and value in known:
            return value
        self._wrong(
            f"{what} is {value!r}{_did_you_mean(str(value), known)}; use one of {', '.join(known)}.", column
        )
        return None


def _meta(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config.meta` of a model or column, before the older `meta` beside it."""
    merged = dict(described.get("meta") or {})
    merged.update((described.get("config") or {}).get("meta") or {})
    return merged


def _yaml_file(node: Mapping[str, Any]) -> str:
    patch = str(node.get("patch_path") or "")
    return patch.partition("://")[2] or patch or str(node.get("original_file_path") or "unknown file")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
