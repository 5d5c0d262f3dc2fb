"""The documentation that dbt writes, and the syncs in it."""

import json
import shutil
from pathlib import Path

from click.testing import CliRunner

from braze_platform.cli import main
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings


def test_every_sync_is_an_exposure_of_its_model(tmp_path: Path) -> None:
    manifest = json.loads(prepare_manifest(Settings(state_dir=tmp_path)).read_text(encoding="utf-8"))
    syncs = {
        key for key, node in manifest["nodes"].items() if node["config"].get("meta", {}).get("braze_sync")
    }
    exposed = [key for one in manifest["exposures"].values() for key in one["depends_on"]["nodes"]]
    assert sorted(exposed) == sorted(syncs) != []


def test_the_page_holds_all_models(build, tmp_path: Path) -> None:
    # A copy, for dbt keeps the file to itself while tests of other processes read it.
    settings = Settings(state_dir=tmp_path)
    shutil.copy(build.settings.duckdb_path, settings.duckdb_path)
    done = CliRunner().invoke(main, ["docs"], env=settings.as_environment())
    assert done.exit_code == 0, done.output
    page = Path(done.output.split(": ", 1)[1].strip())
    text = page.read_text(encoding="utf-8")
    assert "mart_campaign_performance" in text and "sync_braze_engagement" in text
