"""The configuration: secrets and the environment. No secret is ever shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from asterisk_sip.config import AmiConfig, load
from asterisk_sip.config_faults import os_reason
from tests.ami_server import Certificates
from tests.config_texts import HIDDEN, MINIMAL, ONE, ami, ami_of, faults, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "asterisk-sip.toml"


# Secrets


def test_the_variable_with_the_name_of_the_pbx(file: Path) -> None:
    environ = {"ASTERISK_SIP_MAIN_PBX_1_AMI_SECRET": HIDDEN}
    config = read(file, '[[pbx]]\nname = "main-pbx.1"', environ)
    assert ami_of(config).secret.get_secret_value() == HIDDEN


def test_two_pbxs_have_a_variable_each(file: Path) -> None:
    text = '[[pbx]]\nname = "a"\n[[pbx]]\nname = "b"\n'
    config = read(file, text, {"ASTERISK_SIP_A_AMI_SECRET": "1", "ASTERISK_SIP_B_AMI_SECRET": "2"})
    assert [ami_of(config, at).secret.get_secret_value() for at in (0, 1)] == ["1", "2"]
    assert faults(file, text, {"ASTERISK_SIP_A_AMI_SECRET": HIDDEN} | ONE) == {
        "pbx[1].ami": 'has no secret; give it by ASTERISK_SIP_B_AMI_SECRET or secret_file = "..."'
    }


@pytest.mark.parametrize(("end", "mode"), [("", 0o600), ("\n", 0o600), ("\r\n", 0o640)])
def test_a_secret_file_beside_the_config(file: Path, end: str, mode: int) -> None:
    secret = file.parent / "ami.secret"
    secret.write_bytes((HIDDEN + end).encode())
    secret.chmod(mode)
    config = read(file, ami('secret_file = "ami.secret"'), {})
    assert ami_of(config).secret.get_secret_value() == HIDDEN
    assert ami_of(config).secret_file == secret
    assert config.warnings == ()


@pytest.mark.parametrize("written", ["secrets/ami.secret", "{folder}/secrets/ami.secret"])
def test_what_systemd_lays_down_as_credentials_is_taken_in_place_of_the_file(file: Path, written: str) -> None:
    laid = file.parent / "laid"
    laid.mkdir()
    (laid / "secrets_ami.secret").write_text(HIDDEN)
    (laid / "secrets_ami.secret").chmod(0o400)
    text = ami(f'secret_file = "{written.format(folder=file.parent)}"')
    config = read(file, text, {"CREDENTIALS_DIRECTORY": str(laid)})
    assert ami_of(config).secret.get_secret_value() == HIDDEN
    assert ami_of(config).secret_file == laid / "secrets_ami.secret"


def test_by_hand_or_without_such_a_credential_the_file_itself_is_read(file: Path) -> None:
    (file.parent / "secrets").mkdir()
    secret = file.parent / "secrets" / "ami.secret"
    secret.write_text(HIDDEN)
    secret.chmod(0o600)
    for environ in ({}, {"CREDENTIALS_DIRECTORY": str(file.parent / "others")}):
        config = read(file, ami('secret_file = "secrets/ami.secret"'), environ)
        assert ami_of(config).secret_file == secret


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
    shown = [repr(config), str(config), repr(config.model_dump()), config.model_dump_json(), f"{ami_of(config)}"]
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
    link = ami_of(config)
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
    assert ami_of(load(file)).secret.get_secret_value() == HIDDEN


# TLS


def test_a_ca_file(file: Path) -> None:
    made = Certificates.make(file.parent)
    link = ami_of(read(file, ami("tls = true", 'ca_file = "ca.pem"', 'server_name = "pbx.example.net"')))
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
