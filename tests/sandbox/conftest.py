"""A simulated sandbox, made once: a history by broadcast, attributes set by API, and two days chosen by them."""

from pathlib import Path

import pytest
from simulated_sandbox import Simulated, give_attributes, read_bucket, simulate

from braze_platform.settings import Settings


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """1,500 people: six days of broadcasts, right attributes for all, two days chosen by them."""
    settings = Settings(state_dir=Path(tmp_path_factory.mktemp("sandbox")))
    simulation = simulate(settings, users=1_500, days=6)
    history_truth, events = simulation.truth(), simulation.totals()["events"]
    given = give_attributes(simulation.store, simulation.people)
    simulation.run(simulation.ask_advance(2))
    return Simulated(settings, simulation, history_truth, events, given, read_bucket(settings))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation of its own."""
    return Settings(state_dir=tmp_path)
