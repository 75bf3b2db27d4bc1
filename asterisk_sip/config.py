"""Reads the TOML file, the environment and the secret files into a `Config`; tells every fault at once.

Environment: ``ASTERISK_SIP__STORE__PATH`` overrides ``store.path``, ``ASTERISK_SIP__PBX__0__AMI__PORT`` the port of the
first PBX. The AMI secret is ``ASTERISK_SIP_<NAME OF THE PBX>_AMI_SECRET``, or ``ASTERISK_SIP_AMI_SECRET`` when there is
one PBX. A variable set to nothing counts as not set. Relative paths start at the folder of the TOML file.
"""

from __future__ import annotations

import difflib
import os
import re
import ssl
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from asterisk_sip.config_faults import Fault, Loc, key_path, os_reason, reason_of
from asterisk_sip.config_model import (
    AmiConfig,
    Config,
    LogConfig,
    PbxConfig,
    PipelineConfig,
    RecordsConfig,
    StoreConfig,
    TrunkRule,
    key_paths,
    value_type,
)
from asterisk_sip.errors import ConfigError

__all__ = [
    "AmiConfig",
    "Config",
    "LogConfig",
    "PbxConfig",
    "PipelineConfig",
    "RecordsConfig",
    "StoreConfig",
    "TrunkRule",
    "load",
]

Table = dict[str, Any]

_OVERRIDE = "ASTERISK_SIP__"
_ONLY_PBX = "ASTERISK_SIP_AMI_SECRET"
_LOOKS_LIKE_A_PBX = re.compile(r"ASTERISK_SIP_[A-Z0-9][A-Z0-9_]*_AMI_SECRET")
_SECRET_KEYS = ("secret", "password")
_SECRET_MAX_BYTES = 4_096
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def load(path: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> Config:
    """Give the configuration of a TOML file and the environment, or one `ConfigError` with every fault.

    Who only reads records has no need of secrets: with ``secrets = False`` they are neither read nor asked for, and
    what stands in their place opens nothing.
    """
    tree, faults = _parse(path)
    if not faults:
        draft = _Draft(path, tree, environ, secrets=secrets)
        config = draft.finish()
        if config is not None:
            return config
        faults = draft.faults
    raise ConfigError(str(path), faults)


def _parse(path: Path) -> tuple[Table, list[Fault]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig")), []
    except OSError as error:
        return {}, [("file", os_reason(error))]
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return {}, [(f"line {line}", "is not UTF-8 text")]
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).rstrip(")").rpartition(" (at ")
        return {}, [(place, f"is not TOML: {reason}")]


class _Draft:
    """The configuration while it is put together: the tree, where its values came from, what is wrong with it."""

    def __init__(self, path: Path, tree: Table, environ: Mapping[str, str], *, secrets: bool) -> None:
        self._secrets = secrets
        self.faults: list[Fault] = []
        self._warnings: list[str] = []
        self._folder = path.absolute().parent
        self._tree = tree
        self._environ = {name: value for name, value in environ.items() if value}
        self._origins: dict[Loc, str] = {}  # values that are not in the file, by the name they were given

    def finish(self) -> Config | None:
        """Put everything together; None when there are faults."""
        if "warnings" in self._tree:
            self._fault(("warnings",), "unknown key")
            del self._tree["warnings"]
        self._override()
        self._anchor_paths()
        for number, pbx in self._tables("pbx"):
            self._link(number, pbx)
        self._unused_secrets()
        self._distinct_names()
        self._distinct_patterns()
        self._tree["warnings"] = tuple(self._warnings)
        try:
            config = Config.model_validate(self._tree)
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False)
        else:
            return None if self.faults else config
        for detail in details:
            self._explain(detail)
        return None

    def _fault(self, loc: Loc, reason: str) -> None:
        self.faults.append((self._origins.get(loc) or key_path(loc), reason))

    def _tables(self, key: str) -> Iterator[tuple[int, Table]]:
        entries = self._tree.get(key)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield number, entry

    def _override(self) -> None:
        """Lay the variables ASTERISK_SIP__... over the file."""
        targets = {_OVERRIDE + "__".join(map(str, loc)).upper(): loc for loc in self._settable()}
        for name in sorted(name for name in self._environ if name.startswith(_OVERRIDE)):
            loc = targets.get(name)
            if loc is not None:
                self._set(loc, name)
            elif name.lower().endswith(_SECRET_KEYS):
                self.faults.append((name, f"is no way to give a secret; use {_ONLY_PBX} or secret_file"))
            else:
                near = difflib.get_close_matches(name, targets, n=1)
                self.faults.append((name, "sets no known key" + (f"; did you mean {near[0]}?" if near else "")))

    def _settable(self) -> Iterator[Loc]:
        for path in key_paths(Config):
            if "[]" not in path:
                yield path
                continue
            for number, _ in self._tables(path[0]):
                yield (path[0], number, *path[2:])

    def _set(self, loc: Loc, name: str) -> None:
        kind = value_type(Config, tuple("[]" if isinstance(step, int) else step for step in loc))
        if get_origin(kind) is tuple:
            self.faults.append((name, "a list can only be set in the file"))
            return
        table: Any = self._tree
        for step in loc[:-1]:
            table = table[step] if isinstance(step, int) else table.setdefault(step, {})
            if not isinstance(table, dict | list):
                return  # the file holds something else there, which is a fault of its own
        table[loc[-1]] = _typed(self._environ[name], kind)
        self._origins[loc] = name

    def _anchor_paths(self) -> None:
        store = self._tree.setdefault("store", {})
        if isinstance(store, dict):
            store.setdefault("path", str(StoreConfig.model_fields["path"].default))
            self._anchor(store, "path")
        for _, pbx in self._tables("pbx"):
            if isinstance(pbx.get("ami"), dict):
                self._anchor(pbx["ami"], "secret_file")
                self._anchor(pbx["ami"], "ca_file")

    def _anchor(self, table: Table, key: str) -> None:
        value = table.get(key)
        if isinstance(value, str) and value:
            table[key] = str(self._folder / value)

    def _link(self, number: int, pbx: Table) -> None:
        ami = pbx.setdefault("ami", {})
        if not isinstance(ami, dict):
            return
        if not self._secrets:
            ami["secret"] = SecretStr("not read")
            return
        self._secret(number, pbx, ami)
        ca_file = ami.get("ca_file")
        if ami.get("tls") is True and isinstance(ca_file, str) and ca_file:
            reason = _ca_fault(Path(ca_file))
            if reason:
                self._fault(("pbx", number, "ami", "ca_file"), reason)

    def _secret(self, number: int, pbx: Table, ami: Table) -> None:
        """Find the one place that gives the secret of this PBX."""
        loc: Loc = ("pbx", number, "ami")
        only = _ONLY_PBX if len(self._tree["pbx"]) == 1 else None
        names = [name for name in (only, _variable_of(pbx.get("name"))) if name]
        ways = " or ".join([*names[:1], 'secret_file = "..."'])
        written = [key for key in _SECRET_KEYS if key in ami]
        for key in written:
            del ami[key]
            self._fault((*loc, key), f"a secret does not belong in this file; give it by {ways}")
        given = [name for name in names if name in self._environ]
        if "secret_file" in ami:
            given.append(self._origins.get((*loc, "secret_file"), "secret_file"))
        if len(given) > 1:
            self._fault(loc, f"its secret is given more than once, by {' and by '.join(given)}; keep one")
        elif given:
            self._take_secret(loc, ami, given[0])
        elif not written:
            self._fault(loc, f"has no secret; give it by {ways}")

    def _take_secret(self, loc: Loc, ami: Table, origin: str) -> None:
        if "secret_file" not in ami:
            self._origins[*loc, "secret"] = origin
            ami["secret"] = SecretStr(self._environ[origin])
            return
        self._origins[*loc, "secret"] = self._origins.get((*loc, "secret_file"), key_path((*loc, "secret_file")))
        value = ami["secret_file"]
        if not isinstance(value, str) or not value:
            return  # validation says so
        secret, reason, warning = _read_secret(Path(value))
        if secret is not None:
            ami["secret"] = secret
        if reason:
            self._fault((*loc, "secret"), reason)
        if warning:
            self._warnings.append(f"{self._origins[*loc, 'secret']}: {warning}")

    def _unused_secrets(self) -> None:
        pbxs = list(self._tables("pbx"))
        known = {_variable_of(pbx.get("name")) for _, pbx in pbxs}
        for name in sorted(self._environ):
            if _LOOKS_LIKE_A_PBX.fullmatch(name) and name not in known:
                self._warnings.append(f"{name} is set, but no [[pbx]] has that name")
        if _ONLY_PBX in self._environ and len(pbxs) > 1:
            self._warnings.append(f"{_ONLY_PBX} is set, but not used: there is more than one [[pbx]]")

    def _distinct_names(self) -> None:
        for key in ("pbx", "trunk"):
            seen: dict[str, int] = {}
            for number, table in self._tables(key):
                name = table.get("name")
                if not isinstance(name, str):
                    continue
                variable = _variable_of(name) if key == "pbx" else None
                first = seen.setdefault(variable or name, number)
                if first == number:
                    continue
                reason = f"is already the name of {key}[{first}]"
                if name != self._tree[key][first]["name"]:
                    reason = f"is too like the name of {key}[{first}]: both take their secret from {variable}"
                self._fault((key, number, "name"), reason)

    def _distinct_patterns(self) -> None:
        seen: dict[str, int] = {}
        for number, trunk in self._tables("trunk"):
            patterns = trunk.get("endpoints")
            for place, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
                if not isinstance(pattern, str):
                    continue
                if pattern in seen:
                    self._fault(("trunk", number, "endpoints", place), f"is already in trunk[{seen[pattern]}]")
                seen.setdefault(pattern, number)

    def _explain(self, detail: ErrorDetails) -> None:
        loc = detail["loc"]
        if detail["type"] == "missing" and loc[-1] == "secret":
            return  # told already, with the ways to give it
        self._fault(loc, reason_of(detail))


def _variable_of(pbx_name: object) -> str | None:
    if not isinstance(pbx_name, str) or not pbx_name:
        return None
    return f"ASTERISK_SIP_{re.sub('[^A-Z0-9]', '_', pbx_name.upper())}_AMI_SECRET"


def _typed(text: str, kind: object) -> object:
    """A variable's text as the type of its key; text that does not fit stays text, for validation to refuse."""
    try:
        if kind is bool:
            return _BOOLEANS[text.strip().lower()]
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
    except (KeyError, ValueError):
        pass
    return text


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


def _ca_fault(path: Path) -> str | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"{path}: holds no certificate in PEM form"
    except OSError as error:
        return f"{path}: {os_reason(error)}"
    except ValueError:
        return None  # no path at all; validation says so
    return None
