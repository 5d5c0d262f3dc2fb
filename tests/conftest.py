"""What holds for all tests: emulators start when a test of a worker needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import google_emulators
import pytest
from google_emulators import STATEMENT_LOG, GoogleEmulators
from installation import Installation
from left_processes import watch_this_process
from once_per_run import once_per_run

from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings, Target
from braze_platform.warehouse import leases

#: How the statements that were sent to BigQuery are judged, as lines of text.
_VERDICT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleEmulators]:
    with google_emulators.running(tmp_path_factory.mktemp("emulators")) as running:
        yield running


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Target], Settings]:
    """By target, settings whose dbt project is parsed: some 8 seconds once per run. Nothing else is to be written, but
    that on the local target the whole build of `marts/conftest.py` is in this installation, too."""

    def parse(target: Target) -> Settings:
        def settings(folder: Path) -> Settings:
            return Settings(target=target, state_dir=folder)

        return settings(
            once_per_run(tmp_path_factory, f"parsed_{target}", lambda f: prepare_manifest(settings(f)))
        )

    return parse


class LeaseClock:
    """The time by which leases expire, which a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 8)

    def move(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def lease_clock(monkeypatch: pytest.MonkeyPatch) -> LeaseClock:
    """What this test takes for the clocks of leases: the warehouse's and each holder's."""
    clock = LeaseClock()
    monkeypatch.setattr(leases, "present", lambda: f"timestamp '{clock.now}'")
    monkeypatch.setattr(leases, "uptime", lambda: clock.now.timestamp())
    return clock


@pytest.fixture
def google_settings(emulators: GoogleEmulators, tmp_path: Path) -> Iterator[Settings]:
    settings = emulators.settings(tmp_path / "google-state")
    yield settings
    emulators.forget(settings)


@pytest.fixture(params=["local", pytest.param("bigquery", marks=pytest.mark.emulated)])
def settings_of_either(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An installation without anything in it, on each target in turn."""
    if request.param == "local":
        return Settings(state_dir=tmp_path)
    settings: Settings = request.getfixturevalue("google_settings")
    return settings


@pytest.fixture
def installation(settings_of_either: Settings) -> Installation:
    """The same, with what its settings name."""
    return Installation(settings_of_either)


def pytest_configure(config: pytest.Config) -> None:
    """However this run ends, the processes that it started end with it."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        watch_this_process()


#: Fixtures that build all models, beside the one whole build that quick tests share: minutes of a processor.
_WHOLE_BUILDS = {"two_builds", "random_warehouses", "simulated_build"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the emulators are marked `full`, but for the first of each module; so are those of whole builds.

    A module chooses others itself by marking them `quick`. What is marked `full` stays so. Tests that take minutes
    come first: at the end one processor would wait for them.
    """
    emulated: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if _WHOLE_BUILDS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.full)
        is_emulated = "emulators" in getattr(item, "fixturenames", ()) or item.get_closest_marker("emulated")
        if is_emulated and not item.get_closest_marker("full"):
            emulated.setdefault(item.path, []).append(item)
    for of_module in emulated.values():
        chosen = [item for item in of_module if item.get_closest_marker("quick")]
        for item in of_module:
            if item not in (chosen or of_module[:1]):
                item.add_marker(pytest.mark.full)
    items.sort(key=lambda item: not _takes_minutes(item))


def _takes_minutes(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(item.get_closest_marker("long") or fixtures & (_WHOLE_BUILDS | {"build"}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The run fails when BigQuery refuses a statement that an emulator ran in any of its tests."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly:
        return  # the controller sees the logs of all workers
    # pytest offers no public way to the folder of all workers' temporary folders but a fixture
    base = config._tmp_path_factory.getbasetemp()
    if not [*base.glob(f"emulators*/{STATEMENT_LOG}"), *base.glob(f"*/emulators*/{STATEMENT_LOG}")]:
        return
    from sent_statements import WHAT_TO_DO, refused_statements  # the analyser's package takes a second

    refused, judged = refused_statements(base)
    if refused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        config.stash[_VERDICT] = [WHAT_TO_DO, *map(str, refused)]
    else:
        config.stash[_VERDICT] = [f"None of {judged} kinds of statements sent to BigQuery is refused by it."]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how the statements were judged."""
    for line in terminalreporter.config.stash.get(_VERDICT, []):
        terminalreporter.line(line)
