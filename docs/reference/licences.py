"""Writes `licences.md`: under which licence each dependency stands, as its installed metadata say, and who needs it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from braze_platform.settings import PROJECT_ROOT

#: Who needs a dependency, in the order in which it is said: the first one that fits.
GROUPS = ("base", "postgres", "local", "dev")
#: What metadata say badly or where they are not: the text of the licence instead of its name, a choice between two, and
#: packages that only another Python or system needs.
_SAID_HERE = {
    "async-timeout": "Apache Software License",
    "exceptiongroup": "MIT License",
    "httpx-aiohttp": "BSD-3-Clause",
    "pyreadline3": "BSD License",
    "pywin32": "Python Software Foundation License",
    "text-unidecode": "Artistic-1.0-Perl OR GPL-2.0-or-later",
}


def pins() -> dict[str, list[Requirement]]:
    """The lines of `constraints.txt` by package; several where Pythons differ."""
    found: dict[str, list[Requirement]] = {}
    for line in (PROJECT_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def licence(name: str) -> str:
    """A package's licence; raises `PackageNotFoundError` where it is neither installed nor said above."""
    if name in _SAID_HERE:
        return _SAID_HERE[name]
    said = metadata.metadata(name)
    classifiers = [
        text.split(" :: ")[-1] for text in said.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    return said.get("License-Expression") or ", ".join(classifiers) or str(said.get("License"))


def rows() -> list[tuple[str, str, str]]:
    """Package, licence, who needs it: all of `constraints.txt`."""
    known = pins()
    needed = {group: _closure(_declared(group), known) for group in GROUPS}
    return [
        (name, licence(name), next(group for group in GROUPS if name in needed[group]))
        for name in sorted(known)
    ]


def _declared(group: str) -> list[Requirement]:
    """The requirements of pyproject.toml; its arrays are Python's lists, too."""
    text = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [array] = re.findall(
        rf"^{'dependencies' if group == 'base' else group} = (\[.*?\])$", text, re.MULTILINE | re.DOTALL
    )
    return [Requirement(line) for line in ast.literal_eval(array)]


def _closure(wanted: Iterable[Requirement], known: Mapping[str, object]) -> set[str]:
    """All that some requirements need, whatever the Python and the system: those are for the constraints to say."""
    found: set[tuple[str, str]] = set()
    ahead = [(canonicalize_name(one.name), extra) for one in wanted for extra in ("", *one.extras)]
    while ahead:
        name, extra = ahead.pop()
        if (name, extra) in found or name not in known:
            continue
        found.add((name, extra))
        for need in _requires(name):
            by_extra = need.marker is not None and "extra" in str(need.marker)
            if need.marker.evaluate({"extra": extra}) if by_extra and need.marker else not extra:
                ahead += [(canonicalize_name(need.name), more) for more in ("", *need.extras)]
    return {name for name, _ in found}


@cache
def _requires(name: str) -> Sequence[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        return []
