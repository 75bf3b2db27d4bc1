"""Remote text as it may be shown: it steers no terminal, turns no writing around, calls nobody in a chat. Pure."""

from __future__ import annotations

from asterisk_sip.calls.model import CallRecord

_JOINERS = "\u200c\u200d"  # invisible, but a part of how names are written
_AT, _LESS, _MORE = "\N{FULLWIDTH COMMERCIAL AT}", "\N{FULLWIDTH LESS-THAN SIGN}", "\N{FULLWIDTH GREATER-THAN SIGN}"
_DISARMED = {
    "@": _AT,  # @everyone, @here
    "<": _LESS,  # Slack's <!channel>, <@U123>, <https://evil|good>; HTML
    ">": _MORE,
    "](": "] (",  # a link of Markdown
    "://": ": //",  # what a chat or a mail program would make a link
    "`": "'",
}


def plain(text: object) -> str:
    """Return remote text as it may be shown: what steers a terminal or the direction of writing becomes U+FFFD."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() or c in _JOINERS or c == "\u00a0" else "\ufffd" for c in shown)


def disarmed(text: object, longest: int = 80) -> str:
    """Return remote text as it may stand in a message to people: plain, short, and no mark-up of mail or chats in it.

    Mark-up is broken with look-alikes, so that an engineer still sees what was there.
    """
    shown = plain(text)
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
    for armed, harmless in _DISARMED.items():
        shown = shown.replace(armed, harmless)
    return shown


def route(record: CallRecord) -> list[str]:
    """Return where each stage went, in order: the trunk, else the endpoint. Those tried at once are joined by ``+``."""
    stages: dict[int, dict[str, None]] = {}
    for attempt in record.attempts:
        stages.setdefault(attempt.stage, {})[plain(attempt.trunk or attempt.endpoint or attempt.channel)] = None
    return [" + ".join(names) for _, names in sorted(stages.items())]
