"""`asterisk-sip check` door by door, against small peers: what it says, and that it disturbs nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from asterisk_sip.calls.model import Grade
from asterisk_sip.check import Doors, look_at, to_json
from asterisk_sip.check_ami import look_at_ami
from asterisk_sip.check_files import lines_of
from asterisk_sip.check_line import THE_LINE, about_pjsip, about_twice
from asterisk_sip.check_release import about_release, has_tech_cause, tech_may_be_empty
from asterisk_sip.check_remark import Level, Report
from asterisk_sip.config import AgiConfig, HepConfig
from asterisk_sip.sources.backfill import CelSettings
from tests.ami_client import patient
from tests.ami_server import ScriptedAmi
from tests.e2e import command

HOST = "127.0.0.1"


def free_port(kind: int) -> int:
    with closing(socket.socket(socket.AF_INET, kind)) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def hep_packet(capture_id: int = 1, *, password: str | None = None, protocol: int = 1) -> bytes:
    """What res_hep sends for a SIP message."""
    chunks = [
        (1, bytes([2])),
        (2, bytes([17])),
        (3, bytes([127, 0, 0, 1])),
        (4, bytes([127, 0, 0, 2])),
        (7, (5060).to_bytes(2, "big")),
        (8, (5070).to_bytes(2, "big")),
        (9, (1_700_000_000).to_bytes(4, "big")),
        (10, bytes(4)),
        (11, bytes([protocol])),
        (12, capture_id.to_bytes(4, "big")),
        *([(14, password.encode())] if password is not None else []),
        (15, b"SIP/2.0 486 Busy Here\r\n\r\n"),
    ]
    body = b"".join(bytes(2) + kind.to_bytes(2, "big") + (len(v) + 6).to_bytes(2, "big") + v for kind, v in chunks)
    return b"HEP3" + (len(body) + 6).to_bytes(2, "big") + body


def texts(report: Report, level: Level) -> list[str]:
    return [remark.text for remark in report.remarks if remark.level is level]


async def hep_report(config: HepConfig, *sent: bytes, running: bool = False, wait_s: float = 0.5) -> Report:
    """Check while these packets come again and again."""
    looking = asyncio.create_task(look_at(Doors("pbx1", hep=config, running=running), wait_s))
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.setblocking(False)
        while not looking.done():
            for data in sent:
                sender.sendto(data, (config.listen_host, config.listen_port))
            await asyncio.sleep(0.005)
    return await looking


def hep_config(**more: object) -> HepConfig:
    return HepConfig(listen_host=HOST, listen_port=free_port(socket.SOCK_DGRAM), **more)  # type: ignore[arg-type]  # of any type


async def test_hep_says_that_messages_come() -> None:
    report = await hep_report(hep_config(capture_id=7), hep_packet(7))
    assert texts(report, Level.OK) == ["HEP: SIP messages come (capture_id 7)"]
    assert [(each.door, each.grade) for each in report.evidence if each.in_use] == [("HEP", Grade.WIRE)]
    assert report.problems == 0


async def test_hep_says_what_to_write_when_nothing_comes() -> None:
    config = hep_config(capture_id=7, capture_password=SecretStr("hush"))
    report = await hep_report(config, wait_s=0.01)
    [remark] = report.remarks
    assert "nothing came in 0.01 s" in remark.text
    assert f"capture_address = {HOST}:{config.listen_port}" in remark.lines
    assert "capture_id = 7" in remark.lines
    assert "hush" not in json.dumps(to_json(report))


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (hep_packet(8, password="right"), "none with capture_id 7: those have 8"),
        (hep_packet(7, password="wrong"), "without the right capture_password"),
        (hep_packet(7), "without the right capture_password"),
        (hep_packet(7, password="right", protocol=5), "none with SIP"),
        (b"GET / HTTP/1.1", "is not read: no HEP packet"),
    ],
)
async def test_hep_says_why_packets_are_of_no_use(packet: bytes, told: str) -> None:
    report = await hep_report(hep_config(capture_id=7, capture_password=SecretStr("right")), packet)
    [problem] = texts(report, Level.PROBLEM)
    assert told in problem


@pytest.mark.parametrize(("running", "level"), [(True, Level.OK), (False, Level.PROBLEM)])
async def test_a_port_that_is_taken_is_left_alone(running: bool, level: Level) -> None:
    hep, agi = hep_config(), AgiConfig(listen_host=HOST, listen_port=free_port(socket.SOCK_STREAM))
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as mine,
        closing(socket.create_server((HOST, agi.listen_port))) as server,
    ):
        mine.bind((HOST, hep.listen_port))
        report = await look_at(Doors("pbx1", agi=agi, hep=hep, running=running), 0.01)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()  # nobody came
    assert [remark.level for remark in report.remarks] == [level, level]
    assert all("is taken by" in remark.text for remark in report.remarks)


async def test_an_address_of_another_machine_is_told() -> None:
    report = await look_at(Doors("pbx1", hep=HepConfig(listen_host="192.0.2.1")), 0.01)
    assert texts(report, Level.PROBLEM) == ["HEP: 192.0.2.1:9060 is no address of this machine. Change listen_host."]


async def agi_report(call: Callable[[int], Awaitable[None]] | None = None, wait_s: float = 5.0) -> Report:
    config = AgiConfig(listen_host=HOST, listen_port=free_port(socket.SOCK_STREAM))
    looking = asyncio.create_task(look_at(Doors("pbx1", agi=config), wait_s))
    while call is not None and not looking.done():
        await call(config.listen_port)
        await asyncio.sleep(0.01)
    return await looking


def agi_caller(path: str) -> Callable[[int], Awaitable[None]]:
    async def call(port: int) -> None:
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return  # not there yet
        writer.write(f"agi_network: yes\nagi_network_script: {path}\nagi_request: agi://x/{path}\n\n".encode())
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return call


async def test_agi_says_that_a_handler_reports() -> None:
    report = await agi_report(agi_caller("pbx1"))
    assert texts(report, Level.OK) == [
        "AGI: a hangup handler reports here (its report was not taken: only run does that)"
    ]
    assert report.evidence[0].grade == Grade.WIRE


async def test_agi_says_when_a_handler_means_another_pbx() -> None:
    report = await agi_report(agi_caller("pbx2"))
    [problem] = texts(report, Level.PROBLEM)
    assert "but for 'pbx2'" in problem


async def test_agi_says_what_to_write_when_nobody_reports() -> None:
    report = await agi_report(wait_s=0.01)
    [remark] = report.remarks
    assert remark.level is Level.NOTE
    assert remark.lines[0].startswith(f"ASTERISK_SIP_AGI = agi://{HOST}:")


def cel_csv(path: Path, *kinds: str, at: float | None = None) -> CelSettings:
    line = '"{}","{}","","","","","","","","PJSIP/a-1","","","3","","1.1","1.1","","","",""\n'
    path.write_text("".join(line.format(kind, at or time.time()) for kind in kinds))
    return CelSettings("csv", path)


async def test_cel_says_of_when_its_newest_event_is(tmp_path: Path) -> None:
    settings = cel_csv(tmp_path / "Master.csv", "CHAN_START", "HANGUP", at=1_700_000_000)
    report = await look_at(Doors("pbx1", cel=settings), 0.01)
    [told] = texts(report, Level.OK)
    assert "its newest event is of 2023-11-1" in told
    assert report.evidence[0].grade == Grade.CANDIDATES


@pytest.mark.parametrize(
    ("kinds", "at", "level", "told"),
    [
        ((), None, Level.NOTE, "holds nothing yet"),
        (("CHAN_START", "CHAN_END") * 60, None, Level.PROBLEM, "No ANSWER, HANGUP, LINKEDID_END among the newest 120"),
        (("CHAN_START", "HANGUP", "CHAN_END", "ANSWER") * 60, None, Level.NOTE, "No LINKEDID_END among"),
        (("CHAN_START", "HANGUP"), time.time() + 7200, Level.PROBLEM, "minutes ahead"),
    ],
    ids=("empty", "few", "no end", "ahead"),
)
async def test_cel_says_what_its_events_lack(
    tmp_path: Path, kinds: tuple[str, ...], at: float | None, level: Level, told: str
) -> None:
    report = await look_at(Doors("pbx1", cel=cel_csv(tmp_path / "Master.csv", *kinds, at=at)), 0.01)
    assert [text for text in texts(report, level) if told in text]


async def test_cel_says_that_it_cannot_be_read_and_what_to_write(tmp_path: Path) -> None:
    report = await look_at(Doors("pbx1", cel=CelSettings("sqlite", tmp_path / "master.db")), 0.01)
    [remark] = report.remarks
    assert remark.level is Level.PROBLEM
    assert "table = cel" in remark.lines
    assert any("linkedid" in line for line in remark.lines)


async def test_doors_that_are_not_in_use_are_told_in_one_line_each() -> None:
    report = await look_at(Doors("pbx1"), 0.01)
    assert {each.door for each in report.evidence} == {"AMI", "ARI", "AGI", "HEP", "CEL"}
    assert not any(each.in_use for each in report.evidence)


def test_the_lines_to_add_are_those_of_the_shipped_files() -> None:
    assert THE_LINE.startswith("channelvars = EVAL(")
    assert lines_of("ari.conf", "general", "channelvars") == (THE_LINE,)
    assert lines_of("manager.conf", "asterisk-sip", "read", "write") == (
        "read = call,system,agent",
        "write = reporting",
    )


def test_what_freezes_asterisk_is_warned_of() -> None:
    [remark] = about_pjsip([THE_LINE, "CHANNEL(pjsip,call-id)"])
    assert remark.level is Level.PROBLEM
    assert not about_pjsip([THE_LINE])


def test_a_line_that_evaluates_the_names_of_channels_is_to_be_replaced() -> None:
    former = (
        'EVAL(${EVAL(${IF($["${HANGUPCAUSE_KEYS()}"="${CHANNEL(name)}"]?$:)}{HANGUPCAUSE(${CHANNEL(name)},tech)})})'
    )
    [remark] = about_twice("ari.conf", ["x-other", f"{former}=SIP 200 OK"])
    assert remark.level is Level.PROBLEM
    assert remark.lines == (f"channelvars = {THE_LINE.removeprefix('channelvars = ')}",)
    assert not about_twice("ari.conf", [THE_LINE])


@pytest.mark.parametrize(
    ("version", "tech_cause", "empty"),
    [
        ("16.28.0~dfsg-0+deb11u4", False, False),
        ("20.17.0", True, True),
        ("21.12.2", False, True),
        ("22.6.1", False, False),
        ("22.10.1", True, False),
        ("23.0.0", False, False),
        ("24.0.0", True, False),
        ("certified/22.8-cert1", True, False),
        (None, None, False),
    ],
)
def test_what_a_release_tells(version: str | None, tech_cause: bool | None, empty: bool) -> None:
    assert has_tech_cause(version) is tech_cause
    assert tech_may_be_empty(version) is empty
    assert bool(about_release(version)) is (version is not None)


async def test_for_scripts_it_prints_json(tmp_path: Path) -> None:
    path = tmp_path / "asterisk-sip.toml"
    (tmp_path / "ami.secret").write_text("hush")
    (tmp_path / "ami.secret").chmod(0o600)
    port = free_port(socket.SOCK_STREAM)
    ami = f'[pbx.ami]\nport = {port}\nsecret_file = "ami.secret"'
    path.write_text(f'[[pbx]]\nname = "pbx1"\n{ami}\n[store]\npath = "none.db"\n')
    said = await command("check", "--config", str(path), "--json")
    assert said.code == 1
    told = json.loads(said.out)
    assert told["problems"] == 1
    [pbx] = told["pbx"]
    assert pbx["pbx"] == "pbx1"
    assert pbx["remarks"][0]["text"].startswith(f"No AMI at 127.0.0.1:{port}")
    assert pbx["remarks"][0]["lines"]
    assert not (tmp_path / "none.db").exists()


MANAGER = """
[general]
timestampevents = yes
{line}
[asterisk-sip]
secret = hush
read = {read}
"""


async def ami_report(
    folder: Path, read: str = "call,system,agent", line: str = "", event_mask: str = "call,system,agent"
) -> list[tuple[Level, str]]:
    """Check a PBX whose manager.conf lies on this machine, while no call passes by."""
    (folder / "manager.conf").write_text(MANAGER.format(read=read, line=line))
    async with ScriptedAmi() as pbx:
        pbx.replies["listcommands"] = lambda _: [{"Response": "Success", "Ping": "Keepalive command"}]
        pbx.replies["getconfig"] = lambda _: [{"Response": "Error", "Message": "Permission denied"}]
        settings = patient(pbx, event_mask=event_mask)
        remarks, _ = await look_at_ami(settings, 0.01, folder)
    return [(remark.level, remark.text) for remark in remarks]


async def test_the_line_is_found_in_a_file_on_this_machine(tmp_path: Path) -> None:
    found = await ami_report(tmp_path, line=THE_LINE)
    assert (Level.OK, "The line is in manager.conf (no call passed by to show it)") in found
    missing = await ami_report(tmp_path)
    assert [text for level, text in missing if level is Level.PROBLEM and "The line is missing" in text]


async def test_only_the_last_line_counts(tmp_path: Path) -> None:
    found = await ami_report(tmp_path, line=f"{THE_LINE}\nchannelvars = FOO")
    assert [text for level, text in found if level is Level.PROBLEM and "The line is missing" in text]


async def test_a_file_that_includes_others_is_not_believed(tmp_path: Path) -> None:
    found = await ami_report(tmp_path, line="#include manager.d/*.conf")
    assert [text for level, text in found if level is Level.NOTE and "No call passed by" in text]


@pytest.mark.parametrize(
    ("read", "event_mask", "level", "missing"),
    [
        ("system,agent", "call,system,agent", Level.PROBLEM, "call"),
        ("call,system", "call,system,agent", Level.NOTE, "agent"),
        ("call,system,agent", "call,system,agent,user", Level.NOTE, "user"),
        ("all", "call,system,agent,user", None, ""),
    ],
)
async def test_classes_that_the_user_may_not_read_are_told(
    tmp_path: Path, read: str, event_mask: str, level: Level | None, missing: str
) -> None:
    found = await ami_report(tmp_path, read, THE_LINE, event_mask)
    told = [(of, text) for of, text in found if "may not read" in text]
    assert [of for of, _ in told] == ([] if level is None else [level])
    assert all(f"may not read {missing}, which event_mask asks for" in text for _, text in told)
