#!/usr/bin/env python3
"""Write docs/sip-codes.md from the catalogue: `make_sip_codes_page.py` writes it, `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from asterisk_sip.catalog import all_codes, all_dispositions, class_rule, e425_groups, label, sip_class
from asterisk_sip.catalog.explain import Entry, explain_all, explain_causes

PAGE = Path(__file__).resolve().parent.parent / "docs" / "sip-codes.md"

INTRO = """\
# SIP response codes, and why calls fail with them

Every registered SIP response code and the unregistered ones that are seen, as the program knows them. The same from the
command line, in five languages: `asterisk-sip explain 608`, `asterisk-sip explain "cause 34" --lang de`.

This page is written by `scripts/make_sip_codes_page.py` from the data in `asterisk_sip/catalog/data`. Change the data.

- **Disposition** is the kind of end a call came to, **side** whose side it was on unless your own configuration says
  otherwise, **another trunk** whether the call is worth another trunk (never: the answer holds everywhere).
- **Cause** is the Q.850 cause under which Asterisk files the code. Most causes stand for several codes.
- For 100 to 199 all of this is about a call of which that status was the last thing heard.
"""

OUTRO = """\
## Adding a language, correcting a text

The texts of a language are one file, `asterisk_sip/catalog/data/lang/<language>.toml`; there is no list to add it to.
Copy `de.toml`, not `en.toml`: it has every key, the reasons of fault too, which English keeps in the tables. Keys,
`commands` and numbers stay as they are. The tests name every text that is missing or was left in English. The facts and
the judgements are the CSV tables beside; each disposition and each side is argued there in one line.
"""


def page() -> str:
    """Return the whole page."""
    entries = explain_all()
    parts = [INTRO, *_classes(), *_overview(entries), *_details(entries), *_causes(), *_dispositions(), OUTRO]
    return "\n".join(parts)


def _classes() -> Iterator[str]:
    yield "## Classes\n"
    yield "RFC 3261 sections 7.2 and 21. A code in no table is handled as the last column says (section 8.1.3.2).\n"
    rows = [(digit, sip_class(digit)) for digit in range(1, 7)]
    yield from _table(
        ("class", "name", "meaning", "worth another try?", "unknown ones as"),
        [(f"{digit}xx", about.name, about.meaning, about.retry, class_rule(digit * 100)) for digit, about in rows],
    )


def _overview(entries: list[Entry]) -> Iterator[str]:
    yield "## All codes\n"
    rows = [
        (
            f"[{_name(entry)}](#{_anchor(entry)})",
            entry["phrase"],
            entry["disposition_label"],
            entry["fault"]["label"],
            entry["retry"],
            entry["q850"]["asterisk"]["cause"] if entry["q850"] else "",
        )
        for entry in entries
    ]
    yield from _table(("code", "phrase", "disposition", "side", "another trunk", "cause"), rows)


def _details(entries: list[Entry]) -> Iterator[str]:
    whys = {entry.key: entry for entry in all_codes()}
    digit = 0
    for entry in entries:
        if entry["class"] != digit:
            digit = entry["class"]
            yield f"## {entry['class_heading']}\n"
        yield f'<a id="{_anchor(entry)}"></a>\n\n### {_name(entry)} {entry["phrase"]}\n'
        yield f"{entry['meaning']}\n"
        yield "Usual causes:\n"
        yield "\n".join(f"- {_plain(cause)}" for cause in entry["causes"]) + "\n"
        yield "What to do:\n"
        yield "\n".join(f"{index}. {_plain(step)}" for index, step in enumerate(entry["next_steps"], 1)) + "\n"
        known = whys[_name(entry)]
        yield f"- Disposition **{entry['disposition_label']}**: {_plain(known.disposition_why)}"
        yield f"- Side **{entry['fault']['label']}**: {_plain(entry['fault']['reason'])}"
        yield f"- Another trunk: **{entry['retry']}**. E.425: {label('e425', entry['e425'])}.\n"
        yield f"{_reference(entry, known.notes)}\n"
        if entry["q850"]:
            yield f"{_mapping(entry['q850'])}\n"


def _reference(entry: Entry, notes: str) -> str:
    parts = [f"{entry['reference']}." if entry["registered"] else f"Not registered with IANA: {entry['reference']}."]
    if entry["other_phrases"]:
        parts.append("Also seen as " + ", ".join(f'"{phrase}"' for phrase in entry["other_phrases"]) + ".")
    return _plain(" ".join([*parts, notes]).strip())


def _mapping(q850: Entry) -> str:
    asterisk, rfc = q850["asterisk"], q850["rfc3398"]
    text = f"Asterisk files it under cause {asterisk['cause']} ({asterisk['text']})"
    if asterisk["changed_in"]:
        text += f", before {', '.join(asterisk['changed_in'])} under {asterisk['before']}"
    if asterisk["sent_to_caller"]:
        text += f", and answers the caller with {asterisk['sent_to_caller']}"
    named = f"cause {rfc['cause']} ({rfc['name']})" if rfc["cause"] is not None else rfc["note"]
    return _plain(f"{text}. RFC 3398: {named}.")


def _causes() -> Iterator[str]:
    yield "## Q.850 causes\n"
    yield (
        "The codes that Asterisk files under each cause, and the code with which it answers a caller for it "
        "(chan_pjsip from 20.19, 22.9 and 23.3 on; before, and in chan_sip, 302 is under 16 and 23 is empty).\n"
    )
    rows = [
        (
            entry["cause"],
            _plain(entry["meaning"]),
            entry["asterisk_name"].removeprefix("AST_CAUSE_"),
            " ".join(map(str, entry["sip"]["asterisk"]["candidates"])),
            entry["sip"]["asterisk"]["sent_to_caller"],
            entry["sip"]["rfc3398"]["code"] or "-",
        )
        for entry in explain_causes()
    ]
    yield from _table(("cause", "meaning", "AST_CAUSE_", "SIP codes filed here", "caller gets", "RFC 3398"), rows)


def _dispositions() -> Iterator[str]:
    yield "## Dispositions\n"
    yield "Seizures are the denominator of ASR and NER; the E.425 groups marked * count as delivered in NER.\n"
    groups = e425_groups()
    rows = [
        (
            f"`{entry.name}`",
            label("disposition", entry.name),
            label("fault", entry.fault),
            entry.retry,
            label("e425", entry.e425) + ("*" if groups[entry.e425].effective else ""),
            "yes" if entry.counts_as_seizure else "no",
        )
        for entry in all_dispositions()
    ]
    yield from _table(("name", "in words", "side", "another trunk", "E.425", "seizure"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
    yield ""


def _name(entry: Entry) -> str:
    return str(entry["variant"] or entry["code"])


def _anchor(entry: Entry) -> str:
    return _name(entry).replace("+", "plus")


def _plain(text: str) -> str:
    """Return a text without what Markdown would take for its own outside of `code`."""
    parts = text.split("`")
    parts[::2] = [part.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def main() -> int:
    """Write the page, or with --check tell whether it is current."""
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
