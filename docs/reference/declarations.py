"""The page of what YAML may say of a sync and its attributes, from the models that read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from braze_platform.sync.declaration.models import (
    AliasColumns,
    BrazeAttribute,
    BrazeSync,
    Declared,
    Fresh,
    IdentifierColumns,
    Limits,
)

INTRODUCTION = (
    "What the YAML of dbt models may say under `config: {meta: ...}`: `braze_sync` of a model, `braze_attribute` of a "
    "column. Examples are in [Write a declaration](../how-to/write-a-declaration.md); editors complete these keys "
    "([how](../how-to/complete-yaml-in-your-editor.md)). A mistake (unknown key, missing identifier, two syncs that "
    "write one attribute, reserved name) stops loading with a message that names file, model and column."
)
HEADS = ("key", "value", "default", "means")
_SECTIONS: Sequence[tuple[str, type[Declared]]] = (
    ("`braze_sync`", BrazeSync),
    ("`braze_sync: identifier`", IdentifierColumns),
    ("`braze_sync: identifier: user_alias`", AliasColumns),
    ("`braze_sync: limits`", Limits),
    ("`braze_sync: limits: fresh`", Fresh),
    ("`braze_attribute`", BrazeAttribute),
)


def sections() -> Iterable[tuple[str, str, list[Sequence[str]]]]:
    """Each section's title, what it is of, and a row per key."""
    for title, model in _SECTIONS:
        definitions = model.model_json_schema()["properties"]
        yield (
            title,
            model.__doc__ or "",
            [
                (f"`{name}`", _values(definitions[name]), _default(field), field.description or _of(field))
                for name, field in model.model_fields.items()
            ],
        )


def _of(field: FieldInfo) -> str:
    """What the keys below a key are of, where the key itself says nothing."""
    return next(
        (model.__doc__ or "" for _, model in _SECTIONS if model.__name__ in str(field.annotation)), ""
    )


def _values(schema: dict[str, Any]) -> str:
    """The values of a key: those that there are, or their type."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return " or ".join(dict.fromkeys(_value(kind) for kind in kinds))


def _value(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        return "keys, see below"
    return {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}.get(
        schema.get("type", ""), schema.get("type", "text")
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(needed)"
    default = field.default
    if default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
