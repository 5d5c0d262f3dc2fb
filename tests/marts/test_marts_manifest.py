"""Parsing the dbt project: only when needed, for both targets, with dbt's own message when it is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from braze_platform.marts import manifest as module
from braze_platform.marts.dbt_environment import applied
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import DbtProjectError, fingerprint, prepare_manifest, project_files
from braze_platform.marts.rebuild_window import models_of
from braze_platform.settings import Settings, Target


def test_a_fresh_manifest_is_not_parsed_again(build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("dbt was started"))
    path = prepare_manifest(build.settings)
    assert path == build.settings.dbt_target_dir / "manifest.json"
    assert json.loads(path.read_text(encoding="utf-8"))["metadata"]["adapter_type"] == "duckdb"


@pytest.mark.parametrize("damaged", ["manifest.json", "manifest.fingerprint"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00", b'{"nodes": {"a', b"[]", b'{"metadata": {}}', None])
def test_a_manifest_that_is_garbage_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str, content: bytes | None
) -> None:
    settings = Settings(state_dir=tmp_path)
    parsed: list[Settings] = []

    def parse(asked: Settings) -> None:
        parsed.append(asked)
        (asked.dbt_target_dir / "manifest.json").write_text('{"nodes": {}}')

    monkeypatch.setattr(module, "_parse", parse)
    path = prepare_manifest(settings)
    prepare_manifest(settings)
    assert len(parsed) == 1
    broken = path.with_name(damaged)
    broken.unlink() if content is None else broken.write_bytes(content)
    if damaged == "manifest.fingerprint" and content is not None:
        assert module.project_has_changed(settings)
    for _ in range(2):
        assert json.loads(prepare_manifest(settings).read_text()) == {"nodes": {}}
    assert len(parsed) == 2
    assert not module.project_has_changed(settings)


def test_nothing_is_written_into_the_project(build) -> None:
    written = {path.name for path in build.settings.dbt_project_dir.iterdir()}
    assert written.isdisjoint({"target", "logs", ".user.yml"})


@pytest.mark.full
def test_the_bigquery_target_parses_without_credentials(parsed: Callable[[Target], Settings]) -> None:
    settings = parsed("bigquery")
    path = prepare_manifest(settings)
    assert json.loads(path.read_text(encoding="utf-8"))["metadata"]["adapter_type"] == "bigquery"
    assert marts_definitions(settings, path).assets


def test_the_fingerprint_follows_what_matters(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(Settings().dbt_project_dir, project)
    settings = Settings(state_dir=tmp_path / "state", dbt_project_dir=project)
    before = fingerprint(settings)
    assert fingerprint(settings) == before
    (project / "target").mkdir()
    (project / "target" / "compiled.sql").write_text("select 1")
    assert fingerprint(settings) == before
    assert fingerprint(settings.replace(target="bigquery")) != before
    model = project / "models" / "marts" / "dim_campaign.sql"
    model.write_text(model.read_text(encoding="utf-8") + "\n")
    changed = fingerprint(settings)
    assert changed != before
    model.rename(model.with_name("dim_campaigns.sql"))
    assert fingerprint(settings) not in {before, changed}


@pytest.mark.full
def test_a_wrong_project_is_refused_with_dbts_message(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(Settings().dbt_project_dir / "profiles.yml", project)
    (project / "dbt_project.yml").write_text(
        "name: braze_platform\nprofile: braze_platform\nmodel-pathz: 7\nvars: 1\n"
    )
    settings = Settings(state_dir=tmp_path / "state", dbt_project_dir=project)
    with pytest.raises(DbtProjectError, match=r"(?s)for target local:.*vars"):
        prepare_manifest(settings)
    assert not (settings.dbt_target_dir / "manifest.fingerprint").exists()


def test_a_missing_project_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(DbtProjectError, match="BRAZE_PLATFORM_DBT_PROJECT_DIR"):
        prepare_manifest(Settings(state_dir=tmp_path, dbt_project_dir=tmp_path / "nowhere"))


def test_project_files_leave_out_what_dbt_writes() -> None:
    project = Settings().dbt_project_dir
    names = {path.relative_to(project).as_posix() for path in project_files(project)}
    assert {"dbt_project.yml", "profiles.yml", "macros/dialects.sql", "models/sources/currents.yml"} <= names


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("BRAZE_PLATFORM_TARGET", "before")
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)
    with applied({"BRAZE_PLATFORM_TARGET": "during", "DBT_TARGET_PATH": "x"}):
        assert os.environ["BRAZE_PLATFORM_TARGET"] == "during"
        assert os.environ["DBT_TARGET_PATH"] == "x"
    assert os.environ["BRAZE_PLATFORM_TARGET"] == "before"
    assert "DBT_TARGET_PATH" not in os.environ


def test_every_public_mart_is_a_promise_with_a_version(build) -> None:
    marts = [
        node
        for node in build.manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
    ]
    assert len(marts) > 30
    for node in marts:
        assert node["config"]["contract"]["enforced"], node["name"]
        assert node["version"] == node["latest_version"] == 1, node["name"]
        assert node["alias"] == node["name"], "the latest version has the bare name"


@pytest.mark.full
def test_an_older_version_stays_beside_the_latest(tmp_path: Path) -> None:
    """While a mart's columns change, those who read it move over one by one."""
    project = tmp_path / "project"
    shutil.copytree(Settings().dbt_project_dir, project)
    folder = project / "models" / "marts"
    (folder / "mart_retention_v2.sql").write_text((folder / "mart_retention.sql").read_text(encoding="utf-8"))
    declared = (folder / "retention.yml").read_text(encoding="utf-8")
    assert "latest_version: 1\n    versions:\n" in declared
    (folder / "retention.yml").write_text(
        declared.replace(
            "latest_version: 1\n    versions:\n", "latest_version: 2\n    versions:\n      - {v: 2}\n"
        ),
        encoding="utf-8",
    )
    settings = Settings(state_dir=tmp_path / "state", dbt_project_dir=project)
    path = prepare_manifest(settings)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    both = {"mart_retention", "mart_retention_v1"}
    tables = {node["alias"] for node in manifest["nodes"].values() if node["name"] == "mart_retention"}
    assert tables == both
    assert both <= models_of(manifest, {}).keys()
    [assets] = marts_definitions(settings, path).assets or []
    assert isinstance(assets, dg.AssetsDefinition)
    assert {dg.AssetKey(["marts", name]) for name in both} <= assets.keys
