"""Says what pydantic found in a declaration: what is wrong and what to write, in the words of the declaration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import ValidationError

from braze_platform.sync.declaration.models import (
    AliasColumns,
    Declared,
    Fresh,
    IdentifierColumns,
    Limits,
    Mistake,
    did_you_mean,
)

#: The mappings inside a declaration, by their keys.
_MAPPINGS: dict[str, type[Declared]] = {
    "identifier": IdentifierColumns,
    "user_alias": AliasColumns,
    "limits": Limits,
    "fresh": Fresh,
}


def sentences(errors: ValidationError, model: type[Declared], what: str) -> Iterator[str]:
    """One sentence per mistake; `what` is the key of the whole declaration, `model` its model."""
    for error in errors.errors(include_url=False):
        *parents, key = (what, *map(str, error["loc"]))
        value = error["input"]
        kind, context = error["type"], error.get("ctx", {})
        if kind in ("extra_forbidden", "invalid_key"):
            parent = parents[-1]
            known = tuple(_MAPPINGS.get(parent, model).model_fields)
            name = key if kind == "extra_forbidden" else re.sub(r"^'(.*)'$", r"\1", key)
            yield (
                f"`{parent}` has the unknown key {name!r}{did_you_mean(name, known)}. Known keys: {', '.join(known)}."
            )
        elif kind == "missing" and key == "identifier":
            yield "has no `identifier`. Name the column that holds the user: `identifier: external_id`."
        elif kind == "missing":
            fields = _MAPPINGS[parents[-1]].model_fields
            yield f"`{parents[-1]}` has no `{key}`: {(fields[key].description or '').lower()}"
        elif kind == "literal_error":
            known = tuple(re.findall(r"'([^']*)'", context["expected"]))
            yield f"`{key}` is {value!r}{did_you_mean(value, known)}; use one of {', '.join(known)}."
        elif kind == "bool_type":
            yield f"`{key}` is {value!r}; write true or false."
        elif kind in ("model_type", "model_attributes_type"):
            keys = ", ".join(_MAPPINGS.get(key, model).model_fields)
            yield f"`{key}` is {value!r}; write a mapping of settings: {keys}."
        elif isinstance(context.get("error"), Mistake):
            yield from context["error"].args
        else:
            yield f"`{key}` is {value!r}; {context.get('error', error['msg'])}."
