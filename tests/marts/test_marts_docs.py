"""The documentation that dbt writes, and the syncs in it."""

import copy
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_platform.cli import main
from braze_platform.marts.exposures import exposures
from braze_platform.settings import Settings


def test_every_sync_is_an_exposure_of_its_model_and_nobody_writes_one_by_hand(build) -> None:
    manifest = copy.deepcopy(build.manifest)
    assert manifest["exposures"] == {}
    written = exposures(manifest)["exposures"]
    assert [one["name"] for one in written] == ["sync_braze_customer_value", "sync_braze_engagement"]
    assert [one["depends_on"] for one in written] == [
        ["ref('braze_customer_value')"],
        ["ref('braze_engagement')"],
    ]
    assert "engagement_score" in written[1]["description"]
    assert "external_id" not in written[1]["description"], "the identifier is not an attribute"
    node = manifest["nodes"]["model.braze_platform.braze_engagement"]
    manifest["nodes"]["model.braze_platform.braze_reading"] = {
        **node,
        "name": "braze_reading",
        "alias": "braze_reading",
    }
    assert "sync_braze_reading" in [one["name"] for one in exposures(manifest)["exposures"]]


@pytest.mark.full
def test_the_page_holds_all_models(build, tmp_path: Path) -> None:
    # A copy, for dbt keeps the file to itself while tests of other processes read it.
    settings = Settings(state_dir=tmp_path)
    shutil.copy(build.settings.duckdb_path, settings.duckdb_path)
    done = CliRunner().invoke(main, ["docs"], env=settings.as_environment())
    assert done.exit_code == 0, done.output
    page = Path(done.output.split(": ", 1)[1].strip())
    text = page.read_text(encoding="utf-8")
    assert "mart_campaign_performance" in text and "sync_braze_engagement" in text
    assert not list(page.parent.rglob("exposures_of_syncs.yml")), "the copy of the project is gone"
