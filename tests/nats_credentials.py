"""Users of NATS by JWT, as ``nsc`` makes them: an operator, an account with JetStream, and a file of credentials."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

_UNBOUNDED = ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams")
_ACCOUNT_LIMITS: dict[str, Any] = {**dict.fromkeys(_UNBOUNDED, -1), "consumer": -1, "wildcards": True}
_USER_LIMITS = {"subs": -1, "data": -1, "payload": -1}


class Credentials:
    """``config`` is for the server; ``write`` makes a file for a client."""

    def __init__(self) -> None:
        operator = _pair(nkeys.PREFIX_BYTE_OPERATOR)
        account, system = _pair(nkeys.PREFIX_BYTE_ACCOUNT), _pair(nkeys.PREFIX_BYTE_ACCOUNT)
        self._account = account
        told = {"type": "account", "version": 2, "limits": _ACCOUNT_LIMITS}
        unlimited = {**told, "limits": {**_ACCOUNT_LIMITS, "mem_storage": 0, "disk_storage": 0}}
        names = [pair.public_key.decode() for pair in (account, system)]
        jwts = [_jwt(operator, name, told) for name, told in zip(names, (told, unlimited), strict=True)]
        self.config = "\n".join(
            [
                f"operator: {_jwt(operator, operator.public_key.decode(), {'type': 'operator', 'version': 2})}",
                f"system_account: {names[1]}",
                "resolver: MEMORY",
                f"resolver_preload: {{ {names[0]}: {jwts[0]}, {names[1]}: {jwts[1]} }}",
            ]
        )

    def write(self, path: Path) -> Path:
        """Write a file for a user of the account."""
        user = _pair(nkeys.PREFIX_BYTE_USER)
        jwt = _jwt(self._account, user.public_key.decode(), {"type": "user", "version": 2, **_USER_LIMITS})
        seed = user.seed.decode()
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
        return path


def _pair(prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def _jwt(issuer: Any, subject: str, claims: dict[str, Any]) -> str:
    told = {"iat": int(time.time()), "iss": issuer.public_key.decode(), "name": "test", "sub": subject, "nats": claims}
    told["jti"] = base64.b32encode(hashlib.sha256(json.dumps(told).encode()).digest()).decode().rstrip("=")
    parts = [_encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, told)]
    return ".".join([*parts, _encoded(issuer.sign(".".join(parts).encode()))])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
