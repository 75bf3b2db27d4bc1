"""Reads the TOML file, the environment and the secret files into a `Config`; tells every fault at once.

Environment: ``ASTERISK_SIP__STORE__PATH`` overrides ``store.path``, ``ASTERISK_SIP__PBX__0__AMI__PORT`` the port of the
first PBX; it is as if the file said so. Secrets have variables of their own, see `config_secrets`. A variable set to
nothing counts as not set. Relative paths start at the folder of the TOML file; under systemd, a file that a key
``..._file`` names may lie in the folder of its credentials instead.
"""

from __future__ import annotations

import difflib
import os
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from asterisk_sip import config_listen, config_names
from asterisk_sip.config_doors import DOORS, AgiConfig, AmiConfig, AriConfig, CelConfig, HepConfig, HepPeer, PbxConfig
from asterisk_sip.config_faults import Fault, Findings, Loc, os_reason, reason_of
from asterisk_sip.config_include import include_alerts
from asterisk_sip.config_keys import key_paths, value_type
from asterisk_sip.config_model import (
    Config,
    JournalConfig,
    LogConfig,
    PipelineConfig,
    RecordsConfig,
    StoreConfig,
    TrunkRule,
)
from asterisk_sip.config_secrets import SECRETS, SecretFinder, credential, misplaced
from asterisk_sip.config_sinks import DeliveryConfig
from asterisk_sip.errors import ConfigError

__all__ = [
    "AgiConfig",
    "AmiConfig",
    "AriConfig",
    "CelConfig",
    "Config",
    "HepConfig",
    "HepPeer",
    "JournalConfig",
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
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def load(path: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool | tuple[str, ...] = True) -> Config:
    """Give the configuration of a TOML file and the environment, or one `ConfigError` with every fault.

    Who only reads records needs no secret but that of the store: with ``secrets = ("store",)`` the others, with False
    all of them, are neither read nor asked for, and what stands in their place opens nothing.
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
    except RecursionError:
        return {}, [("file", "is not usable: its brackets are nested too deep")]
    except ValueError:
        return {}, [("file", "is not usable: it holds a number of thousands of digits, or a date that does not exist")]


class _Draft:
    """The configuration while it is put together: the tree, where its values came from, what is wrong with it."""

    def __init__(self, path: Path, tree: Table, environ: Mapping[str, str], *, secrets: bool | tuple[str, ...]) -> None:
        self._secrets = secrets
        self._findings = Findings()
        self._folder = path.absolute().parent
        self._tree = tree
        self._environ = {name: value for name, value in environ.items() if value}

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong, as far as `finish` has seen it."""
        return self._findings.faults

    def finish(self) -> Config | None:
        """Put everything together; None when there are faults."""
        if "warnings" in self._tree:
            self._findings.fault(("warnings",), "unknown key")
            del self._tree["warnings"]
        include_alerts(self._tree, self._folder, self._findings)
        self._override()
        if "collector" in self._tree:
            self._tree.setdefault("pbx", [])
        self._default_door()
        self._anchor_paths()
        SecretFinder(self._tree, self._environ, self._findings, read=self._secrets).find()
        if self._secrets is True:
            self._certificates()
        config_listen.look(self._tree, self._findings)
        config_names.look(self._tree, self._findings)
        _look_at_the_journal(self._tree, self._findings)
        self._tree["warnings"] = tuple(self._findings.warnings)
        try:
            config = Config.model_validate(self._tree)
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False)
        else:
            return None if self.faults else config
        for detail in details:
            self._explain(detail)
        return None

    def _override(self) -> None:
        """Lay the variables ASTERISK_SIP__... over the file."""
        targets = {_OVERRIDE + "__".join(map(str, loc)).upper(): loc for loc in self._settable()}
        for name in sorted(name for name in self._environ if name.startswith(_OVERRIDE)):
            loc = targets.get(name)
            if loc is not None:
                self._set(loc, name)
                continue
            reason = misplaced(name)
            if reason is None:
                near = difflib.get_close_matches(name, targets, n=1)
                reason = "sets no known key" + (f"; did you mean {near[0]}?" if near else "")
            self.faults.append((name, reason))

    def _settable(self) -> Iterator[Loc]:
        for path in key_paths(Config):
            yield from _places(self._tree, path)

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
        self._findings.origins[loc] = name

    def _default_door(self) -> None:
        """A PBX of which no door is named is heard by AMI."""
        for _, pbx in config_names.tables(self._tree, "pbx"):
            if not any(door in pbx for door in DOORS):
                pbx["ami"] = {}

    def _anchor_paths(self) -> None:
        for section, model, key in (("store", StoreConfig, "path"), ("delivery", DeliveryConfig, "dead_letters")):
            table = self._tree.setdefault(section, {})
            if isinstance(table, dict):
                table.setdefault(key, str(model.model_fields[key].default))
        for path in key_paths(Config):
            if value_type(Config, path) is not Path:
                continue
            for loc in _places(self._tree, path):
                table = _at(self._tree, loc[:-1])
                value = table.get(path[-1]) if isinstance(table, dict) else None
                if isinstance(value, str) and value:
                    table[path[-1]] = str(self._place(Path(value), path[-1]))

    def _place(self, path: Path, key: str) -> Path:
        whole = self._folder / path
        laid = credential(whole, self._folder, self._environ) if key.endswith("_file") else None
        return laid or whole

    def _certificates(self) -> None:
        for path in key_paths(Config):
            if path[-1] != "ca_file":
                continue
            for loc in _places(self._tree, path):
                table = _at(self._tree, loc[:-1])
                if not isinstance(table, dict) or not _uses_tls(table):
                    continue
                value = table.get("ca_file")
                reason = _ca_fault(Path(value)) if isinstance(value, str) and value else None
                if reason:
                    self._findings.fault(loc, reason)

    def _explain(self, detail: ErrorDetails) -> None:
        loc = detail["loc"]
        if detail["type"] == "missing" and loc[-2:] in {(secret.table, secret.key) for secret in SECRETS}:
            return  # told already, with the ways to give it
        self._findings.fault(loc, reason_of(detail))


def _places(tree: object, path: tuple[str, ...]) -> Iterator[Loc]:
    """The places of the file that a path with ``[]`` means, whether something stands there or not."""
    if "[]" not in path:
        yield path
        return
    cut = path.index("[]")
    entries = _at(tree, path[:cut])
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            for rest in _places(entry, path[cut + 1 :]):
                yield (*path[:cut], number, *rest)


def _at(tree: object, loc: Loc) -> Any:
    """What stands at a place of the file; None for nothing."""
    for step in loc:
        if isinstance(tree, list) and isinstance(step, int):
            tree = tree[step]
        elif isinstance(tree, dict):
            tree = tree.get(step)
        else:
            return None
    return tree


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


def _look_at_the_journal(tree: Table, findings: Findings) -> None:
    privacy, journal = tree.get("privacy"), tree.get("journal")
    if not isinstance(privacy, dict) or not isinstance(journal, dict):
        return
    if privacy.get("numbers", "full") != "full" and journal.get("pseudonymise") is False:
        findings.warnings.append(
            "journal.pseudonymise: the journal keeps all numbers and names, whatever [privacy] says; "
            "set it to true, or leave it out"
        )


def _uses_tls(table: Table) -> bool:
    return table.get("tls") is True or str(table.get("url", "")).startswith("https:")


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
