"""The verbs that make recordings: record (from the doors), export-case (from a recording, for a bug report)."""

from __future__ import annotations

import gzip
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.cli_replay import Patterns
from asterisk_sip.cli_store import folder_made
from asterisk_sip.errors import AsteriskSipError, CommandError
from asterisk_sip.render_plain import counted, plain

if TYPE_CHECKING:
    from asterisk_sip.calls.model import CallRecord
    from asterisk_sip.sources.capture import Capture

FOR_EVER_S = 31_536_000
PROSE = ("class_name", "class_meaning", "meaning", "reference", "reason", "hint")
"""The catalogue's words, which the expected records of a case leave out: they may be put better at any time."""


def record(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    out: Path,
    for_: Annotated[float | None, Parameter(name="--for")] = None,
) -> int:
    """Record what the doors of the configuration receive into one file, for replay: no store, no calls.

    Secrets are left out; numbers and names too, when the configuration has [journal] with pseudonymise = true.

    Parameters
    ----------
    config
        The configuration with the PBXs. A daemon that runs with it keeps its AMI and ARI; HEP and AGI it has alone.
    out
        The file to write, such as calls.journal, or calls.journal.gz to have it packed. It must not be there yet.
    for_
        End after so many seconds. Ctrl-C ends it at any time.
    """
    from asterisk_sip import config as configuration
    from asterisk_sip import daemon, daemon_capture, daemon_log, daemon_loop

    if for_ is not None and not 0 < for_ < FOR_EVER_S:
        raise CommandError("--for must be more than 0 seconds, and less than a year")
    loaded = configuration.load(config)
    daemon_log.set_up_log(loaded.log.model_copy(update={"level": "error"}))

    async def run() -> Capture:
        return await daemon_capture.capture(loaded, out, for_, daemon.stop_event(), _tell)

    written = daemon_loop.run(run())
    end = "\n" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{end}{out}: {written.bytes:,} bytes\n")
    if not written.heard:
        told = "; ".join(f"{door}: {state}" for door, state in written.doors.items())
        sys.stderr.write(f"nothing was heard ({told}); asterisk-sip check tells why\n")
    return 0 if written.heard else 1


def _tell(lasted_s: float, written: Capture) -> None:
    """Show how far a recording is: on a terminal over and over in one line, else one line every ten seconds."""
    live = sys.stderr.isatty()
    if live or round(lasted_s) % 10 == 0:
        doors = ", ".join(f"{door} {plain(state)}" for door, state in written.doors.items())
        line = f"{lasted_s:5.0f} s  {written.bytes:>12,} bytes  {doors}"
        sys.stderr.write(f"{line}\x1b[K\r" if live else f"{line}\n")  # back to its beginning: the log may come between
        sys.stderr.flush()


def export_case(
    linkedid: str,
    /,
    *,
    journal: Annotated[list[Path], Parameter(negative=(), consume_multiple=True)],
    out: Path,
    pbx: str | None = None,
    trunk: Patterns = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    sentence: str | None = None,
) -> None:
    """Cut one call out of a recording as a test case for a bug report: its events and the record that came of them.

    All of its legs are in it, with the Local channels and the calls that were joined to it; nothing of other calls.
    Numbers and names are replaced by tokens of a key that is thrown away. Names of endpoints, contexts and hosts, and
    what the far end said, stay: read the case before you send it.

    Parameters
    ----------
    linkedid
        The linkedid of the call, the uniqueid of one of its channels, or the id of its record.
    journal
        The recordings: journals, their folder, or any other that replay reads. May be given several times.
    out
        The folder of the case. It is made; nothing in it is overwritten.
    pbx
        The PBX the call was on, when the journal is of several.
    trunk
        An endpoint that leads to a carrier; * and ? are allowed. May be given several times.
    config
        A configuration whose trunks hold (its secrets are not used).
    sentence
        What happened, and what the record should say instead.
    """
    from asterisk_sip.sources import excerpt
    from asterisk_sip.sources.recording import Replay

    patterns = [*(trunk or []), *_trunks_of(config)]
    rules = tuple(TrunkRule(None, (pattern,)) for pattern in patterns)
    found = excerpt.find(journal, linkedid, Surroundings(pbx or excerpt.PBX, trunks=rules), pbx)
    folder_made(out)

    def judge(content: bytes, suffix: str) -> list[CallRecord]:
        path = out / f".excerpt{suffix}"
        _write({path: content})
        try:
            return list(Replay(Surroundings(excerpt.PBX, trunks=rules)).read([path]))
        finally:
            path.unlink()

    case = excerpt.excerpt(journal, found, secrets.token_bytes(32), judge)
    record = case.records[-1]
    release = (record.asterisk_version or "unknown").partition(".")[0]
    told = sentence or f"{record.outcome}, {record.disposition}: tell here what is wrong about the record."
    _write(
        {
            out / f"{release}{case.suffix}.gz": gzip.compress(case.content, 9, mtime=0),
            out / f"expected-{release}.jsonl": "".join(map(_line, case.records)).encode(),
            out / "case.toml": f"sentence = {json.dumps(told)}\ntrunks = {json.dumps(patterns)}\n".encode(),
        }
    )
    sys.stderr.write(
        f"{out}: {len(case.content):,} bytes, {counted(len(case.records), 'call')}\n"
        "Numbers and names are masked; endpoints, contexts, hosts and phrases are not. Read it before you send it.\n"
    )


def _trunks_of(config: Path | None) -> list[str]:
    if config is None:
        return []
    from asterisk_sip import config as configuration

    return [pattern for rule in configuration.load(config, secrets=False).trunk for pattern in rule.endpoints]


def _write(files: dict[Path, bytes]) -> None:
    for path in files:
        if path.exists():
            raise AsteriskSipError(f"{path} is there already; name another folder with --out")
    try:
        for path, content in files.items():
            path.write_bytes(content)
    except OSError as error:
        raise AsteriskSipError(f"{error.filename}: {error.strerror}") from error


def _line(record: CallRecord) -> str:
    from asterisk_sip.calls.model import to_json

    return json.dumps(bare(to_json(record)), ensure_ascii=False, separators=(",", ":")) + "\n"


def bare(value: Any) -> Any:
    """Leave the catalogue's words out of a record."""
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if key not in PROSE}
    return [bare(inner) for inner in value] if isinstance(value, list) else value
