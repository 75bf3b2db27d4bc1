from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asterisk_sip.catalog import Redress, redress_contact


def test_603_plus_says_whom_to_ask() -> None:
    reason = 'SIP;cause=603;text="v=analytics1;url=https://redress.example/603;tel=+12155550123";location=LN'
    assert redress_contact([reason]) == Redress(url="https://redress.example/603", tel="+12155550123")


def test_the_q850_form_and_an_email_are_read_too() -> None:
    reason = 'Q.850 ; cause=21 ; text = "v=Analytics1; email=appeals%40carrier.example"'
    assert redress_contact([reason]) == Redress(email="appeals@carrier.example")


def test_608_names_a_signed_card() -> None:
    value = "<https://block.example/contact.json>;purpose=jwscard"
    assert redress_contact(call_info=[value]) == Redress(card="https://block.example/contact.json")


def test_several_values_in_one_header_are_looked_through() -> None:
    value = "<https://a.example/icon.png>;purpose=icon, <https://b.example/card>; purpose=jwscard"
    assert redress_contact(call_info=[value]) == Redress(card="https://b.example/card")


@pytest.mark.parametrize(
    "reason",
    [
        'SIP;cause=603;text="Call me: url=https://evil.example"',
        "SIP;cause=603",
        'Q.850;cause=21;text="v=other1;url=https://evil.example"',
        'SIP;cause=603;text="v=analytics1"',
        "",
    ],
)
def test_plain_words_hold_no_contact(reason: str) -> None:
    assert redress_contact([reason]) is None


def test_an_icon_is_no_contact() -> None:
    assert redress_contact(call_info=["<https://a.example/icon.png>;purpose=icon"]) is None


@given(st.lists(st.text(max_size=200), max_size=3), st.lists(st.text(max_size=200), max_size=3))
def test_no_header_can_break_it(reasons: list[str], call_info: list[str]) -> None:
    found = redress_contact(reasons, call_info)
    assert found is None or any((found.url, found.tel, found.email, found.card))
