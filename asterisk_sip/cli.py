"""The command line: every verb, and one place where our errors become one clear line."""

from __future__ import annotations

import sys

from cyclopts import App

from asterisk_sip.errors import AsteriskSipError, CommandError, ConfigError

app = App(
    name="asterisk-sip",
    help="Tells why calls fail: one record per failed call, with the exact SIP status, its class and meaning.",
    version_flags=["--version"],
)

VERBS = {
    "run": ("cli_run", "Run beside Asterisk: listen for hangups and write a record for every call that failed."),
    "demo": ("cli_run", "Run on a recording of a real Asterisk, for those who have none at hand."),
    "check": ("cli_check", "Look at each PBX: what it tells, what will be missing, and the exact lines to add."),
    "calls": ("cli_read", "Show recorded calls, the newest first."),
    "tail": ("cli_read", "Show the newest calls, then each call as it is recorded."),
    "gaps": ("cli_gaps", "Show when a PBX was not heard, and how complete the records are."),
    "alerts": ("cli_alerts", "Show rules and what fired, try rules on the past, send samples, silence."),
    "kpi": ("cli_kpi", "Show ASR, NER, SER, SEER, ISA, rescue rate, delays and what failures are made of."),
    "export": ("cli_export", "Write recorded calls into a file: CSV, JSON lines or Parquet."),
    "purge": ("cli_purge", "Erase every record in which a number occurs; without --yes only say what would be."),
    "web": ("cli_web", "Serve the pages and the API of a store, without listening to a PBX."),
    "password": ("cli_password", "Make the lines of the configuration that let a person or a program in."),
    "explain": ("cli_read", "Explain a SIP code, a status line or a Q.850 cause: what it means and what to do."),
    "replay": ("cli_replay", "Read journals and other recordings, and print every call that ended in them."),
    "record": ("cli_journal", "Record what the doors receive into one file, for replay: no store, no calls."),
    "support-bundle": (
        "cli_support",
        "Gather what is needed to help from afar into one file, without secrets and numbers.",
    ),
    "export-case": ("cli_journal", "Cut one call out of a recording as a test case, numbers masked."),
}
"""Each verb, the module that holds it (only the one that is called is imported), and its line in the help."""

for _verb, (_module, _line) in VERBS.items():
    app.command(f"asterisk_sip.{_module}:{_verb.replace('-', '_')}", name=_verb, help=_line)


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return its exit code: 0 fine, 1 it failed, 2 the configuration or the command is wrong."""
    try:
        result = app(arguments, result_action="return_value")
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except AsteriskSipError as error:
        sys.stderr.write(f"asterisk-sip: {error}\n")
        return 2 if isinstance(error, CommandError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away (| head): nobody is left to tell
        return 0
    return result if isinstance(result, int) else 0
