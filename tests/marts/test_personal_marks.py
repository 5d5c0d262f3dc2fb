"""Columns that are named as identifiers are marked as personal, so that policy tags and previews know them."""

from __future__ import annotations

import yaml

from braze_platform.settings import PROJECT_ROOT
from braze_platform.warehouse.personal_names import is_identifier


def test_every_identifier_of_every_model_is_marked() -> None:
    files = sorted((PROJECT_ROOT / "dbt_project" / "models").rglob("*.yml"))
    models = [
        model
        for path in files
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    ]
    columns = [(model["name"], column) for model in models for column in model.get("columns", [])]
    assert len(columns) > 1_000
    assert [
        f"{model}.{column['name']}"
        for model, column in columns
        if is_identifier(column["name"]) and not column.get("config", {}).get("meta", {}).get("personal")
    ] == []
