"""SIGHUP: what is taken while the program runs, what waits for a restart, and a broken file, which changes nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from asterisk_sip.config import Config, load
from asterisk_sip.daemon_reload import Reloading, changed
from asterisk_sip.errors import ConfigError
from asterisk_sip.password import hashed

from .played import ALERT, Site, played

TEXT = """
[[pbx]]
name = "pbx1"
[pbx.ami]
host = "192.0.2.1"
[[trunk]]
name = "acme"
endpoints = ["acme"]
[log]
level = "info"
"""
SECRET = {"ASTERISK_SIP_AMI_SECRET": "not to be told"}


def loaded(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "my.toml"
    path.write_text(text)
    return load(path, SECRET | environ)


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("", "", []),
        ('host = "192.0.2.1"', 'host = "192.0.2.2"', ["pbx[0].ami.host"]),
        ('level = "info"', 'level = "debug"', ["log.level"]),
        ('endpoints = ["acme"]', 'endpoints = ["acme", "a*"]', ["trunk[0].endpoints"]),
        ('endpoints = ["acme"]', 'endpoints = ["acme"]\n[[trunk]]\nname = "b"\nendpoints = ["b"]', ["trunk"]),
        ("[log]", "[store]\nflush_ms = 5\n[log]", ["store.flush_ms"]),
    ],
)
def test_what_differs_is_named_by_its_key(old: str, new: str, keys: list[str], tmp_path: Path) -> None:
    before, after = (loaded(tmp_path, text) for text in (TEXT, TEXT.replace(old, new) if old else TEXT))
    assert changed(before, after) == keys


def test_a_secret_that_changed_is_named_and_not_shown(tmp_path: Path) -> None:
    before = loaded(tmp_path, TEXT)
    after = loaded(tmp_path, TEXT, ASTERISK_SIP_AMI_SECRET="another")
    assert changed(before, after) == ["pbx[0].ami.secret"]


async def test_what_waits_for_a_restart_still_waits_at_the_next_reload(tmp_path: Path) -> None:
    """Also when another key of the same table was taken."""
    after = loaded(tmp_path, TEXT.replace('level = "info"', 'level = "debug"\nformat = "json"'))
    reloading = Reloading(loaded(tmp_path, TEXT), lambda: after, {"log.level": lambda _config: lambda: None})
    for _ in range(2):
        with capture_logs() as logs:
            await reloading.once()
        assert [line["keys"] for line in logs if "keys" in line] == [["log.format"]]
    assert reloading.config.log.level == "debug"


async def test_nothing_is_taken_when_one_part_cannot_be(tmp_path: Path) -> None:
    taken: list[str] = []

    def fine(_config: Config) -> Callable[[], None]:
        return lambda: taken.append("trunk")

    def refuses(_config: Config) -> Callable[[], None]:
        raise ConfigError("the configuration", [("log.level", "not today")])

    before = loaded(tmp_path, TEXT)
    after = loaded(tmp_path, TEXT.replace('"acme"', '"other"').replace("info", "debug"))
    reloading = Reloading(before, lambda: after, {"trunk": fine, "log.level": refuses})
    await reloading.once()
    assert taken == []
    assert reloading.config is before
    reloading = Reloading(before, lambda: after, {"trunk": fine})
    await reloading.once()
    assert taken == ["trunk"]
    assert (reloading.config.trunk, reloading.config.log) == (after.trunk, before.log)


class Edited:
    """The configuration of a program that runs, changed and read again."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._path = folder / "asterisk-sip.toml"

    async def change(self, old: str, new: str, event: str) -> dict[str, Any]:
        """Change the file, send SIGHUP, and give the line that the log has of it."""
        text = self._path.read_text()
        assert old in text
        self._path.write_text(text.replace(old, new))
        before = len(self._site.program.logged(event))
        os.kill(self._site.program.pid, signal.SIGHUP)
        await self._site.program.says(event, before + 1)
        return self._site.program.logged(event)[-1]


async def test_a_running_program_takes_rules_and_level_tells_what_waits_and_survives_a_broken_file(
    tmp_path: Path,
) -> None:
    async with played(tmp_path, ALERT) as site:
        await site.program.says("listening")
        edited = Edited(site, tmp_path)
        told = await edited.change('name = "globex"', 'name = "renamed"', "configuration reloaded")
        assert told["changed"] == ["trunk[1].name"]
        counted = 'asterisk_sip_attempts_total{disposition="answered",pbx="pbx1",trunk="renamed"}'
        async with asyncio.timeout(30):
            while True:
                if counted in (await site.get("/metrics"))[2]:
                    break
                await asyncio.sleep(0.05)
        users = f'[[web.user]]\nname = "alice"\npassword_hash = "{hashed("correct horse battery")}"\n\n'
        told = await edited.change("[store]", f"{users}[store]", "configuration reloaded")
        assert told["changed"] == ["web.user"]
        assert (await site.get("/metrics"))[0] == 401
        told = await edited.change(users, "", "configuration reloaded")
        assert (await site.get("/metrics"))[0] == 200
        told = await edited.change("threshold = 0.9", "threshold = 0.8", "configuration reloaded")
        assert told["changed"] == ["alerts[0].threshold"]
        await site.program.says("alerts", 2)
        told = await edited.change("[store]", "[store]\nflush_ms = 7", "these changes wait for a restart")
        assert told["keys"] == ["store.flush_ms"]
        told = await edited.change("[web]", "[web]\ncolour = 1", "configuration not reloaded: the running one stays")
        assert told["faults"] == ["web.colour: unknown key"]
        told = await edited.change("colour = 1", "", "these changes wait for a restart")
        assert told["keys"] == ["store.flush_ms"]  # still
        override = '\n[[override]]\nname = "x"\ndisposition = "tired"\n'
        told = await edited.change("[web]", f"{override}[web]", "configuration not reloaded: the running one stays")
        assert "override[0].disposition: 'tired' is none of" in told["faults"][0]
        await edited.change(override, "", "configuration reloaded")
        await edited.change('format = "json"', 'format = "json"\nlevel = "error"', "configuration reloaded")
        assert await site.program.stop() == 0
        assert not site.program.logged("stopped")  # that is but info
