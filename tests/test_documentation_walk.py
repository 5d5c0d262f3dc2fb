"""The tutorial's attribute and the commands of all pages, word for word, in a running demo.

The demo and the commands are those of the wheel, in a folder that was empty, as people get it who have no checkout.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from documentation_examples import arguments_of, command_lines, example, examples
from installed_package import InstalledPackage, build_wheel
from running_loops import PATIENCE_SECONDS, profiles

from braze_platform.demo.command import INTERRUPTED
from braze_platform.demo.local_loop import LocalLoop, SandboxOptions
from braze_platform.demo.measuring import run_counts
from braze_platform.demo.processes import free_port
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

pytestmark = [pytest.mark.full, pytest.mark.long]
USERS = 300
#: Those of the demo, by its seed.
PEOPLE = SandboxOptions(users=USERS, seed=7)


@dataclass(frozen=True)
class Reader:
    """Who types the pages' commands: has the wheel, a folder, and these settings."""

    installed: InstalledPackage
    folder: Path
    settings: Settings

    def command(
        self, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Call `braze-platform` with the settings."""
        environment = {**self.settings.as_environment(), **(variables or {})}
        return self.installed.run("braze-platform", *arguments, cwd=self.folder, environment=environment)


def test_a_demo_and_an_attribute_and_all_commands_word_for_word(tmp_path: Path) -> None:
    installed = InstalledPackage.of(build_wheel(tmp_path / "wheel"), tmp_path / "environment")
    opened, before = installed.watch_checkout(), installed.files()
    folder, project = tmp_path / "empty", tmp_path / "clone" / "dbt_project"
    folder.mkdir()
    shutil.copytree(Settings().dbt_project_dir, project)
    settings = Settings(
        state_dir=folder / ".braze_platform",
        dbt_project_dir=project,
        braze_rest_url=f"http://127.0.0.1:{free_port()}",
        sensor_interval_seconds=4,
        automation_interval_seconds=4,
    )
    helped = installed.run("braze-platform", "--help", cwd=folder)
    assert (helped.returncode, list(folder.iterdir())) == (0, [])
    stop_a_demo(installed, folder)
    run_the_demo(installed, folder)
    open_the_ui(installed, folder)
    reader = Reader(installed, folder, settings)
    loop = LocalLoop(settings, webserver_port=free_port(), sandbox=PEOPLE)
    try:
        loop.start_sandbox()
        loop.start_dagster()
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        add_the_attribute(loop, reader, project.parent)
        assert set(run_counts(loop.instance, 0)) == {"success"}  # type: ignore[arg-type]
    finally:
        loop.stop()
    run_the_commands(reader)
    with warehouse_of(settings).session() as session:
        for block in examples("sql query"):
            for statement in block.text.split(";"):
                if statement.strip():
                    session.fetch(statement)
    assert installed.files() == before
    assert not opened.exists(), opened.read_text()


def run_the_demo(installed: InstalledPackage, folder: Path) -> None:
    """Run the demo without its UI, as the page says it, but a small one."""
    [line] = [line for line in command_lines() if is_the_demo(line)]
    variables, arguments = arguments_of(line)
    arguments += ["--users", str(USERS), "--days", "4", "--advance-days", "1", "--port", str(free_port())]
    done = installed.run(
        "braze-platform", *arguments, cwd=folder, environment=variables, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"]
    written = {".braze_platform", ".braze_platform.lock", "summary.json"}
    assert {path.name for path in folder.iterdir()} == written


def stop_a_demo(installed: InstalledPackage, folder: Path) -> None:
    """Interrupt a demo while it starts; the next one starts from nothing."""
    arguments = ("demo", "--no-ui", "--users", str(USERS), "--days", "4", "--port", str(free_port()))
    demo = installed.start("braze-platform", *arguments, cwd=folder)
    assert demo.stdout is not None
    said = list(itertools.takewhile(lambda line: not line.startswith("2. "), demo.stdout))
    demo.send_signal(signal.SIGINT)
    last = demo.stdout.read()
    assert (demo.wait(120), last.splitlines()[-1:]) == (INTERRUPTED, ["Stopping ..."]), (said, last)


def open_the_ui(installed: InstalledPackage, folder: Path) -> None:
    """Start the UI on what is there, until it says where it is, and end it."""
    arguments = ("dev", "--port", str(free_port()), "--users", str(USERS))
    dev = installed.start("braze-platform", *arguments, cwd=folder)
    assert dev.stdout is not None
    said = list(itertools.takewhile(lambda line: "Logs: " not in line, dev.stdout))
    dev.send_signal(signal.SIGINT)
    assert (dev.wait(120), dev.stdout.read()) == (0, "Stopping ...\n"), said
    assert any("Dagster UI: http://localhost:" in line for line in said)


def is_the_demo(line: str) -> bool:
    """Whether an example of a command is that of the demo."""
    return arguments_of(line)[1][0] == "demo"


#: Commands that may find something (exit code 1): the sandbox delivers broken files, the doctor judges the clock.
FINDERS = ("verify", "reload", "doctor")


def run_the_commands(reader: Reader) -> None:
    """Call each command of the pages beside a sandbox that is alone: no run has the warehouse."""
    beside = LocalLoop(reader.settings, webserver_port=free_port(), sandbox=PEOPLE)
    try:
        beside.start_sandbox()
        for line in command_lines():
            if is_the_demo(line):
                continue
            variables, arguments = arguments_of(line)
            if arguments[0] == "approve":
                # the page shows an id of some plan
                plans = json.loads(reader.command("plan", "--json").stdout)
                arguments[1] = plans[0]["plan_id"]
            if arguments[:2] == ["erasure", "approve"]:
                # the page shows some number of people
                plan = json.loads(reader.command("erasure", "plan", "--json").stdout)
                arguments[-1] = str(plan["people"])
            done = reader.command(*arguments, variables=variables)
            found = done.returncode == 1 and any(word in arguments for word in FINDERS)
            assert done.returncode == 0 or found, (line, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr, (line, done.stderr)
    finally:
        beside.stop()


def add_the_attribute(loop: LocalLoop, reader: Reader, clone: Path) -> None:
    """Do what the tutorial says, and look whether it came to pass. `clone` holds `dbt_project`."""
    for kind in ("sql model", "yaml model"):
        text = example(kind).text
        [path] = re.findall(r"^(?:--|#) (dbt_project/\S+\.(?:sql|yml))", text)
        (clone / path).write_text(text, encoding="utf-8")
    early = reader.command("plan", "braze_reading")
    assert early.returncode == 1
    assert "braze_reading.yml" in early.stderr and "Reload definitions" in early.stderr
    reload_definitions(loop)
    loop.wait_until_settled(seconds=PATIENCE_SECONDS)
    with warehouse_of(loop.settings).session() as session:
        wanted = dict(session.fetch("select external_id, books_bought from attributes.braze_reading"))
        [(acknowledged,)] = session.fetch("select count(*) from braze_sync.ledger_braze_reading")
    assert wanted
    sent = {
        user: values["books_bought"]
        for user, values in profiles(loop, USERS).items()
        if "books_bought" in values
    }
    assert sent and set(sent.items()) <= set(wanted.items())
    assert acknowledged == len(sent)
    plan = reader.command("plan", "braze_reading")
    assert plan.returncode == 0, plan.stderr
    assert "has changed" not in plan.stderr


def reload_definitions(loop: LocalLoop) -> None:
    """What the button *Reload definitions* does."""
    answer = httpx.post(
        f"http://127.0.0.1:{loop.webserver_port}/graphql",
        headers={"Origin": f"http://127.0.0.1:{loop.webserver_port}"},
        json={
            "query": 'mutation {reloadRepositoryLocation(repositoryLocationName: "braze_platform") {__typename '
            "... on WorkspaceLocationEntry {locationOrLoadError {__typename ... on PythonError {message}}}}}"
        },
        timeout=300,
    )
    found = answer.json()["data"]["reloadRepositoryLocation"]
    assert found["locationOrLoadError"]["__typename"] == "RepositoryLocation", found
