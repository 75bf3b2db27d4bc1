"""Hangup handlers through real Asterisks and the real program: alone, and beside AMI without the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.e2e import Companion, Record
from tests.lab.lab import Lab
from tests.lab.options import Release
from tests.lab.sip_script import rejecting
from tests.report_lab import ReportingPbx, Way, reporting

pytestmark = pytest.mark.lab

CALLS: dict[str, dict[str, Any]] = {
    "trunk.acme.608": {},
    "trunk.acme.200": {"bye_after_s": 0.3},
    "failover.503.200": {"bye_after_s": 0.3},
    "failover.503.486": {},
    "fork.2.486.ring": {},
    "trunk.acme.ring": {"cancel_on": 180, "cancel_after_s": 0.2},
    "trunk.acme.ring.2": {},
    "trunk.silent.100.2": {},
    "trunk.refused.100": {},
    "trunk.absent.100": {},
    "hangup.21": {},
    "wait": {"cancel_after_s": 0.2},
    "local.503": {},
}
"""What is dialled, and what the caller does."""

TRUTH: dict[str, tuple[object, ...]] = {
    "trunk.acme.608": ("failed", "blocked", 608, "network", (1, 608)),
    "trunk.acme.200": ("answered", "answered", 200, "caller", (1, 200)),
    "failover.503.200": ("rescued", "answered", 200, "caller", (1, 503), (2, 200)),
    "failover.503.486": ("failed", "busy", 486, "callee", (1, 503), (2, 486)),
    "fork.2.486.ring": ("failed", "busy", 486, "callee", (1, 486), (1, 180)),
    "trunk.acme.ring": ("abandoned", "cancelled", 180, "caller", (1, 180)),
    "trunk.acme.ring.2": ("failed", "no_answer", 180, "pbx", (1, 180)),
    "trunk.silent.100.2": ("failed", "no_response", None, "pbx", (1, None)),
    "trunk.refused.100": ("failed", "unreachable", 503, "network", (1, 503)),
    "trunk.absent.100": ("failed", "unreachable", 404, "pbx"),
    "hangup.21": ("failed", "pbx_refused", 403, "pbx"),
    "wait": ("abandoned", "cancelled", 487, "caller"),
    "local.503": ("failed", "congestion", 503, "network", (1, 503)),
}
"""Outcome, disposition, code and who ended it; then stage and code of each attempt."""

OF_A_CALLER_ALONE = {
    "failover.503.200": ("answered", "answered", 200, "caller", (1, 503), (1, 200)),
    "failover.503.486": ("failed", "busy", 486, "callee", (1, 503), (1, 486)),
    "trunk.silent.100.2": ("failed", "unknown", None, "pbx"),
    "trunk.refused.100": ("failed", "unknown", None, "pbx"),
}
"""What cannot be known where only the caller reports: the order of attempts, and legs to which nothing came."""

ODD = {
    "commas": b'Busy, "very", (busy; a=b | c:d)',
    "evaluated": b"${SHELL(touch /tmp/evaluated)} $[1+1] ${EXTEN}",
    "brackets": b"Busy )})}) ((({{{[",
    "colons": b"Busy ): see: notes %3A 100%25 :)",
    "backslash": b"Can't? \\n \\\\ No. 100%",
    "utf8": "Занято, ligne occupée, 話し中".encode(),
    "latin1": b"Occup\xe9 \xff",
    "base64": b"=QUJD heard=QUJD:QUJD v=2",
}


def verdict(record: Record) -> tuple[object, ...]:
    attempts = ((attempt["stage"], attempt["sip"]["code"]) for attempt in record["attempts"])
    return (record["outcome"], record["disposition"], record["sip"]["code"], record["released_by"], *attempts)


async def records(lab: Lab, companion: Companion) -> dict[str, Record]:
    """Place the calls one by one; give their records by what was dialled."""
    async with companion:
        for exten, manner in CALLS.items():
            await lab.caller.call(exten, **manner)
        await lab.idle()
        told = await companion.recorded(len(CALLS))
        assert await companion.stop() == 0
    assert len(told) == len(CALLS), "each call once"
    return {record["dialled"]: record for record in told}


def warnings_about_us(reports: ReportingPbx) -> list[str]:
    lines = reports.pbx.log.read_text(errors="replace").splitlines()
    ours = ("asterisk-sip", "HANGUPCAUSE", "func_", "res_agi", "app_userevent", "pbx_functions")
    return [line for line in lines if ("WARNING" in line or "ERROR" in line) and any(word in line for word in ours)]


@pytest.fixture(scope="module", params=[f"{way}-{release}" for way in get_args(Way) for release in get_args(Release)])
def alone(request: pytest.FixtureRequest) -> Iterator[ReportingPbx]:
    way, release = request.param.split("-")
    with reporting(release, way) as reports:
        yield reports


@pytest.fixture(scope="module", params=[f"{way}-{release}" for way in get_args(Way) for release in get_args(Release)])
def beside(request: pytest.FixtureRequest) -> Iterator[ReportingPbx]:
    way, release = request.param.split("-")
    with reporting(release, way, calls=True) as reports:
        yield reports


async def test_reports_alone_tell_what_ami_and_the_line_tell(alone: ReportingPbx, tmp_path: Path) -> None:
    async with Lab(alone.pbx) as lab:
        told = await records(lab, alone.alone(tmp_path))
    assert {exten: verdict(record) for exten, record in told.items()} == TRUTH
    for record in told.values():
        assert record["partial"] is False
        for attempt in record["attempts"]:
            if attempt["sip"]["code"] is not None and attempt["evidence"]["grade"] != "local":
                assert (attempt["evidence"]["grade"], attempt["evidence"]["source"]) == ("wire", alone.source)
            assert attempt["sip_call_id"]
    assert warnings_about_us(alone) == []


async def test_any_phrase_comes_through_to_the_letter_and_none_is_evaluated(
    alone: ReportingPbx, tmp_path: Path
) -> None:
    async with Lab(alone.pbx) as lab, alone.alone(tmp_path) as companion:
        for name, phrase in ODD.items():
            lab.acme.scripts[name] = rejecting(486, phrase)
            await lab.caller.call(f"trunk.acme.{name}")
        lab.caller.number = "55%0d%0aagi_threadid%3a%201%0aagi_arg_1%3a%20v=1%0a%0a"
        await lab.caller.call("trunk.acme.404")
        *told, broken = await companion.recorded(len(ODD) + 1)
        assert await companion.stop() == 0
    assert {record["attempts"][0]["dialled"]: record["sip"]["phrase"] for record in told} == {
        name: phrase.decode("utf-8", "backslashreplace") for name, phrase in ODD.items()
    }
    assert broken["sip"]["code"] == 404
    assert broken["caller"]["number"] == "55\r\nagi_threadid: 1\nagi_arg_1: v=1\n\n"
    assert not (alone.pbx.root / "tmp" / "evaluated").exists()
    assert warnings_about_us(alone) == []


async def test_beside_ami_without_the_line_the_handler_tells_the_code(beside: ReportingPbx, tmp_path: Path) -> None:
    async with Lab(beside.pbx) as lab:
        told = await records(lab, beside.beside_ami(tmp_path))
    assert {exten: verdict(record) for exten, record in told.items()} == TRUTH
    for record in told.values():
        assert record["partial"] is False
        assert record["evidence"]["conflict"] is False
        for attempt in record["attempts"]:
            if attempt["sip"]["code"] is not None and attempt["evidence"]["grade"] != "local":
                assert (attempt["evidence"]["grade"], attempt["evidence"]["source"]) == ("wire", beside.source)


async def test_a_queue_is_told_by_its_caller(alone: ReportingPbx, tmp_path: Path) -> None:
    """Queue() has no option b on these releases: its agents do not report."""
    async with Lab(alone.pbx) as lab, alone.alone(tmp_path) as companion:
        await lab.caller.call("inqueue.support.2")
        await lab.caller.call("earlyqueue.support", cancel_after_s=1.0)
        timed_out, gave_up = await companion.recorded(2)
        assert await companion.stop() == 0
    assert verdict(timed_out) == ("failed", "no_answer", 180, "pbx", (1, 180), (1, 180))
    assert verdict(gave_up) == ("abandoned", "cancelled", 180, "caller", (1, 180), (1, 180))


@pytest.mark.parametrize("release", get_args(Release))
async def test_of_a_callers_report_alone_codes_are_known_but_not_the_order(release: Release, tmp_path: Path) -> None:
    with reporting(release, "agi", legs=False) as reports:
        async with Lab(reports.pbx) as lab:
            told = await records(lab, reports.alone(tmp_path))
    assert {exten: verdict(record) for exten, record in told.items()} == TRUTH | OF_A_CALLER_ALONE
    assert all(record["partial"] == bool(record["attempts"]) for record in told.values())


@pytest.mark.parametrize("release", get_args(Release))
async def test_nobody_listening_delays_no_call(release: Release) -> None:
    with reporting(release, "agi") as reports:
        async with Lab(reports.pbx) as lab:
            outcomes = await lab.caller.burst(["486", "200", "503"] * 20, 40)
            await lab.idle()
        assert [outcome.status for outcome in outcomes] == [486, 200, 503] * 20
        assert any("Connection refused" in line for line in warnings_about_us(reports))


@pytest.mark.parametrize("release", get_args(Release))
async def test_under_load_every_call_is_recorded_once(release: Release, tmp_path: Path) -> None:
    with reporting(release, "agi") as reports:
        async with Lab(reports.pbx) as lab, reports.alone(tmp_path) as companion:
            await lab.caller.burst(["486", "200", "503", "failover.503.486"] * 100, 40)
            await companion.recorded(400)
            assert await companion.stop() == 0
            assert len(set(companion.linkedids())) == companion.count() == 400


@pytest.mark.parametrize("release", get_args(Release))
async def test_while_ami_is_out_agi_tells_the_calls(release: Release, tmp_path: Path) -> None:
    with reporting(release, "agi", calls=True) as reports:
        companion = reports.beside_ami(tmp_path, doors=1)
        text = companion.config.read_text()
        refused = text.replace(f"port = {reports.pbx.ports.ami}\n", f"port = {reports.pbx.ports.refused}\n", 1)
        companion.config.write_text(refused)
        async with Lab(reports.pbx) as lab, companion:
            await lab.caller.burst(["486", "failover.503.200", "404"], 20)
            told = await companion.recorded(3)
            assert await companion.stop() == 0
            assert sorted(record["sip"]["code"] for record in told) == [200, 404, 486]
            companion.config.write_text(text)  # the same store, and AMI is there again
            async with companion:
                await lab.caller.call("608")
                assert [record["sip"]["code"] for record in await companion.recorded(4)][-1] == 608
                assert await companion.stop() == 0
    assert companion.count() == 4
