"""Every example of README.md is known and right; `test_readme_walk.py` runs them in a running demo."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import Any

import click
import pytest
import sqlglot
import yaml
from readme_examples import ILLUSTRATIVE, KINDS, example, examples, kind_of
from sqlglot import exp

from braze_platform.cli import main
from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.sync.declaration.declarations import read_syncs
from braze_platform.sync.declaration.sync import Sync

MODELS = PROJECT_ROOT / "dbt_project" / "models"


def test_every_example_is_of_one_known_kind_and_none_is_gone() -> None:
    kinds = [kind_of(one) for one in examples()]
    assert [kind for kind in kinds if len(kind) != 1] == [], "tell in readme_examples.py how it is tested"
    assert sorted(kind for [kind] in kinds) == sorted([*KINDS, *ILLUSTRATIVE])


def test_fenced_blocks_are_all_found() -> None:
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^```", text, re.M)) == 2 * len(examples())


@pytest.mark.parametrize("line", example("make targets").lines)
def test_make_knows_the_targets(line: str) -> None:
    command, target = line.split()
    assert command == "make"
    done = subprocess.run(
        [command, "--dry-run", target], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _parsed(command: str) -> click.Context:
    """What click makes of a command line, without calling anything; raises for an unknown option or command."""
    program, *arguments = shlex.split(command)
    assert program.rpartition("/")[2] == "braze-platform"
    context = click.Context(main, info_name=program)
    group: click.Command = main
    while isinstance(group, click.Group):
        name = arguments.pop(0)
        found = group.get_command(context, name)
        assert found is not None, f"there is no command {name}: {command}"
        group, context = found, click.Context(found, parent=context, info_name=name)
    return group.make_context(group.name, arguments, parent=context.parent)


@pytest.mark.parametrize("line", example("currents commands").lines)
def test_commands_in_blocks_take_their_options(line: str) -> None:
    _parsed(line)


def test_commands_in_sentences_are_there() -> None:
    text = re.sub(
        r"^```.*?^```$", "", (PROJECT_ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M | re.S
    )
    commands = set(re.findall(r"`(?:\.venv/bin/)?(braze-platform [^`]*)`", text))
    assert len(commands) >= 5
    for command in commands:
        # `rejections list | reopen [SYNC] [--reason]` names two commands and what may follow
        plain = re.sub(r"\[[^\]]*\]|<[^>]*>|…", "x", command)
        words = [word for word in shlex.split(plain.partition("|")[0]) if not word.startswith("-")]
        group: click.Command | None = main
        for word in words[1:]:
            if not isinstance(group, click.Group):
                break
            group = group.get_command(click.Context(group), word)
            assert group is not None, command


def _declared(kind: str) -> dict[str, Any]:
    model: dict[str, Any] = yaml.safe_load(example(kind).text)["models"][0]
    return model


def _read(model: dict[str, Any]) -> Sync:
    """A model of a YAML file as the declaration reader gets it from dbt's manifest."""
    node = {
        **model,
        "resource_type": "model",
        "schema": "attributes",
        "fqn": ["p", "attributes", model["name"]],
        "columns": {column["name"]: {"config": {}, **column} for column in model["columns"]},
    }
    [sync] = read_syncs({"nodes": {"model.p.m": node}})
    return sync


def test_the_attribute_s_declaration_is_read() -> None:
    sync = _read(_declared("attribute YAML"))
    assert (sync.name, [spec.name for spec in sync.attributes]) == ("braze_reading", ["books_bought"])
    assert all(column.get("description") for column in _declared("attribute YAML")["columns"])


def _with_columns(block: str) -> dict[str, Any]:
    """A model with the lines of a block where they belong: keys of `braze_sync`, then columns."""
    keys, _, columns = block.rpartition("    columns:\n")
    model = _declared("attribute YAML")
    model["config"]["meta"]["braze_sync"] = {"identifier": "external_id", **(yaml.safe_load(keys) or {})}
    model["columns"] = [*model["columns"], *yaml.safe_load(columns), {"name": "loaded_at"}]
    return model


@pytest.mark.parametrize(("kind", "attributes"), [("more of a declaration", 4), ("operators", 4)])
def test_what_else_a_declaration_may_say_is_read(kind: str, attributes: int) -> None:
    sync = _read(_with_columns(example(kind).text))
    assert len(sync.attributes) == attributes


def test_the_attribute_s_sql_reads_columns_that_the_models_promise() -> None:
    sql = example("attribute SQL").text
    assert "braze_reading.sql" in sql
    [model] = re.findall(r'\{\{ ref\("(\w+)"\) \}\}', sql)
    described = {
        one["name"]: {column["name"] for column in one["columns"]}
        for path in MODELS.rglob("*.yml")
        for one in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models") or ()
    }
    query = sqlglot.parse_one(re.sub(r"\{\{.*?\}\}", model, sql), read="bigquery")
    selected = {column.alias_or_name for column in query.expressions}
    read = {column.name for column in query.find_all(exp.Column)}
    assert read <= described[model]
    assert selected == {column["name"] for column in _declared("attribute YAML")["columns"]}


def test_the_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    block = example("settings")
    exported = dict(line.removeprefix("export ").split("=", 1) for line in block.lines)
    settings = Settings.from_environment(exported)
    settings.require_google()
    known = settings.as_environment()
    assert {name: known.get(name) for name in exported} == exported


def test_the_rights_use_variables_that_are_set_and_roles_that_the_table_explains() -> None:
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    lines = example("rights").lines
    set_before: set[str] = set()
    for line in lines:
        used = set(re.findall(r"\$(\w+)", line))
        set_before |= set(re.findall(r"(?:^|; )([A-Z]+)=", line))
        assert used <= set_before, line
        for role in re.findall(r"--role=(\S+)", line):
            assert f"| `{role}` |" in text, role


def test_the_folders_are_there() -> None:
    folder = ""
    for line in example("folders").text.splitlines():
        name = line.split()[0]
        if line.startswith(" "):
            assert (PROJECT_ROOT / folder / name).exists(), line
        else:
            folder = name
            assert (PROJECT_ROOT / name).is_dir(), line
