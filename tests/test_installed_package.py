"""The wheel in an environment of its own: what it holds, where it writes, and what production does without.

`test_documentation_walk.py` runs its demo and its commands.
"""

import zipfile
from pathlib import Path

import pytest
from installed_package import InstalledPackage, build_wheel

from braze_platform.cli import _COMMANDS
from braze_platform.settings import PROJECT_ROOT

#: What only the local target's own rooms import.
LOCAL_MODULES = ("braze_platform.sandbox", "braze_platform.demo", "braze_platform.warehouse.duckdb")
LOCAL_MODULES += ("braze_platform.marts.dbt_plugin", "braze_platform.__main__")
LOCAL_MODULES += tuple(
    f"braze_platform.backup.{name}" for name in ("assets", "making", "restoring", "sensor")
)
LOCAL_PACKAGES = ("duckdb", "duckdb_extension_avro", "numpy", "starlette", "uvicorn", "dagster_webserver")
LOCAL_PACKAGES += ("dbt.adapters.duckdb",)

IMPORT_ALL = f"""
import importlib, importlib.util, pkgutil, sys
import braze_platform
for module in pkgutil.walk_packages(braze_platform.__path__, "braze_platform."):
    if not module.name.startswith({LOCAL_MODULES!r}):
        importlib.import_module(module.name)
found = [name for name in {LOCAL_PACKAGES!r} if name != "numpy" and importlib.util.find_spec(name)]
assert not found, found
from click.testing import CliRunner
from braze_platform.cli import main
for command in {sorted(_COMMANDS.keys() - {"sandbox", "dbt"})!r}:
    helped = CliRunner().invoke(main, [command, "--help"])
    assert helped.exit_code == 0, (command, helped.output)
import braze_platform.definitions
definitions = braze_platform.definitions.defs()
print(len(list(definitions.resolve_all_asset_specs())), braze_platform.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> InstalledPackage:
    return InstalledPackage.of(wheel, tmp_path / "environment")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_holds_what_the_checkout_has(wheel: Path) -> None:
    left_out = {"__pycache__", "target", "logs", "dbt_packages", ".user.yml"}
    paths = [
        path for folder in ("braze_platform", "dbt_project") for path in (PROJECT_ROOT / folder).rglob("*")
    ]
    files = [
        path.relative_to(PROJECT_ROOT)
        for path in (*paths, PROJECT_ROOT / "dagster.yaml", PROJECT_ROOT / "workspace.yaml")
        if path.is_file() and not left_out & set(path.parts)
    ]
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {
        str(file if file.parts[0] == "braze_platform" else Path("braze_platform", "project", file)): (
            PROJECT_ROOT / file
        ).read_bytes()
        for file in files
    }


@pytest.mark.full
def test_what_is_opened_in_the_checkout_is_written_down(installed: InstalledPackage, empty: Path) -> None:
    """The walk through the documentation relies on it."""
    opened, path = installed.watch_checkout(), PROJECT_ROOT / "pyproject.toml"
    installed.run("python", "-c", f"open({str(path)!r})", cwd=empty)
    assert opened.read_text().split() == [str(path)]


@pytest.mark.full
def test_state_goes_where_the_variable_says(installed: InstalledPackage, empty: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    docs = installed.run(
        "braze-platform", "docs", cwd=empty, environment={"BRAZE_PLATFORM_STATE_DIR": str(state)}
    )
    assert (docs.returncode, docs.stderr) == (0, "")
    assert (state / "docs" / "static_index.html").is_file()
    assert list(empty.iterdir()) == []


@pytest.mark.full
def test_production_needs_no_extra(installed: InstalledPackage, empty: Path, tmp_path: Path) -> None:
    installed.hide_extras(refused=LOCAL_PACKAGES)
    environment = {
        "BRAZE_PLATFORM_TARGET": "bigquery",
        "BRAZE_PLATFORM_BIGQUERY_PROJECT": "a-project",
        "BRAZE_PLATFORM_BUCKET": "a-bucket",
        "BRAZE_PLATFORM_STATE_DIR": str(tmp_path / "state"),
    }
    loaded = installed.run("python", "-c", IMPORT_ALL, cwd=empty, environment=environment)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    assets, path = loaded.stdout.split()
    assert int(assets) > 150
    assert Path(path).is_relative_to(installed.site)
    helped = installed.run("braze-platform", "plan", "--help", cwd=empty, environment=environment)
    assert helped.returncode == 0, helped.stdout + helped.stderr


@pytest.mark.full
def test_the_local_target_without_its_extra_names_it(installed: InstalledPackage, empty: Path) -> None:
    installed.hide_extras(refused=LOCAL_PACKAGES)
    for arguments in (["plan", "braze_engagement"], ["docs"], ["demo", "--no-ui"], ["dev"], ["sandbox"]):
        refused = installed.run("braze-platform", *arguments, cwd=empty)
        assert refused.returncode == 1, (arguments, refused.stdout)
        assert "pip install 'braze-platform[local]'" in refused.stderr, (arguments, refused.stderr)
        assert "Traceback" not in refused.stderr
    assert list(empty.iterdir()) == []
