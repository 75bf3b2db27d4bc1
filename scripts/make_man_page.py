#!/usr/bin/env python3
"""Write the man page asterisk-sip(1) to standard output: from the commands themselves and what their help says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version

from cyclopts import App
from cyclopts.argument import Argument
from docstring_parser import parse

from asterisk_sip.cli import VERBS, app

OUTRO = r"""
.SH EXIT STATUS
0: done. 1: it could not be done; one line says why. 2: the configuration or the command is wrong; every fault is told.
.SH FILES
.TP
.I /etc/asterisk-sip/asterisk-sip.toml
the configuration of the service
.TP
.I /etc/asterisk-sip/secrets/
one secret in each file, which only root can read
.TP
.I /var/lib/asterisk-sip/
the records
.TP
.I /usr/share/doc/asterisk-sip/examples/
every key of the configuration, and what Asterisk needs in its own files
.SH ENVIRONMENT
.B ASTERISK_SIP__STORE__PATH
and its like override a key of the configuration;
.B ASTERISK_SIP_AMI_SECRET
and its like hold secrets. The example of the configuration names them all.
.SH SEE ALSO
.BR asterisk (8),
.BR systemctl (1)
"""


def page() -> Iterator[str]:
    """Give the page, line by line."""
    yield f'.TH ASTERISK-SIP 1 "" "asterisk-sip {version("asterisk-sip")}" "User Commands"'
    yield f".SH NAME\nasterisk-sip \\- {plain('tells why calls fail')}"
    yield ".SH SYNOPSIS\n.B asterisk-sip\n.I COMMAND\n[\\fIOPTIONS\\fR]"
    yield ".SH DESCRIPTION\nIt runs beside Asterisk, listens for hangups, and writes one record for every call that"
    yield "failed: the SIP status as the carrier sent it, its class and meaning, whose side it was on, what to do next."
    yield ".SH COMMANDS"
    for name, (_, line) in VERBS.items():
        yield f".SS {plain(name)}\n{plain(line)}"
        yield from told(name, app[name])
    yield OUTRO.strip("\n")


def told(name: str, verb: App) -> Iterator[str]:
    """Give what a command says of itself and what it takes; of one with commands below it, each of these."""
    if verb.default_command is None:
        for below in verb:
            if not below.startswith("-"):
                yield f".SS {plain(f'{name} {below}')}\n{plain(verb[below].help.splitlines()[0])}"
                yield from told(f"{name} {below}", verb[below])
        return
    description = parse(verb.default_command.__doc__ or "").long_description
    if description:
        yield f".PP\n{plain(description)}"
    for argument in verb.assemble_argument_collection(parse_docstring=True):
        if argument.show:
            yield f".TP\n.B {plain(', '.join(argument.names))}{taken(argument)}\n{plain(argument.parameter.help or '')}"


def taken(argument: Argument) -> str:
    """Give the values an option takes, and what holds without it."""
    choices = argument.get_choices()
    default = argument.field_info.default
    of = f" {plain(','.join(choices))}" if choices else ""
    unset = argument.required or default in (None, False, (), argument.field_info.empty)
    return of if unset else f"{of} [{plain(str(default))}]"


def plain(text: str) -> str:
    """Give text that roff takes as it is."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in map(str.strip, lines))


if __name__ == "__main__":
    sys.stdout.write("\n".join(page()) + "\n")
