"""The API of the real program: served beside the daemon, and by itself over a store."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from asterisk_sip import cli
from asterisk_sip.config import load
from asterisk_sip.errors import ConfigError

from .call_records import failed, write


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def answered(url: str, **headers: str) -> int | None:
    try:
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
            return len((await response.json())["calls"]) if response.status == 200 else None
    except aiohttp.ClientError:
        return None


async def served(folder: Path, port: int, *arguments: str) -> None:
    """Run the program until it has answered with the call of its store, then end it; it ends at once."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ASTERISK_SIP__")}
    command = (sys.executable, "-m", "asterisk_sip", *arguments)
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environ, stderr=log)
    counts: list[int | None] = []
    url = f"http://127.0.0.1:{port}/api/v1/calls"
    try:
        async with asyncio.timeout(20):
            while counts[-1:] != [1]:
                assert process.returncode is None, (folder / "log").read_text()
                counts.append(await answered(url))
                await asyncio.sleep(0.05)
            async with aiohttp.ClientSession() as session, session.get(url.replace("calls", "stream")):
                process.terminate()
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        log.close()


async def test_the_daemon_serves_what_it_has_recorded(tmp_path: Path) -> None:
    port = free_port()
    await write(tmp_path / "calls.db", failed(1))
    (tmp_path / "my.toml").write_text(
        f'[[pbx]]\nname = "pbx"\n[pbx.ami]\nport = {free_port()}\nusername = "me"\n[store]\npath = "calls.db"\n'
        f"[web]\nport = {port}\n"
    )
    os.environ["ASTERISK_SIP_AMI_SECRET"] = "secret"
    try:
        await served(tmp_path, port, "run", "--config", "my.toml")
    finally:
        del os.environ["ASTERISK_SIP_AMI_SECRET"]
    assert "stopped" in (tmp_path / "log").read_text()


async def test_a_store_is_served_without_a_daemon(tmp_path: Path) -> None:
    port = free_port()
    await write(tmp_path / "calls.db", failed(1))
    await served(tmp_path, port, "web", "--store", "calls.db", "--port", str(port))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "pbx.example"])
def test_no_other_machine_is_let_in_while_nobody_is(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["web", "--host", host]) == 2
    assert "there is nobody to let in" in capsys.readouterr().err
    path = tmp_path / "my.toml"
    text = f'[[pbx]]\nname = "pbx"\n[pbx.ami]\nusername = "me"\n[web]\nhost = "{host}"\n'
    for whom in ("", '[web.proxy]\naddresses = ["10.0.0.1"]\n'):
        path.write_text(text + whom)
        with pytest.raises(ConfigError, match=r"web\.host: .*there is nobody to let in"):
            load(path, {"ASTERISK_SIP_AMI_SECRET": "secret"})
    path.write_text(text + '[web.proxy]\naddresses = ["10.0.0.1"]\nuser_header = "X-User"\n')
    loaded = load(path, {"ASTERISK_SIP_AMI_SECRET": "secret"})
    assert [warning.partition(":")[0] for warning in loaded.warnings] == ["web.host"], "it is not encrypted"


async def test_a_program_with_a_token_reads_what_a_stranger_does_not(tmp_path: Path) -> None:
    port = free_port()
    await write(tmp_path / "calls.db", failed(1))
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asterisk_sip", "password", "--token", "grafana"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    lines, told = (text.decode() for text in await made.communicate())
    (bearer,) = [line for line in told.splitlines() if line.startswith("grafana.")]
    (tmp_path / "my.toml").write_text(f'[[pbx]]\nname = "pbx"\n[store]\npath = "calls.db"\n{lines}')
    url = f"http://127.0.0.1:{port}/api/v1/calls"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asterisk_sip", "web", "--config", "my.toml", "--port", str(port)),
        cwd=tmp_path,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while await answered(url, Authorization=f"Bearer {bearer}") != 1:
                assert process.returncode is None
                await asyncio.sleep(0.05)
        assert await answered(url) is None
        assert await answered(url, Authorization=f"Bearer {bearer}x") is None
    finally:
        process.terminate()
        await process.wait()
