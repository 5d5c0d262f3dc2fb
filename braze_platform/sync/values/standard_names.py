"""Countries, languages and time zones by the names that people write, from data that others keep. Pure.

ISO 3166 and 639 come from pycountry, CLDR's English names and aliases of codes from Babel, the usual English names of
countries and the time zones from the IANA database. A name of two countries or languages is refused, not guessed.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zoneinfo
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import resources

import pycountry
from babel import Locale
from babel.core import get_global

from braze_platform.sync.values.rejected import ValueRejected

#: The English names that CLDR has beside its first one (`alt="short"` and `alt="variant"` of `en.xml`), which Babel
#: leaves out and no other source here has.
_CLDR_ALTERNATIVES = {
    "BA": "Bosnia",
    "CC": "Cocos Islands",
    "CD": "Congo (DRC)",
    "CG": "Congo (Republic)",
    "CI": "Ivory Coast",
    "CV": "Cabo Verde",
    "CZ": "Czech Republic",
    "GB": "UK",
    "HK": "Hong Kong",
    "MM": "Myanmar",
    "MO": "Macao",
    "NZ": "Aotearoa New Zealand",
    "PN": "Pitcairn",
    "SZ": "Swaziland",
    "TL": "East Timor",
    "TR": "Turkey",
    "US": "US",
}
#: In the IANA database, but no zone of any place: the machine's own setting and a placeholder.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
_SHORT_WORDS = {"st": "saint", "&": "and"}


def country(text: str) -> str:
    """ISO 3166-1 alpha-2 of a present country, by a code of ISO 3166 or CLDR or an English name.

    Raises `ValueRejected` for what is not a country, or more than one ('Korea', 'YU').
    """
    found = _countries().get(folded(text), frozenset())
    if not found:
        raise ValueRejected("invalid country: not in ISO 3166-1, Braze would empty the field")
    if len(found) > 1:
        raise ValueRejected("ambiguous country: write its code of ISO 3166-1")
    return next(iter(found))


def language(text: str) -> str:
    """ISO 639-1, by a code of ISO 639, one that was withdrawn, a tag such as `pt-BR` or an English name.

    Raises `ValueRejected` for what is not a language, more than one, or has no code of two letters.
    """
    names = _languages()
    found = names.get(folded(text))
    if found is None:
        # A locale with an encoding or a modifier (en_US.UTF-8), a tag by its first part.
        tag = re.split(r"[-_.@]", text.strip())
        found = names.get(folded(tag[0])) if len(tag) > 1 and 2 <= len(tag[0]) <= 3 else None
    if found is None:
        raise ValueRejected("invalid language: not in ISO 639")
    known = found - {""}
    if not known:
        raise ValueRejected("invalid language: it has no code of two letters (ISO 639-1)")
    if len(known) > 1:
        raise ValueRejected("ambiguous language: write its code of ISO 639-1")
    return next(iter(known))


def time_zone(text: str) -> str:
    """A name of the IANA database, by it in any case, or by a name of Rails or Windows.

    Braze documents Rails' names beside IANA's (https://www.braze.com/docs/api/objects_filters/user_attributes_object).
    Raises `ValueRejected`.
    """
    found = _time_zones().get(" ".join(text.lower().split()))
    if found is None:
        raise ValueRejected("invalid time zone: not in the IANA database, Braze would ignore it")
    return found


def folded(text: str) -> str:
    """A name without case, accents, punctuation and the article before it.

    >>> folded("Côte d’Ivoire"), folded("The U.K."), folded("St. Kitts & Nevis")
    ('cote d ivoire', 'uk', 'saint kitts and nevis')
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    plain = re.sub(r"\b((?:\w\.)+\w?)", lambda match: match[1].replace(".", ""), plain).replace("&", " & ")
    words = [_SHORT_WORDS.get(word, word) for word in re.findall(r"[\w]+|&", plain)]
    return " ".join(words[1:] if len(words) > 1 and words[0] == "the" else words)


@cache
def _countries() -> dict[str, frozenset[str]]:
    present = {str(entry.alpha_2) for entry in pycountry.countries}
    found: dict[str, set[str]] = defaultdict(set)
    for entry in pycountry.countries:
        for code in (entry.alpha_2, entry.alpha_3, entry.numeric):
            found[folded(code)].add(entry.alpha_2)
    codes = set(found)
    for alias, targets in get_global("territory_aliases").items():
        # CLDR's aliases are of codes that are no longer, or not yet, somebody's own.
        if folded(alias) not in codes and set(targets) & present:
            found[folded(alias)] |= set(targets)
    # CLDR gives each country a first name that no other has: 'Samoa' is not American Samoa, but 'Congo' is two.
    for code, name in Locale("en").territories.items():
        if code in present:
            found[folded(name)].add(code)
    taken = set(found)
    for code, name in _country_names():
        if code in present:
            for form in _forms(name) - taken:
                found[form].add(code)
    return {name: frozenset(targets) for name, targets in found.items()}


def _country_names() -> Iterator[tuple[str, str]]:
    for entry in pycountry.countries:
        for field in ("name", "official_name", "common_name"):
            if hasattr(entry, field):
                yield str(entry.alpha_2), str(getattr(entry, field))
    yield from Locale("en").territories.items()
    yield from _CLDR_ALTERNATIVES.items()
    usual = resources.files("tzdata").joinpath("zoneinfo").joinpath("iso3166.tab").read_text(encoding="utf-8")
    for line in usual.splitlines():
        if line and not line.startswith("#"):
            code, _, name = line.partition("\t")
            yield code, name


def _forms(name: str) -> set[str]:
    """A name and its parts: 'Congo - Kinshasa' is 'Congo' too, 'Britain (UK)' each of the two."""
    forms = {folded(name)}
    outer = re.fullmatch(r"(.+?) \((.+)\)", name)
    if outer:
        forms.add(folded(outer[1]))
        # An addition that only distinguishes two of one name, such as (South), is not a name.
        if not re.search(r"\b(part|Rep|South|North|American|western|US|Dutch|French)\b", outer[2]):
            forms.add(folded(outer[2]))
    for separator in (", ", " - "):
        first, found, rest = name.partition(separator)
        if found:
            forms |= {folded(first), folded(f"{rest} {first}")}
    return forms


@cache
def _languages() -> dict[str, frozenset[str]]:
    """Two-letter codes by name; an empty one for a language that has none."""
    found: dict[str, set[str]] = defaultdict(set)
    own: dict[str, str] = {}
    for entry in pycountry.languages:
        two = str(getattr(entry, "alpha_2", ""))
        for field in ("alpha_2", "alpha_3", "bibliographic"):
            if hasattr(entry, field):
                own[folded(getattr(entry, field))] = two
    for alias, target in get_global("language_aliases").items():
        # A withdrawn code is its successor's; one that stands for a language with a code of its own is that.
        main = re.split("[-_]", target)[0].lower()
        if not own.get(folded(alias)) and own.get(main):
            own[folded(alias)] = own[main]
    for code, two in own.items():
        found[code].add(two)
    for tag, name in Locale("en").languages.items():
        two = own.get(re.split("[-_]", tag)[0].lower(), "")
        if folded(name) not in own:
            found[folded(name)].add(two)
    for entry in pycountry.languages:
        two = str(getattr(entry, "alpha_2", ""))
        for field in ("name", "common_name", "inverted_name"):
            if hasattr(entry, field):
                plain = re.sub(r" \(.*\)$", "", str(getattr(entry, field)))
                for form in {folded(str(getattr(entry, field)))} | ({folded(plain)} if two else set()):
                    if form not in own:
                        found[form].add(two)
    return {name: frozenset(codes) for name, codes in found.items()}


@cache
def _time_zones() -> dict[str, str]:
    own = {name.lower(): name for name in zoneinfo.available_timezones() - _NO_ZONES}
    rails = json.loads(
        resources.files(__package__).joinpath("rails_time_zones.json").read_text(encoding="utf-8")
    )
    others = {**get_global("windows_zone_mapping"), **rails}
    return {name.lower(): zone for name, zone in others.items() if zone.lower() in own} | own
