"""The sink that docs/sinks.md shows: a package of its own, installed and served as the page says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .ami_load import calls_coming
from .ami_server import SECRET
from .companions import Program
from .lab.wait import until
from .webhook_target import Post, webhook_target

PAGE = Path(__file__).parent.parent / "docs" / "sinks.md"
PBX = '[[pbx]]\nname = "pbx"\n[pbx.ami]\nport = {port}\n[delivery]\nretry_min_s = 0.05\n'


def shown(language: str) -> list[str]:
    """Return the blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


class Index:
    """What answers to ``_bulk``: busy at first, and one document it never takes."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.refused: str | None = None
        self._busy = 2

    def answer(self, post: Post) -> web.Response:
        assert post.headers["Authorization"] == "ApiKey key-of-the-test"
        if self._busy:
            self._busy -= 1
            return web.Response(status=503)
        lines = [json.loads(line) for line in post.body.splitlines()]
        items = [
            {"create": self._create(action["create"]["_id"], document)}
            for action, document in zip(lines[::2], lines[1::2], strict=True)
        ]
        return web.json_response({"items": items})

    def _create(self, id_: str, document: dict[str, Any]) -> dict[str, Any]:
        self.refused = self.refused or id_
        if id_ == self.refused:
            return {"status": 400, "error": "no such field"}
        if id_ in self.documents:
            return {"status": 409}
        self.documents[id_] = document
        return {"status": 201}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package, with pip, into a folder of its own."""
    package, folder = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("installed")
    [module], [project, _] = shown("python"), shown("toml")
    assert len([line for line in module.splitlines() if line.strip()]) <= 60
    (package / "opensearch_sink.py").write_text(module)
    (package / "pyproject.toml").write_text(project)

    async def install() -> None:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        how = ("--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder))
        process = await asyncio.create_subprocess_exec(*pip, *how, str(package))
        assert await process.wait() == 0

    asyncio.run(install())
    return folder


async def test_a_sink_of_another_package_is_served_as_ours_are(installed: Path, tmp_path: Path) -> None:
    index = Index()
    _, told = shown("toml")
    environ = {
        "ASTERISK_SIP_AMI_SECRET": SECRET,
        "OPENSEARCH_API_KEY": "key-of-the-test",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")])),
    }
    async with webhook_target(index.answer) as target, calls_coming(100) as pbx:
        config = PBX.format(port=pbx.port) + told.replace("http://127.0.0.1:9200", target.url.partition("/calls")[0])
        async with Program(tmp_path, config, **environ) as companion:
            await until(lambda: len(index.documents) >= 50, "documents come")
            await pbx.quiet()
            assert await companion.stop() == 0
    with closing(sqlite3.connect(tmp_path / "asterisk-sip.db")) as database:
        failures = {id_ for (id_,) in database.execute("SELECT id FROM calls")}
    assert index.refused is not None
    assert {*index.documents} | {index.refused} == failures
    assert all(document["outcome"] == "failed" for document in index.documents.values())
    [letter] = (tmp_path / "dead-letters" / "index.jsonl").read_text().splitlines()
    assert json.loads(letter)["reason"] == "the index answered 400: no such field"


async def test_a_sink_that_nobody_installed_is_told(tmp_path: Path) -> None:
    _, told = shown("toml")
    program = Program(tmp_path, PBX.format(port=1) + told, ASTERISK_SIP_AMI_SECRET=SECRET)
    async with program:
        await until(lambda: "no package adds 'opensearch'" in program.log.read_text(), "it says so")
