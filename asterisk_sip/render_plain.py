"""Records and explanations as lines of text, for pipes, spreadsheets and people. Loads nothing heavy.

What came from the network is hostile: nothing here lets it steer a terminal or a spreadsheet.
"""

from __future__ import annotations

import csv
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from asterisk_sip.calls.model import CallRecord, SipStatus, isoformat, to_json
from asterisk_sip.calls.plain_text import plain, route
from asterisk_sip.catalog import label

__all__ = [
    "CSV_COLUMNS",
    "WIDTH",
    "cell",
    "counted",
    "csv_lines",
    "csv_row",
    "explained",
    "found",
    "json_line",
    "plain",
    "route",
    "status",
]

CSV_COLUMNS = {
    "id": "the id of the call, the same whenever it is computed",
    "pbx": "the name of the PBX",
    "linkedid": "Asterisk's own id of the call",
    "started_at": "UTC, ISO 8601",
    "ended_at": "UTC, ISO 8601",
    "duration_ms": "from start to end, milliseconds",
    "direction": "inbound, outbound or internal",
    "caller_number": "who called",
    "caller_name": "the name shown with it",
    "caller_endpoint": "the endpoint it came from",
    "dialled": "what was dialled",
    "outcome": "answered, failed, rescued or abandoned",
    "disposition": "why, in one of the words of the catalogue",
    "sip_code": "the SIP status that decided the call; empty when only candidates are known",
    "sip_phrase": "its reason phrase",
    "sip_class": "1 to 6",
    "sip_class_name": "the class in words",
    "sip_candidates": "the possible codes when the code itself is unknown, separated by spaces",
    "meaning": "what the status means",
    "grade": "how the status is known: wire, reported, local, sent, candidates, none",
    "q850_cause": "the ISDN cause Asterisk filed",
    "released_by": "who ended the call",
    "fault_side": "whose side the failure was on",
    "fault_reason": "why we say so",
    "hint": "what to do next",
    "route": "the trunk or endpoint of each stage in order, separated by >; those tried at once by +",
    "attempts": "how many attempts there were",
    "partial": "true when we were not listening during a part of the call",
}
"""The columns of ``--format csv`` and what they hold."""

_FORMULA = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
WIDTH = 100
"""How long a line of text may get where the terminal does not say."""


def json_line(record: CallRecord) -> str:
    """Return a record as one line of JSON: exact, but with everything unprintable in escapes."""
    line = json.dumps(to_json(record), ensure_ascii=False)
    return line if line.isprintable() else re.sub(r"[^ -~]", _escaped, line)


def csv_lines(records: Iterable[CallRecord], out: TextIO) -> None:
    """Write a header and one row a call. Text that a spreadsheet would run as a formula begins with an apostrophe."""
    table = csv.writer(out)
    table.writerow(CSV_COLUMNS)
    for record in records:
        table.writerow([cell(value) for value in csv_row(record)])


def counted(count: int, what: str) -> str:
    """Return how many: ``1 call``, ``1,234 calls``."""
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def status(sip: SipStatus) -> str:
    """Return a SIP status in a few words: ``486 Busy Here``, or the candidates, or nothing."""
    if sip.code is not None:
        return plain(f"{sip.code} {sip.phrase or ''}".rstrip())
    if sip.candidates:
        return "one of " + ", ".join(map(str, sip.candidates))
    return ""


def explained(entries: list[dict[str, Any]], width: int = WIDTH) -> str:
    """Return what the catalogue says about codes and causes, for a person, in lines of ``width`` at most."""
    return "\n\n".join("\n".join(_wrapped(_explained(entry), width)) for entry in entries) + "\n"


def found(entries: list[dict[str, Any]], width: int = WIDTH) -> str:
    """Return what each code or cause is called and means, in lines of ``width`` at most."""
    indent = " " * (min(max(len(_name(entry)) for entry in entries), width // 3) + 2)
    lines = []
    for entry in entries:
        name, meaning = _name(entry), textwrap.wrap(entry["meaning"], width - len(indent))
        if len(name) > len(indent) - 2:  # too long to have its meaning beside it
            lines += [name, *(indent + line for line in meaning)]
        else:
            lines += [name.ljust(len(indent)) + meaning[0], *(indent + line for line in meaning[1:])]
    return "".join(f"{line}\n" for line in lines)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else json.dumps(character)[1:-1].replace("\x7f", "\\u007f")


def csv_row(record: CallRecord) -> tuple[Any, ...]:
    """Return what stands in the columns, not yet made safe for a spreadsheet: that is ``cell``."""
    sip, caller = record.sip, record.caller
    times = (None if at is None else isoformat(at) for at in (record.started_at, record.ended_at))
    return (
        *(record.id, record.pbx, record.linkedid, *times, record.duration_ms, record.direction),
        *(caller.number, caller.name, caller.endpoint, record.dialled, record.outcome.value, record.disposition),
        *(sip.code, sip.phrase, sip.class_, sip.class_name, " ".join(map(str, sip.candidates or ())), sip.meaning),
        *(record.evidence.grade.value, record.q850.cause, record.released_by, record.fault.side, record.fault.reason),
        *(record.hint, " > ".join(route(record)), len(record.attempts), "true" if record.partial else "false"),
    )


def cell(value: Any) -> Any:
    """Return a value for a spreadsheet: a text it would run as a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _name(entry: dict[str, Any]) -> str:
    if entry["kind"] == "sip":
        return f"{entry['variant'] or entry['code']} {entry['phrase']}".rstrip()
    return f"Q.850 {entry['cause']} {entry['name']}"


def _explained(entry: dict[str, Any]) -> Iterator[str]:
    sip = entry["kind"] == "sip"
    yield _name(entry)
    yield (
        f"{entry['class_heading']}: {entry['class_meaning']}. {entry['reference']}"
        if sip
        else entry["asterisk_name"] or ""
    )
    lang = entry["lang"]
    yield ""
    yield f"  {entry['meaning']}"
    for key in ("causes", "next_steps"):
        if entry.get(key):
            yield from _points(label("heading", key, lang), entry[key])
    yield ""
    fault = entry["fault"]
    yield f"  {label('heading', 'fault', lang)}: {fault['label']}. {fault['reason']}"
    if sip:
        of_class = entry["class_retry"]  # "Yes: ...", "No: ...": shown where it agrees with the code's own
        retry = label("retry", entry["retry"], lang)
        agrees = of_class.casefold().startswith(f"{retry.casefold()}:")
        shown = of_class if agrees else retry.capitalize() + "."
        yield f"  {label('heading', 'retry', lang)}: {shown}"
    disposition = f"{entry['disposition_label']} ({entry['disposition']})"
    yield f"  {label('heading', 'disposition', lang)}: {disposition}"
    if mapping := _mapping(entry):
        yield f"  {mapping}"
    for rule in entry.get("overrides", ()):
        yield ""
        yield from _rule(rule)


def _rule(rule: dict[str, Any]) -> Iterator[str]:
    """Say when an override of the configuration holds, and what it changes."""
    when = [
        f"the phrase is like {rule['phrase']!r}" if rule["phrase"] is not None else "",
        f"it failed in less than {rule['under_ms']} ms" if rule["under_ms"] is not None else "",
        "" if rule["rang"] is None else "it rang before" if rule["rang"] else "it did not ring before",
    ]
    holds = " and ".join(condition for condition in when if condition)
    yield plain(f"Your rule {rule['name']!r}" + (f", when {holds}" if holds else "") + ":")
    yield ""
    for label_, key in (("", "meaning"), ("Whose side: ", "fault"), ("Why: ", "reason"), ("What to do: ", "hint")):
        if rule[key] is not None:
            yield plain(f"  {label_}{rule[key]}")
    if rule["disposition"] is not None:
        yield f"  Recorded as: {rule['disposition']}"


def _mapping(entry: dict[str, Any]) -> str:
    lang = entry["lang"]
    if entry["kind"] == "sip":
        if entry["q850"] is None:
            return ""
        asterisk = entry["q850"]["asterisk"]
        return f"{label('heading', 'q850', lang)}: {asterisk['cause']} ({asterisk['text']})"
    asterisk = entry["sip"]["asterisk"]
    codes = ", ".join(map(str, asterisk["candidates"])) or "-"
    sent = asterisk["sent_to_caller"]
    told = f"{label('heading', 'candidates', lang)}: {codes}."
    return f"{told} {label('heading', 'sent', lang)}: {sent}." if sent else told


def _points(title: str, texts: list[str]) -> Iterator[str]:
    yield ""
    yield f"  {title}"
    for text in texts:
        yield f"  - {text}"


def _wrapped(lines: Iterable[str], width: int) -> Iterator[str]:
    """Break lines that are too long, and go on below the beginning of their text."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip(" -")))
        yield from textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
