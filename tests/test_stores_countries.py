"""Countries, as people who filter calls name them."""

from __future__ import annotations

import pytest

from asterisk_sip.stores.countries import calling_code


@pytest.mark.parametrize(
    ("text", "code"),
    [("DE", "49"), ("de", "49"), ("+49", "49"), ("49", "49"), ("US", "1"), ("CA", "1"), ("353", "353")],
)
def test_a_country_is_its_digits(text: str, code: str) -> None:
    assert calling_code(text) == code


@pytest.mark.parametrize("text", ["", "XX", "0", "999", "Germany", "4 9", "٤٩", "++49"])
def test_what_is_no_country_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"DE, 49 or \+49"):
        calling_code(text)
