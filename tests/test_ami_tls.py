"""AMI over TLS: only with a certificate that is trusted and bears the right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import LinkLostError
from asterisk_sip.sources.ami import AmiLink
from tests.ami_client import Recorder, eventually, hangup, loop_watched, patient, running, until_up
from tests.ami_server import Certificates, ScriptedAmi


async def refused(pbx: ScriptedAmi, match: str, **changes: object) -> None:
    async with loop_watched():
        link = AmiLink(patient(pbx, **changes), Recorder())
        with pytest.raises(LinkLostError, match=match):
            await link.open()
        await link.close()
    assert pbx.actions == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_trusted_certificate_with_the_right_name_is_good(tmp_path: Path, host: str) -> None:
    certificates = Certificates.make(tmp_path)
    async with ScriptedAmi(tls=certificates.server) as pbx:
        listener = Recorder()
        async with running(patient(pbx, host=host, tls=True, ca_file=certificates.ca_file), listener):
            await until_up(listener)
            await pbx.send(b"".join(hangup(f"1.{i}") for i in range(500)))
            await eventually(lambda: len(listener.hung_up) == 500, "all events")
            pbx.reset()
            await until_up(listener, 2)
            await pbx.wait_for_action("CoreShowChannels", 2)
            await eventually(lambda: len(listener.of(ev.ChannelsListed)) == 2, "the list")
    assert listener.links == ["up", "down", "up", "down"]
    assert [action["Action"] for action in pbx.actions].count("Logoff") == 1
    for connection in pbx.connections:
        await pbx.wait_for_close(connection)


async def test_the_name_to_be_shown_may_be_another_than_the_host(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path, "pbx.example.org")
    async with ScriptedAmi(tls=certificates.server) as pbx:
        trusting = {"tls": True, "ca_file": certificates.ca_file}
        await refused(pbx, "not trusted: .*not valid for", **trusting)
        await refused(pbx, "not trusted: .*mismatch", **trusting, server_name="other.example.org")
        listener = Recorder()
        async with running(patient(pbx, **trusting, server_name="pbx.example.org"), listener):
            await until_up(listener)


async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Certificates.make(tmp_path / "other")
    async with ScriptedAmi(tls=Certificates.make(tmp_path).server) as pbx:
        await refused(pbx, "not trusted: .*issuer", tls=True, ca_file=other.ca_file)
        await refused(pbx, "not trusted: .*issuer", tls=True)


async def test_a_plain_port_is_told_as_such() -> None:
    async with ScriptedAmi() as pbx:
        await refused(pbx, "is it TLS that is spoken there", tls=True)


async def test_a_tls_port_that_is_taken_for_a_plain_one_does_not_greet(tmp_path: Path) -> None:
    async with ScriptedAmi(tls=Certificates.make(tmp_path).server) as pbx:
        await refused(pbx, "no greeting from an AMI", login_timeout_s=0.05)


async def test_a_handshake_that_is_never_taken_up_is_given_up() -> None:
    async with ScriptedAmi() as pbx:
        pbx.banner = b""
        await refused(pbx, r"no connection within 0\.05 s", tls=True, connect_timeout_s=0.05)


@pytest.mark.parametrize("text", [None, "no certificate at all\n"])
async def test_a_ca_file_that_holds_none_is_told_by_its_name(tmp_path: Path, text: str | None) -> None:
    ca_file = tmp_path / "our-ca.pem"
    if text is not None:
        ca_file.write_text(text)
    async with ScriptedAmi() as pbx:
        await refused(pbx, "no CA certificates in .*our-ca.pem", tls=True, ca_file=ca_file)
        assert pbx.connections == []
