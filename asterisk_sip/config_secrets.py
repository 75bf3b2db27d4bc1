"""Finds each secret in the one place that gives it: a variable, or a file that the TOML file names.

Below a ``[[pbx]]`` the variable is ``ASTERISK_SIP_<NAME OF THE PBX>_AMI_SECRET``, or ``ASTERISK_SIP_AMI_SECRET`` when
there is one PBX; that of a sink is ``ASTERISK_SIP_SINK_<NAME OF THE SINK>_SECRET``, that of a target of alerts
``ASTERISK_SIP_ALERT_TARGET_<NAME>_SECRET``; ``SECRETS`` has all of them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from asterisk_sip.config_faults import Findings, Loc, key_path, os_reason
from asterisk_sip.config_types import NOT_READ

Table = dict[str, Any]

_SECRET_MAX_BYTES = 4_096


@dataclass(frozen=True)
class SecretKey:
    """A secret: the table and the key it fills in. ``wanted`` tells from the table whether it has a use for one.

    The table stands in each ``[[pbx]]``, in ``[sink]`` or ``[alert_target]`` as a list, or by itself: ``below``.
    """

    table: str
    key: str
    suffix: str
    needed: bool = True
    below: Literal["pbx", "sink", "alert_target"] | None = "pbx"
    wanted: Callable[[Table], bool] = lambda _: True

    @property
    def file_key(self) -> str:
        """The key that names the file with the secret."""
        return f"{self.key}_file"

    @property
    def word(self) -> str:
        """What an operator calls it."""
        return self.key.replace("_", " ")

    @property
    def only(self) -> str:
        """Its variable when there is one PBX."""
        return f"ASTERISK_SIP_{self.suffix}"

    def of(self, name: object) -> str | None:
        """Give its variable for the PBX, the sink or the target of this name."""
        stem = variable_stem(f"{self.below}_{name}" if self.below in LISTS and name else name)
        return stem and f"{stem}_{self.suffix}"


LISTS = ("sink", "alert_target")
"""Tables that hold lists of tables, each with a name."""


def _has_user(table: Table) -> bool:
    return bool(table.get("user"))


SECRETS = (
    SecretKey("ami", "secret", "AMI_SECRET"),
    SecretKey("ari", "password", "ARI_PASSWORD"),
    SecretKey("hep", "capture_password", "HEP_CAPTURE_PASSWORD", needed=False),
    SecretKey("cel", "password", "CEL_PASSWORD", needed=False, wanted=lambda cel: cel.get("kind") == "postgresql"),
    SecretKey("webhook", "secret", "SECRET", needed=False, below="sink"),
    SecretKey("webhook", "secret", "SECRET", needed=False, below="alert_target"),
    SecretKey("webhook", "authorization", "AUTHORIZATION", needed=False, below="alert_target"),
    SecretKey("alertmanager", "authorization", "AUTHORIZATION", needed=False, below="alert_target"),
    SecretKey("apprise", "urls", "URLS", below="alert_target"),
    SecretKey("nats", "password", "PASSWORD", needed=False, below="sink", wanted=_has_user),
    SecretKey(
        "collector",
        "password",
        "COLLECTOR_PASSWORD",
        needed=False,
        below=None,
        wanted=_has_user,
    ),
    SecretKey("journal", "key", "JOURNAL_KEY", below=None, wanted=lambda journal: journal.get("pseudonymise") is True),
    SecretKey(
        "privacy",
        "key",
        "PRIVACY_KEY",
        below=None,
        wanted=lambda privacy: privacy.get("numbers") == "pseudonymised",
    ),
    SecretKey("otlp", "credential", "OTLP_CREDENTIAL", needed=False, below=None),
    SecretKey(
        "store", "password", "STORE_PASSWORD", needed=False, below=None, wanted=lambda store: bool(store.get("url"))
    ),
)

_OF_PBX = tuple(secret for secret in SECRETS if secret.below == "pbx")
_LOOKS_LIKE_A_PBX = re.compile(rf"ASTERISK_SIP_[A-Z0-9][A-Z0-9_]*_({'|'.join(secret.suffix for secret in _OF_PBX)})")
_LOOK_LIKE = {
    below: re.compile(
        rf"ASTERISK_SIP_{below.upper()}_[A-Z0-9][A-Z0-9_]*_"
        rf"({'|'.join(sorted({secret.suffix for secret in SECRETS if secret.below == below}))})"
    )
    for below in LISTS
}
_WORDS = {"sink": "sink", "alert_target": "target of alerts"}
_WRITTEN_KEYS = ("secret", "password")


def variable_stem(pbx_name: object) -> str | None:
    """How the variables begin that hold the secrets of the PBX of this name."""
    if not isinstance(pbx_name, str) or not pbx_name:
        return None
    return f"ASTERISK_SIP_{re.sub('[^A-Z0-9]', '_', pbx_name.upper())}"


def credential(path: Path, folder: Path, environ: Mapping[str, str]) -> Path | None:
    """Return where systemd has laid a file of the configuration's folder, for a program that may not read it there.

    ``LoadCredential=secrets:/etc/asterisk-sip/secrets`` lays ``secrets/ami.secret`` as ``secrets_ami.secret`` into the
    folder that CREDENTIALS_DIRECTORY names (systemd.exec(5)); a credential of one file has the name it is given.
    """
    given = environ.get("CREDENTIALS_DIRECTORY")
    if not given or not path.is_relative_to(folder):
        return None
    laid = Path(given, "_".join(path.relative_to(folder).parts))
    return laid if laid.exists() else None


def misplaced(variable: str) -> str | None:
    """Say how a secret is given that someone gives by a variable ``ASTERISK_SIP__...``; None if it is no secret."""
    name = variable.lower()
    for secret in SECRETS:
        if name.endswith(f"__{secret.table}__{secret.key}"):
            return f"is no way to give a secret; use {secret.only} or {secret.file_key}"
    return "is no way to give a secret" if name.endswith(_WRITTEN_KEYS) else None


class SecretFinder:
    """Puts the secrets into the tree of a TOML file: all of them, none, or those of the tables that ``read`` names.

    What stands in the place of one that is not read opens nothing.
    """

    def __init__(
        self, tree: Table, environ: Mapping[str, str], findings: Findings, *, read: bool | tuple[str, ...]
    ) -> None:
        self._tree = tree
        self._environ = environ
        self._findings = findings
        self._read = read
        pbxs = tree.get("pbx")
        self._pbxs = [pbx if isinstance(pbx, dict) else {} for pbx in pbxs] if isinstance(pbxs, list) else []

    def find(self) -> None:
        """Find every secret, and tell of variables that nothing asks for."""
        for loc, table, secret, variables in self._places():
            self._find(loc, table, secret, variables)
        self._unused()

    def _places(self) -> Iterator[tuple[Loc, Table, SecretKey, list[str]]]:
        """Every table that may have a secret, and the variables that may give it."""
        for secret in SECRETS:
            if secret.below in LISTS:
                for number, entry in enumerate(self._entries(secret.below, secret.table)):
                    variable = secret.of(entry.get("name"))
                    yield (secret.below, secret.table, number), entry, secret, [variable] if variable else []
            elif secret.below == "pbx":
                for number, pbx in enumerate(self._pbxs):
                    if isinstance(pbx.get(secret.table), dict):
                        only = secret.only if len(self._pbxs) == 1 else None
                        variables = [name for name in (only, secret.of(pbx.get("name"))) if name]
                        yield ("pbx", number, secret.table), pbx[secret.table], secret, variables
            elif isinstance(self._tree.get(secret.table), dict):
                yield (secret.table,), self._tree[secret.table], secret, [secret.only]

    def _entries(self, below: str, kind: str) -> list[Table]:
        tables = self._tree.get(below)
        entries = tables.get(kind) if isinstance(tables, dict) else None
        return [entry if isinstance(entry, dict) else {} for entry in entries] if isinstance(entries, list) else []

    def _find(self, loc: Loc, table: Table, secret: SecretKey, variables: list[str]) -> None:
        """Find the one place that gives a secret."""
        ways = " or ".join([*variables[:1], f'{secret.file_key} = "..."'])
        written = sorted(
            key
            for key in {*_WRITTEN_KEYS, secret.key}
            if key in table and not isinstance(table[key], SecretStr)  # what was found for another key is none of it
        )
        for key in written:
            del table[key]
            self._findings.fault((*loc, key), f"a secret does not belong in this file; give it by {ways}")
        if not self._reads(secret.table):
            if secret.needed:
                table[secret.key] = SecretStr(NOT_READ)
            return
        if not secret.wanted(table):
            return
        given = [name for name in variables if name in self._environ]
        if secret.file_key in table:
            given.append(self._findings.origins.get((*loc, secret.file_key), secret.file_key))
        if len(given) > 1:
            twice = f"its {secret.word} is given more than once, by {' and by '.join(given)}; keep one"
            self._findings.fault(loc, twice)
        elif given:
            self._take(loc, table, secret, given[0])
        elif secret.needed and not written:
            self._findings.fault(loc, f"has no {secret.word}; give it by {ways}")

    def _reads(self, table: str) -> bool:
        return self._read if isinstance(self._read, bool) else table in self._read

    def _take(self, loc: Loc, table: Table, secret: SecretKey, origin: str) -> None:
        origins = self._findings.origins
        target, file = (*loc, secret.key), (*loc, secret.file_key)
        if secret.file_key not in table:
            origins[target] = origin
            table[secret.key] = SecretStr(self._environ[origin])
            return
        origins[target] = origins.get(file, key_path(file))
        value = table[secret.file_key]
        if not isinstance(value, str) or not value:
            return  # validation says so
        found, reason, warning = _read_secret(Path(value))
        if found is not None:
            table[secret.key] = found
        if reason:
            self._findings.fault(target, reason)
        if warning:
            self._findings.warn(target, warning)

    def _unused(self) -> None:
        asked = {
            name
            for _, table, secret, variables in self._places()
            for name in (variables if secret.wanted(table) else ())
        }
        for name in sorted(self._environ.keys() - asked):
            reason = self._why_unused(name)
            if reason:
                self._findings.warnings.append(f"{name} is set, but {reason}")

    def _why_unused(self, name: str) -> str | None:
        """Say why nothing asks for a variable that can hold a secret; None if it cannot."""
        for secret in SECRETS:
            if secret.below not in LISTS and name == secret.only:
                if secret.below == "pbx" and len(self._pbxs) > 1:
                    return "not used: there is more than one [[pbx]]"
                where = f"[pbx.{secret.table}]" if secret.below else f"[{secret.table}]"
                return f"not used: no {where} asks for it"
            for pbx in self._pbxs if secret.below == "pbx" else ():
                if name == secret.of(pbx.get("name")):
                    return f"not used: no [pbx.{secret.table}] of that [[pbx]] asks for it"
        if _LOOKS_LIKE_A_PBX.fullmatch(name):
            return "no [[pbx]] has that name"
        for below, like in _LOOK_LIKE.items():
            if like.fullmatch(name):
                return f"not used: no {_WORDS[below]} of that name asks for it"
        return None


def _read_secret(path: Path) -> tuple[SecretStr | None, str | None, str | None]:
    """The secret in a file, or why there is none; and a warning."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_SECRET_MAX_BYTES + 1)
    except OSError as error:
        return None, f"{path}: {os_reason(error)}", None
    except ValueError:
        return None, None, None  # no path at all; validation says so
    warning = f"{path} can be read by every user of this machine; chmod o-r it" if mode & stat.S_IROTH else None
    if len(raw) > _SECRET_MAX_BYTES:
        return None, f"{path}: is larger than {_SECRET_MAX_BYTES} bytes, so it is no secret", warning
    try:
        return SecretStr(raw.decode().rstrip("\r\n")), None, warning
    except UnicodeDecodeError:
        return None, f"{path}: is not UTF-8 text", warning
