"""Whatever stands in the file and the environment: a configuration, or one ConfigError that shows no secret."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterisk_sip.config import Config, load
from asterisk_sip.config_keys import key_paths
from asterisk_sip.config_secrets import SECRETS
from asterisk_sip.errors import ConfigError
from tests.config_texts import HIDDEN

SAMPLE = (Path(__file__).parent.parent / "configs" / "asterisk-sip.toml").read_text()
EVERYTHING = re.sub(r"^#(?=[a-z_]+ = |\[)", "", SAMPLE, flags=re.MULTILINE)
PATHS = key_paths(Config)
KEYS = sorted({step for path in PATHS for step in path} - {"[]"} | {secret.key for secret in SECRETS} | {"warnings"})
VARIABLES = sorted(
    {"ASTERISK_SIP__" + "__".join(path).replace("[]", "0").upper() for path in PATHS}
    | {secret.only for secret in SECRETS}
    | {name for secret in SECRETS if (name := secret.of("pbx1"))}
)

FEW = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.one_of(
    st.booleans(),
    st.integers(),
    st.just(10**4000),
    st.floats(),
    texts,
    st.sampled_from(["127.0.0.1", "0.0.0.0", "postgresql://u:p@h/d", "sqlite", "pbx1"]),
    st.dates(),
    st.just(dt.time(1, 2)),
)
keys = st.one_of(st.sampled_from(KEYS), texts)
tables = st.dictionaries(st.sampled_from(["secret", "password", "capture_password"]), st.just(HIDDEN), max_size=1)
trees = st.recursive(
    plain | tables, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6), max_leaves=20
)


environs = st.builds(
    lambda some, hidden: some | dict.fromkeys(hidden, HIDDEN),
    st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=9), max_size=5),
    st.sets(st.sampled_from([name for name in VARIABLES if name.endswith(("SECRET", "PASSWORD", "KEY"))])),
)


def toml(value: Any) -> str:
    """A value as TOML, all in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool | float) else str(value)


def is_safe(file: Path, environ: dict[str, str]) -> None:
    """Load the file; assert that what goes wrong is told as it should be."""
    modes: tuple[bool | tuple[str, ...], ...] = (True, False, ("store",))
    for secrets in modes:
        try:
            config = load(file, environ, secrets=secrets)
        except ConfigError as error:
            shown, faults = str(error), error.faults
        else:
            shown, faults = config.model_dump_json() + " ".join(config.warnings), [("none", "none")]
        assert HIDDEN not in shown
        assert faults
        assert all(key and reason for key, reason in faults), faults


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "asterisk-sip.toml"


@FEW
@given(st.dictionaries(keys, trees, max_size=6))
def test_any_tree(file: Path, tree: dict[str, Any]) -> None:
    file.write_text("\n".join(f"{toml(key)} = {toml(value)}" for key, value in tree.items()), encoding="utf-8")
    is_safe(file, {})


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Everything the sample shows, with some values replaced, removed or moved."""
    lines = [*EVERYTHING.splitlines(), "[[pbx]]", 'name = "other"', "[pbx.hep]", "capture_id = 2", "[pbx.agi]"]
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.sampled_from([at for at, line in enumerate(lines) if line and not line.startswith("#")]))
        key, equals, _ = lines[at].partition(" = ")
        done = draw(st.sampled_from(["value", "value", "drop", "twice", "cut"]))
        if done == "value" and equals:
            lines[at] = f"{key} = {toml(draw(trees))}"
        elif done == "twice":
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif done == "cut":
            lines[at] = lines[at][: draw(st.integers(0, 20))]
        else:
            lines[at] = ""
    return "\n".join(lines)


@FEW
@given(configurations(), environs)
def test_any_change_of_the_sample(file: Path, text: str, environ: dict[str, str]) -> None:
    file.write_text(text, encoding="utf-8")
    is_safe(file, environ)


@FEW
@given(st.binary(max_size=200))
def test_any_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    is_safe(file, {})


@pytest.mark.parametrize(
    "content", ["x = " + "[" * 100_000, "x = 1" + "0" * 10_000, "x = 2026-02-30", "a." * 5_000 + "b = 1"]
)
def test_what_the_parser_itself_cannot_take(file: Path, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError):
        load(file, {})
