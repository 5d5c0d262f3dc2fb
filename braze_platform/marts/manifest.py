"""The dbt manifest from which the marts' assets are made: parsed again only when what it depends on changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from braze_platform.marts.dbt_environment import dbt_environment, dbt_executable
from braze_platform.settings import Settings
from braze_platform.state_folder import make_private

_STAMP = "manifest.fingerprint"
_ADAPTERS = {"local": "dbt-duckdb", "bigquery": "dbt-bigquery"}
_SUFFIXES = frozenset({".sql", ".yml", ".yaml", ".md", ".csv"})
_NOT_PROJECT = frozenset({"target", "logs", "dbt_packages"})


class DbtProjectError(RuntimeError):
    """dbt does not accept the project; the message is dbt's own."""


def prepare_manifest(settings: Settings) -> Path:
    """Path of an up-to-date `manifest.json` of the settings' dbt project and target.

    dbt parses (some 8 seconds) when the project's files, the target or dbt itself changed since the last time, or what
    is kept is damaged; else this takes milliseconds. Everything is written to `settings.dbt_target_dir`. Processes that
    start together wait for one parse. Raises `DbtProjectError` when the project is wrong or missing.
    """
    if not (settings.dbt_project_dir / "dbt_project.yml").is_file():
        raise DbtProjectError(
            f"There is no dbt project at {settings.dbt_project_dir}. Set BRAZE_PLATFORM_DBT_PROJECT_DIR to the "
            "folder that holds dbt_project.yml."
        )
    folder = settings.dbt_target_dir
    make_private(settings.state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    manifest, stamp = folder / "manifest.json", folder / _STAMP
    with FileLock(folder / "manifest.lock"):
        wanted = fingerprint(settings)
        if _stamped(stamp) != wanted or kept_manifest(settings) is None:
            stamp.unlink(missing_ok=True)
            _parse(settings)
            stamp.write_text(wanted, encoding="utf-8")
    return manifest


def project_has_changed(settings: Settings) -> bool:
    """Whether the project is another than the one that was parsed last; False before the first. Writes nothing."""
    stamped = _stamped(settings.dbt_target_dir / _STAMP)
    return stamped is not None and stamped != fingerprint(settings)


def kept_manifest(settings: Settings) -> dict[str, Any] | None:
    """The manifest of the last time, whether it is up to date or not; None where there is none that can be read."""
    try:
        read = json.loads((settings.dbt_target_dir / "manifest.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return read if isinstance(read, dict) and isinstance(read.get("nodes"), dict) else None


def _stamped(stamp: Path) -> str | None:
    """The fingerprint of what was parsed last; None before the first."""
    return stamp.read_text(encoding="utf-8", errors="replace") if stamp.is_file() else None


def fingerprint(settings: Settings) -> str:
    """A hash of all that the manifest depends on: the project's files, the target and paths, the versions of dbt."""
    digest = hashlib.sha256()
    for package in ("dbt-core", _ADAPTERS[settings.target]):
        digest.update(f"{package}={version(package)}\n".encode())
    for name, value in sorted(dbt_environment(settings).items()):
        digest.update(f"{name}={value}\n".encode())
    for path in project_files(settings.dbt_project_dir):
        digest.update(f"{path.relative_to(settings.dbt_project_dir).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def project_files(project_dir: Path) -> list[Path]:
    """The files that dbt reads, in a stable order."""
    return sorted(
        path
        for path in project_dir.rglob("*")
        if path.suffix in _SUFFIXES and path.relative_to(project_dir).parts[0] not in _NOT_PROJECT
    )


def _parse(settings: Settings) -> None:
    """Let dbt parse the project in a process of its own, for dbt keeps global state."""
    result = subprocess.run(
        [str(dbt_executable()), "--quiet", "parse", "--target", settings.target],
        cwd=settings.dbt_project_dir,
        env={**os.environ, **dbt_environment(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip() or f"dbt ended with exit code {result.returncode}"
        raise DbtProjectError(
            f"dbt cannot parse the project {settings.dbt_project_dir} for target {settings.target}:\n{said}"
        )
