"""Text from elsewhere makes no markup in a table."""

from __future__ import annotations

import re

import pytest

from braze_platform.markdown import Markup, cell, table


@pytest.mark.parametrize(
    "text",
    [
        "![pixel](https://evil.example/p.png)",
        "[Sale](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
        "<https://evil.example>",
        "https://evil.example",
        "WWW.evil.example",
        "a | b\n| c | d |",
        "`code`",
        "\\[not escaped\\](x)",
        "a\r\nb\u2028c",
    ],
)
def test_what_comes_from_elsewhere_is_text(text: str) -> None:
    shown = cell(text)
    assert len(shown.splitlines()) == 1
    unescaped = re.sub(r"\\[\\|\[\]<>`:.]", "", shown)
    assert not re.search(r"[|\[\]<>`\\]|://|www\.", unescaped, re.IGNORECASE)
    assert re.sub(r"\\([\\|\[\]<>`:.])", r"\1", shown) == " ".join(text.splitlines())


def test_a_table_takes_markup_of_our_own() -> None:
    made = table(["asset", "rows:"], [[Markup("[a](/assets/a)"), 1_000], [True, None]])
    assert made.splitlines() == [
        "| asset | rows |",
        "| --- | ---: |",
        "| [a](/assets/a) | 1,000 |",
        "| True |  |",
    ]
