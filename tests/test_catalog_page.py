"""The page docs/sip-codes.md is what the data say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from asterisk_sip.catalog import all_codes, all_dispositions

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "sip-codes.md"


def test_the_page_is_current() -> None:
    script = ROOT / "scripts" / "make_sip_codes_page.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False)
    assert done.returncode == 0, f"run {script.relative_to(ROOT)}"


def test_every_link_of_the_page_leads_to_its_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    links, anchors = re.findall(r"\]\(#(\w+)\)", text), re.findall(r'<a id="(\w+)"></a>', text)
    assert links == anchors
    assert len(links) == len(all_codes())


def test_the_page_names_every_disposition() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{entry.name}` |" in text for entry in all_dispositions())
