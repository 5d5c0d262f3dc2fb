"""The tutorial's attribute and the commands of all pages, word for word, in a running demo."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from documentation_examples import arguments_of, command_lines, example, examples
from running_loops import PATIENCE_SECONDS, profiles

from braze_platform.demo.local_loop import LocalLoop, SandboxOptions
from braze_platform.demo.measuring import run_counts
from braze_platform.demo.processes import free_port
from braze_platform.settings import Settings
from braze_platform.warehouse.targets import warehouse_of

pytestmark = [pytest.mark.full, pytest.mark.long]
USERS = 300
#: Those of the demo, by its seed.
PEOPLE = SandboxOptions(users=USERS, seed=7)


def test_a_demo_and_an_attribute_and_all_commands_word_for_word(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(Settings().dbt_project_dir, project)
    settings = Settings(
        state_dir=tmp_path / "state",
        dbt_project_dir=project,
        braze_rest_url=f"http://127.0.0.1:{free_port()}",
        sensor_interval_seconds=4,
        automation_interval_seconds=4,
    )
    run_the_demo(settings, folder=tmp_path)
    loop = LocalLoop(settings, webserver_port=free_port(), sandbox=PEOPLE)
    try:
        loop.start_sandbox()
        loop.start_dagster()
        loop.wait_until_settled(seconds=PATIENCE_SECONDS)
        add_the_attribute(loop, project.parent, USERS)
        assert set(run_counts(loop.instance, 0)) == {"success"}  # type: ignore[arg-type]
    finally:
        loop.stop()
    run_the_commands(settings)
    with warehouse_of(settings).session() as session:
        for block in examples("sql query"):
            for statement in block.text.split(";"):
                if statement.strip():
                    session.fetch(statement)


def run_the_demo(settings: Settings, *, folder: Path) -> None:
    """Run the demo without its UI, as the page says it, but a small one."""
    [line] = [line for line in command_lines() if is_the_demo(line)]
    variables, arguments = arguments_of(line)
    arguments += ["--users", str(USERS), "--days", "4", "--advance-days", "1", "--port", str(free_port())]
    done = command(settings, *arguments, variables=variables, folder=folder)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"]


def is_the_demo(line: str) -> bool:
    """Whether an example of a command is that of the demo."""
    return arguments_of(line)[1][0] == "demo"


#: Commands that may find something (exit code 1): the sandbox delivers broken files, the doctor judges the clock.
FINDERS = ("verify", "reload", "doctor")


def run_the_commands(settings: Settings) -> None:
    """Call each command of the pages beside a sandbox that is alone: no run has the warehouse."""
    beside = LocalLoop(settings, webserver_port=free_port(), sandbox=PEOPLE)
    try:
        beside.start_sandbox()
        for line in command_lines():
            if is_the_demo(line):
                continue
            variables, arguments = arguments_of(line)
            if arguments[0] == "approve":
                # the page shows an id of some plan
                plans = json.loads(command(settings, "plan", "--json").stdout)
                arguments[1] = plans[0]["plan_id"]
            done = command(settings, *arguments, variables=variables)
            found = done.returncode == 1 and any(word in arguments for word in FINDERS)
            assert done.returncode == 0 or found, (line, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr, (line, done.stderr)
    finally:
        beside.stop()


def add_the_attribute(loop: LocalLoop, clone: Path, users: int) -> None:
    """Do what the tutorial says, and look whether it came to pass. `clone` holds `dbt_project`."""
    for kind in ("sql model", "yaml model"):
        text = example(kind).text
        [path] = re.findall(r"^(?:--|#) (dbt_project/\S+\.(?:sql|yml))", text)
        (clone / path).write_text(text, encoding="utf-8")
    early = command(loop.settings, "plan", "braze_reading")
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
        for user, values in profiles(loop, users).items()
        if "books_bought" in values
    }
    assert sent and set(sent.items()) <= set(wanted.items())
    assert acknowledged == len(sent)
    plan = command(loop.settings, "plan", "braze_reading")
    assert plan.returncode == 0, plan.stderr
    assert "has changed" not in plan.stderr


def reload_definitions(loop: LocalLoop) -> None:
    """What the button *Reload definitions* does."""
    answer = httpx.post(
        f"http://127.0.0.1:{loop.webserver_port}/graphql",
        json={
            "query": 'mutation {reloadRepositoryLocation(repositoryLocationName: "braze_platform") {__typename '
            "... on WorkspaceLocationEntry {locationOrLoadError {__typename ... on PythonError {message}}}}}"
        },
        timeout=300,
    )
    found = answer.json()["data"]["reloadRepositoryLocation"]
    assert found["locationOrLoadError"]["__typename"] == "RepositoryLocation", found


def command(
    settings: Settings,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """`braze-platform` as a person calls it."""
    return subprocess.run(
        [sys.executable, "-m", "braze_platform", *arguments],
        cwd=folder,
        env={**os.environ, **settings.as_environment(), **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
