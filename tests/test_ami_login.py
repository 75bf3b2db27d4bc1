"""Coming in: greeting, MD5 login, its refusals and silences; and a secret that nobody ever sees."""

from __future__ import annotations

import hashlib
import itertools
import logging
import traceback
from collections.abc import AsyncIterator, Iterable

import pytest
from structlog.testing import capture_logs

from asterisk_sip.errors import AsteriskSipError, AuthError, LinkLostError, WireError
from asterisk_sip.sources.ami import AmiLink
from tests.ami_client import Recorder, eventually, loop_watched, patient, running, until_up
from tests.ami_messages import Action, Headers
from tests.ami_server import SECRET, Connection, ScriptedAmi


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedAmi]:
    async with ScriptedAmi() as server:
        yield server


class OddChallenger(ScriptedAmi):
    """Answers the challenge as the test says."""

    challenge: Headers = {}

    def _messages(self, connection: Connection, name: str, action: Action) -> Iterable[Headers]:
        return [self.challenge] if name == "challenge" else super()._messages(connection, name, action)


async def fails_to_open(pbx: ScriptedAmi, kind: type[AsteriskSipError], match: str, **changes: object) -> None:
    """One try, and what it leaves: nothing open, nothing waiting."""
    async with loop_watched():
        link = AmiLink(patient(pbx, **changes), Recorder())
        with pytest.raises(kind, match=match):
            await link.open()
        await link.close()
    for connection in pbx.connections:
        await pbx.wait_for_close(connection)
        assert "Logoff" not in [action["Action"] for action in connection.actions]


# Login


@pytest.mark.parametrize("mask", ["call,system", "call", "on"])
async def test_login_is_by_md5_and_asks_for_the_events_wanted(pbx: ScriptedAmi, mask: str) -> None:
    async with running(patient(pbx, event_mask=mask), Recorder()):
        connection = await pbx.wait_for_login()
    assert connection.event_mask == mask
    challenge, login = connection.actions[:2]
    assert (challenge["Action"], challenge["AuthType"]) == ("Challenge", "MD5")
    key = hashlib.md5((connection.challenge + SECRET).encode(), usedforsecurity=False).hexdigest()
    assert {name: value for name, value in login.items() if name != "ActionID"} == {
        "Action": "Login",
        "AuthType": "MD5",
        "Username": "asterisk-sip",
        "Key": key,
        "Events": mask,
    }


async def test_a_secret_may_hold_any_letter() -> None:
    secret = 'pä"ss: \\w%ö☎rd'
    async with ScriptedAmi(secret=secret) as pbx:
        listener = Recorder()
        async with running(patient(pbx, secret=secret), listener):
            await until_up(listener)


async def test_a_secret_that_is_no_utf8_is_refused_like_any_wrong_one(pbx: ScriptedAmi) -> None:
    """An environment variable may hold any byte."""
    await fails_to_open(pbx, AuthError, "refused", secret=b"caf\xe9".decode(errors="surrogateescape"))


async def test_a_wrong_secret_is_kept_as_the_error_and_tried_again_slowly_until_it_is_right(pbx: ScriptedAmi) -> None:
    settings = patient(pbx, retry_min_s=0.001, retry_max_s=0.002, auth_retry_s=0.2)
    right, pbx.secret = pbx.secret, "another"
    listener = Recorder()
    with capture_logs() as logs:
        async with running(settings, listener) as source:
            await pbx.wait_for_connection(2)
            assert isinstance(source.last_error, AuthError)
            assert "asterisk-sip" in str(source.last_error)
            assert "Authentication failed" in str(source.last_error)
            assert listener.links == []
            pbx.secret = right
            await until_up(listener)
            assert source.last_error is None
            opened = [connection.opened_at for connection in pbx.connections]
            assert all(later - earlier > 0.19 for earlier, later in itertools.pairwise(opened))
    assert [entry["again"] for entry in logs if entry["event"] == "not listening"] == ["slowly"]


async def test_a_secret_changed_during_an_outage_is_told_although_the_outage_was(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx), listener) as source:
            await until_up(listener)
            pbx.secret = "another"
            pbx.drop()
            await eventually(lambda: isinstance(source.last_error, AuthError), "the refusal")
    assert [entry["again"] for entry in logs if entry["event"] == "not listening"] == ["soon", "slowly"]


@pytest.mark.parametrize(
    "answer",
    [
        {"Response": "Error", "Message": "Permission denied"},
        {"Response": "Success"},
        {"Response": "Success", "Challenge": ""},
    ],
)
async def test_without_a_challenge_no_key_is_sent(answer: Headers) -> None:
    async with OddChallenger() as pbx:
        pbx.challenge = answer
        await fails_to_open(pbx, AuthError, "no MD5 challenge")
        assert [action["Action"] for action in pbx.actions] == ["Challenge"]


async def test_the_secret_is_seen_by_nobody(pbx: ScriptedAmi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Sehr-Geheim-1793"
    settings = patient(pbx, secret=secret, auth_retry_s=0.001, retry_min_s=0.001, retry_max_s=0.001)
    listener = Recorder(lambda _: True)  # its errors are logged, with what was on the stack
    errors: list[AsteriskSipError] = []
    with capture_logs() as logs:
        async with running(settings, listener) as source:
            await eventually(lambda: source.last_error, "the refusal")
            assert source.last_error is not None
            errors.append(source.last_error)
            pbx.secret = secret
            await pbx.wait_for_action("CoreShowChannels")
            seen = [repr(settings), str(settings), repr(source), repr(listener), f"{vars(source)}"]
            pbx.banner = b"no AMI\r\n"
            pbx.reset()
            await eventually(lambda: isinstance(source.last_error, WireError), "the other error")
            assert source.last_error is not None
            errors.append(source.last_error)
    seen += ["".join(traceback.format_exception(error)) for error in errors]
    seen += [repr(logs), caplog.text, repr([bytes(connection.received) for connection in pbx.connections])]
    assert len(logs) > 2
    assert secret not in "".join(seen)


# Silence and nonsense


@pytest.mark.parametrize("action", ["challenge", "login"])
async def test_a_login_that_is_never_answered_is_given_up(pbx: ScriptedAmi, action: str) -> None:
    pbx.silent.add(action)
    await fails_to_open(pbx, LinkLostError, r"no answer to the login within 0\.05 s", login_timeout_s=0.05)


async def test_a_peer_that_never_greets_is_given_up(pbx: ScriptedAmi) -> None:
    pbx.banner = b""
    await fails_to_open(pbx, LinkLostError, r"no greeting from an AMI within 0\.05 s", login_timeout_s=0.05)
    assert pbx.actions == []


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\xff"])
async def test_a_peer_that_is_no_ami_is_told_as_such_and_hears_nothing_from_us(pbx: ScriptedAmi, banner: bytes) -> None:
    pbx.banner = banner
    await fails_to_open(pbx, WireError, "not an Asterisk Manager Interface")
    assert pbx.actions == []


async def test_a_peer_that_hangs_up_after_its_greeting_is_a_lost_link(pbx: ScriptedAmi) -> None:
    pbx.drop_after_banner = True
    await fails_to_open(pbx, LinkLostError, "closed")


async def test_a_peer_that_hangs_up_before_its_greeting_is_a_lost_link(pbx: ScriptedAmi) -> None:
    pbx.banner, pbx.drop_after_banner = b"", True
    await fails_to_open(pbx, LinkLostError, "Asterisk closed the connection")


async def test_no_asterisk_at_all_is_a_lost_link(pbx: ScriptedAmi) -> None:
    await pbx.stop()
    await fails_to_open(pbx, LinkLostError, "no connection: Connection refused")


@pytest.mark.parametrize("host", ["pbx..example.org", f"{'x' * 64}.example.org", "pbx.invalid"])
async def test_a_host_that_does_not_resolve_is_a_lost_link(pbx: ScriptedAmi, host: str) -> None:
    await fails_to_open(pbx, LinkLostError, "no connection", host=host, connect_timeout_s=5.0)


@pytest.mark.parametrize(
    ("fault", "value", "changes"),
    [
        ("banner", b"", {"login_timeout_s": 0.02}),
        ("silent", {"login"}, {"login_timeout_s": 0.02}),
        ("silent", {"coresettings"}, {"login_timeout_s": 0.02}),
        ("banner", b"no AMI\r\n", {}),
        ("drop_after_banner", True, {}),
        ("port", 1, {}),
    ],
)
async def test_every_failure_is_tried_again_by_itself_and_told_once(
    pbx: ScriptedAmi, fault: str, value: object, changes: dict[str, object]
) -> None:
    usual = getattr(pbx, fault)
    listener = Recorder()
    if fault == "port":
        await pbx.stop()
    else:
        setattr(pbx, fault, value)
    with capture_logs() as logs:
        async with running(patient(pbx, retry_min_s=0.02, retry_max_s=0.04, **changes), listener) as source:
            await eventually(lambda: source.last_error, "the error")
            if fault == "port":
                await pbx.start()
            else:
                await pbx.wait_for_connection(3)
                setattr(pbx, fault, set() if fault == "silent" else usual)
            await until_up(listener)
            assert source.last_error is None
            assert source._keeper.backoff.failures == 0
    assert len([entry for entry in logs if entry["event"] == "not listening"]) == 1
    assert listener.links == ["up", "down"]
