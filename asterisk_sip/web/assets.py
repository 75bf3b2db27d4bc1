"""The files that pages are made of beside HTML: each at an address that holds its hash, so it may be kept for good."""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePosixPath

from aiohttp import web

from .problems import ProblemError

PREFIX = "/static"

_FOLDER = files(__package__) / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"


def url(name: str) -> str:
    """Return the address of a file, such as ``vendor/uplot.js``. Raises KeyError when there is none."""
    return _urls()[name]


async def serve(request: web.Request) -> web.Response:
    """Answer with a file, asked by its address. Raises ProblemError."""
    found = _files().get(request.path)
    if found is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is no such file; reload the page")
    kind, body = found
    return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": _FOR_GOOD})


@cache
def _read() -> dict[str, bytes]:
    folders = (("", _FOLDER), ("vendor/", _FOLDER / "vendor"))
    return {
        prefix + entry.name: entry.read_bytes()
        for prefix, folder in folders
        for entry in folder.iterdir()
        if PurePosixPath(entry.name).suffix in _TYPES
    }


@cache
def _urls() -> dict[str, str]:
    return {name: _address(name, body) for name, body in _read().items()}


@cache
def _files() -> dict[str, tuple[str, bytes]]:
    return {_urls()[name]: (_TYPES[PurePosixPath(name).suffix], body) for name, body in _read().items()}


def _address(name: str, body: bytes) -> str:
    path = PurePosixPath(name)
    return f"{PREFIX}/{path.with_suffix('')}.{hashlib.blake2b(body, digest_size=8).hexdigest()}{path.suffix}"
