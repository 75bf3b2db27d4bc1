"""One running PBX: a child process in a Debian root, with its own folders, address and secrets."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.lab import conf, roots
from tests.lab.errors import PbxError
from tests.lab.options import PbxOptions, Ports, own_address
from tests.lab.wait import until_blocking

START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0
OWN_DIR = re.compile(r"asterisk-lab-(\d+)-[0-9a-f]+$")


@dataclass(frozen=True, slots=True)
class User:
    """A user of AMI and of ARI, with a secret made for this start."""

    name: str
    secret: str


class Asterisk:
    """One PBX. ``Asterisk(options).start()`` ... ``stop()``, or as a context manager."""

    def __init__(self, options: PbxOptions | None = None) -> None:
        self.options = options or PbxOptions()
        self.host = own_address()
        self.ports = Ports.free(self.host)
        self.companion = User("companion", secrets.token_urlsafe(12))
        self.lab = User("lab", secrets.token_urlsafe(12))
        self.root = roots.existing(self.options.release)
        self.id = f"{os.getpid()}-{secrets.token_hex(3)}"
        self._etc = f"/etc/asterisk-lab-{self.id}"
        self._var = f"/var/lab/asterisk-lab-{self.id}"
        self._process: subprocess.Popen[bytes] | None = None

    # ---- life ----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start and return when calls can be placed; raise PbxError with the end of the log if that does not happen."""
        roots.give_names(self.root)
        self._sweep()
        self._write()
        # setpriv: the PBX dies with this process, however that ends
        command = ["setpriv", "--pdeathsig", "KILL", "chroot", str(self.root), "asterisk", "-f", "-C"]
        with (self.var / "log" / "console.log").open("wb") as console:
            self._process = subprocess.Popen(
                [*command, f"{self._etc}/asterisk.conf"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until_blocking(self._ready, f"Asterisk {self.options.release} fully booted", START_WITHIN_S)
        except BaseException as error:
            tail = self.log_tail()
            self.stop()
            if isinstance(error, Exception):
                raise PbxError(f"Asterisk {self.options.release} did not start: {error}\n{tail}") from error
            raise
        return self

    def stop(self) -> None:
        """Stop the process and remove its folders; does nothing when it is stopped already."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for folder in (self.etc, self.var):
            shutil.rmtree(folder, ignore_errors=True)

    def kill(self) -> None:
        """End it the hard way (a crash of the PBX); ``stop`` tidies up afterwards."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self, frozen: bool = True) -> None:
        """Stop the process from running without ending it, or let it go on."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process is not None else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- what it says --------------------------------------------------------------------------------------------

    @property
    def etc(self) -> Path:
        """Its configuration folder, seen from outside."""
        return self.root / self._etc[1:]

    @property
    def var(self) -> Path:
        """Its run, log, lib and spool folders, seen from outside."""
        return self.root / self._var[1:]

    @property
    def log(self) -> Path:
        """Its full log."""
        return self.var / "log" / "full.log"

    @property
    def cdr_csv(self) -> Path:
        """Its call detail records."""
        return self.var / "log" / "cdr-csv" / "Master.csv"

    def log_tail(self, lines: int = 30) -> str:
        """Give the end of console and log."""
        texts = []
        for path in (self.var / "log" / "console.log", self.var / "log" / "messages.log"):
            with contextlib.suppress(OSError):
                texts += path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(texts)

    def cli(self, command: str) -> str:
        """Run a command of the Asterisk console and give what it prints."""
        argv = ["chroot", str(self.root), "asterisk", "-C", f"{self._etc}/asterisk.conf", "-rx", command]
        return subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=60, check=True).stdout

    def rewrite(self, name: str, old: str, new: str) -> None:
        """Change a configuration file of this PBX; reload with ``cli('... reload')``."""
        path = self.etc / name
        content = path.read_text()
        if old not in content:
            raise PbxError(f"{name} does not hold {old!r}")
        path.write_text(content.replace(old, new))

    # ---- within --------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        for name in ("run", "log/cdr-csv", "lib", "spool"):
            (self.var / name).mkdir(parents=True)
        self.etc.mkdir(parents=True)
        for name, content in conf.files(self).items():
            (self.etc / name).write_text(content)
        if self.options.ami_tls is not None:
            pem = self.options.ami_tls.certificate.read_bytes() + self.options.ami_tls.key.read_bytes()
            (self.etc / "ami.pem").write_bytes(pem)

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise PbxError("the process ended")
        try:
            with socket.create_connection((self.host, self.ports.ami), timeout=5) as link:
                login = f"Action: Login\r\nUsername: lab\r\nSecret: {self.lab.secret}\r\nEvents: system\r\n\r\n"
                link.sendall(login.encode())
                heard = b""
                while b"Event: FullyBooted" not in heard:
                    data = link.recv(4096)
                    if not data:
                        return False
                    heard += data
                return True
        except OSError:
            return False

    def _sweep(self) -> None:
        """Remove the folders of PBXs whose parent was killed."""
        for folder in (*(self.root / "etc").glob("asterisk-lab-*"), *(self.root / "var/lab").glob("asterisk-lab-*")):
            owner = OWN_DIR.search(folder.name)
            if owner is not None and not Path(f"/proc/{owner[1]}").exists():
                shutil.rmtree(folder, ignore_errors=True)
