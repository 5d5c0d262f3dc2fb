"""The generated pages of docs/reference are as the code would write them now."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from documentation_examples import DOCS

from braze_platform.definitions import build_definitions
from braze_platform.settings import Settings, Target
from docs.reference.generate import checks_page, commands_page, tables_page

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
