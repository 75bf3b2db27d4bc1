"""The scripted AMI server keeps its promises. Its client here is a plain socket, so no library hides a byte."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.ami_server import SECRET, Certificates, ScriptedAmi, core_settings, core_show_channels, message

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
PLAIN_LOGIN = message(Action="Login", Username="asterisk-sip", Secret=SECRET, Events="call,system", ActionID="1")


class Client(asyncio.Protocol):
    """Keeps each read apart, so that a test can see where the server cut."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []
        self.eof = False
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reads.append(data)
        self._news.set()

    def eof_received(self) -> bool:
        self.eof = True
        self._news.set()
        return self.transport.get_extra_info("ssl_object") is None  # keep our half open

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)
        self._news.set()

    @property
    def text(self) -> bytes:
        return b"".join(self.reads)

    async def until(self, end: bytes) -> bytes:
        await self.see(lambda: self.text.endswith(end))
        return self.text

    async def see(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def ask(self, **headers: str) -> bytes:
        self.reads.clear()
        self.transport.write(message(**headers))
        return await self.until(b"\r\n\r\n")


@contextlib.asynccontextmanager
async def connected(pbx: ScriptedAmi, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        Client, "127.0.0.1", pbx.port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        yield client
    finally:
        client.transport.abort()
        await client.lost


@contextlib.asynccontextmanager
async def logged_in(pbx: ScriptedAmi) -> AsyncIterator[Client]:
    async with connected(pbx) as client:
        await client.until(BANNER)
        client.transport.write(PLAIN_LOGIN)
        await pbx.wait_for_login(len([link for link in pbx.connections if link.logged_in_at]) + 1)
        await client.until(b"Fully Booted\r\n\r\n")
        client.reads.clear()
        yield client


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedAmi]:
    async with ScriptedAmi() as server:
        yield server


async def test_plain_login_is_accepted_recorded_and_followed_by_fully_booted(pbx: ScriptedAmi) -> None:
    async with connected(pbx) as client:
        await client.until(BANNER)
        client.transport.write(PLAIN_LOGIN)
        link = await pbx.wait_for_login()
        assert b"Response: Success\r\nActionID: 1\r\nMessage: Authentication accepted\r\n\r\nEvent: FullyBooted" in (
            await client.until(b"Fully Booted\r\n\r\n")
        )
    assert link.event_mask == "call,system"
    assert pbx.actions == [
        {
            "Action": "Login",
            "Username": "asterisk-sip",
            "Secret": SECRET,
            "Events": "call,system",
            "ActionID": "1",
        }
    ]
    await pbx.wait_for_close(link)
    assert link.logged_in_at is not None
    assert link.closed_at is not None
    assert link.opened_at <= link.logged_in_at <= link.closed_at
    assert bytes(link.received) == PLAIN_LOGIN


@pytest.mark.parametrize(("secret", "answer"), [(SECRET, b"accepted"), ("wrong", b"failed")])
async def test_md5_login_verifies_the_key(pbx: ScriptedAmi, secret: str, answer: bytes) -> None:
    async with connected(pbx) as client:
        await client.until(BANNER)
        challenge = (await client.ask(Action="Challenge", AuthType="MD5")).decode().split("Challenge: ")[1].strip()
        key = hashlib.md5((challenge + secret).encode(), usedforsecurity=False).hexdigest()
        client.reads.clear()
        client.transport.write(message(Action="Login", Username="asterisk-sip", AuthType="MD5", Key=key))
        assert answer in await client.until(b"\r\n\r\n")


async def test_an_md5_key_without_a_challenge_is_refused(pbx: ScriptedAmi) -> None:
    async with connected(pbx) as client:
        await client.until(BANNER)
        key = hashlib.md5(SECRET.encode(), usedforsecurity=False).hexdigest()
        reply = await client.ask(Action="Login", Username="asterisk-sip", AuthType="MD5", Key=key)
        assert b"Authentication failed" in reply


async def test_a_refused_login_ends_the_connection(pbx: ScriptedAmi) -> None:
    pbx.refuse_login = True
    async with connected(pbx) as client:
        await client.until(BANNER)
        client.transport.write(PLAIN_LOGIN)
        assert b"Response: Error\r\nActionID: 1\r\nMessage: Authentication failed" in await client.until(b"\r\n\r\n")
        await client.see(lambda: client.eof)


async def test_nothing_but_login_is_allowed_before_login(pbx: ScriptedAmi) -> None:
    async with connected(pbx) as client:
        await client.until(BANNER)
        assert b"Message: Permission denied" in await client.ask(Action="Ping")


async def test_actions_are_answered_by_the_table_and_carry_their_id(pbx: ScriptedAmi) -> None:
    pbx.replies["coresettings"] = core_settings("16.28.0")
    pbx.replies["coreshowchannels"] = core_show_channels({"Channel": "PJSIP/a-1", "Uniqueid": "1.1"})
    async with logged_in(pbx) as client:
        assert (await client.ask(Action="Ping", ActionID="7")).startswith(
            b"Response: Success\r\nActionID: 7\r\nPing: Po"
        )
        assert b"AsteriskVersion: 16.28.0\r\n" in await client.ask(Action="CoreSettings")
        assert b"Invalid/unknown command" in await client.ask(Action="Nonsense")
        client.reads.clear()
        client.transport.write(message(Action="CoreShowChannels", ActionID="8"))
        listing = await client.until(b"ListItems: 1\r\n\r\n")
    assert listing.count(b"ActionID: 8\r\n") == 3
    assert b"Event: CoreShowChannel\r\nActionID: 8\r\nChannel: PJSIP/a-1" in listing


async def test_the_events_action_changes_the_recorded_mask(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        await client.ask(Action="Events", EventMask="off")
        assert pbx.current.event_mask == "off"


async def test_a_silent_action_is_recorded_but_not_answered(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        pbx.silent.add("ping")
        client.transport.write(message(Action="Ping", ActionID="lost"))
        assert await pbx.wait_for_action("ping") == {"Action": "Ping", "ActionID": "lost"}
        assert b"AsteriskVersion" in await client.ask(Action="CoreSettings")
        assert b"Pong" not in client.text


async def test_an_injected_line_shows_in_the_record(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        client.transport.write(b"Action: Ping\r\nActionID: a\nAction: Originate\r\n\r\n")
        await pbx.wait_until(lambda: len(pbx.actions) == 2, "the action")
        assert pbx.actions[-1]["Action"] == "Ping\nOriginate"


async def test_bytes_are_cut_where_the_test_says(pbx: ScriptedAmi) -> None:
    raw = message(("Event", "Hangup"), CallerIDName="Zoë")
    cuts = [raw.index(b"\xc3") + 1, len(raw) - 3, len(raw) - 2, len(raw) - 1]
    async with logged_in(pbx) as client:
        await pbx.send(raw, cuts)
        await client.until(b"\r\n\r\n")
        assert [len(read) for read in client.reads] == [cuts[0], cuts[1] - cuts[0], 1, 1, 1]


async def test_everything_can_come_byte_by_byte(pbx: ScriptedAmi) -> None:
    pbx.chop_bytes = 1
    async with connected(pbx) as client:
        assert await client.until(BANNER) == BANNER
        assert len(client.reads) == len(BANNER)


async def test_half_close_ends_our_reading_but_not_our_writing(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        pbx.half_close()
        await client.see(lambda: client.eof)
        client.transport.write(message(Action="Ping", ActionID="late"))
        assert (await pbx.wait_for_action("Ping"))["ActionID"] == "late"


async def test_reset_is_seen_as_a_reset(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        pbx.reset()
        assert isinstance(await client.lost, ConnectionResetError)
        await pbx.wait_for_close(pbx.connections[0])


async def test_drop_is_an_ordinary_end(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        pbx.drop()
        await client.see(lambda: client.eof)


async def test_drop_after_banner(pbx: ScriptedAmi) -> None:
    pbx.drop_after_banner = True
    async with connected(pbx) as client:
        await client.until(BANNER)
        await pbx.wait_for_close(await pbx.wait_for_connection())


async def test_another_banner_and_a_late_one(pbx: ScriptedAmi) -> None:
    pbx.banner = b"SSH-2.0-OpenSSH_9.2\r\n"
    pbx.banner_delay_s = 0.05
    async with connected(pbx) as client:
        began = asyncio.get_running_loop().time()
        assert await client.until(b"\r\n") == pbx.banner
        assert asyncio.get_running_loop().time() - began >= 0.04


@pytest.mark.parametrize("one_line", [True, False])
async def test_an_endless_message_ends_with_the_client(pbx: ScriptedAmi, one_line: bool) -> None:
    async with logged_in(pbx) as client:
        sending = asyncio.create_task(pbx.send_endless(1 << 30, one_line=one_line))
        await client.see(lambda: len(client.text) > 100_000)
        client.transport.abort()
        assert 100_000 <= await sending < 1 << 30
    assert b"\r\n\r\n" not in client.text
    assert (client.text.count(b"\r\n") == 1) is one_line


async def test_a_slow_reader_takes_nothing_until_told(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        pbx.pause_reading()
        client.transport.write(message(Action="Ping", ActionID="one") + message(Action="Ping", ActionID="two"))
        async with asyncio.timeout(10):
            while client.transport.get_write_buffer_size() < 1_000_000:  # the kernel and the server take no more
                client.transport.write(b"X: y\r\n" * 10_000)
                await asyncio.sleep(0)
        assert [action["Action"] for action in pbx.actions] == ["Login"]
        pbx.resume_reading()
        assert (await pbx.wait_for_action("Ping", 2))["ActionID"] == "two"


async def test_a_restart_listens_on_the_same_port(pbx: ScriptedAmi) -> None:
    port = pbx.port
    async with logged_in(pbx):
        await pbx.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    await pbx.start()
    assert pbx.port == port
    async with logged_in(pbx):
        assert len(pbx.connections) == 2


async def test_stop_does_not_wait_for_a_client_that_reads_nothing() -> None:
    async with asyncio.timeout(10), ScriptedAmi() as pbx, logged_in(pbx) as client:
        client.transport.pause_reading()
        sending = asyncio.create_task(pbx.send_endless(1 << 30))
        while not pbx.current.writer.transport.get_write_buffer_size():  # noqa: ASYNC110 - a full socket buffer tells nobody
            await asyncio.sleep(0)
        await pbx.stop()
        assert await sending < 1 << 30


async def test_tls_with_certificates_of_its_own(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    trusting = ssl.create_default_context(cafile=certificates.ca_file)
    async with ScriptedAmi(tls=certificates.server) as pbx:
        async with connected(pbx, trusting) as client:
            await client.until(BANNER)
            client.transport.write(PLAIN_LOGIN)
            await pbx.wait_for_login()
            await client.until(b"Fully Booted\r\n\r\n")
            pbx.reset()
            await pbx.wait_for_close(pbx.connections[0])
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connected(pbx, ssl.create_default_context()):
                pass


async def test_a_wait_that_fails_says_what_was_seen(pbx: ScriptedAmi) -> None:
    async with logged_in(pbx) as client:
        await client.ask(Action="Ping")
        with pytest.raises(AssertionError, match=r"Challenge 1 did not come .* 1 connections, actions: .*'Ping'"):
            await pbx.wait_for_action("Challenge", within_s=0.05)
