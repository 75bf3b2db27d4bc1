"""The configuration: every fault at once, by its key, in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from asterisk_sip.config import TrunkRule, load
from asterisk_sip.config_faults import reason_of
from asterisk_sip.errors import ConfigError
from tests.config_texts import HIDDEN, MINIMAL, ONE, ami, ami_of, faults, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "asterisk-sip.toml"


# What holds when little is said


def test_the_least_gives_the_defaults(file: Path) -> None:
    config = read(file, MINIMAL)
    link = ami_of(config)
    assert (link.host, link.port, link.username, link.event_mask) == (
        "127.0.0.1",
        5038,
        "asterisk-sip",
        "call,system,agent",
    )
    assert link.secret.get_secret_value() == HIDDEN
    assert config.trunk == ()
    assert config.records.keep == "failures"
    assert config.store.path == file.parent / "asterisk-sip.db"
    assert config.warnings == ()


def test_a_byte_order_mark_is_no_fault(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(file, ONE).pbx[0].name == "pbx1"


def test_whole_numbers_do_for_seconds(file: Path) -> None:
    assert ami_of(read(file, ami("ping_interval_s = 5"))).ping_interval_s == 5.0


def test_trunks_keep_their_order(file: Path) -> None:
    text = MINIMAL + '[[trunk]]\nname = "b"\nendpoints = ["b-*"]\n[[trunk]]\nname = "a"\nendpoints = ["*"]\n'
    assert read(file, text).trunk == (
        TrunkRule(name="b", endpoints=("b-*",)),
        TrunkRule(name="a", endpoints=("*",)),
    )


def test_nothing_can_be_changed_afterwards(file: Path) -> None:
    config = read(file, MINIMAL)
    with pytest.raises(ValidationError):
        config.store.flush_ms = 1  # type: ignore[misc]  # that is what must fail


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


BROKEN = """
shade = "red"
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

ITS_FAULTS = {
    "shade": "unknown key",
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


def test_all_faults_at_once_by_key_and_in_plain_words(file: Path) -> None:
    assert faults(file, BROKEN, {"ASTERISK_SIP_A_B_AMI_SECRET": HIDDEN}) == ITS_FAULTS


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
        assert ami_of(read(file, ami(f'host = "{host}"'))).host == host


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
    assert ami_of(read(file, ami(f'event_mask = "{mask}"'))).event_mask == mask


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
        "pbx[2].name": "is too like the name of pbx[0]: both take their secrets from ASTERISK_SIP_A_B_...",
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
