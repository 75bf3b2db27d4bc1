"""The NATS sink against real servers: every record once in the stream, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
import trustme
from nats.js import JetStreamContext

from asterisk_sip.calls.model import CallRecord, Outcome
from asterisk_sip.calls.record_text import record_text
from asterisk_sip.daemon_nats import nats_settings
from asterisk_sip.errors import PermanentSinkError, TransientSinkError
from asterisk_sip.nats_link import NatsSettings
from asterisk_sip.sinks.base import KINDS, Delivery
from asterisk_sip.sinks.nats import NatsSink, NatsSinkSettings, StreamSettings
from asterisk_sip.sources.nats_source import CollectorSettings, Message, NatsSource
from asterisk_sip.stores.base import Gap, gap_json

from .call_records import BEGAN, abandoned, answered, failed, rescued
from .config_texts import HIDDEN, MINIMAL, faults, read
from .config_texts import ONE as SECRET
from .lab.wait import until
from .nats_credentials import Credentials
from .nats_servers import NatsServers, nats_servers

DOCS = Path(__file__).parent.parent / "docs"
ONE = StreamSettings(create=True, replicas=1)


@pytest.fixture(scope="module")
def servers() -> Iterator[NatsServers]:
    with nats_servers() as running:
        yield running


def delivery(record: CallRecord, *, repeated: bool = False) -> Delivery:
    return Delivery(
        1, "answered" if record.outcome is Outcome.ANSWERED else "failure", record.id, record_text(record), repeated
    )


def sink_to(servers: NatsServers, stream: StreamSettings = ONE, **link: Any) -> NatsSink:
    settings = NatsSettings(servers.addresses, **link)
    return NatsSink(NatsSinkSettings(settings, frozenset(KINDS), stream, ack_timeout_s=3.0))


@asynccontextmanager
async def jetstream(servers: NatsServers, **options: Any) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(f"nats://{servers.addresses[0]}", **options)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def messages(context: JetStreamContext, stream: str = "asterisk-sip") -> list[Any]:
    count = (await context.stream_info(stream)).state.messages
    subscription = await context.pull_subscribe("asterisk-sip.>", stream=stream)
    return await subscription.fetch(count, timeout=5) if count else []


@pytest.fixture
async def empty(servers: NatsServers) -> AsyncIterator[JetStreamContext]:
    async with jetstream(servers) as context:
        yield context
        for stream in await context.streams_info():
            assert stream.config.name is not None
            await context.delete_stream(stream.config.name)


async def test_each_record_is_in_the_stream_under_its_id_and_subject(
    servers: NatsServers, empty: JetStreamContext
) -> None:
    gap = Gap("gap-1", "pbx", "ami", BEGAN, BEGAN + timedelta(seconds=3), "reset")
    records = [failed(1, pbx="main.pbx-1"), rescued(2), abandoned(3), answered(4)]
    told = [delivery(record) for record in records]
    sink = sink_to(servers)
    await sink.open()
    await sink.write([*told, Delivery(5, "gap", gap.id, json.dumps(gap_json(gap)), repeated=True)])
    await sink.close()
    found = await messages(empty)
    assert [message.subject.removeprefix("asterisk-sip.") for message in found] == [
        *("main_pbx-1.failed", "pbx.rescued", "pbx.abandoned", "pbx.answered", "pbx.gap")
    ]
    assert [message.headers["Nats-Msg-Id"] for message in found] == [*(each.id for each in records), "gap-1"]
    assert [message.data.decode() for message in found[:4]] == [each.text for each in told]
    assert [message.headers.get("Asterisk-Sip-Repeated") for message in found] == [*[None] * 4, "true"]
    info = (await empty.stream_info("asterisk-sip")).config
    assert (info.subjects, info.num_replicas, info.duplicate_window) == (["asterisk-sip.>"], 1, 120)


async def test_what_is_published_twice_is_there_once(servers: NatsServers, empty: JetStreamContext) -> None:
    batch = [delivery(failed(number)) for number in range(300)]
    for _ in range(2):
        sink = sink_to(servers)
        await sink.open()
        await sink.write(batch)
        await sink.close()
    assert [message.headers["Nats-Msg-Id"] for message in await messages(empty)] == [each.id for each in batch]


async def test_without_a_stream_it_waits_and_says_so(servers: NatsServers, empty: JetStreamContext) -> None:
    sink = sink_to(servers, StreamSettings(create=False))
    await sink.open()
    with pytest.raises(TransientSinkError, match=r"no stream takes asterisk-sip\.>"):
        await sink.write([delivery(failed(1))])
    await empty.add_stream(name="asterisk-sip", subjects=["asterisk-sip.>"])
    await sink.write([delivery(failed(1))])
    await sink.close()
    assert len(await messages(empty)) == 1


async def test_a_stream_of_another_name_is_told(servers: NatsServers, empty: JetStreamContext) -> None:
    await empty.add_stream(name="other", subjects=["asterisk-sip.>"])
    sink = sink_to(servers, StreamSettings(create=False))
    await sink.open()
    with pytest.raises(TransientSinkError, match="expected stream does not match"):
        await sink.write([delivery(failed(1))])
    await sink.close()


async def test_one_too_large_is_refused_for_good_and_those_before_it_are_taken(
    servers: NatsServers, empty: JetStreamContext
) -> None:
    await empty.add_stream(name="asterisk-sip", subjects=["asterisk-sip.>"], max_msg_size=8_000)
    huge, larger = (replace(failed(2), hint="x" * size) for size in (9_000, 2_000_000))
    sink = sink_to(servers)
    await sink.open()
    for record in (huge, larger):
        with pytest.raises(PermanentSinkError, match="larger than the") as caught:
            await sink.write([delivery(failed(0)), delivery(failed(1)), delivery(record), delivery(failed(3))])
        assert caught.value.taken == 2
    await sink.close()


async def test_a_server_that_was_away_is_found_again() -> None:
    with nats_servers() as servers:
        [server] = servers.each
        sink = sink_to(servers)
        await sink.open()
        await sink.write([delivery(failed(1))])
        server.kill()
        with pytest.raises(TransientSinkError):
            await sink.write([delivery(failed(2))])
        with pytest.raises(TransientSinkError, match=server.address):
            await sink.write([delivery(failed(2))])
        server.start()
        server.await_ready()
        await sink.write([delivery(failed(2))])
        await sink.close()
        async with jetstream(servers) as context:
            assert len(await messages(context)) == 2


async def test_a_password_and_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    users = 'authorization { user: "companion", password: "p4ss" }'
    tls = f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.pem" }}'
    with nats_servers(more=f"{users}\n{tls}") as servers:
        known: dict[str, Any] = {"user": "companion", "tls": True, "ca_file": tmp_path / "ca.pem"}
        sink = sink_to(servers, password="p4ss", **known)
        await sink.open()
        await sink.write([delivery(failed(1))])
        await sink.close()
        with pytest.raises(TransientSinkError, match=r"(?i)authorization violation") as caught:
            await sink_to(servers, password="wr0ng", **known).open()
        assert "wr0ng" not in str(caught.value)
        with pytest.raises(TransientSinkError, match=r"(?i)certificate"):
            await sink_to(servers, password="p4ss", user="companion", tls=True).open()


async def test_a_file_of_credentials(tmp_path: Path) -> None:
    known, unknown, broken = Credentials(), Credentials(), tmp_path / "broken.creds"
    broken.write_text("no credentials")
    with nats_servers(more=known.config) as servers:
        sink = sink_to(servers, credentials_file=known.write(tmp_path / "known.creds"))
        await sink.open()
        await sink.write([delivery(failed(1))])
        await sink.close()
        for file in (unknown.write(tmp_path / "unknown.creds"), broken, tmp_path / "none.creds"):
            with pytest.raises(TransientSinkError, match=r"(?i)authorization violation|broken.creds|no such file"):
                await sink_to(servers, credentials_file=file).open()


async def test_the_permissions_of_the_pages_are_enough_and_fewer_are_told() -> None:
    """Those of a companion in docs/sinks.md, those of a collector in docs/fleet.md."""
    pages = [(DOCS / name).read_text() for name in ("sinks.md", "fleet.md")]
    api = [f'"{subject}"' for page in pages for subject in re.findall(r"`(\$JS\.[^`]+)`", page)]
    all_of_them = (
        f'{{ user: "both", password: "p", permissions: {{ publish: ["asterisk-sip.>", {", ".join(api)}], '
        'subscribe: ["_INBOX.>"] } }'
    )
    users = [
        '{ user: "companion", password: "p", permissions: { publish: ["asterisk-sip.>"], subscribe: ["_INBOX.>"] } }',
        all_of_them,
        '{ user: "nobody", password: "p", permissions: { publish: ["else.>"], subscribe: ["_INBOX.>"] } }',
    ]
    with nats_servers(more=f"authorization {{ users: [ {', '.join(users)} ] }}") as servers:
        for user, stream in (("both", ONE), ("companion", StreamSettings())):
            sink = sink_to(servers, stream, user=user, password="p")
            await sink.open()
            await sink.write([delivery(failed(1))])
            await sink.close()
        sink = sink_to(servers, StreamSettings(), user="nobody", password="p")
        await sink.open()
        with pytest.raises(TransientSinkError, match=r"(?i)permissions violation for publish to .asterisk-sip"):
            await sink.write([delivery(failed(1))])
        await sink.close()
        taken: list[str] = []

        async def take(messages: Sequence[Message]) -> None:
            taken.extend(message.id for message in messages)

        link = NatsSettings(servers.addresses, user="both", password="p")
        collecting = asyncio.create_task(NatsSource(CollectorSettings(link), take).run())
        await until(lambda: taken, "it is collected")
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
        assert taken == [failed(1).id]


async def test_nothing_is_told_to_a_server_that_does_not_encrypt(servers: NatsServers) -> None:
    for user in ("companion", None):
        with pytest.raises(TransientSinkError, match="secure connection"):
            await sink_to(servers, user=user, password="p4ss", tls=True).open()


# The configuration

FLEET = MINIMAL + '[[sink.nats]]\nname = "fleet"\nservers = ["n1:4222", "[::1]:4223"]\n'


def test_how_a_sink_reaches_nats(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    told = read(file, FLEET + 'user = "u"', SECRET | {"ASTERISK_SIP_SINK_FLEET_PASSWORD": HIDDEN}).sink.nats[0]
    settings = nats_settings(told, "fleet")
    assert (settings.servers, settings.user, settings.password) == (("n1:4222", "[::1]:4223"), "u", HIDDEN)
    assert HIDDEN not in repr(settings) + repr(told)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (FLEET.replace("n1:4222", "nats://u:p@n1:4222"), "sink.nats[0].servers[0]"),
        (FLEET.replace("n1:4222", "n1"), "sink.nats[0].servers[0]"),
        (FLEET + 'stream = "a.b"', "sink.nats[0].stream"),
        (FLEET + 'ca_file = "ca.pem"', "sink.nats[0].ca_file"),
        (FLEET + 'user = "u"\ncredentials_file = "x"', "sink.nats[0].credentials_file"),
        (FLEET + 'password_file = "x"', "sink.nats[0].password_file"),
        (MINIMAL + "[collector]\n", "pbx"),
        ('[collector]\n[sink.stdout]\nname = "out"\n', "sink"),
        ("[collector]\nservers = []\n", "collector.servers"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, text: str, key: str) -> None:
    assert key in faults(tmp_path / "a.toml", text, SECRET if "[[pbx]]" in text else {})


def test_a_collector_needs_no_pbx(tmp_path: Path) -> None:
    config = read(tmp_path / "a.toml", '[collector]\nuser = "u"\n', {"ASTERISK_SIP_COLLECTOR_PASSWORD": HIDDEN})
    assert config.pbx == ()
    assert config.collector is not None
    assert config.collector.password is not None
