"""The lab itself: what the far end says arrives, nothing is lost under load, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from tests.lab import apt, roots
from tests.lab.ami import AmiClient, first
from tests.lab.asterisk import Asterisk
from tests.lab.errors import AmiError, RootError
from tests.lab.fixtures import need_roots
from tests.lab.lab import Lab
from tests.lab.options import AmiTls, PbxOptions
from tests.lab.record import record_one
from tests.lab.scenarios import FINAL_CODES, SCENARIOS
from tests.lab.sip_message import SipMessage, parse, raw, text
from tests.lab.sip_script import Reply, Script, rejecting
from tests.lab.wait import until, until_blocking

DATA = Path(__file__).parents[1] / "asterisk_sip" / "catalog" / "data"


# ---- without a PBX -----------------------------------------------------------------------------------------------


def test_the_mirror_is_the_machines_own_debian_archive(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://off.example/debian bookworm main\n"
        "deb http://security.example/debian-security bookworm-security main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://tools.example/debian bookworm main\n"
        "deb https://tools.example/apt bookworm main\n"
    )
    (tmp_path / "sources.list.d" / "debian.sources").write_text(
        "Types: deb\nURIs: http://disabled.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
        "Types: deb deb-src\n# a comment\nURIs: http://archive.example/debian/\nSuites: bookworm bookworm-updates\n"
        "Components:\n main\n contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    system = tmp_path / "os-release"
    system.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert apt.mirror(tmp_path, system) == "http://archive.example/debian/"


def test_without_a_debian_archive_there_is_no_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb https://tools.example/apt stable main\n")
    with pytest.raises(RootError, match="no Debian archive"):
        apt.mirror(tmp_path, tmp_path / "os-release")


def test_a_root_that_is_not_whole_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASTERISK_SIP_LAB", str(tmp_path))
    (tmp_path / "forky" / "etc").mkdir(parents=True)
    with pytest.raises(RootError, match="make lab-build"):
        roots.existing("22")
    (tmp_path / "forky" / roots.MARKER).write_text("forky: another recipe\n")
    with pytest.raises(RootError, match="make lab-build"):
        roots.existing("22")


@pytest.fixture
def debootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for debootstrap first in PATH; give the file where it writes down how it was called."""
    if os.geteuid() != 0:
        pytest.skip("building needs root")
    tool, calls = tmp_path / "bin" / "debootstrap", tmp_path / "calls"
    tool.parent.mkdir()
    tool.write_text(f"""#!/bin/sh
echo "$@" >> {calls}
[ -e {tmp_path}/broken ] && echo "E: no such mirror" && exit 3
mkdir -p "$4/etc"
""")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ASTERISK_SIP_LAB", str(tmp_path / "lab"))
    monkeypatch.setattr(roots, "SCRIPTS", tmp_path)
    monkeypatch.setattr(roots, "mirror", lambda: "http://archive.example/debian")
    return calls


def test_a_root_is_built_once(debootstrap: Path, tmp_path: Path) -> None:
    root = roots.build("22", lambda _: None)
    assert root == roots.build("22", lambda _: None) == roots.existing("22")
    include = "--include=asterisk,sip-tester,ca-certificates"
    expected = f"--variant=minbase {include} forky {root} http://archive.example/debian {tmp_path}/sid\n"
    assert debootstrap.read_text() == expected
    assert "A.ROOT-SERVERS.NET" in (root / "etc/hosts").read_text()


def test_a_half_built_root_is_built_anew(debootstrap: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(RootError, match=r"status 3.*\nE: no such mirror"):
        roots.build("16", lambda _: None)
    (tmp_path / "broken").unlink()
    stale = tmp_path / "lab" / "bullseye" / "stale"
    stale.mkdir(parents=True)
    roots.build("16", lambda _: None)
    assert not stale.exists()
    assert len(debootstrap.read_text().splitlines()) == 2


def test_two_processes_do_not_build_twice(debootstrap: Path) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first_root, second_root = pool.map(lambda _: roots.build("22", said.append), range(2))
    assert first_root == second_root
    assert len(debootstrap.read_text().splitlines()) == 1
    assert sum("is there" in line for line in said) == 1


def test_without_debootstrap_the_error_says_what_to_install(debootstrap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(debootstrap.parent))
    with pytest.raises(RootError, match="apt-get install debootstrap"):
        roots.build("22", lambda _: None)


def test_odd_bytes_survive_a_sip_message() -> None:
    odd = b'SIP/2.0 486 Occup\xe9 = "\\"\r\nCall-ID: 1\r\n\r\n'
    message = parse(odd)
    assert message is not None
    assert (message.status, raw(message.phrase)) == (486, b'Occup\xe9 = "\\"')
    written = SipMessage(message.start, message.headers).encode()
    assert written == odd.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")


def test_the_lab_knows_every_registered_final_code() -> None:
    rows = (DATA / "sip_codes.csv").read_text().splitlines()[1:]
    registered = {int(row[:3]) for row in rows if row[:1] in "456"}
    assert set(FINAL_CODES) >= registered


# ---- on both PBXs ------------------------------------------------------------------------------------------------


@pytest.mark.lab
async def test_the_trunks_status_reaches_the_caller(lab: Lab) -> None:
    outcome = await lab.caller.call("486")
    assert (outcome.status, outcome.ended_by) == (486, "reject")
    assert [call.sent for call in lab.acme.calls] == [[100, 486]]


@pytest.mark.lab
@pytest.mark.parametrize("phrase", ["Занято 🚫", "Busy )})})=SIP 200 OK", "${SHELL(id)}"])
async def test_the_trunks_phrase_reaches_ami(lab: Lab, phrase: str) -> None:
    lab.acme.scripts["odd"] = rejecting(486, phrase.encode())
    async with AmiClient(lab.pbx.host, lab.pbx.ports.ami) as ami:
        await ami.connect(lab.pbx.companion.name, lab.pbx.companion.secret, events="call")
        await lab.caller.call("trunk.acme.odd")
        await until(lambda: ami.counts["Hangup"] == 2, "both legs gone")
        ended = [event for event in ami.events if first(event, "Event") == "DialEnd"]
    assert [first(event, "DestChanVariable").endswith(f"=SIP 486 {phrase}") for event in ended] == [True]


@pytest.mark.lab
async def test_a_cancelled_call_is_cancelled_at_the_trunk(lab: Lab) -> None:
    outcome = await lab.caller.call("trunk.acme.ring", cancel_on=180)
    assert (outcome.status, outcome.ended_by) == (487, "cancel")
    await until(lambda: lab.acme.calls[0].final == 487, "the trunk's answer to CANCEL")
    assert lab.acme.calls[0].cancelled


@pytest.mark.lab
async def test_who_hangs_up_an_answered_call(lab: Lab) -> None:
    lab.acme.scripts["brief"] = Script((Reply(180), Reply(200)), bye_after_s=0.1)
    assert (await lab.caller.call("trunk.acme.brief")).ended_by == "pbx"
    assert (await lab.caller.call("200", bye_after_s=0.1)).ended_by == "caller"
    await until(lambda: [call.ended_by for call in lab.acme.calls] == ["peer", "pbx"], "both calls over at the trunk")


@pytest.mark.lab
async def test_a_refused_reinvite_leaves_the_call_up(lab: Lab) -> None:
    lab.acme.scripts["picky"] = Script((Reply(180), Reply(200)), bye_after_s=0.5, reinvite=Reply(488))
    outcome = await lab.direct.call("trunk.acmedirect.picky")
    assert (outcome.status, outcome.ended_by) == (200, "pbx")
    assert lab.acme.requests["INVITE"] > 1


@pytest.mark.lab
@pytest.mark.parametrize(
    ("exten", "status"),
    [
        ("trunk.acmetcp.486", 486),
        ("trunk.refused.1", 503),
        ("trunk.lost.1", 503),
        ("trunk.absent.1", 404),
        ("trunk.empty.1", 404),
        ("trunk.acme.ring.1", 603),
        ("failover.503.480", 480),
        ("fork.20.404.486", None),
        ("busy", 486),
        ("hangup.21", 403),
    ],
)
async def test_every_way_to_fail(lab: Lab, exten: str, status: int | None) -> None:
    outcome = await lab.caller.call(exten)
    assert outcome.status in ((404, 486) if status is None else (status,))


@pytest.mark.lab
async def test_a_burst_loses_no_call(lab: Lab) -> None:
    outcomes = await lab.caller.burst(["503", "608", "404", "200"] * 20, per_second=80)
    assert {outcome.exten: outcome.status for outcome in outcomes} == {"503": 503, "608": 500, "404": 404, "200": 200}
    assert len(lab.acme.calls) == len(outcomes) == 80


@pytest.mark.lab
async def test_chan_sip_is_a_second_way_out_of_release_16(lab16: Lab) -> None:
    assert (await lab16.caller.call("sip.acme.486")).status == 486


@pytest.mark.lab
async def test_the_listener_may_listen_and_nothing_else(lab: Lab) -> None:
    async with AmiClient(lab.pbx.host, lab.pbx.ports.ami) as ami:
        await ami.connect(lab.pbx.companion.name, lab.pbx.companion.secret)
        for allowed in ("Ping", "CoreSettings", "CoreShowChannels"):
            await ami.action(allowed)
        for forbidden in ("Originate", "Command", "Hangup", "GetConfig"):
            with pytest.raises(AmiError, match="Permission denied"):
                await ami.action(forbidden)


@pytest.mark.lab
async def test_a_recording_holds_every_byte_from_banner_to_last_hangup(lab: Lab, tmp_path: Path) -> None:
    scenario = next(each for each in SCENARIOS if each.name == "failover-failed")
    size = await record_one(lab, scenario, "", tmp_path / "it.ami")
    recorded = (tmp_path / "it.ami").read_bytes()
    assert recorded.startswith(b"Asterisk Call Manager/")
    assert len(recorded) == size
    assert recorded.endswith(b"\r\n\r\n")
    assert text(recorded).count("Event: Hangup\r\n") == 3


# ---- processes ---------------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_two_pbxs_run_from_one_root_and_stop_leaves_nothing() -> None:
    need_roots("22")
    with Asterisk() as one, Asterisk() as two:
        assert {one.pid, two.pid} == {*map(int, _pids_in(one.root))} & {one.pid, two.pid}
        assert "Up" in one.cli("core show uptime") or "uptime" in one.cli("core show uptime")
        left = [one.pid, two.pid]
        folders = [one.etc, one.var, two.etc, two.var]
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)
    assert not any(folder.exists() for folder in folders)


@pytest.mark.lab
async def test_without_the_line_nothing_is_told() -> None:
    need_roots("16")
    with Asterisk(PbxOptions("16", channelvars=None, timestamps=False)) as pbx:
        async with Lab(pbx) as lab, AmiClient(pbx.host, pbx.ports.ami) as ami:
            await ami.connect("companion", pbx.companion.secret, events="call")
            await lab.caller.call("503")
            await until(lambda: ami.counts["Hangup"] == 2, "both legs gone")
            assert not any("ChanVariable" in event or "Timestamp" in event for event in ami.events)


@pytest.mark.lab
async def test_ami_over_tls_with_cdr_and_cel(tmp_path: Path) -> None:
    need_roots("22")
    authority = trustme.CA()
    issued = authority.issue_cert("pbx.example")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    tls = AmiTls(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Asterisk(PbxOptions(ami_tls=tls, cdr_events=True, cel_events=True)) as pbx:
        async with Lab(pbx) as lab, AmiClient(pbx.host, pbx.ports.ami_tls, trusting, "pbx.example") as ami:
            await ami.connect("lab", pbx.lab.secret, events="on")
            await lab.caller.call("404")
            await until(lambda: ami.counts["Cdr"] and ami.counts["CEL"], "CDR and CEL events")
        assert '"NO ANSWER"' in pbx.cdr_csv.read_text()  # what the PBX's own records make of a 404


@pytest.mark.lab
async def test_a_silent_trunk_is_given_up_after_timer_b() -> None:
    need_roots("22")
    with Asterisk(PbxOptions(timer_t1_ms=100, timer_b_ms=6400)) as pbx:
        async with Lab(pbx) as lab:
            began = asyncio.get_running_loop().time()
            outcome = await lab.caller.call("trunk.silent.1")
            assert outcome.status == 408
            assert 6 < asyncio.get_running_loop().time() - began < 10
            assert lab.silent.requests["INVITE"] > 1


@pytest.mark.lab
def test_a_pbx_dies_with_the_process_that_started_it() -> None:
    need_roots("22")
    code = "from tests.lab.asterisk import Asterisk; import time; p = Asterisk().start(); print(p.pid, flush=True)"
    with subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(60)"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        child.kill()
    until_blocking(lambda: not _alive(pid), "the orphan is gone")
    with Asterisk() as another:  # a later start sweeps away what the killed one left in its root
        owners = {path.name.split("-")[2] for path in (another.root / "etc").glob("asterisk-lab-*")}
        assert str(child.pid) not in owners


@pytest.mark.lab
async def test_a_crashed_pbx_is_seen_and_tidied() -> None:
    need_roots("22")
    pbx = Asterisk().start()
    try:
        async with AmiClient(pbx.host, pbx.ports.ami) as ami:
            await ami.connect("lab", pbx.lab.secret)
            pbx.kill()
            await until(lambda: ami.closed, "the link is closed")
            assert pbx.pid is None
    finally:
        pbx.stop()
    assert not pbx.etc.exists()


@pytest.mark.lab
async def test_the_lab_by_hand_runs_tells_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_roots("22", "16")
    for release in roots.RECIPES:  # a lab folder of the test's own, with the same roots
        (tmp_path / roots.RECIPES[release].suite).symlink_to(roots.existing(release))
    monkeypatch.setenv("ASTERISK_SIP_LAB", str(tmp_path))
    command = [sys.executable, "-m", "tests.lab"]
    running = await asyncio.create_subprocess_exec(*command, "run", stdout=asyncio.subprocess.PIPE)
    try:
        assert running.stdout is not None
        told = ""
        while "Ctrl-C" not in told:
            line = await asyncio.wait_for(running.stdout.readline(), 60)
            assert line, told
            told += line.decode()
        call = await asyncio.create_subprocess_exec(*command, "call", "16", "608", stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(call.communicate(), 30)
        assert "SIP 608 Rejected" in said.decode()
        running.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(running.communicate(), 30)
        assert rest.decode().endswith("stopped\n")
        assert running.returncode == 0
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


def _pids_in(root: Path) -> list[str]:
    """Give the processes that run inside a root."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                inside = (entry / "root").readlink() == root.resolve()
            except OSError:
                continue
            if inside:
                found.append(entry.name)
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
