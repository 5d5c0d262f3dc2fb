"""What to do about a sync that the loaded definitions do not know. Reads the dbt project's files, changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

#: How definitions come to know a changed project.
RELOAD = (
    "reload the definitions in the UI (Deployment > Reload definitions), or start `braze-platform dev` when it is not "
    "running"
)


def why_unknown(name: str, declared: Sequence[str], project_dir: Path) -> str:
    """Why there is no sync of this name among those that the definitions declare, and what to do."""
    models = project_dir / "models"
    sql = next(iter(sorted(models.rglob(f"{name}.sql"))), None)
    found, unreadable = None, []
    for path in sorted((*models.rglob("*.yml"), *models.rglob("*.yaml"))):
        try:
            described = [model for model in _models_in(path) if model.get("name") == name]
        except yaml.YAMLError as error:
            unreadable.append(
                f"{_relative(path, project_dir)} is invalid YAML ({_location(error)}); correct it."
            )
            continue
        if described:
            found = (path, described[0])
            break
    if found is not None:
        path, model = found
        file = _relative(path, project_dir)
        if not _declares_sync(model):
            return f"The model {name} ({file}) does not declare a sync: add `config.meta.braze_sync` to it there."
        if sql is None:
            return f"{file} declares the sync {name}, but there is no SQL for it: add {path.parent.name}/{name}.sql."
        return (
            f"The sync {name} is declared in {file}, and the loaded definitions do not know it yet: {RELOAD}. "
            "Automation then builds its model; after that run this command again."
        )
    if sql is not None:
        message = (
            f"The model {_relative(sql, project_dir)} does not declare a sync: describe it in a YAML file beside it, "
            "with `config.meta.braze_sync`."
        )
    else:
        near = difflib.get_close_matches(name, declared, n=1)
        message = (
            f"There is no sync {name!r}{f' (did you mean {near[0]}?)' if near else ''}. Declared syncs: "
            f"{', '.join(declared) or 'none'}."
        )
    return " ".join([message, *unreadable])


def _models_in(path: Path) -> Iterator[Mapping[str, Any]]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    models = content.get("models") if isinstance(content, dict) else None
    yield from (model for model in models or () if isinstance(model, dict))


def _declares_sync(model: Mapping[str, Any]) -> bool:
    for holder in (model.get("config"), model):
        meta = holder.get("meta") if isinstance(holder, dict) else None
        if isinstance(meta, dict) and "braze_sync" in meta:
            return True
    return False


def _relative(path: Path, project_dir: Path) -> str:
    return f"{project_dir.name}/{path.relative_to(project_dir).as_posix()}"


def _location(error: yaml.YAMLError) -> str:
    """Line and column alone: the parser's own message quotes the file."""
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "unreadable"
