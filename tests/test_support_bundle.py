"""The support bundle: made beside a program that runs, and searched for every secret and every number."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import sys
import tarfile
from importlib.resources import files
from pathlib import Path

import pytest

from asterisk_sip.calls.enrich import Surroundings
from asterisk_sip.config import load
from asterisk_sip.sources.recording import Replay
from asterisk_sip.support_scrub import Scrub, config_told, secrets_in

from .e2e import Said
from .played import played

NUMBER = re.compile(rb"\+?\d{5,}")
WHSEC = "whsec_c2VjcmV0LW9mLXRoZS1ob29rLWZvci10ZXN0cw=="
PATH = "T0KEN-of-the-path"
MORE = f"""
[[sink.webhook]]
name = "hook"
url = "http://127.0.0.1:9/{PATH}/hook?key=query-secret"

[[sink.jsonl]]
name = "lines"
path = "lines.jsonl"

[journal]
folder = "journal"

[privacy]
numbers = "pseudonymised"
region = "DE"

[[override]]
name = "ask +49 30 1234567"
code = 486
hint = "Call +4930987654321 and ask."
"""
SECRETS = {
    "ASTERISK_SIP_SINK_HOOK_SECRET": WHSEC,
    "ASTERISK_SIP_PRIVACY_KEY": "f" * 20 + "0123456789abcdef" * 2,
}


async def made(folder: Path, environ: dict[str, str], *options: str) -> Said:
    """Run the verb in a folder."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISK_SIP_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asterisk_sip", "support-bundle", "--config", "asterisk-sip.toml", *options),
        cwd=folder,
        env=others | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Said(process.returncode, out.decode(), err.decode())


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of a bundle, by name without the folder."""
    found = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            assert content is not None
            assert entry.mode == 0o600
            found[entry.name.partition("/")[2]] = content.read()
    return found


def people() -> tuple[set[bytes], set[bytes]]:
    """The numbers that the recording holds, and the names of people."""
    raw = gzip.decompress((files("asterisk_sip") / "data" / "demo.ami.gz").read_bytes())
    pattern = rb"^(?:CallerIDNum|ConnectedLineNum|Exten|DestExten|DialString): (.*)\r$"
    told = b"\n".join(re.findall(pattern, raw, re.MULTILINE))
    names = set(re.findall(rb"^CallerIDName: (.+)\r$", raw, re.MULTILINE)) - {b"<unknown>"}
    return {number.lstrip(b"+") for number in NUMBER.findall(told)}, names


def assert_helpful(found: dict[str, bytes], folder: Path) -> None:
    """Everything is there, and what replay reads in the journal are the calls."""
    assert found.keys() == {
        *("README.txt", "config.json", "versions.json", "health.json", "metrics.txt"),
        *("gaps.jsonl", "store.json", "journal.journal"),
    }
    assert b"Missing: nothing" in found["README.txt"]
    config = json.loads(found["config.json"])
    assert config["sink"]["webhook"][0]["url"] == "http://127.0.0.1:9/***"
    assert config["sink"]["webhook"][0]["secret"] == config["pbx"][0]["ami"]["secret"] == "***"
    assert config["store"]["flush_ms"] == 0  # a default, which is not in the file
    assert json.loads(found["versions.json"])["packages"]["aiohttp"]
    assert json.loads(found["health.json"])["pbx"][0]["name"] == "pbx1"
    assert b'asterisk_sip_calls_total{direction="outbound"' in found["metrics.txt"]
    assert json.loads(found["store.json"])["attempts"]
    path = folder / "of the bundle.journal"
    path.write_bytes(found["journal.journal"])
    records = list(Replay(Surroundings("pbx1")).read([path]))
    assert len(records) > 20
    assert {486, 503, 603, 608} <= {attempt.sip.code for record in records for attempt in record.attempts}


async def test_it_holds_what_helps_and_no_secret_and_no_number(tmp_path: Path) -> None:
    async with played(tmp_path, MORE, **SECRETS) as site:
        async with asyncio.timeout(30):
            while (await site.ready())["work"]["records"] < 60:  # noqa: ASYNC110  another process counts them
                await asyncio.sleep(0.05)
        said = await made(tmp_path, site.environ, "--out", "b.tar.gz")
    found = unpacked(tmp_path / "b.tar.gz")
    assert said.code == 0, said.err
    assert_helpful(found, tmp_path)
    everything = b"\n".join(found.values())
    for secret in [*site.environ.values(), WHSEC.removeprefix("whsec_"), PATH, "query-secret"]:
        assert secret.encode() not in everything, secret
        assert secret not in said.out + said.err
    numbers, names = people()
    assert len(numbers) > 10
    assert len(names) > 2
    for number in numbers | {b"1234567", b"4930987654321"}:
        assert number not in everything, number
    for name in names:
        assert name not in everything, name


async def test_without_a_program_a_store_or_a_journal_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "asterisk-sip.toml").write_text('[[pbx]]\nname = "pbx1"\n[web]\nport = 9\n')
    said = await made(tmp_path, {})  # and without the secret of the user of AMI
    assert said.code == 0, said.err
    assert "without health.json: no program answers at 127.0.0.1:9" in said.err
    assert "without journal: no journal is kept" in said.err
    assert "without store.json:" in said.err
    path = tmp_path / said.err.splitlines()[-1].partition(":")[0]
    assert path.stat().st_mode & 0o777 == 0o600
    assert {"README.txt", "config.json", "versions.json"} == unpacked(path).keys()
    again = await made(tmp_path, {}, "--out", path.name)
    assert (again.code, again.err.count("is there already")) == (1, 1)


def test_every_secret_of_a_configuration_is_found(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(
        f'[[pbx]]\nname = "p"\n[pbx.ami]\nusername = "u"\n{MORE}'
        '[[sink.plugin]]\nname = "other"\nentry = "x"\noptions = { topic = "calls", password = "of a plugin" }\n'
    )
    config = load(path, SECRETS | {"ASTERISK_SIP_AMI_SECRET": "of-the-user"})
    secrets = set(secrets_in(config))
    assert {"of-the-user", *SECRETS.values(), "of a plugin"} <= secrets
    assert "calls" not in secrets
    told = json.dumps(config_told(config, Scrub(secrets, b"key")))
    assert "of a plugin" not in told
    assert "of-the-user" not in told


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("login of user 'x' refused", "login of user 'x' refused"),
        ("https://hooks.example:8443/services/T1/B2", "https://hooks.example:8443/***"),
        ("https://me:pass@hooks.example", "https://hooks.example"),
        ("postgresql://u@127.0.0.1:5432/db", "postgresql://127.0.0.1:5432/***"),
        ("port 5060 of 192.0.2.10", "port 5060 of 192.0.2.10"),
        ("refused: hunter22 is wrong", "refused: *** is wrong"),
    ],
)
def test_what_helps_stays_and_what_betrays_goes(text: str, kept: str) -> None:
    assert Scrub(["hunter22", "in"], b"key").text(text) == kept
