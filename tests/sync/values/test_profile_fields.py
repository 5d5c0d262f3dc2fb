from __future__ import annotations

from typing import Any

import pycountry
import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sync.declaration.sync import ALL_TYPES, NEVER_CLEARED, PROFILE_FIELDS, AttributeSpec
from braze_platform.sync.values.values import ValueRejected, canonicalise, encode

GROUP = "3d1c2f1e-8f2a-4a3b-9a5d-0c6f4b1e2d3c"
OTHER = "11111111-8f2a-4a3b-9a5d-0c6f4b1e2d3c"


def field(name: str, **more: Any) -> AttributeSpec:
    return AttributeSpec(name, PROFILE_FIELDS[name], **more)


def group(number: str = GROUP, state: str = "subscribed", **more: Any) -> dict[str, Any]:
    return {"subscription_group_id": number, "subscription_state": state, **more}


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("country", ["DE", "de", "DEU", "Germany", " germany "], '"DE"'),
        ("country", ["GB", "GBR", "United Kingdom", "UK", "uk", "U.K.", "Britain", "826"], '"GB"'),
        ("country", ["Russia", "Russian Federation", "RUS"], '"RU"'),
        ("country", ["Turkey", "Türkiye", "Turkiye", "TUR"], '"TR"'),
        ("country", ["Ivory Coast", "Côte d'Ivoire", "Cote d’Ivoire", "CIV"], '"CI"'),
        ("country", ["USA", "U.S.A.", "the United States", "US", "United States of America"], '"US"'),
        ("country", ["South Korea", "Korea, South", "Korea, Republic of", "Republic of Korea"], '"KR"'),
        ("country", ["Congo - Kinshasa", "Congo (DRC)", "Congo, The Democratic Republic of the"], '"CD"'),
        ("country", ["Czechia", "Czech Republic"], '"CZ"'),
        ("country", ["Myanmar", "Burma", "BU"], '"MM"'),
        ("country", ["Samoa", "WSM"], '"WS"'),
        ("country", ["Iran", "Iran, Islamic Republic of"], '"IR"'),
        ("language", ["he", "iw", "Hebrew", "heb"], '"he"'),
        ("language", ["id", "in", "in_ID"], '"id"'),
        ("language", ["yi", "ji"], '"yi"'),
        ("language", ["pt-BR", "pt_BR", "Brazilian Portuguese", "pt_BR.UTF-8"], '"pt"'),
        ("language", ["no", "Norwegian"], '"no"'),
        (
            "time_zone",
            ["Eastern Time (US & Canada)", "Eastern Standard Time", "america/new_york"],
            '"America/New_York"',
        ),
        ("time_zone", ["Berlin", "W. Europe Standard Time"], '"Europe/Berlin"'),
        ("language", ["de", "DE", "deu", "German", "de-AT", "de_AT", "ger"], '"de"'),
        ("language", ["zh-Hant-TW", "zho", "Chinese"], '"zh"'),
        ("gender", ["F", "f", "female", "Female"], '"F"'),
        ("gender", ["P", "prefer_not_to_say"], '"P"'),
        ("dob", ["1990-05-17", "1990-05-17T00:00:00Z"], '"1990-05-17"'),
        ("email", ["Ann@example.com", "Ann@EXAMPLE.com", " Ann@example.com "], '"Ann@example.com"'),
        ("phone", ["+49 170 1234567", "+49-170-1234567", "+491701234567"], '"+491701234567"'),
        ("time_zone", ["Europe/Berlin", "europe/berlin", " EUROPE/BERLIN"], '"Europe/Berlin"'),
        ("email_subscribe", ["opted_in", "OPTED_IN"], '"opted_in"'),
        ("push_subscribe", ["unsubscribed"], '"unsubscribed"'),
        ("current_location", [{"latitude": 52.5, "longitude": 13.0}], '{"latitude":52.5,"longitude":13}'),
        ("email_open_tracking_disabled", [True, "true"], "true"),
        ("first_name", ["Ann"], '"Ann"'),
        (
            "subscription_groups",
            [
                [group(), group(OTHER, "unsubscribed")],
                (group(OTHER, "UNSUBSCRIBED"), group(GROUP.upper()), group()),
                encode([group(OTHER, "unsubscribed"), group(use_double_opt_in_logic=None)]),
            ],
            encode([group(OTHER, "unsubscribed"), group()]),
        ),
    ],
)
def test_a_profile_field_has_the_form_of_its_standard(name: str, values: list[object], expected: str) -> None:
    assert [encode(canonicalise(value, field(name))) for value in values] == [expected] * len(values)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        *(
            ("country", value, "ambiguous")
            for value in ("Korea", "Congo", "YU", "AN", "SU", "Virgin Islands")
        ),
        *(
            ("country", value, "invalid country")
            for value in ("XK", "EU", "UN", "ZZ", "Europe", "England", "Atlantis")
        ),
        *(("language", value, "invalid language") for value in ("xx", "English (UK) ish", "zz-ZZ")),
        ("language", "Klingon", "two letters"),
        *(
            ("time_zone", value, "invalid time zone")
            for value in (
                "Factory",
                "localtime",
                "posixrules",
                "posix/Europe/Berlin",
                "CEST",
                "+01:00",
                "Mars",
            )
        ),
    ],
)
def test_what_names_nothing_or_two_things_is_refused(name: str, value: str, reason: str) -> None:
    with pytest.raises(ValueRejected, match=reason):
        canonicalise(value, field(name))


@pytest.mark.parametrize("entry", list(pycountry.countries), ids=lambda entry: entry.alpha_2)
def test_every_code_and_first_name_of_a_country_is_its_own(entry: Any) -> None:
    forms = (entry.alpha_2, entry.alpha_3, entry.numeric, Locale("en").territories[entry.alpha_2])
    assert {canonicalise(form, field("country")) for form in forms} == {entry.alpha_2}


def test_a_number_without_country_code_is_one_of_its_region() -> None:
    assert canonicalise("0170 1234567", field("phone", region="DE")) == "+491701234567"
    assert canonicalise("+33 1 42 68 53 00", field("phone", region="DE")) == "+33142685300"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("country", "Atlantis", "ISO 3166"),
        ("country", 49, "of type int"),
        ("country", "", "empty country"),
        ("language", "Klingonese", "ISO 639"),
        ("language", "tlh", "two letters"),
        ("gender", "X", "invalid gender"),
        ("dob", "17.05.1990", "ISO 8601"),
        ("dob", "1990-02-30", "calendar"),
        ("email", "ann@", "invalid e-mail"),
        ("email", "ann at example.com", "invalid e-mail"),
        ("phone", "0170 1234567", "declare its `region`"),
        ("phone", "hello", "phone number"),
        ("phone", "+49 1", "phone number"),
        ("phone", "+1 555 0000000000000000", "phone number"),
        ("time_zone", "Bielefeld", "IANA"),
        ("time_zone", "CEST+1", "IANA"),
        ("email_subscribe", "yes", "invalid subscription state"),
        ("subscription_groups", [], "empty list"),
        ("subscription_groups", {"a": 1}, "of type dict"),
        ("subscription_groups", ["x"], "other keys"),
        ("subscription_groups", [group("no uuid")], "must be a UUID"),
        ("subscription_groups", [group(state="opted_in")], "state of a group"),
        ("subscription_groups", [group(), group(state="unsubscribed")], "two states"),
        ("subscription_groups", [group(use_double_opt_in_logic="yes")], "must be true or false"),
        ("current_location", {"latitude": 91, "longitude": 0}, "outside the globe"),
        ("current_location", {"latitude": 1}, "invalid location"),
    ],
)
def test_what_is_not_of_the_standard_is_rejected_without_being_shown(
    name: str, value: object, reason: str
) -> None:
    with pytest.raises(ValueRejected, match=reason) as caught:
        canonicalise(value, field(name))
    assert "ann" not in caught.value.reason and "1234567" not in caught.value.reason


@given(st.sampled_from(list(pycountry.countries)))
def test_every_country_is_found_by_each_of_its_codes(found: Any) -> None:
    # The standard's name of one of the two countries that people call so.
    names = () if found.name == "Congo" else (found.name,)
    for form in (found.alpha_2, found.alpha_3, *names, found.alpha_2.lower()):
        assert canonicalise(form, field("country")) == found.alpha_2


@given(value=st.text() | st.emails(), name=st.sampled_from(sorted(PROFILE_FIELDS)))
def test_a_canonical_profile_field_stays_as_it_is(value: str, name: str) -> None:
    try:
        once = canonicalise(value, field(name))
    except ValueRejected:
        return
    assert canonicalise(once, field(name)) == once


def test_every_field_has_a_form() -> None:
    assert set(PROFILE_FIELDS.values()) <= set(ALL_TYPES)
    assert set(PROFILE_FIELDS) >= NEVER_CLEARED
    for name in PROFILE_FIELDS:
        assert canonicalise(None, field(name)) is None
