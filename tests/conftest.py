"""What holds for all tests: emulators start when a test of a worker needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import google_emulators
import pytest
from google_emulators import STATEMENT_LOG, GoogleEmulators
from left_processes import watch_this_process

from braze_platform.settings import Settings

#: How the statements that were sent to BigQuery are judged, as lines of text.
_VERDICT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleEmulators]:
    with google_emulators.running(tmp_path_factory.mktemp("emulators")) as running:
        yield running


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


def pytest_configure(config: pytest.Config) -> None:
    """However this run ends, the processes that it started end with it."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        watch_this_process()


#: Of each module, so many tests on the emulators are quick: the first cases of its first tests.
_SLICE = 2
#: Fixtures that build all models several times over: minutes of a processor.
_WHOLE_BUILDS = {"two_builds", "random_warehouses"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the emulators are marked `full`, but for a slice of each module; so are those of many whole builds.

    A module chooses its slice itself by marking tests `quick`. What is marked `full` stays so.
    """
    emulated: dict[Path, dict[str, list[pytest.Item]]] = {}
    for item in items:
        if _WHOLE_BUILDS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.full)
        is_emulated = "emulators" in getattr(item, "fixturenames", ()) or item.get_closest_marker("emulated")
        if is_emulated and not item.get_closest_marker("full"):
            by_test = emulated.setdefault(item.path, {})
            by_test.setdefault(getattr(item, "originalname", item.name), []).append(item)
    for by_test in emulated.values():
        all_of_module = [item for cases in by_test.values() for item in cases]
        chosen = [item for item in all_of_module if item.get_closest_marker("quick")]
        quick = chosen or [cases[0] for cases in by_test.values()][:_SLICE]
        for item in all_of_module:
            if item not in quick:
                item.add_marker(pytest.mark.full)


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
