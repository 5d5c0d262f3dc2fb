"""The generated pages of docs/reference are as the code would write them now."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata

import pytest
from documentation_examples import DOCS

from braze_platform.definitions import build_definitions
from braze_platform.settings import Settings, Target
from docs.reference import licences
from docs.reference.generate import checks_page, commands_page, licences_page, tables_page

#: By which a work that is built on the package has to be published, too.
BINDING = re.compile(r"\b(A?GPL|SSPL|General Public License)")
LESSER = re.compile(r"LGPL|Lesser General Public License")
REMEDY = "generate it again with `make reference`"


@pytest.mark.parametrize(("name", "text"), [("commands.md", commands_page), ("tables.md", tables_page)])
def test_what_needs_no_definitions_is_as_committed(name: str, text: Callable[[], str]) -> None:
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == text(), REMEDY


def test_the_checks_are_as_committed(parsed: Callable[[Target], Settings]) -> None:
    definitions = build_definitions(parsed("local"))
    text = checks_page(definitions)
    assert (DOCS / "reference" / "checks.md").read_text(encoding="utf-8") == text, REMEDY
    named = {key.name for key in definitions.get_repository_def().asset_graph.asset_check_keys}
    # dbt's names of tests begin with the test, which the rows of models say as `test(column)`
    tests = {part.partition("(")[0] for part in text.split("`") if part.endswith(")")}
    unsaid = [
        name
        for name in named
        if f"`{name}`" not in text and not any(name.startswith(f"{test}_") for test in tests)
    ]
    assert unsaid == []


def test_the_licences_are_as_committed() -> None:
    """Where this environment has the pinned release: older Pythons have older ones, which may say it otherwise."""
    committed = (DOCS / "reference" / "licences.md").read_text(encoding="utf-8").splitlines()
    made = licences_page().splitlines()
    assert [line.partition("|")[0] for line in made] == [line.partition("|")[0] for line in committed]
    pins = licences.pins()
    compared = 0
    for now, then in zip(made, committed, strict=True):
        name = now.split("`")[1] if now.startswith("| `") else ""
        if name and not _is_installed_as_pinned(name, pins):
            assert now.split("|")[1] == then.split("|")[1], REMEDY
            assert now.split("|")[3] == then.split("|")[3], REMEDY
            continue
        assert now == then, REMEDY
        compared += bool(name)
    assert compared > 150


def _is_installed_as_pinned(name: str, pins: dict[str, list[licences.Requirement]]) -> bool:
    try:
        return len(pins[name]) == 1 and pins[name][0].specifier.contains(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def test_no_licence_of_the_base_install_binds_what_is_built_on_it() -> None:
    found = licences.rows()
    assert {group for _, _, group in found} == set(licences.GROUPS)
    binding = {
        name: text
        for name, text, group in found
        if group == "base" and BINDING.search(text) and not LESSER.search(text)
    }
    # Perl's pair of licences: either may be chosen.
    assert binding == {"text-unidecode": "Artistic-1.0-Perl OR GPL-2.0-or-later"}
    assert all(text.strip() not in ("", "None", "UNKNOWN") and len(text) < 150 for _, text, _ in found)
    assert {name for name, text, _ in found if LESSER.search(text)} == {"pycountry", "psycopg2-binary"}
