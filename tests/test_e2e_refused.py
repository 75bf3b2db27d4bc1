"""What a real Asterisk refuses without a channel, seen over HEP beside AMI by the real program."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import Companion, Record
from tests.hep_lab import HepPbx, sending_hep
from tests.lab import sip_message as sip
from tests.lab.lab import Lab
from tests.lab.sip_message import SipMessage

pytestmark = pytest.mark.lab

# Who is barred by an ACL of PJSIP: it looks at the address in Contact.
BARRED = "192.0.2.66"
PJSIP = f"\n[barred]\ntype = acl\ncontact_deny = {BARRED}\n"


@pytest.fixture(scope="module", params=["22", "16"])
def hep(request: pytest.FixtureRequest) -> Iterator[HepPbx]:
    with sending_hep(request.param, extra={"pjsip.conf": PJSIP}) as hep:
        yield hep


def message(hep: HepPbx, method: str, user: str, port: int, *more: tuple[str, str], uri: str = "") -> SipMessage:
    pbx = hep.pbx
    address = f"{pbx.host}:{pbx.ports.sip}"
    to = f"<sip:{user}@{address}>"
    has = {name for name, _ in more}
    headers = [
        ("Via", f"SIP/2.0/UDP {pbx.host}:{port};rport;branch=z9hG4bK{sip.token()}"),
        ("Max-Forwards", "70"),
        ("From", f'"Test" <sip:5550100@{pbx.host}>;tag={sip.token()}'),
        ("To", to),
        ("Call-ID", f"{sip.token()}@refused"),
        ("CSeq", f"1 {method}"),
        *more,
    ]
    if "Contact" not in has:
        headers.append(("Contact", f"<sip:5550100@{pbx.host}:{port}>"))
    body = b""
    if method == "INVITE":
        body = sip.sdp(pbx.host)
        if "Content-Type" not in has:
            headers.append(("Content-Type", "application/sdp"))
    request_uri = uri or f"sip:{user}@{address}" if method == "INVITE" else f"sip:{address}"
    return SipMessage(f"{method} {request_uri} SIP/2.0", headers, body)


def asked(hep: HepPbx, method: str, user: str, *more: tuple[str, str], uri: str = "", offer: bytes = b"") -> int:
    """Send a request; give the final status, acknowledged."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((hep.pbx.host, 0))
        sock.settimeout(10)
        request = message(hep, method, user, sock.getsockname()[1], *more, uri=uri)
        if offer:
            request.body = offer
        pbx = (hep.pbx.host, hep.pbx.ports.sip)
        sock.sendto(request.encode(), pbx)
        while True:
            answer = sip.parse(sock.recv(65_535))
            if answer is not None and not answer.is_request and answer.status >= 200:
                break
        if method == "INVITE":
            headers = [pair for pair in request.headers if pair[0] in ("Via", "From", "Call-ID", "Max-Forwards")]
            headers += [("To", answer.get("to")), ("CSeq", "1 ACK")]
            sock.sendto(SipMessage(request.start.replace("INVITE", "ACK"), headers).encode(), pbx)
        return answer.status


ROLE = ("X-Lab-Role", "caller")
TRUNK = ("X-Lab-Role", "acme")
G729 = sip.sdp("127.0.0.1").replace(b"RTP/AVP 0 8", b"RTP/AVP 18").replace(b"PCMU", b"G729")


async def test_refused_calls_have_records(hep: HepPbx, tmp_path: Path) -> None:
    def play() -> dict[str, int]:
        return {
            "nosuch": asked(hep, "INVITE", "nosuch", ROLE),
            "5550": asked(hep, "INVITE", "5550", TRUNK),
            "486": asked(hep, "INVITE", "486", ROLE, offer=G729),
            "media": asked(hep, "INVITE", "media", ROLE, ("Content-Type", "text/plain")),
            "require": asked(hep, "INVITE", "require", ROLE, ("Require", "nothing-known")),
            "barred": asked(hep, "INVITE", "barred", ROLE, ("Contact", f"<sip:x@{BARRED}>")),
        }

    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        said = await asyncio.to_thread(play)
        heard = await lab.caller.call("trunk.acme.486")
        records = await companion.recorded(len(said) + 1)
        assert await companion.stop() == 0
    assert said == {"nosuch": 404, "5550": 484, "486": 488, "media": 415, "require": 420, "barred": 403}
    told: dict[str, Record] = {record["dialled"]: record for record in records}
    assert len(told) == len(records)
    assert (heard.status, told.pop("trunk.acme.486")["evidence"]["source"]) == (486, "HEP")
    assert {user: record["sip"]["code"] for user, record in told.items()} == said
    assert {user: record["disposition"] for user, record in told.items()} == {
        "nosuch": "not_found",
        "5550": "not_found",
        "486": "not_acceptable",
        "media": "bad_request",
        "require": "bad_request",
        "barred": "forbidden",
    }
    for record in told.values():
        assert (record["outcome"], record["released_by"], record["direction"]) == ("failed", "pbx", "inbound")
        assert (record["evidence"]["grade"], record["evidence"]["source"]) == ("sent", "HEP")
        assert (record["caller"]["number"], record["caller"]["name"]) == ("5550100", "Test")
        assert record["caller"]["endpoint"] == hep.pbx.host
        assert record["attempts"] == []
        assert record["sip_call_id"].endswith("@refused")
        assert record["hint"]


async def test_floods_and_failed_registrations_are_counted(hep: HepPbx, tmp_path: Path) -> None:
    def play() -> set[int]:
        statuses = {asked(hep, "INVITE", str(number)) for number in range(10)}
        return statuses | {asked(hep, "REGISTER", f"phone{number}") for number in range(10)}

    async with Lab(hep.pbx) as lab, Companion(tmp_path, hep.pbx, hep.prepare(tmp_path), 2) as companion:
        await lab.caller.call("trunk.acme.486")  # from now on it is known which address is the PBX's
        await companion.recorded(1)
        assert await asyncio.to_thread(play) == {401}
        assert await companion.stop() == 0  # told at the end, though the minute is not over
        _, *records = await companion.calls()
    assert {record["disposition"] for record in records} == {"auth_failed"}
    assert sum(record["count"] for record in records) == 20
    assert len(records) <= 4  # two kinds, and a minute may begin meanwhile
    for record in records:
        assert (record["sip"]["code"], record["fault"]["side"]) == (401, "caller")
        assert record["caller"]["endpoint"] == hep.pbx.host
