"""Takes the pictures of docs/img: the pages over the demo's past, in Debian's Chromium.

``python -m tests.browser.screenshots`` writes them; `make screenshots` calls it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from asterisk_sip.calls.enrich import Surroundings, TrunkRule
from asterisk_sip.calls.model import Outcome
from asterisk_sip.demo_history import PAST, past, recorded_calls
from asterisk_sip.stores.base import Batch, CallQuery

from .chromium import PHONE, reader
from .site import Served

FOLDER = Path(__file__).parent.parent.parent / "docs" / "img"
LARGEST_KB = 200
TRUNKS = tuple(TrunkRule(name, (name,)) for name in ("acme", "globex", "hooli", "umbrella"))


async def take() -> dict[str, bytes]:
    """Return each picture by its name, as PNG."""
    pictures: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as place:
        async with Served(Path(place), pbxs=("demo",)) as site:
            now = datetime.now(UTC)
            calls = past(recorded_calls(Surroundings("demo", trunks=TRUNKS)), now - PAST, now)
            await site.store.write(Batch(list(calls), listened={"demo": now}))
            [rescued] = await site.store.calls(CallQuery(outcome=Outcome.RESCUED, limit=1))
            async with reader(site.url) as someone:
                for name, path, options in (
                    ("overview", "/", {}),
                    ("overview-dark", "/", {"color_scheme": "dark"}),
                    ("overview-phone", "/", {"viewport": PHONE}),
                    ("failures", "/failures?limit=10", {}),
                    ("call", f"/calls/{rescued.id}", {}),
                ):
                    page = await someone.page(path, **{"color_scheme": "light", **options})
                    await page.wait_for_load_state("networkidle")
                    pictures[name] = await page.screenshot(full_page=name != "overview-phone")
    return pictures


def main() -> None:
    """Write the pictures. Raises ValueError for one that is too large to be kept."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in asyncio.run(take()).items():
        if len(picture) > LARGEST_KB * 1000:
            raise ValueError(f"{name} has {len(picture):,} bytes, more than {LARGEST_KB} kB")
        (FOLDER / f"{name}.png").write_bytes(picture)
        sys.stdout.write(f"{len(picture):>9,} bytes  {FOLDER / name}.png\n")


if __name__ == "__main__":
    main()
