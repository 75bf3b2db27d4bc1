"""How long records are kept, and in which form the numbers in them, as types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from asterisk_sip.config_types import Derived, FilePath, Secret, Section, without

Days = Annotated[int | None, Field(ge=1, le=36_500)]


class RetentionConfig(Section):
    """When what was recorded is forgotten; what is not set is kept for ever."""

    max_age_days: Days = None
    max_size_mb: int | None = Field(None, ge=16, le=1_048_576)
    answered_ids_days: Days = 30
    totals_days: Days = None
    gaps_days: Days = None


class PrivacyConfig(Section):
    """What becomes of the numbers and names of people before a record is written anywhere."""

    numbers: Literal["full", "masked", "pseudonymised"] = "full"
    short_digits: int = Field(5, ge=3, le=9)
    masked_digits: int = Field(4, ge=1, le=15)
    region: Annotated[str | None, Field(validate_default=True)] = None
    key: Annotated[Secret | None, Derived()] = None
    key_file: FilePath | None = None

    @field_validator("region")
    @classmethod
    def _a_home(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("numbers") == "pseudonymised":
            raise ValueError('is needed: where national numbers are at home, such as "DE"')
        if value is not None and not re.fullmatch("[A-Z]{2}", value):
            raise ValueError('must be the two capital letters of a country, such as "DE"')
        return value

    @field_validator("key_file")
    @classmethod
    def _only_with_pseudonyms(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return without(value, lacking=info.data.get("numbers") != "pseudonymised", what='numbers = "pseudonymised"')
