"""What lies in configs/ works as it stands, and shows every key there is."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from asterisk_sip.config import AmiConfig, Config, load
from asterisk_sip.config_doors import AgiConfig, AriConfig, PbxConfig
from asterisk_sip.config_keys import key_paths, table_of
from asterisk_sip.config_model import TrunkRule
from asterisk_sip.errors import ConfigError
from asterisk_sip.sources.cel_wire import CSV_COLUMNS, NEEDED, REQUIRED
from tests.config_texts import ami_of

CONFIGS = Path(__file__).parent.parent / "configs"
SAMPLE = CONFIGS / "asterisk-sip.toml"
SECRET = {"ASTERISK_SIP_AMI_SECRET": "for-this-test"}
THE_LINE = (
    r"channelvars = EVAL(${${IF(${FIELDNUM(HANGUPCAUSE_KEYS(),\\,,${CHANNEL(name)})}?HANGUPCAUSE:LEN)}"
    r"(${CHANNEL(name)},tech)})"
)
DIALPLAN = CONFIGS / "asterisk" / "extensions.conf"
LOG = sorted((CONFIGS / "asterisk").glob("cel*.conf"))
CLIENT = CONFIGS / "asterisk" / "websocket_client.conf"
SNIPPETS = sorted(set((CONFIGS / "asterisk").glob("*.conf")) - {DIALPLAN})
SWITCHED_OFF = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a TOML tree by key path, ``pbx[].ami.port`` for entries of lists of tables."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= leaves(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for entry in value:
                found |= leaves(entry, f"{prefix}{key}[].")
        else:
            found[prefix + key] = value
    return found


def sections(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Read an Asterisk configuration file the way Asterisk does: ``;`` ends a line unless it is escaped."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] | None = None
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = re.split(r"(?<!\\);", raw, maxsplit=1)[0].strip()
        if not line:
            continue
        if line.startswith("["):
            name = re.fullmatch(r"\[([a-z-]+)\]", line)
            assert name, f"{path.name}:{number}: no section: {line}"
            assert name[1] not in found, f"{path.name}:{number}: section twice"
            current = found.setdefault(name[1], [])
            continue
        key, equals, value = line.partition("=")
        assert equals, f"{path.name}:{number}: neither section nor setting: {line}"
        assert current is not None, f"{path.name}:{number}: setting before any section"
        current.append((key.strip(), value.removeprefix(">").strip()))
    return found


# The TOML files


def test_the_sample_shows_every_key_and_no_other() -> None:
    shown = leaves(tomllib.loads(SWITCHED_OFF.sub("", SAMPLE.read_text())))
    assert sorted(shown) == sorted(Config.example_keys())


def test_the_sample_shows_the_defaults(tmp_path: Path) -> None:
    config = load(Path(shutil.copy(SAMPLE, tmp_path)), SECRET)
    least = tmp_path / "least.toml"
    least.write_text('[[pbx]]\nname = "pbx1"\n[[trunk]]\nname = "acme"\nendpoints = ["acme", "acme-*"]\n')
    assert config == load(least, SECRET)


def test_what_the_sample_has_switched_off_has_no_default_or_is_in_a_table_that_is_off() -> None:
    on, every = (leaves(tomllib.loads(text)) for text in (SAMPLE.read_text(), SWITCHED_OFF.sub("", SAMPLE.read_text())))
    off = {key: every[key] for key in every.keys() - on.keys()}
    tables_on = {key.rpartition(".")[0] for key in on}
    assert {key for key in off if key.rpartition(".")[0] in tables_on} == {
        "pbx[].ami.secret_file",
        "pbx[].ami.ca_file",
        "pbx[].ami.server_name",
        "store.url",
        "store.password_file",
        "retention.max_age_days",
        "retention.max_size_mb",
        "retention.totals_days",
        "retention.gaps_days",
        "notice.text_template",
        "notice.html_template",
        "web.public_url",
        "privacy.region",
        "privacy.key_file",
        "web.cert_file",
        "web.key_file",
    }
    for key, value in off.items():
        field = field_at(tuple(key.replace("[]", ".[]").split(".")))
        if not field.is_required() and field.default is not None:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            assert default == value, key
    assert load(SAMPLE, SECRET).override == ()


def field_at(path: tuple[str, ...]) -> FieldInfo:
    """The field of the model at a path."""
    model: type[BaseModel] = Config
    for step in path[:-1]:
        model = (None if step == "[]" else table_of(model, step)[0]) or model
    return model.model_fields[path[-1]]


def test_every_key_of_the_sample_is_explained() -> None:
    """A comment stands above each key, or above the group of keys it begins."""
    for block in SAMPLE.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith(("[", "#["))]
        assert lines[0].startswith("# "), f"not explained: {lines[0]}"


@pytest.mark.parametrize("name", ["asterisk-sip.toml", "demo.toml"])
def test_a_sample_loads_where_it_lies(name: str) -> None:
    assert load(CONFIGS / name, SECRET).warnings == ()


def test_the_minimal_one_needs_a_secret_file_beside_it(tmp_path: Path) -> None:
    path = Path(shutil.copy(CONFIGS / "asterisk-sip.minimal.toml", tmp_path))
    with pytest.raises(ConfigError, match=r"secret_file: .*ami.secret: does not exist"):
        load(path, {})
    secret = tmp_path / "ami.secret"
    secret.write_text("for-this-test\n")
    secret.chmod(0o600)
    config = load(path, {})
    assert ami_of(config).secret.get_secret_value() == "for-this-test"
    assert config.warnings == ()


def test_the_demo_takes_port_secret_and_store_from_the_environment(tmp_path: Path) -> None:
    environ = SECRET | {
        "ASTERISK_SIP__PBX__0__AMI__PORT": "40000",
        "ASTERISK_SIP__STORE__PATH": str(tmp_path / "demo.db"),
    }
    config = load(CONFIGS / "demo.toml", environ)
    assert (ami_of(config).port, config.store.path) == (40_000, tmp_path / "demo.db")


def test_no_toml_file_was_forgotten() -> None:
    assert {path.name for path in CONFIGS.glob("*.toml")} == {
        "asterisk-sip.toml",
        "asterisk-sip.minimal.toml",
        "demo.toml",
    }


def test_key_paths_tell_lists_of_tables_from_tables() -> None:
    assert ("ami", "port") in key_paths(PbxConfig)
    assert key_paths(TrunkRule) == (("name",), ("endpoints",))
    assert {"pbx[].name", "pbx[].ami.port", "trunk[].endpoints", "store.path"} < set(Config.example_keys())
    assert not [key for key in Config.example_keys() if key.endswith(".secret") or "warnings" in key]


# The snippets for Asterisk


@pytest.mark.parametrize("path", sorted({*SNIPPETS} - {*LOG, CLIENT}), ids=lambda path: path.name)
def test_a_snippet_can_be_parsed_and_listens_on_loopback_only(path: Path) -> None:
    general = dict(sections(path)["general"])
    assert general["enabled"] == "yes"
    assert general.get("bindaddr", "127.0.0.1") == "127.0.0.1"
    assert {key for key in general if key.endswith("bindaddr")} <= {"bindaddr"}


def test_the_log_of_channels_has_all_that_is_read_of_it() -> None:
    general = dict(sections(CONFIGS / "asterisk" / "cel.conf")["general"])
    assert general["enable"] == "yes"
    assert {*NEEDED, "APP_START", "APP_END", "FORWARD"} == {*general["events"].split(",")}
    table = dict(sections(CONFIGS / "asterisk" / "cel_sqlite3_custom.conf")["master"])
    columns = table["columns"].split(",")
    assert {*REQUIRED, "extra"} <= {*columns} <= {*CSV_COLUMNS}
    assert len(table["values"].split(",")) == len(columns)


@pytest.mark.parametrize("name", ["manager.conf", "ari.conf"])
def test_the_line_is_there_once_and_to_the_letter(name: str) -> None:
    path = CONFIGS / "asterisk" / name
    assert [line for line in path.read_text().splitlines() if line.startswith("channelvars")] == [THE_LINE]
    assert dict(sections(path)["general"])["channelvars"] == THE_LINE.removeprefix("channelvars = ")
    assert "Never put CHANNEL(pjsip,...) into channelvars" in path.read_text()
    assert not [value for entries in sections(path).values() for _, value in entries if "CHANNEL(pjsip" in value]


def test_the_manager_user_can_listen_and_ask_and_no_more() -> None:
    found = sections(CONFIGS / "asterisk" / "manager.conf")
    assert dict(found["general"])["timestampevents"] == "yes"
    user = found[AmiConfig.model_fields["username"].default]
    assert [key for key, _ in user] == ["deny", "deny", "permit", "permit", "read", "write", "writetimeout"]
    rules = dict(user)
    assert set(rules["read"].split(",")) == set(AmiConfig.model_fields["event_mask"].default.split(","))
    assert rules["write"] == "reporting"


def test_an_asterisk_that_connects_finds_us_on_loopback_and_is_read_only() -> None:
    client = dict(sections(CLIENT)["asterisk-sip"])
    assert client["uri"] == f"ws://127.0.0.1:{AriConfig.model_fields['listen_port'].default}/pbx1"
    assert client["username"] == AriConfig.model_fields["username"].default
    text = (CONFIGS / "asterisk" / "ari.conf").read_text()
    for line in ("websocket_client_id = asterisk-sip", "subscribe_all = yes", "local_ari_user = asterisk-sip"):
        assert f"\n;{line}\n" in text


def test_the_ari_user_is_read_only() -> None:
    user = dict(sections(CONFIGS / "asterisk" / "ari.conf")["asterisk-sip"])
    assert user == {"type": "user", "read_only": "yes"}


@pytest.mark.parametrize("path", [*SNIPPETS, *CONFIGS.glob("*.toml")], ids=lambda path: path.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert not re.match(r"^[;#\s]*(secret|password)\s*=>?\s*\S", line), line


def test_files_are_plain_ascii_with_short_lines() -> None:
    for path in [*SNIPPETS, *CONFIGS.glob("*.toml")]:
        text = path.read_text()
        assert text.isascii()
        assert text.endswith("\n")
        whole = ("channelvars", "columns", "values")  # Asterisk has no way to go on in the next line
        assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith(whole)] == []


# The dialplan


def test_the_hangup_handler_evaluates_nothing_and_puts_no_remote_text_where_it_would_be() -> None:
    lines = [line.partition(";")[0] for line in DIALPLAN.read_text().splitlines()]
    code = "\n".join(line for line in lines if line.strip())
    assert not re.search(r"EVAL|SHELL|System|ExecIf|TrySystem", code)
    remote = ("CALLERID", "HANGUPCAUSE(", "STACK_PEEK", "DIALEDPEERNUMBER", "call-id", "SIPCALLID")
    for line in code.splitlines():
        if not any(name in line for name in remote):
            continue
        if "GotoIf" in line:
            assert "[${LEN(" in line, line  # only its length
        else:
            encoded = "BASE64_ENCODE(=$" in line
            assert encoded or re.search(r"Set\((LOCAL\()?(told|exten)\)?=\$\{[^ ]*\}\)$", line), line


def test_the_handler_listens_where_the_door_does_by_default() -> None:
    port = AgiConfig.model_fields["listen_port"].default
    assert f"ASTERISK_SIP_AGI = agi://127.0.0.1:{port}/" in DIALPLAN.read_text()
