"""The configuration: every fault at once, by its key, in plain words, and never a secret."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from asterisk_sip.config import AmiConfig, Config, TrunkRule, load
from asterisk_sip.config_faults import os_reason, reason_of
from asterisk_sip.errors import ConfigError
from tests.ami_server import Certificates

HIDDEN = "hunter2-must-never-show"
ONE = {"ASTERISK_SIP_AMI_SECRET": HIDDEN}
MINIMAL = '[[pbx]]\nname = "pbx1"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "asterisk-sip.toml"


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


# What holds when little is said


def test_the_least_gives_the_defaults(file: Path) -> None:
    config = read(file, MINIMAL)
    link = config.pbx[0].ami
    assert (link.host, link.port, link.username, link.event_mask) == ("127.0.0.1", 5038, "asterisk-sip", "call,system")
    assert link.secret.get_secret_value() == HIDDEN
    assert config.trunk == ()
    assert config.records.keep == "failures"
    assert config.store.path == file.parent / "asterisk-sip.db"
    assert config.warnings == ()


def test_a_byte_order_mark_is_no_fault(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(file, ONE).pbx[0].name == "pbx1"


def test_whole_numbers_do_for_seconds(file: Path) -> None:
    assert read(file, ami("ping_interval_s = 5")).pbx[0].ami.ping_interval_s == 5.0


def test_trunks_keep_their_order(file: Path) -> None:
    text = MINIMAL + '[[trunk]]\nname = "b"\nendpoints = ["b-*"]\n[[trunk]]\nname = "a"\nendpoints = ["*"]\n'
    assert read(file, text).trunk == (
        TrunkRule(name="b", endpoints=("b-*",)),
        TrunkRule(name="a", endpoints=("*",)),
    )


def test_nothing_can_be_changed_afterwards(file: Path) -> None:
    config = read(file, MINIMAL)
    with pytest.raises(ValidationError):
        config.store.flush_ms = 1  # type: ignore[misc]


# Files that cannot be read


def test_a_missing_file(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert caught.value.faults == [("file", "does not exist")]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    assert caught.value.faults == [("file", "is a folder, not a file")]


def test_broken_toml_is_told_with_its_line(file: Path) -> None:
    assert faults(file, f'{MINIMAL}[pbx.ami]\nsecret = "{HIDDEN}\n') == {
        "line 4, column 34": "is not TOML: Illegal character '\\n'"
    }
    assert list(faults(file, 'x = """')) == ["end of document"]


def test_text_that_is_not_utf8_is_told_with_its_line(file: Path) -> None:
    file.write_bytes(MINIMAL.encode() + b"# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        load(file, ONE)
    assert caught.value.faults == [("line 3", "is not UTF-8 text")]


# Faults in the file


def test_all_faults_at_once_by_key_and_in_plain_words(file: Path) -> None:
    text = """
colour = "red"
host = "pbx1"
[[pbx]]
name = "a b"
[pbx.ami]
port = "5038"
prot = 1
connect_timeout_s = true
ping_timeout_s = nan
tls = 1
max_message_bytes = 10.5
[[pbx]]
[pbx.ami]
port = 70000
retry_max_s = 0.5
ca_file = 3
[[trunk]]
name = ""
endpoints = "acme"
[[trunk]]
name = "acme"
endpoints = ["acme", 7]
[records]
keep = "some"
max_call_age_s = 0
[store]
path = ""
[pipeline]
inbox_max_events = 0
[log]
level = 3
"log level" = "info"
"""
    environ = {"ASTERISK_SIP_A_B_AMI_SECRET": HIDDEN}
    assert faults(file, text, environ) == {
        "colour": "unknown key",
        "host": "unknown key; did you mean pbx[].ami.host?",
        "pbx[0].name": "must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit",
        "pbx[0].ami.port": "must be a whole number",
        "pbx[0].ami.prot": "unknown key; did you mean port?",
        "pbx[0].ami.connect_timeout_s": "must be a number",
        "pbx[0].ami.ping_timeout_s": "must be a finite number",
        "pbx[0].ami.tls": "must be true or false",
        "pbx[0].ami.max_message_bytes": "must be a whole number",
        "pbx[1].name": "is required",
        "pbx[1].ami": 'has no secret; give it by secret_file = "..."',
        "pbx[1].ami.port": "must be at most 65535",
        "pbx[1].ami.retry_max_s": "must not be less than retry_min_s (1)",
        "pbx[1].ami.ca_file": "must be a path in quotes",
        "trunk[0].name": "must not be empty",
        "trunk[0].endpoints": "must be a list",
        "trunk[1].endpoints[1]": "must be text in quotes",
        "records.keep": "must be 'failures' or 'all'",
        "records.max_call_age_s": "must be more than 0",
        "store.path": "must not be empty",
        "pipeline.inbox_max_events": "must be at least 1",
        "log.level": "must be 'debug', 'info', 'warning' or 'error'",
        'log."log level"': "unknown key; did you mean level?",
    }


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("", "pbx", "is required"),
        ("pbx = []", "pbx", "needs at least one entry"),
        ('[pbx]\nname = "x"', "pbx", "is written as a list of tables: [[pbx]]"),
        ("pbx = [1]", "pbx[0]", "must be a table"),
        (MINIMAL + "ami = 1", "pbx[0].ami", "must be a table"),
        (MINIMAL + "[store]\npath = 1", "store.path", "must be a path in quotes"),
        ("store = 1\n" + MINIMAL, "store", "must be a table"),
        ('warnings = ["x"]\n' + MINIMAL, "warnings", "unknown key"),
        (MINIMAL + '[[trunk]]\nname = "x"\nendpoints = []', "trunk[0].endpoints", "needs at least one entry"),
        (ami(f'username = "{"x" * 80}"'), "pbx[0].ami.username", "must be at most 79 characters long"),
        (ami("retry_min_s = 100"), "pbx[0].ami.retry_max_s", "must not be less than retry_min_s (100)"),
        (ami("ping_interval_s = 86401"), "pbx[0].ami.ping_interval_s", "must be at most 86400"),
        (ami('server_name = "x"'), "pbx[0].ami.server_name", "has no effect without tls = true"),
        (ami('ca_file = "x"'), "pbx[0].ami.ca_file", "has no effect without tls = true"),
        (MINIMAL + '[store]\npath = "a\\u0000b"', "store.path", "control character"),
    ],
)
def test_a_fault(file: Path, text: str, key: str, reason: str) -> None:
    found = faults(file, text)
    assert list(found) == [key]
    assert found[key].endswith(reason)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "pbx", "pbx_1.example.net", "a.example.", "10.0"])
def test_a_host(file: Path, host: str) -> None:
    if host == "10.0":
        assert faults(file, ami(f'host = "{host}"')) == {"pbx[0].ami.host": "must be a host name or an IP address"}
    else:
        assert read(file, ami(f'host = "{host}"')).pbx[0].ami.host == host


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("tcp://pbx", "not a URL"),
        ("pbx:5038", "the port has its own key"),
        ("[::1]", "without brackets"),
        ("pbx 1", "a host name or an IP address"),
        ("pbx\\r\\nAction: Command", "the port has its own key"),
        ("a..b", "a host name or an IP address"),
        ("", "a host name or an IP address"),
        ("1.2.3.400", "a host name or an IP address"),
    ],
)
def test_no_host(file: Path, host: str, reason: str) -> None:
    assert reason in faults(file, ami(f'host = "{host}"'))["pbx[0].ami.host"]


@pytest.mark.parametrize("mask", ["call", "call,system", "system, call ,user", "on", "all"])
def test_an_event_mask(file: Path, mask: str) -> None:
    assert read(file, ami(f'event_mask = "{mask}"')).pbx[0].ami.event_mask == mask


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ("", "must not be empty"),
        ("off", "has no event class 'off'"),
        ("calls,sistem", "has no event class 'calls', 'sistem'; there are: system, call, "),
        ("system", "must hold 'call'"),
        ("call,on", "has no event class 'on'"),
        ("call\\r\\nAction: Logoff", "must not hold a line break"),
    ],
)
def test_no_event_mask(file: Path, mask: str, reason: str) -> None:
    assert faults(file, ami(f'event_mask = "{mask}"'))["pbx[0].ami.event_mask"].startswith(reason)


@pytest.mark.parametrize("character", ["\\r", "\\n", "\\u0000", "\\u0085", "\\u2028", "\\u001b"])
def test_nothing_that_goes_on_the_wire_holds_a_line_break(file: Path, character: str) -> None:
    found = faults(file, ami(f'username = "a{character}b"'))
    assert found == {"pbx[0].ami.username": "must not hold a line break or another control character"}


def test_names_are_given_once(file: Path) -> None:
    pbx = '[[pbx]]\nname = "{}"\n[pbx.ami]\nsecret_file = "s"\n'
    trunk = '[[trunk]]\nname = "{}"\nendpoints = ["{}"]\n'
    (file.parent / "s").write_text("x")
    (file.parent / "s").chmod(0o600)
    text = pbx.format("a-b") + pbx.format("a-b") + pbx.format("A.b") + trunk.format("t", "x") + trunk.format("t", "x")
    assert faults(file, text, {}) == {
        "pbx[1].name": "is already the name of pbx[0]",
        "pbx[2].name": "is too like the name of pbx[0]: both take their secret from ASTERISK_SIP_A_B_AMI_SECRET",
        "trunk[1].name": "is already the name of trunk[0]",
        "trunk[1].endpoints[0]": "is already in trunk[0]",
    }


def test_every_kind_of_fault_has_plain_words(file: Path) -> None:
    """What pydantic may find in these models is worded by us: no 'Input should be ...' reaches an operator."""
    found = faults(
        file,
        ami('port = "x"', "tls = 3", 'retry_min_s = "1"', "event_mask = 1", "ca_file = 1", "port2 = 1")
        + "\n[records]\nkeep = 1\nmax_open_calls = 1.5\n[store]\nflush_ms = -1\n"
        + "[[trunk]]\nendpoints = 1\n[log]\nlevel = 1",
    )
    assert len(found) == 12
    assert not [reason for reason in found.values() if "nput should" in reason]


def test_a_kind_of_fault_nobody_thought_of_keeps_the_library_s_words() -> None:
    assert reason_of({"type": "frozen_field", "loc": ("x",), "msg": "Field is {frozen}", "input": None}) == (
        "Field is {frozen}"
    )


# Secrets


def test_the_variable_with_the_name_of_the_pbx(file: Path) -> None:
    environ = {"ASTERISK_SIP_MAIN_PBX_1_AMI_SECRET": HIDDEN}
    config = read(file, '[[pbx]]\nname = "main-pbx.1"', environ)
    assert config.pbx[0].ami.secret.get_secret_value() == HIDDEN


def test_two_pbxs_have_a_variable_each(file: Path) -> None:
    text = '[[pbx]]\nname = "a"\n[[pbx]]\nname = "b"\n'
    config = read(file, text, {"ASTERISK_SIP_A_AMI_SECRET": "1", "ASTERISK_SIP_B_AMI_SECRET": "2"})
    assert [pbx.ami.secret.get_secret_value() for pbx in config.pbx] == ["1", "2"]
    assert faults(file, text, {"ASTERISK_SIP_A_AMI_SECRET": HIDDEN} | ONE) == {
        "pbx[1].ami": 'has no secret; give it by ASTERISK_SIP_B_AMI_SECRET or secret_file = "..."'
    }


@pytest.mark.parametrize(("end", "mode"), [("", 0o600), ("\n", 0o600), ("\r\n", 0o640)])
def test_a_secret_file_beside_the_config(file: Path, end: str, mode: int) -> None:
    secret = file.parent / "ami.secret"
    secret.write_bytes((HIDDEN + end).encode())
    secret.chmod(mode)
    config = read(file, ami('secret_file = "ami.secret"'), {})
    assert config.pbx[0].ami.secret.get_secret_value() == HIDDEN
    assert config.pbx[0].ami.secret_file == secret
    assert config.warnings == ()


def test_a_secret_file_that_everybody_can_read_is_a_warning(file: Path) -> None:
    secret = file.parent / "ami.secret"
    secret.write_text(HIDDEN)
    secret.chmod(0o644)
    config = read(file, ami(f'secret_file = "{secret}"'), {})
    assert config.warnings == (
        f"pbx[0].ami.secret_file: {secret} can be read by every user of this machine; chmod o-r it",
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"one\ntwo\n", "must not hold a line break or another control character"),
        (b"tab\there", "must not hold a line break or another control character"),
        (b" blank", "begins or ends with a blank; Asterisk strips those from manager.conf, so it never fits"),
        (b"caf\xe9", "is not UTF-8 text"),
        (b"x" * 5000, "is larger than 4096 bytes, so it is no secret"),
    ],
)
def test_a_secret_file_that_is_none(file: Path, content: bytes | None, reason: str) -> None:
    secret = file.parent / "ami.secret"
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(0o600)
    found = faults(file, ami('secret_file = "ami.secret"'), {})
    assert list(found) == ["pbx[0].ami.secret_file"]
    assert found["pbx[0].ami.secret_file"].endswith(reason)


def test_a_folder_is_no_secret_file(file: Path) -> None:
    found = faults(file, ami('secret_file = "."'), {})
    assert found["pbx[0].ami.secret_file"].endswith("is a folder, not a file")


@pytest.mark.parametrize("written", ['""', '"a\\u0000b"', "3"])
def test_a_secret_file_that_is_no_path(file: Path, written: str) -> None:
    assert list(faults(file, ami(f"secret_file = {written}"), {})) == ["pbx[0].ami.secret_file"]


def test_no_secret_tells_the_two_ways(file: Path) -> None:
    reason = 'has no secret; give it by ASTERISK_SIP_AMI_SECRET or secret_file = "..."'
    assert faults(file, MINIMAL, {}) == {"pbx[0].ami": reason}
    assert faults(file, MINIMAL, {"ASTERISK_SIP_AMI_SECRET": ""}) == {"pbx[0].ami": reason}


def test_a_secret_given_twice_names_both(file: Path) -> None:
    assert faults(file, ami('secret_file = "x"')) == {
        "pbx[0].ami": "its secret is given more than once, by ASTERISK_SIP_AMI_SECRET and by secret_file; keep one"
    }
    environ = ONE | {"ASTERISK_SIP_PBX1_AMI_SECRET": HIDDEN}
    assert faults(file, MINIMAL, environ) == {
        "pbx[0].ami": "its secret is given more than once, by ASTERISK_SIP_AMI_SECRET and by "
        "ASTERISK_SIP_PBX1_AMI_SECRET; keep one"
    }


@pytest.mark.parametrize("key", ["secret", "password"])
@pytest.mark.parametrize("value", [f'"{HIDDEN}"', f'["{HIDDEN}"]', f'{{ x = "{HIDDEN}" }}'])
def test_a_secret_in_the_file_is_refused_with_the_two_ways(file: Path, key: str, value: str) -> None:
    assert faults(file, ami(f"{key} = {value}"), {}) == {
        f"pbx[0].ami.{key}": "a secret does not belong in this file; give it by ASTERISK_SIP_AMI_SECRET or "
        'secret_file = "..."'
    }


@pytest.mark.parametrize("bad", ["line\nbreak", " blank", "esc\x1b", "half\udcff"])
def test_a_bad_secret_in_the_environment_is_told_by_its_variable(file: Path, bad: str) -> None:
    found = faults(file, MINIMAL, {"ASTERISK_SIP_AMI_SECRET": HIDDEN + bad if bad != " blank" else bad + HIDDEN})
    assert list(found) == ["ASTERISK_SIP_AMI_SECRET"]


def test_the_secret_shows_nowhere(file: Path) -> None:
    config = read(file, MINIMAL)
    shown = [repr(config), str(config), repr(config.model_dump()), config.model_dump_json(), f"{config.pbx[0].ami}"]
    assert not [text for text in shown if HIDDEN in text]
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - made on the line itself


def test_a_model_made_by_hand_does_not_show_it_either() -> None:
    with pytest.raises(ValidationError) as caught:
        AmiConfig(secret=SecretStr(HIDDEN + "\n"), port=0)
    assert HIDDEN not in str(caught.value)


def test_secrets_for_nobody_are_a_warning(file: Path) -> None:
    config = read(file, MINIMAL, ONE | {"ASTERISK_SIP_PBX2_AMI_SECRET": HIDDEN})
    assert config.warnings == ("ASTERISK_SIP_PBX2_AMI_SECRET is set, but no [[pbx]] has that name",)
    text = '[[pbx]]\nname = "a"\n[[pbx]]\nname = "b"\n'
    config = read(file, text, ONE | {"ASTERISK_SIP_A_AMI_SECRET": "1", "ASTERISK_SIP_B_AMI_SECRET": "2"})
    assert config.warnings == ("ASTERISK_SIP_AMI_SECRET is set, but not used: there is more than one [[pbx]]",)


# The environment


def test_the_environment_wins(file: Path) -> None:
    text = ami('host = "10.0.0.1"', "port = 1") + '\n[[trunk]]\nname = "t"\nendpoints = ["t"]'
    environ = ONE | {
        "ASTERISK_SIP__PBX__0__AMI__PORT": "5039",
        "ASTERISK_SIP__PBX__0__AMI__HOST": "",
        "ASTERISK_SIP__PBX__0__AMI__USERNAME": "007",
        "ASTERISK_SIP__PBX__0__AMI__TLS": "Yes",
        "ASTERISK_SIP__PBX__0__AMI__PING_INTERVAL_S": "2.5",
        "ASTERISK_SIP__TRUNK__0__NAME": "acme",
        "ASTERISK_SIP__RECORDS__KEEP": "all",
        "ASTERISK_SIP__STORE__PATH": "data/calls.db",
        "UNRELATED": HIDDEN,
    }
    config = read(file, text, environ)
    link = config.pbx[0].ami
    assert (link.port, link.host, link.username, link.tls, link.ping_interval_s) == (5039, "10.0.0.1", "007", True, 2.5)
    assert config.trunk[0].name == "acme"
    assert config.records.keep == "all"
    assert config.store.path == file.parent / "data" / "calls.db"


def test_a_secret_file_may_be_named_by_the_environment(file: Path) -> None:
    found = faults(file, MINIMAL, {"ASTERISK_SIP__PBX__0__AMI__SECRET_FILE": "none"})
    assert found == {"ASTERISK_SIP__PBX__0__AMI__SECRET_FILE": f"{file.parent}/none: does not exist"}
    found = faults(file, MINIMAL, ONE | {"ASTERISK_SIP__PBX__0__AMI__SECRET_FILE": "none"})
    assert found["pbx[0].ami"].endswith(
        "by ASTERISK_SIP_AMI_SECRET and by ASTERISK_SIP__PBX__0__AMI__SECRET_FILE; keep one"
    )


def test_faults_of_the_environment_are_told_by_variable(file: Path) -> None:
    environ = ONE | {
        "ASTERISK_SIP__STORE__FLUSH_MS": "soon",
        "ASTERISK_SIP__STORE__PTH": "x",
        "ASTERISK_SIP__PBX__0__AMI__TLS": "maybe",
        "ASTERISK_SIP__PBX__0__AMI__SECRET": HIDDEN,
        "ASTERISK_SIP__PBX__1__AMI__PORT": "1",
        "ASTERISK_SIP__TRUNK__0__ENDPOINTS": "a,b",
        "ASTERISK_SIP__PBX__0__AMI__PING_TIMEOUT_S": "inf",
    }
    assert faults(file, MINIMAL + '[[trunk]]\nname = "t"\nendpoints = ["t"]', environ) == {
        "ASTERISK_SIP__STORE__FLUSH_MS": "must be a whole number",
        "ASTERISK_SIP__STORE__PTH": "sets no known key; did you mean ASTERISK_SIP__STORE__PATH?",
        "ASTERISK_SIP__PBX__0__AMI__TLS": "must be true or false",
        "ASTERISK_SIP__PBX__0__AMI__SECRET": "is no way to give a secret; use ASTERISK_SIP_AMI_SECRET or secret_file",
        "ASTERISK_SIP__PBX__1__AMI__PORT": "sets no known key; did you mean ASTERISK_SIP__PBX__0__AMI__PORT?",
        "ASTERISK_SIP__TRUNK__0__ENDPOINTS": "a list can only be set in the file",
        "ASTERISK_SIP__PBX__0__AMI__PING_TIMEOUT_S": "must be a finite number",
    }


def test_an_override_does_not_hide_a_fault_of_the_file(file: Path) -> None:
    assert faults(file, "store = 1\n" + MINIMAL, ONE | {"ASTERISK_SIP__STORE__PATH": "x"}) == {
        "store": "must be a table"
    }


def test_the_environment_of_the_process_is_the_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISK_SIP_AMI_SECRET", HIDDEN)
    file.write_text(MINIMAL)
    assert load(file).pbx[0].ami.secret.get_secret_value() == HIDDEN


# TLS


def test_a_ca_file(file: Path) -> None:
    made = Certificates.make(file.parent)
    link = read(file, ami("tls = true", 'ca_file = "ca.pem"', 'server_name = "pbx.example.net"')).pbx[0].ami
    assert (link.ca_file, link.server_name) == (made.ca_file, "pbx.example.net")


def test_a_ca_file_that_is_no_path(file: Path) -> None:
    assert list(faults(file, ami("tls = true", 'ca_file = "a\\u0000b"'))) == ["pbx[0].ami.ca_file"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "may not be read by this user"),
        (OSError(5, "I/O Error"), "i/o error"),
    ],
)
def test_why_a_file_cannot_be_read(error: OSError, reason: str) -> None:
    assert os_reason(error) == reason


@pytest.mark.parametrize(("content", "reason"), [(None, "does not exist"), ("x", "holds no certificate in PEM form")])
def test_a_ca_file_that_is_none(file: Path, content: str | None, reason: str) -> None:
    if content is not None:
        (file.parent / "ca.pem").write_text(content)
    found = faults(file, ami("tls = true", 'ca_file = "ca.pem"'))
    assert found == {"pbx[0].ami.ca_file": f"{file.parent}/ca.pem: {reason}"}
