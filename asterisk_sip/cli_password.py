"""The verb `password`: the lines of the configuration that let a person or a program in."""

from __future__ import annotations

import getpass
import json
import re
import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from asterisk_sip.errors import AsteriskSipError, CommandError

LONGEST_NAME = 79


def password(
    name: str | None = None,
    *,
    role: Literal["viewer", "admin"] = "viewer",
    token: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Ask for a password and print the lines that go into the configuration: a hash, from which nobody gets it back.

    The password is asked for twice, or is the first line of standard input; it is no argument, for every user of this
    machine could read it there. With --token a new token is made instead.

    Parameters
    ----------
    name
        Who logs in, or which program: alice, grafana. Without it only the hash is printed.
    role
        viewer reads; admin also acknowledges and silences alerts.
    token
        Make a token for a program. It is shown once and stored nowhere.
    """
    from asterisk_sip.password import hashed
    from asterisk_sip.password import token as new_token

    if token:
        if name is None or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise CommandError(
                "a token needs a name: letters, digits, '.', '_' or '-', as in: password --token grafana"
            )
        made = new_token(name)
        sys.stderr.write(f"The token, which is shown only now. Give it to the program:\n\n{made}\n\n")
        sys.stderr.write("These lines go into the configuration:\n\n")
        _show("token", name, role, hashed(made))
        return
    if name is not None and (not 0 < len(name) <= LONGEST_NAME or not name.isprintable()):
        raise CommandError(f"a name is one line of 1 to {LONGEST_NAME} characters")
    found = hashed(_asked())
    if name is None:
        sys.stdout.write(f"{found}\n")
    else:
        _show("user", name, role, found)


def _show(kind: str, name: str, role: str, found: str) -> None:
    key = "password_hash" if kind == "user" else "token_hash"
    quoted = json.dumps(name, ensure_ascii=False)
    sys.stdout.write(f'[[web.{kind}]]\nname = {quoted}\nrole = "{role}"\n{key} = "{found}"\n')


def _asked() -> str:
    from asterisk_sip.password import LEAST_CHARACTERS, MOST_CHARACTERS

    if sys.stdin.isatty():
        try:
            text = getpass.getpass("Password: ")
            again = getpass.getpass("Once more: ")
        except EOFError:
            raise AsteriskSipError("no password was given") from None
        if again != text:
            raise AsteriskSipError("the two are not the same")
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if not LEAST_CHARACTERS <= len(text) <= MOST_CHARACTERS:
        raise AsteriskSipError(f"a password needs {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters")
    return text
