#!/usr/bin/env python3
"""Write docs/schema/call-1.json, the JSON Schema of a record, from the dataclasses. With --check only look at it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from asterisk_sip.calls.record_schema import record_schema

FILE = Path(__file__).resolve().parent.parent / "docs" / "schema" / "call-1.json"


def main() -> int:
    """Write the file, or say whether it is current: 0 when it is."""
    text = json.dumps(record_schema(), indent=2) + "\n"
    if "--check" in sys.argv[1:]:
        return 0 if FILE.exists() and FILE.read_text(encoding="utf-8") == text else 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
