"""Runs the command line: ``python -m asterisk_sip`` or ``asterisk-sip``."""

import sys


def main() -> None:
    """Run one verb and leave with its exit code."""
    from asterisk_sip.cli import main as run_cli

    sys.exit(run_cli())


if __name__ == "__main__":
    main()
