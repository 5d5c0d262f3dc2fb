"""What the demo may remove, and what it refuses."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from braze_platform.cli import main
from braze_platform.demo.command import MARKER, start_afresh
from braze_platform.demo.local_loop import exclusive_state
from braze_platform.settings import Settings
from braze_platform.state_folder import StateInUse


def test_what_a_demo_made_is_removed(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    start_afresh(settings)
    (settings.state_dir / "warehouse.duckdb").write_text("old")
    start_afresh(settings)
    assert [p.name for p in settings.state_dir.iterdir()] == [MARKER]


def test_other_peoples_data_is_not_removed(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(click.ClickException, match="no demo made"):
        start_afresh(settings)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_one_process_owns_a_state_folder(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    with (
        exclusive_state(settings),
        pytest.raises(StateInUse, match="BRAZE_PLATFORM_STATE_DIR"),
        exclusive_state(settings),
    ):
        pass
    with exclusive_state(settings):
        pass


def test_the_demo_refuses_other_targets(tmp_path: Path) -> None:
    environment = {"BRAZE_PLATFORM_TARGET": "bigquery", "BRAZE_PLATFORM_STATE_DIR": str(tmp_path / "state")}
    result = CliRunner().invoke(main, ["demo", "--no-ui"], env=environment)
    assert result.exit_code == 1
    assert "unset BRAZE_PLATFORM_TARGET" in result.output


def test_help_lists_every_command_without_importing_the_rooms() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in ("demo", "dev", "plan", "sandbox"):
        assert name in result.output
