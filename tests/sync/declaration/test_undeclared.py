"""What `plan` says of a sync that the loaded definitions do not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_platform.marts.manifest import fingerprint, project_has_changed
from braze_platform.settings import Settings
from braze_platform.sync.declaration.undeclared import why_unknown
from braze_platform.sync.plan_command import command

SYNC = "models:\n  - name: braze_reading\n    config: {meta: {braze_sync: {identifier: external_id}}}\n"
OLD_META = "models:\n  - name: braze_reading\n    meta: {braze_sync: {identifier: external_id}}\n"
NO_SYNC = "models:\n  - {name: braze_reading, description: no sync}\n"


@pytest.mark.parametrize(
    ("yaml_text", "has_sql", "said"),
    [
        (SYNC, True, ["dbt_project/models/attributes/x.yml", "Reload definitions", "do not know it yet"]),
        (OLD_META, True, ["do not know it yet"]),
        (SYNC, False, ["dbt_project/models/attributes/x.yml", "add attributes/braze_reading.sql"]),
        (NO_SYNC, True, ["dbt_project/models/attributes/x.yml", "add `config.meta.braze_sync`"]),
        (None, True, ["dbt_project/models/attributes/braze_reading.sql", "does not declare a sync"]),
        (None, False, ["There is no sync 'braze_reading'", "did you mean braze_readings?", "braze_value"]),
        (
            "models: [",
            False,
            ["There is no sync", "dbt_project/models/attributes/x.yml is invalid YAML (line 1"],
        ),
        ("models: text\n", False, ["There is no sync"]),
        ("- a\n", False, ["There is no sync"]),
    ],
)
def test_the_reason_and_the_remedy_are_said(
    tmp_path: Path, yaml_text: str | None, has_sql: bool, said: list[str]
) -> None:
    folder = tmp_path / "dbt_project" / "models" / "attributes"
    folder.mkdir(parents=True)
    if yaml_text is not None:
        (folder / "x.yml").write_text(yaml_text, encoding="utf-8")
    if has_sql:
        (folder / "braze_reading.sql").write_text("select 1", encoding="utf-8")
    message = why_unknown("braze_reading", ["braze_readings", "braze_value"], tmp_path / "dbt_project")
    for part in said:
        assert part in message


def test_plan_says_it_and_writes_nothing(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    (project / "models").mkdir(parents=True)
    (project / "models" / "reading.yml").write_text(SYNC, encoding="utf-8")
    (project / "models" / "braze_reading.sql").write_text("select 1", encoding="utf-8")
    settings = Settings(state_dir=tmp_path / "state", dbt_project_dir=project)
    settings.dbt_target_dir.mkdir(parents=True)
    (settings.dbt_target_dir / "manifest.json").write_text(json.dumps({"nodes": {}}), encoding="utf-8")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    result = CliRunner().invoke(command, ["braze_reading"], env=settings.as_environment())
    assert result.exit_code == 1
    assert "dbt_project/models/reading.yml" in result.output and "Reload definitions" in result.output
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_project_that_changed_since_is_said_beside_the_plan(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    project.mkdir()
    settings = Settings(state_dir=tmp_path / "state", dbt_project_dir=project)
    settings.dbt_target_dir.mkdir(parents=True)
    stamp = settings.dbt_target_dir / "manifest.fingerprint"
    assert not project_has_changed(settings), "nothing was parsed yet"
    stamp.write_text(fingerprint(settings), encoding="utf-8")
    assert not project_has_changed(settings)
    (settings.dbt_target_dir / "manifest.json").write_text(json.dumps({"nodes": {}}), encoding="utf-8")
    assert "has changed" not in CliRunner().invoke(command, [], env=settings.as_environment()).output
    (project / "reading.yml").write_text(SYNC, encoding="utf-8")
    assert project_has_changed(settings)
