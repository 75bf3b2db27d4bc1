"""What docs/alerts.md shows of notices is what they look like, and its example verifies what is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from asterisk_sip.alerts.letter import Scribe, Templates
from asterisk_sip.sinks.cloud_event_wire import enveloped
from asterisk_sip.sinks.poster import signed

from .notices import FIRED, told
from .test_docs import blocks as of_page

PAGE = Path(__file__).parent.parent / "docs" / "alerts.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(language: str) -> list[str]:
    return list(of_page(PAGE, language))


def written() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Scribe().write(told(FIRED)))
    return data


def test_the_text_is_that_of_a_notice_to_the_letter() -> None:
    [shown] = [block for block in blocks("text") if "What it means" in block]
    assert shown == written()["text"] + "\n"


def test_the_json_is_a_part_of_that_of_a_notice() -> None:
    def is_part(shown: Any, whole: Any) -> bool:
        if isinstance(shown, dict):
            return all(key in whole and is_part(value, whole[key]) for key, value in shown.items())
        if isinstance(shown, list):
            return all(any(is_part(each, other) for other in whole) for each in shown)
        return bool(shown == whole)

    [shown] = blocks("json")
    assert is_part(json.loads(shown), written())


def test_the_example_in_python_takes_what_is_from_us_once_and_nothing_else() -> None:
    [source] = blocks("python")
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102  the page is ours
    text = Scribe().write(told(FIRED))
    body = enveloped(text, "n1", "/alerts", "asterisk-sip.alert.fired", datetime.now(UTC).isoformat())
    headers = signed([Webhook(SECRET)], "n1", body)
    take = names["take"]
    assert take(body.replace("503", "200"), headers, SECRET) is None
    assert take(body, headers, SECRET) == told(FIRED).headline
    assert take(body, headers, SECRET) is None


def test_the_template_of_the_page_works(tmp_path: Path) -> None:
    [template] = [block for block in blocks("") if "page.headline" in block]
    path = tmp_path / "notice.txt"
    path.write_text(template)
    scribe = Scribe(Templates(text=path))
    assert scribe.faults(told(FIRED)) == {}
    assert "critical: Send the call through another trunk." in json.loads(scribe.write(told(FIRED)))["text"]
