"""What is heard through the AMI door: all of it, in order, whatever the reads, the listener and the peer do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from asterisk_sip.calls import events as ev
from asterisk_sip.errors import LinkLostError, WireError
from asterisk_sip.sources.ami import AmiLink, AmiSource, Losses
from tests.ami_client import Down, Recorder, Up, eventually, hangup, opened, patient, running, until_up
from tests.ami_messages import message
from tests.ami_server import ScriptedAmi, core_settings, core_show_channels


@pytest.fixture
async def pbx() -> AsyncIterator[ScriptedAmi]:
    async with ScriptedAmi() as server:
        yield server


def refused(_: object) -> list[dict[str, str]]:
    return [{"Response": "Error", "Message": "Permission denied"}]


# Order and framing


async def test_events_are_heard_in_order_several_in_one_read(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener):
        await until_up(listener)
        reads = len(listener.reads)
        await pbx.send(b"".join(hangup(f"1.{i}") for i in range(100)))
        await eventually(lambda: len(listener.hung_up) == 100, "all events")
    assert listener.hung_up == [f"1.{i}" for i in range(100)]
    assert reads < len(listener.reads)


async def test_an_event_may_be_split_over_reads_anywhere(pbx: ScriptedAmi) -> None:
    listener, event = Recorder(), hangup("1.1")
    async with running(patient(pbx, gather_ms=0), listener):  # each write is a read of its own
        await until_up(listener)
        await pbx.send(event)
        await eventually(lambda: listener.hung_up, "the whole event")
        for cut in range(1, len(event)):
            await pbx.send(event, cuts=[cut])
            await eventually(lambda: len(listener.hung_up) > cut, "the split event")  # noqa: B023  awaited at once
            assert listener.reads[-2:] == [cut, len(event) - cut]
    heard = listener.of(ev.HungUp)
    assert heard[0].channel.caller_name == "Zoë Müller ☎"
    assert heard == heard[:1] * len(event)


async def test_a_peer_that_sends_byte_by_byte_is_understood_from_the_banner_on(pbx: ScriptedAmi) -> None:
    pbx.chop_bytes = 1
    listener = Recorder()
    async with running(patient(pbx), listener):
        await until_up(listener)
        await pbx.send(hangup("1.1"))
        await eventually(lambda: listener.hung_up, "the event")
    assert listener.of(Up) == [Up("22.10.1")]
    assert listener.of(ev.HungUp)[0].channel.name == "PJSIP/träger-00000001"


async def test_the_socket_is_drained_whatever_a_listener_keeps(pbx: ScriptedAmi) -> None:
    noise = message(("Event", "VarSet"), Privilege="dialplan,all", Variable="x", Value="y" * 2_000) * 100
    burst = hangup("1.1") + noise
    listener = Recorder()
    async with running(patient(pbx), listener) as source:
        await until_up(listener)
        before = listener.bytes_read
        count = 50_000_000 // len(burst) + 1
        for _ in range(count):
            await pbx.send(burst)
        await eventually(lambda: len(listener.hung_up) == count, "the last event", within_s=60)
        await eventually(lambda: listener.bytes_read - before >= count * len(burst), "the last byte")
        assert listener.links == ["up"]
        assert source.losses == Losses()


async def test_the_bytes_are_handed_on_as_they_came(pbx: ScriptedAmi) -> None:
    class Tape(Recorder):
        tape = b""

        def raw(self, data: bytes) -> None:
            self.tape += data

    listener, sent = Tape(), b"Event: \xff\xfe\r\n\r\n" + hangup("1.1")
    async with running(patient(pbx), listener):
        await until_up(listener)
        await pbx.send(sent)
        await eventually(lambda: listener.hung_up, "the event")
    assert listener.tape.startswith(b"Asterisk Call Manager/")
    assert sent in listener.tape


# Listeners that fail


async def test_a_listener_that_raises_loses_one_read_and_nothing_else(pbx: ScriptedAmi) -> None:
    listener = Recorder(lambda told: isinstance(told, list) and any("bad" in str(event) for event in told))
    with capture_logs() as logs:
        async with running(patient(pbx), listener) as source:
            await until_up(listener)
            await pbx.send(hangup("before"))
            await eventually(lambda: listener.hung_up == ["before"], "the event before")
            for count in (1, 2, 3):
                await pbx.send(hangup("same read") + hangup("bad") + hangup("same read"))
                await eventually(lambda: source.losses.listener_errors == count, "the error is counted")  # noqa: B023  awaited at once
            await pbx.send(hangup("after"))
            await eventually(lambda: listener.hung_up == ["before", "after"], "the event after")
            assert listener.links == ["up"]
        assert source.losses == Losses(listener_errors=3)
    told = [entry for entry in logs if "listener failed" in entry["event"]]
    assert len(told) == 1
    assert told[0]["exc_info"]
    assert told[0]["pbx"] == "pbx"


async def test_a_recorder_that_raises_on_the_bytes_costs_no_event(pbx: ScriptedAmi) -> None:
    listener = Recorder(lambda told: isinstance(told, bytes))
    async with running(patient(pbx), listener) as source:
        await until_up(listener)
        event = hangup("1.1")
        await pbx.send(event, cuts=[len(event) // 2])
        await eventually(lambda: listener.hung_up == ["1.1"], "the event")
        assert source.losses.listener_errors > 2


@pytest.mark.parametrize("kind", [Up, Down])
async def test_a_listener_that_raises_when_told_of_the_link_does_not_stop_the_source(
    pbx: ScriptedAmi, kind: type
) -> None:
    listener = Recorder(lambda told: isinstance(told, kind))
    async with running(patient(pbx), listener) as source:
        await pbx.wait_for_action("CoreShowChannels")
        pbx.reset()
        await pbx.wait_for_action("CoreShowChannels", 2)
        await pbx.send(hangup("1.1"))
        await eventually(lambda: listener.hung_up == ["1.1"], "the event")
        assert source.losses.listener_errors >= 1


# Messages that are not as they should be


async def test_a_message_that_is_too_long_costs_only_itself_and_is_counted(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx, max_message_bytes=4_096), listener) as source:
            await until_up(listener)
            await pbx.send(hangup("1.1") + hangup("long", Filler="x" * 20_000) + hangup("1.2"))
            await pbx.send(hangup("long", Filler="x" * 20_000) + hangup("1.3"))
            await eventually(lambda: "1.3" in listener.hung_up, "the last event")
            assert listener.hung_up == ["1.1", "1.2", "1.3"]
            assert source.losses == Losses(oversized=2)
            assert listener.links == ["up"]
        assert source.losses == Losses(oversized=2)
    assert len([entry for entry in logs if "passed over" in entry["event"]]) == 1


@pytest.mark.parametrize("one_line", [False, True])
async def test_a_message_without_an_end_is_survived_in_bounded_memory(pbx: ScriptedAmi, one_line: bool) -> None:
    listener = Recorder()
    async with opened(patient(pbx, max_message_bytes=10_000), listener) as link:
        protocol = link.protocol
        assert protocol is not None
        largest = 0

        def weigh() -> bool:
            nonlocal largest
            largest = max(largest, len(protocol.reader.framer._rest))
            return sending.done()

        sending = asyncio.create_task(pbx.send_endless(3_000_000, one_line=one_line))
        await eventually(weigh, "the end of the endless message")
        await pbx.send(b"\r\n\r\n" + hangup("1.1"))
        await eventually(lambda: listener.hung_up == ["1.1"], "the next event")
        assert sending.result() >= 3_000_000
        assert 0 < largest < 10_000 + 4
        assert link.losses == Losses(oversized=1)


async def test_a_message_that_cannot_be_read_costs_only_itself_and_is_counted(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener) as source:
        await until_up(listener)
        await pbx.send(hangup("1.1") + hangup("bad", Cause="9" * 5_000) + b"\0\xff: \r\n\r\nEvent: Hangup\r\n\r\n")
        await pbx.send(hangup("1.2"))
        await eventually(lambda: "1.2" in listener.hung_up, "the last event")
        assert listener.hung_up == ["1.1", "", "1.2"]
        assert source.losses == Losses(unreadable=1)


# Actions and their answers


async def test_an_event_with_the_id_of_a_waiting_action_is_heard_and_does_not_answer_it(pbx: ScriptedAmi) -> None:
    pbx.silent.add("corestatus")
    listener = Recorder()
    async with opened(patient(pbx), listener) as link:
        asking = asyncio.create_task(link.ask({"Action": "CoreStatus"}))
        action_id = (await pbx.wait_for_action("CoreStatus"))["ActionID"]
        await pbx.send(hangup("1.1", ActionID=action_id))
        await eventually(lambda: listener.hung_up == ["1.1"], "the event")
        assert not asking.done()
        await pbx.send_response(ActionID=action_id, CoreCurrentCalls="7")
        assert (await asking).corecurrentcalls == "7"


async def test_answers_that_nobody_waits_for_change_nothing(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with opened(patient(pbx), listener) as link:
        await pbx.send_response("Error", ActionID="of nobody", Message="Authentication failed")
        await pbx.send_response("Error", Message="no id at all")
        await pbx.send(message(("Response", "Success"), ("Event", "Shutdown"), ("ActionID", "of nobody")))
        assert (await link.ask({"Action": "Ping"})).ping == "Pong"
        await pbx.send(hangup("1.1"))
        await eventually(lambda: listener.hung_up == ["1.1"], "the event")


async def test_an_answer_that_panoramisk_cannot_read_does_not_end_the_link(pbx: ScriptedAmi) -> None:
    async with opened(patient(pbx), Recorder()) as link:
        await pbx.send(message(("Response", "Success"), ("ActionID", "twice"), ("ActionID", "twice")))
        await eventually(lambda: link.losses == Losses(unreadable=1), "the answer is counted")
        assert (await link.ask({"Action": "Ping"})).success


@pytest.mark.parametrize("bad", ["\r\n", "\n", "\r", "\0"])
@pytest.mark.parametrize("where", ["Action", "Variable", "key"])
async def test_no_action_can_be_smuggled_into_another(pbx: ScriptedAmi, where: str, bad: str) -> None:
    smuggled = f"x{bad}Action: Originate{bad}{bad}"
    action = {"Action": "Getvar", "Variable": "x"} | ({smuggled: "x"} if where == "key" else {where: smuggled})
    async with opened(patient(pbx), Recorder()) as link:
        sent = bytes(pbx.current.received)
        for broken in (action, {**action, bad: "x"}):
            with pytest.raises(WireError, match="is not sent"):
                await link.ask(broken)
        assert bytes(pbx.current.received) == sent
        assert (await link.ask({"Action": "Ping"})).success
    assert not [action for action in pbx.actions if action.get("Action") in ("Originate", "Getvar")]


@pytest.mark.parametrize("setting", ["username", "event_mask"])
async def test_settings_with_a_line_break_are_refused_before_anything_is_sent(pbx: ScriptedAmi, setting: str) -> None:
    settings = patient(pbx, **{setting: "call\r\nAction: Originate"})
    with pytest.raises(WireError, match="line break"):
        await AmiLink(settings, Recorder()).open()
    async with running(settings, Recorder()) as source:
        await eventually(lambda: isinstance(source.last_error, WireError), "the error")
    assert pbx.connections == []


async def test_no_answer_in_time_closes_the_link_and_leaves_nothing_waiting(pbx: ScriptedAmi) -> None:
    pbx.silent.add("corestatus")
    async with opened(patient(pbx), Recorder()) as link:
        with pytest.raises(LinkLostError, match=r"no answer to CoreStatus within 0\.05 s"):
            await link.ask({"Action": "CoreStatus"}, 0.05)
        assert link.protocol is not None
        assert link.protocol.responses == {}
        await pbx.wait_for_close(pbx.connections[0])
        with pytest.raises(LinkLostError, match="closed"):
            await link.ask({"Action": "CoreStatus"})
    assert len([action for action in pbx.actions if action["Action"] == "CoreStatus"]) == 1


# What Asterisk tells about itself


async def test_the_channels_alive_are_one_event_after_each_login_in_the_order_of_the_stream(pbx: ScriptedAmi) -> None:
    rows = [{"Channel": f"PJSIP/a-{i}", "Uniqueid": f"1.{i}", "ChannelState": "6"} for i in range(3)]
    pbx.replies["coreshowchannels"] = core_show_channels(*rows)
    listener = Recorder()
    async with running(patient(pbx), listener):
        for count in (1, 2):
            await eventually(lambda: len(listener.of(ev.ChannelsListed)) == count, "the list")  # noqa: B023  awaited at once
            await pbx.send(hangup("1.1"))
            await eventually(lambda: len(listener.hung_up) == count, "the event after it")  # noqa: B023  awaited at once
            pbx.reset()
        await eventually(lambda: listener.links == ["up", "down", "up", "down"], "the end")
    order = [Up, ev.ChannelsListed, ev.HungUp, Down]
    assert [type(told) for told in listener.told if not isinstance(told, ev.Booted)][:8] == order * 2
    for listed in listener.of(ev.ChannelsListed)[:2]:
        assert [channel.uniqueid for channel in listed.channels] == ["1.0", "1.1", "1.2"]


async def test_a_user_who_may_only_listen_still_hears_without_version_and_list(pbx: ScriptedAmi) -> None:
    pbx.replies |= {"coresettings": refused, "coreshowchannels": refused}
    listener = Recorder()
    with capture_logs() as logs:
        async with running(patient(pbx), listener):
            await pbx.wait_for_action("CoreShowChannels")
            await pbx.send(hangup("1.1"))
            await eventually(lambda: listener.hung_up == ["1.1"], "the event")
    assert listener.of(Up) == [Up(None)]
    assert listener.of(ev.ChannelsListed) == []
    assert [entry["log_level"] for entry in logs if "write = reporting" in entry["event"]] == ["warning"]


async def test_an_asterisk_that_was_upgraded_is_told_with_the_new_version(pbx: ScriptedAmi) -> None:
    listener = Recorder()
    async with running(patient(pbx), listener):
        await until_up(listener)
        pbx.replies["coresettings"] = core_settings("22.11.0~dfsg-1")
        pbx.drop()
        await until_up(listener, 2)
    assert listener.of(Up) == [Up("22.10.1"), Up("22.11.0")]


async def test_sources_to_one_pbx_do_not_hear_each_other(pbx: ScriptedAmi) -> None:
    one, other = Recorder(), Recorder()
    async with running(patient(pbx), one), running(patient(pbx), other):
        await until_up(one)
        await until_up(other)
        await pbx.connections[0].write(hangup("1.1"), ())
        await pbx.connections[1].write(hangup("1.2"), ())
        await eventually(lambda: one.hung_up and other.hung_up, "both events")
    assert {*one.hung_up} == {"1.1"} or {*one.hung_up} == {"1.2"}
    assert {*one.hung_up}.isdisjoint(other.hung_up)


def test_nothing_is_lost_before_anything_came(pbx: ScriptedAmi) -> None:
    assert AmiSource("pbx", patient(pbx), Recorder()).losses == Losses()
