"""What is heard through the ARI door: all of it, in order, whatever the frames, the listener and the peer do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import AuthError, LinkLostError, SourceError, TakenOverError, WireError
from asterisk_sip.sources.ari import AriLink, Losses
from tests.ami_client import Down, Recorder, Up, eventually, loop_watched, until_up
from tests.ami_server import Certificates, ScriptedAmi
from tests.ari_client import opened, patient, running
from tests.ari_server import SECRET, Answer, ScriptedAri, channel, destroyed, event


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedAri]:
    async with ScriptedAri() as server:
        yield server


async def fails_to_open(pbx: ScriptedAri | ScriptedAmi, kind: type[SourceError], match: str, **changes: object) -> None:
    async with loop_watched():
        link = AriLink(patient(pbx, **changes), Recorder())  # type: ignore[arg-type]  # only its address counts
        with pytest.raises(kind, match=match) as caught:
            await link.open()
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        await link.close()


# What is heard


async def test_events_are_heard_once_the_link_is_up(pbx: ScriptedAri) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener):
        await until_up(listener)
        link = await pbx.wait_for_socket()
        await link.send(destroyed("1.1"))
        await eventually(lambda: listener.hung_up, "the event")
    assert listener.of(Up) == [Up("22.10.1")]
    assert listener.of(ev.HungUp)[0].channel.name == "PJSIP/träger-00000001"
    assert (link.app, link.subscribe_all) == ("asterisk-sip", "true")
    assert listener.told[-1] == Down("stopped")
    await link.closed.wait()


async def test_the_secret_is_in_no_url_and_no_repr(pbx: ScriptedAri) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx), listener):
            await until_up(listener)
            await pbx.wait_for_question("/channels")
    assert SECRET not in str(pbx.requests)
    assert SECRET not in repr(patient(pbx))
    assert SECRET not in str(logs)


async def test_the_bytes_are_handed_on_as_lines_that_replay_the_same(pbx: ScriptedAri) -> None:
    class Tape(Recorder):
        tape = b""

        def raw(self, data: bytes) -> None:
            self.tape += data

    pbx.answers["/channels"] = Answer(body=[channel("1.1")])
    listener = Tape()
    async with running(patient(pbx), listener):
        await until_up(listener)
        link = await pbx.wait_for_socket()
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")
        await link.websocket.send_str(json.dumps(destroyed("1.1"), indent=2))
        await eventually(lambda: listener.hung_up, "the event")
    again = AriLink(patient(pbx), Recorder()).hearing.reader
    events = again.feed(listener.tape)
    assert again.version == "22.10.1"
    assert events == [told for told in listener.told if not isinstance(told, Up | Down)]


@pytest.mark.parametrize("gather_ms", [0, 1, 75])
async def test_a_flood_is_heard_to_the_last_event(pbx: ScriptedAri, gather_ms: int) -> None:
    listener, count = Recorder(), 20_000
    async with running(patient(pbx, gather_ms=gather_ms), listener) as source:
        await until_up(listener)
        link = await pbx.wait_for_socket()
        text = json.dumps(destroyed())
        for _ in range(count):
            await link.websocket.send_str(text)
        await eventually(lambda: len(listener.hung_up) == count, "the last event", within_s=60)
        assert source.losses == Losses()
        assert listener.links == ["up"]


async def test_events_that_come_one_by_one_are_read_together(pbx: ScriptedAri) -> None:
    """Each read wakes the program; between two reads the kernel keeps what comes."""
    listener = Recorder()
    async with running(patient(pbx, gather_ms=200), listener):
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")
        link = await pbx.wait_for_socket()
        await link.send(destroyed("1.1"))
        await eventually(lambda: listener.hung_up == ["1.1"], "the first event")
        for number in range(2, 12):
            await link.send(destroyed(f"1.{number}"))
            await asyncio.sleep(0)
        heard_at_once = list(listener.hung_up)
        await eventually(lambda: len(listener.hung_up) == 11, "the others")
    assert heard_at_once == ["1.1"]


async def test_messages_that_cannot_be_read_cost_only_themselves_and_are_told(pbx: ScriptedAri) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx), listener) as source:
            await until_up(listener)
            link = await pbx.wait_for_socket()
            await link.websocket.send_str("<html>no JSON</html>")
            await link.websocket.send_bytes(b"\0\1")
            await link.websocket.send_str(json.dumps(event("ChannelDestroyed", channel=None)))
            await link.send(destroyed("1.1"))
            await eventually(lambda: listener.hung_up == ["1.1"], "the event after")
            assert source.losses == Losses(unreadable=3)
    assert [count for count, _ in listener.missed] == [1, 1, 1]
    assert listener.links == ["up", "down"]
    assert len([entry for entry in logs if "passed over" in entry["event"]]) == 1


async def test_a_listener_that_raises_loses_one_message_and_nothing_else(pbx: ScriptedAri) -> None:
    listener = Recorder(lambda told: "bad" in str(told))
    with capture_logs() as logs:
        async with running(patient(pbx), listener) as source:
            await until_up(listener)
            link = await pbx.wait_for_socket()
            await link.send(*(destroyed(name) for name in ("before", "bad", "bad", "after")))
            await eventually(lambda: listener.hung_up == ["before", "after"], "the event after")
            assert source.losses.listener_errors >= 2
    assert len([entry for entry in logs if "listener failed" in entry["event"]]) == 1


async def test_a_prefix_of_the_web_server_is_gone_through(pbx: ScriptedAri) -> None:
    pbx.prefix = "asterisk/"
    async with opened(patient(pbx, prefix="asterisk"), Recorder()) as link:
        assert link.version == "22.10.1"
    await fails_to_open(pbx, WireError, "and the prefix right")


# What lives


async def test_what_lives_is_asked_for_on_each_link(pbx: ScriptedAri) -> None:
    pbx.answers["/channels"] = Answer(body=[channel("1.1"), channel("1.2")])
    pbx.answers["/bridges"] = Answer(
        body=[{"bridge_class": "basic", "bridge_type": "mixing", "channels": ["1.1", "1.2"]}]
    )
    listener = Recorder()
    async with running(patient(pbx), listener):
        for count in (1, 2):
            await eventually(lambda: len(listener.of(ev.ChannelsListed)) == count, "the list")  # noqa: B023  awaited at once
            (await pbx.wait_for_socket(count)).drop()
    listed = listener.of(ev.ChannelsListed)[0]
    assert [each.uniqueid for each in listed.channels] == ["1.1", "1.2"]
    assert listener.of(ev.ChannelsMet)[0].uniqueids == ("1.1", "1.2")


async def test_the_list_counts_after_the_events_that_it_overtook(pbx: ScriptedAri) -> None:
    """It comes over another connection: what ended before it was made may be told after it."""
    pbx.answers["/channels"] = Answer(body=[], headers=(("Date", "Tue, 24 Nov 2026 11:50:45 GMT"),))
    late: list[asyncio.Task[None]] = []
    pbx.before_answer = lambda path: (
        late.append(asyncio.create_task(pbx.sockets[0].send(destroyed("1.1")))) if path == "/channels" else None
    )
    listener = Recorder()
    async with running(patient(pbx), listener):
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")
    kinds = [type(told) for told in listener.told]
    assert kinds.index(ev.HungUp) < kinds.index(ev.ChannelsListed)


async def test_the_list_says_nothing_of_what_begins_while_it_is_made(pbx: ScriptedAri) -> None:
    at = "Tue, 24 Nov 2026 11:50:45 GMT"
    pbx.answers["/asterisk/info"] = Answer(body={"system": {"version": "16.28.0"}}, headers=(("Date", at),))
    listener = Recorder()
    async with running(patient(pbx), listener):
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")
    assert listener.of(ev.ChannelsListed)[0].since == 1_795_521_045.0


async def test_the_list_can_be_asked_for_again(pbx: ScriptedAri) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener) as source:
        source.relist()  # no link yet
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")
        source.relist()
        await eventually(lambda: len(listener.of(ev.ChannelsListed)) == 2, "the other list")


@pytest.mark.parametrize("answer", [Answer(503), Answer(body={}), Answer(body="<html>"), Answer(silent=True)])
async def test_a_link_that_does_not_tell_what_lives_is_given_up(pbx: ScriptedAri, answer: Answer) -> None:
    pbx.answers["/channels"] = answer
    listener = Recorder()
    async with running(patient(pbx, connect_timeout_s=0.2), listener):
        await until_up(listener)
        await eventually(lambda: listener.of(Down), "the link is given up")
        pbx.answers["/channels"] = Answer()
        await eventually(lambda: listener.of(ev.ChannelsListed), "the list")


# What is refused


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (Answer(403), AuthError, "may not ask: 403 Forbidden"),
        (Answer(404), WireError, "no ARI at http://127.0.0.1:[0-9]+/ari: GET /asterisk/info.*: 404 Not Found"),
        (Answer(503), LinkLostError, "not ready: GET .*: 503 Service Unavailable"),
        (Answer(502, "<html>", "text/html"), LinkLostError, "not ready: GET .*: 502 Bad Gateway"),
        (Answer(302, headers=(("Location", "http://127.0.0.1:1/"),)), WireError, "not an Asterisk REST .*: 302 Found"),
        (Answer(200, "<html>hello</html>", "text/html"), WireError, "not an Asterisk REST .* gives text/html"),
        (Answer(200, "[" * 100_000), WireError, "not an Asterisk REST Interface"),
        (Answer(200, {"system": {}}), WireError, "does not tell its version"),
        (Answer(200, []), WireError, "does not tell its version"),
        (Answer(silent=True), LinkLostError, r"no answer to GET /asterisk/info.* within 0\.1 s"),
    ],
)
async def test_an_answer_that_is_none_is_a_typed_error(
    pbx: ScriptedAri, answer: Answer, kind: type[SourceError], match: str
) -> None:
    pbx.answers["/asterisk/info"] = answer
    await fails_to_open(pbx, kind, match, connect_timeout_s=0.1 if answer.silent else 10.0)
    assert pbx.sockets == []


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (Answer(401), AuthError, "'asterisk-sip' refused: 401"),
        (Answer(404), WireError, "no ARI at"),
        (Answer(503), LinkLostError, "not ready"),
        (Answer(200, "<html>"), WireError, "not an Asterisk REST Interface|not HTTP"),
        (Answer(silent=True), LinkLostError, r"no answer to GET /events within 0\.1 s"),
    ],
)
async def test_a_websocket_that_is_refused_is_a_typed_error(
    pbx: ScriptedAri, answer: Answer, kind: type[SourceError], match: str
) -> None:
    pbx.refuse_socket = answer
    await fails_to_open(pbx, kind, match, connect_timeout_s=0.1 if answer.silent else 10.0)


async def test_a_wrong_password_is_told_and_tried_again_slowly(pbx: ScriptedAri) -> None:
    await fails_to_open(pbx, AuthError, "login of user 'asterisk-sip' refused: 401 Unauthorized", password="wrong")
    with capture_logs() as logs:
        async with running(patient(pbx, password="wrong", auth_retry_s=0.05), Recorder()) as source:
            await pbx.wait_for_question("/asterisk/info", 4)
            assert isinstance(source.last_error, AuthError)
    told = [entry for entry in logs if entry["event"] == "not listening"]
    assert [entry["again"] for entry in told] == ["slowly"]


async def test_a_peer_that_speaks_no_http_is_told_as_such() -> None:
    async with ScriptedAmi() as ami:
        await fails_to_open(ami, WireError, "not HTTP")


async def test_no_asterisk_at_all_is_a_lost_link(pbx: ScriptedAri) -> None:
    await pbx.stop()
    await fails_to_open(pbx, LinkLostError, "no connection: Connection refused")


@pytest.mark.parametrize("host", ["pbx..example.org", f"{'x' * 64}.example.org", "pbx.invalid"])
async def test_a_host_that_does_not_resolve_is_a_lost_link(pbx: ScriptedAri, host: str) -> None:
    await fails_to_open(pbx, LinkLostError, "no connection", host=host, connect_timeout_s=5.0)


# TLS


async def test_a_trusted_certificate_with_the_right_name_is_good(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path, "pbx.example.org")
    async with ScriptedAri(tls=certificates.server) as pbx:
        trusting = {"tls": True, "ca_file": certificates.ca_file}
        await fails_to_open(pbx, LinkLostError, "not trusted: .*not valid for", **trusting)
        await fails_to_open(pbx, LinkLostError, "not trusted: .*mismatch", **trusting, server_name="other.example.org")
        await fails_to_open(pbx, LinkLostError, "not trusted: .*issuer", tls=True)
        await fails_to_open(pbx, LinkLostError, "no CA certificates in", tls=True, ca_file=tmp_path / "none.pem")
        listener = Recorder()
        async with running(patient(pbx, **trusting, server_name="pbx.example.org"), listener):
            await until_up(listener)
            await (await pbx.wait_for_socket()).send(destroyed("1.1"))
            await eventually(lambda: listener.hung_up, "the event")


async def test_a_plain_port_is_told_as_such(pbx: ScriptedAri) -> None:
    await fails_to_open(pbx, LinkLostError, "is it TLS that is spoken there", tls=True)


# Outages


@pytest.mark.parametrize("outage", ["drop", "reset", "close", "mid-frame", "garbage", "restart"])
async def test_an_outage_is_told_once_and_ends_by_itself(pbx: ScriptedAri, outage: str) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx), listener) as source:
            for count in (1, 2):
                await eventually(lambda: len(listener.of(ev.ChannelsListed)) == count, "the list")  # noqa: B023  awaited at once
                link = pbx.sockets[-1]
                await link.send(destroyed(f"1.{count}"))
                await eventually(lambda: len(listener.hung_up) == count, "the event")  # noqa: B023  awaited at once
                if outage == "close":
                    await link.websocket.close(code=1011)
                elif outage == "mid-frame":
                    await link.send_raw(b"\x81\x7e\x04\x00" + b"{" * 100)
                    link.reset()
                elif outage == "garbage":
                    await link.send_raw(b"\xff" * 100)
                elif outage == "restart":
                    await pbx.stop()
                    await pbx.start()
                else:
                    getattr(link, outage)()
                await eventually(lambda: len(listener.of(Down)) == count, "the outage")  # noqa: B023  awaited at once
            await until_up(listener, 3)
            assert source.last_error is None
    assert listener.links == ["up", "down", "up", "down", "up", "down"]
    reasons = {down.reason for down in listener.of(Down)[:-1]}
    wanted = {
        "close": "Asterisk closed the connection with websocket code 1011",
        "garbage": "what came is no websocket frame",
    }.get(outage, "Asterisk closed the connection")
    assert all(reason.startswith(wanted) for reason in reasons)
    assert len([entry for entry in logs if entry["event"] == "not listening"]) <= 2 + (outage == "restart")


async def test_a_dead_peer_is_noticed_by_the_first_ping_that_is_not_answered(pbx: ScriptedAri) -> None:
    pbx.deaf = True
    listener = Recorder()
    async with running(patient(pbx, heartbeat_s=0.1), listener):
        await until_up(listener, 2)
    assert listener.of(Down)[0] == Down("no answer to a ping within 0.05 s")


async def test_a_peer_that_answers_every_ping_stays(pbx: ScriptedAri) -> None:
    async with opened(patient(pbx, heartbeat_s=0.2), Recorder()) as link:
        staying = asyncio.create_task(link.listen())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(staying), 2.0)  # many times the heartbeat
        pbx.sockets[0].drop()
        assert await staying == "Asterisk closed the connection"


async def test_a_message_too_large_is_no_message(pbx: ScriptedAri) -> None:
    listener = Recorder()
    async with running(patient(pbx, max_message_bytes=5_000), listener):
        await until_up(listener)
        link = await pbx.wait_for_socket()
        await link.send(destroyed("1.1"), destroyed("1.2", filler="x" * 10_000))
        await until_up(listener, 2)
    assert listener.of(Down)[0].reason.startswith("a message that is too large: ")
    assert listener.hung_up == ["1.1"]


async def test_a_client_that_takes_our_application_over_is_told_and_not_fought(pbx: ScriptedAri) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx), listener) as source:
            await until_up(listener)
            await (await pbx.wait_for_socket()).send(event("ApplicationReplaced"))
            await eventually(lambda: isinstance(source.last_error, TakenOverError), "the error")
    assert "another program listens as application 'asterisk-sip'" in listener.of(Down)[0].reason
    assert [entry["again"] for entry in logs if entry["event"] == "not listening"] == ["slowly"]
    assert len(pbx.sockets) == 1
