"""Configurations for tests: writing one, loading it, and collecting its faults while watching for the secret."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from asterisk_sip.config import AmiConfig, Config, load
from asterisk_sip.errors import ConfigError

HIDDEN = "hunter2-must-never-show"
ONE = {"ASTERISK_SIP_AMI_SECRET": HIDDEN}
MINIMAL = '[[pbx]]\nname = "pbx1"\n'


def read(file: Path, text: str, environ: Mapping[str, str] = ONE) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file, environ)


def faults(file: Path, text: str, environ: Mapping[str, str] = ONE) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        read(file, text, environ)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert HIDDEN not in shown
    assert caught.value.source == str(file)
    found = dict(caught.value.faults)
    assert len(found) == len(caught.value.faults), "one fault a key"
    return found


def ami(*lines: str) -> str:
    return "\n".join([MINIMAL, "[pbx.ami]", *lines])


def ami_of(config: Config, at: int = 0) -> AmiConfig:
    """The AMI of a PBX, which must have one."""
    link = config.pbx[at].ami
    assert link is not None
    return link
