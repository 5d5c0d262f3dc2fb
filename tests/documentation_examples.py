"""The pages that people read, and their fenced examples.

The first word after a fence is the language, for highlighting; what follows says how the example is tested:

    ```sh commands        `test_documentation.py` parses each line, `test_documentation_walk.py` runs it
    ```sh not run: needs a Google Cloud project

An example without such a word, or with one that is not in `KINDS` or `NOT_RUN`, fails a test.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from braze_platform.settings import PROJECT_ROOT

DOCS = PROJECT_ROOT / "docs"

#: How an example is tested, by language and kind.
KINDS = {
    "sh make": "make knows each target",
    "sh commands": "`braze-platform ...`: parsed, and run after a loop",
    "sh services": "programs of others: each option is in the program's help",
    "sh shell": "run by bash in the clone's folder, with a home of its own",
    "sh settings": "variables that the settings read as they stand there",
    "sql model": "a dbt model; added to a running loop",
    "yaml model": "its declaration; added to a running loop",
    "yaml sync": "keys of `braze_sync`, read as a declaration",
    "yaml attributes": "columns with `braze_attribute`, read as declarations",
    "yaml versions": "a mart's versions, read by dbt's own schema of models",
    "sql query": "names tables and columns that are there; run on a loop's warehouse",
    "sql duckdb": "run by DuckDB beside a warehouse file",
    "json event type": "an entry of the catalogue of event types; dbt's files are made of it",
    "json editor": "settings of an editor; each file is there",
    "text folders": "each folder and file is there",
}
#: Why an example is tested by nothing. A short list: each entry is used, and each such example has one of them.
NOT_RUN = {
    "text drawing": "a drawing of the loop",
    "mermaid drawing": "a drawing of the architecture",
    "sh not run: needs a Google Cloud project": "and a person's rights in it",
    "sh not run: copies tables in a Google Cloud project": "whose data sets a test holds against the registry",
}


def pages() -> list[Path]:
    """README.md, the other pages of the root, and all of docs/."""
    return [*sorted(PROJECT_ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@dataclass(frozen=True)
class Example:
    """One fenced block: its page, what stands behind the fence, and its text."""

    page: str
    kind: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without comments at their ends, none of them empty; a continued line is one with the next."""
        joined = self.text.replace("\\\n", " ")
        stripped = (re.sub(r"(^|\s+)#.*$", "", line).rstrip() for line in joined.splitlines())
        return [line for line in stripped if line.strip()]


def examples(kind: str | None = None) -> list[Example]:
    """All fenced blocks (or those of a kind), page by page, in the order in which they stand there."""
    return [
        Example(page.relative_to(PROJECT_ROOT).as_posix(), found[1].strip(), found[2])
        for page in pages()
        for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
        if kind in (None, found[1].strip())
    ]


def example(kind: str) -> Example:
    """The one block of a kind."""
    [found] = examples(kind)
    return found


def command_lines() -> list[str]:
    """All lines of the examples that call `braze-platform`, each once, in the order of the pages."""
    return list(dict.fromkeys(line for one in examples("sh commands") for line in one.lines))


def arguments_of(line: str) -> tuple[dict[str, str], list[str]]:
    """The variables before a call of `braze-platform`, and its arguments."""
    words = shlex.split(line)
    variables: dict[str, str] = {}
    while re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    assert words.pop(0).rpartition("/")[2] == "braze-platform", line
    return variables, words
