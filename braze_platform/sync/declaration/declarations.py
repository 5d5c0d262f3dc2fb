"""Sync declarations, read from the dbt manifest; every mistake is reported at once, with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from braze_platform.sync.declaration.messages import sentences
from braze_platform.sync.declaration.models import BrazeAttribute, BrazeSync, Declared, Limits, Surroundings
from braze_platform.sync.declaration.sync import AttributeSpec, Sync
from braze_platform.warehouse.dataset_names import logical_schema

_Model = TypeVar("_Model", bound=Declared)


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
        for attribute, location in (
            (name.lower(), location) for name, location in reader.attribute_locations
        ):
            if attribute in writers:
                mistakes.append(
                    f"{location}: the attribute {attribute!r} is already written by {writers[attribute]}. "
                    "One attribute has one writer: remove one of the two, or give one another `name`."
                )
            else:
                writers[attribute] = location
        if sync is not None:
            syncs.append(sync)
    if mistakes:
        raise DeclarationError(mistakes)
    return tuple(syncs)


class _FormerNames:
    """The names that syncs had before, each of which is claimed by one sync and is not a sync any more."""

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
        location = f"{file}, model {model}"
        if formerly.lower() in self._present:
            yield (
                f"{location}: `formerly` is {formerly!r}, which is a sync still, so that its ledger cannot follow this "
                "one. Remove `formerly`, or the `braze_sync` of that model."
            )
        other = self._claimed.setdefault(formerly.lower(), location)
        if other != location:
            yield (
                f"{location}: `formerly` is {formerly!r}, which {other} names too; one ledger follows one sync. Remove "
                "one of the two."
            )


class _ModelReader:
    """Reads one model of the manifest and appends what is wrong in it to `mistakes`."""

    def __init__(self, node: Mapping[str, Any], mistakes: list[str]) -> None:
        self.node = node
        self.mistakes = mistakes
        self.model = str(node["name"])
        self.file = _yaml_file(node)
        self.attribute_locations: list[tuple[str, str]] = []
        columns: Iterable[Mapping[str, Any]] = (node.get("columns") or {}).values()
        self.columns = {str(column["name"]): column for column in columns}
        self.surroundings = Surroundings(frozenset(self.columns))

    @property
    def formerly(self) -> str:
        """The name that the sync had before; empty where it had none."""
        return self.surroundings.read.get("formerly") or ""

    def read(self) -> Sync | None:
        """The sync that the model declares; None where it declares none, or a wrong one."""
        marked = {
            name: _meta(column)["braze_attribute"]
            for name, column in self.columns.items()
            if "braze_attribute" in _meta(column)
        }
        declared = _meta(self.node).get("braze_sync")
        if declared is None:
            for column in marked:
                self._wrong(
                    "has `braze_attribute`, but its model does not declare a sync. Add `config.meta.braze_sync` to "
                    "the model, or remove `braze_attribute`.",
                    column,
                )
            return None
        before = len(self.mistakes)
        sync = self._validated(BrazeSync, "braze_sync", declared)
        if not isinstance(declared, Mapping):
            return None
        if not marked:
            self._wrong(
                "declares a sync without attributes. Add `config: {meta: {braze_attribute: {type: ...}}}` to "
                "the columns that are to be sent."
            )
        found = [self._attribute(column, value) for column, value in marked.items()]
        attributes = tuple(spec for spec in found if spec is not None)
        self._check_together(attributes, marked)
        if sync is None or len(self.mistakes) > before:
            return None
        fqn = [str(part) for part in self.node.get("fqn") or ()]
        return Sync(
            name=self.model,
            schema=logical_schema(self.node),
            table=str(self.node.get("alias") or self.model),
            file=self.file,
            folder=fqn[-2] if len(fqn) > 2 else "attributes",
            transport=sync.transport,
            identifier=sync.identifier.identifier(),
            attributes=attributes,
            existing_only=sync.existing_only,
            when_row_disappears=sync.when_row_disappears,
            limits=(sync.limits or Limits()).plan_limits(),
            description=str(self.node.get("description") or ""),
            priority=sync.priority,
            formerly=self.formerly,
        )

    def _attribute(self, column: str, declared: object) -> AttributeSpec | None:
        if isinstance(declared, Mapping):
            name = declared.get("profile_field", declared.get("name", column))
            if isinstance(name, str) and name:
                self.attribute_locations.append((name, self._place(column)))
            by_default = {} if "profile_field" in declared else {"name": column}
            declared = (
                by_default
                | {"on_conflict": self.surroundings.read.get("on_conflict", "braze_wins")}
                | dict(declared)
            )
        attribute = self._validated(BrazeAttribute, "braze_attribute", declared, column)
        description = str(self.columns[column].get("description") or "")
        return attribute.spec(column, description) if attribute else None

    def _check_together(self, attributes: Iterable[AttributeSpec], marked: Iterable[str]) -> None:
        """Rules across a sync and its attributes, as far as both could be read."""
        read = self.surroundings.read
        identifier = read["identifier"].identifier() if "identifier" in read else None
        for column in marked:
            if identifier is not None and column in identifier.columns:
                self._wrong("is the identifier and cannot be an attribute too.", column)
        for spec in attributes:
            if spec.operator and read.get("transport") == "cdi":
                self._wrong(
                    f"has `operator: {spec.operator}` and its sync `transport: cdi`: Braze does not say which "
                    "rows of a job failed, and an operator is never sent twice. Use `track` or `bulk`.",
                    spec.column,
                )
            if identifier is not None and spec.name == identifier.kind:
                self._wrong(
                    f"writes {spec.name!r}, by which this sync finds its users; a sync cannot change its identifier.",
                    spec.column,
                )
            elif identifier is not None and spec.name == "email" and identifier.kind == "phone":
                self._wrong(
                    "writes 'email' to users found by phone: of an object with both, Braze takes the e-mail address "
                    "for the identifier. Find the users by another identifier.",
                    spec.column,
                )

    def _validated(
        self, model: type[_Model], key: str, declared: object, column: str | None = None
    ) -> _Model | None:
        try:
            return model.model_validate(declared, context=self.surroundings)
        except ValidationError as errors:
            for sentence in sentences(errors, model, key):
                self._wrong(sentence, column)
            return None

    def _place(self, column: str | None = None) -> str:
        location = f"{self.file}, model {self.model}"
        return f"{location}, column {column}" if column else location

    def _wrong(self, what: str, column: str | None = None) -> None:
        self.mistakes.append(f"{self._place(column)}: {what}")


def _meta(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config.meta` of a model or column, before the older `meta` beside it."""
    merged = dict(described.get("meta") or {})
    merged.update((described.get("config") or {}).get("meta") or {})
    return merged


def _yaml_file(node: Mapping[str, Any]) -> str:
    patch = str(node.get("patch_path") or "")
    return patch.partition("://")[2] or patch or str(node.get("original_file_path") or "unknown file")
