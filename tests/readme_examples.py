"""The fenced examples of README.md, and what a test does with each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from braze_platform.settings import PROJECT_ROOT

README = PROJECT_ROOT / "README.md"


@dataclass(frozen=True)
class Example:
    """One fenced block: its language (empty without one) and its text."""

    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines without comments at their ends, none of them empty; a line that goes on is one with the next."""
        joined = self.text.replace("\\\n", " ")
        stripped = (re.sub(r"(^|\s+)#.*$", "", line).rstrip() for line in joined.splitlines())
        return [line for line in stripped if line.strip()]


def examples() -> list[Example]:
    """All fenced blocks in the order in which they stand there."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    return [Example(language, text) for language, text in found]


#: How a block is known (a text in it), and what tests it. Blocks that no machine can run say why.
KINDS = {
    "make targets": "make demo     #",
    "attribute SQL": "-- dbt_project/models/attributes/braze_reading.sql",
    "attribute YAML": "# dbt_project/models/attributes/braze_reading.yml",
    "more of a declaration": "max_cleared_share",
    "operators": "operator: inc",
    "currents commands": "braze-platform currents reload",
    "settings": "export BRAZE_PLATFORM_TARGET=bigquery",
    "folders": "braze_platform/\n  definitions.py",
}
ILLUSTRATIVE = {
    "drawing": ("Braze campaigns ─►", "a drawing of the loop"),
    "rights": ("gcloud services enable", "needs a Google Cloud project and a person's rights in it"),
}


def kind_of(example: Example) -> list[str]:
    """The kinds whose text is in it: one, unless the README or the table above has changed."""
    marks = KINDS | {name: mark for name, (mark, _) in ILLUSTRATIVE.items()}
    return [name for name, mark in marks.items() if mark in example.text]


def example(kind: str) -> Example:
    """The one block of a kind."""
    [found] = [one for one in examples() if kind_of(one) == [kind]]
    return found
