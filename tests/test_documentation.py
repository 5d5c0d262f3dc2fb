"""Every example of README and docs is known and right; `test_documentation_walk.py` runs them in a running demo."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
import sqlglot
import yaml
from documentation_examples import (
    DOCS,
    KINDS,
    NOT_RUN,
    Example,
    arguments_of,
    command_lines,
    example,
    examples,
    pages,
)
from sqlglot import exp
from tiers import tiered

from braze_platform.cli import main
from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.sync.declaration.declarations import read_syncs
from braze_platform.sync.declaration.sync import Sync
from braze_platform.warehouse.registry import all_tables

MODELS = PROJECT_ROOT / "dbt_project" / "models"
#: How to start the programs that others wrote, by themselves.
SERVICES = {line: line for one in examples("sh services") for line in one.lines}


def _ids(found: list[Example]) -> list[str]:
    return [f"{one.page}-{number}" for number, one in enumerate(found)]


def test_every_example_says_how_it_is_tested_and_no_kind_is_gone() -> None:
    unknown = [(one.page, one.kind, one.text) for one in examples() if one.kind not in KINDS | NOT_RUN]
    assert unknown == [], "say behind the fence how it is tested; see documentation_examples.py"
    assert {one.kind for one in examples()} == KINDS.keys() | NOT_RUN.keys()


def test_fenced_blocks_are_all_found() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        found = [one for one in examples() if one.page == page.relative_to(PROJECT_ROOT).as_posix()]
        # also indented ones, and those of other fences, would be seen here
        assert len(re.findall(r"^\s*(```|~~~)", text, re.M)) == 2 * len(found), page


def test_the_readme_is_short() -> None:
    assert len((PROJECT_ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def _links(page: Path) -> list[str]:
    """The targets of a page's links and pictures, without those in examples."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT_ROOT).as_posix())
def test_relative_links_resolve(page: Path) -> None:
    for link in _links(page):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in _anchors(target), f"{page}: {link}"


def test_every_page_of_the_documentation_is_linked_from_its_list() -> None:
    index = DOCS / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _links(index)}
    adr = DOCS / "adr" / "README.md"
    linked |= {(adr.parent / link.partition("#")[0]).resolve() for link in _links(adr)}
    assert {page for page in pages() if page.is_relative_to(DOCS)} - linked == {index}


@pytest.mark.parametrize("line", sorted({line for one in examples("sh make") for line in one.lines}))
def test_make_knows_the_targets(line: str) -> None:
    command, *targets = line.split()
    assert command == "make"
    done = subprocess.run(
        [command, "--dry-run", *targets], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _parsed(line: str) -> click.Context:
    """What click makes of a command line, without calling anything; raises for an unknown option or command."""
    _, arguments = arguments_of(line)
    context = click.Context(main, info_name="braze-platform")
    group: click.Command = main
    while isinstance(group, click.Group):
        name = arguments.pop(0)
        found = group.get_command(context, name)
        assert found is not None, f"there is no command {name}: {line}"
        group, context = found, click.Context(found, parent=context, info_name=name)
    return group.make_context(group.name, arguments, parent=context.parent)


@pytest.mark.parametrize("line", command_lines())
def test_commands_in_blocks_take_their_options(line: str) -> None:
    _parsed(line)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT_ROOT).as_posix())
def test_commands_in_sentences_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for command in set(re.findall(r"`(?:\.venv/bin/)?(braze-platform [^`]*)`", text)):
        # `rejections list | reopen [SYNC] [--reason]` names two commands and what may follow
        plain = re.sub(r"\[[^\]]*\]|<[^>]*>|…|\.\.\.", "x", command)
        words = [word for word in shlex.split(plain.partition("|")[0]) if not word.startswith("-")]
        group: click.Command | None = main
        for word in words[1:]:
            if not isinstance(group, click.Group):
                break
            group = group.get_command(click.Context(group), word)
            assert group is not None, command
    for target in re.findall(r"`make ([a-z-]+)`", text):
        assert re.search(rf"^{target}:", (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8"), re.M), (
            target
        )


@pytest.mark.parametrize("line", tiered(SERVICES, quick=list(SERVICES)[:1]))
def test_programs_of_others_take_the_options(line: str) -> None:
    words = [word for word in shlex.split(line) if word != "&"]
    program = Path(sys.executable).parent / Path(words[0]).name
    commands = [word for word in words[1:] if not word.startswith("-") and "." not in word]
    done = subprocess.run(
        [program, *commands, "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for option in (word for word in words[1:] if word.startswith("-")):
        assert re.search(rf"(^|[\s,]){re.escape(option)}\b", done.stdout), (option, done.stdout)


@pytest.mark.parametrize("block", examples("sh shell"), ids=_ids(examples("sh shell")))
def test_shell_examples_run(block: Example, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")), "it makes nothing in its home"


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
    sync = _read(_declared("yaml model"))
    assert (sync.name, [spec.name for spec in sync.attributes]) == ("braze_reading", ["books_bought"])
    assert all(column.get("description") for column in _declared("yaml model")["columns"])


def _model_with(sync: dict[str, Any], columns: list[dict[str, Any]]) -> dict[str, Any]:
    """The model of the tutorial with keys of `braze_sync` and columns of an example."""
    model = _declared("yaml model")
    model["config"]["meta"]["braze_sync"] = {"identifier": "external_id", **sync}
    model["columns"] = [*model["columns"], *columns, {"name": "loaded_at"}]
    return model


@pytest.mark.parametrize("block", examples("yaml sync"), ids=_ids(examples("yaml sync")))
def test_keys_of_a_sync_are_read(block: Example) -> None:
    keys = yaml.safe_load(block.text)
    sync = _read(_model_with(keys, []))
    assert keys
    if "transport" in keys:
        assert sync.transport == keys["transport"]


@pytest.mark.parametrize("block", examples("yaml attributes"), ids=_ids(examples("yaml attributes")))
def test_attributes_are_read(block: Example) -> None:
    columns = yaml.safe_load(block.text)
    sync = _read(_model_with({}, columns))
    assert columns
    assert len(sync.attributes) == 1 + len(columns)


def test_the_attribute_s_sql_reads_columns_that_the_models_promise() -> None:
    sql = example("sql model").text
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
    assert selected == {column["name"] for column in _declared("yaml model")["columns"]}


@pytest.mark.parametrize("block", examples("sh settings"), ids=_ids(examples("sh settings")))
def test_the_settings_are_read(block: Example) -> None:
    exported = dict(line.removeprefix("export ").split("=", 1) for line in block.lines)
    settings = Settings.from_environment(exported)
    if settings.target == "bigquery":
        settings.require_google()
    known = settings.as_environment()
    assert {name: known.get(name) for name in exported} == exported


def test_the_rights_use_variables_that_are_set_and_roles_that_the_table_explains() -> None:
    block = example("sh not run: needs a Google Cloud project")
    text = (PROJECT_ROOT / block.page).read_text(encoding="utf-8")
    set_before: set[str] = set()
    for line in block.lines:
        used = set(re.findall(r"\$(\w+)", line))
        set_before |= set(re.findall(r"(?:^|; )([A-Z]+)=", line))
        assert used <= set_before, line
        for role in re.findall(r"--role=(\S+)", line):
            assert f"| `{role}` |" in text, role


def test_snapshots_are_taken_of_the_datasets_that_nothing_rebuilds() -> None:
    block = example("sh not run: copies tables in a Google Cloud project")
    [named] = re.findall(r"for dataset in (.+); do", block.text)
    assert set(named.split()) == {table.dataset.name for table in all_tables() if not table.rebuilt_by}
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _columns_of_tables() -> dict[str, set[str]]:
    """The columns of each table that dbt's files describe, by its name."""
    found: dict[str, set[str]] = {}
    for path in MODELS.rglob("*.yml"):
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        tables = [table for source in read.get("sources") or () for table in source["tables"]]
        for one in [*(read.get("models") or ()), *tables]:
            found.setdefault(one["name"], set()).update(column["name"] for column in one.get("columns") or ())
    return {**{table.name: set(table.names) for table in all_tables()}, **found}


def test_versions_are_written_as_the_marts_write_them() -> None:
    said = yaml.safe_load(example("yaml versions").text)
    written = [
        model
        for path in (MODELS / "marts").glob("*.yml")
        for model in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models") or ()
    ]
    assert all(
        model["latest_version"] in [one["v"] for one in model["versions"]] for model in [said, *written]
    )
    assert {key for one in said["versions"] for key in one} <= {
        key for model in written for one in model["versions"] for key in one
    }


@pytest.mark.parametrize("block", examples("sql query"), ids=_ids(examples("sql query")))
def test_queries_name_tables_and_columns_that_are_there(block: Example) -> None:
    columns = _columns_of_tables()
    for statement in sqlglot.parse(block.text, read="bigquery"):
        assert isinstance(statement, exp.Query)
        tables = [table.name for table in statement.find_all(exp.Table)]
        assert tables
        aliases = {alias.alias for alias in statement.find_all(exp.Alias)}
        known = set().union(*(columns[table] for table in tables), aliases)
        assert {column.name for column in statement.find_all(exp.Column)} <= known


@pytest.mark.parametrize("block", examples("sql duckdb"), ids=_ids(examples("sql duckdb")))
def test_duckdb_runs_the_statements(block: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".braze_platform").mkdir()
    duckdb.connect(str(tmp_path / ".braze_platform" / "warehouse.duckdb")).close()
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        for statement in block.text.split(";"):
            if statement.strip():
                connection.execute(statement)


def test_the_folders_are_there() -> None:
    folder = ""
    for line in example("text folders").text.splitlines():
        name = line.split()[0]
        if line.startswith(" "):
            assert (PROJECT_ROOT / folder / name).exists(), line
        else:
            folder = name
            assert (PROJECT_ROOT / name).is_dir(), line
