"""Where numbers and names stand in what each door receives, as tables: a header or key, and what is done to it. Pure.

What is not in a table is treated as any text: what looks like a number or an address in it is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from asterisk_sip.sources.pseudonyms_wire import Pseudonyms

Mask = Callable[[str], str]

STAYS = "stays"
"""The rule for what holds no number, or one that must stay for events to fit together. Other rules are the names of
methods of `Pseudonyms`, or of this module."""

AMI = (
    ("number", r".*(?:CallerIDNum|ConnectedLineNum|Exten|Extension|CallerID-?(?:ani|rdnis|dnid)|CallerIDRDNIS)"),
    ("number", r"Source|Destination|ANI|RDNIS|DNID|ParkingSpace|Mailbox|.*RedirectingNum"),
    ("words", r".*(?:CallerIDName|ConnectedLineName|CallerID)"),
    ("channel", r".*(?:Channel|Newname|Oldname|Peer|BridgedChannel|HangupSource)"),
    ("dial_string", r".*DialString|.*Interface|Location|Device|Endpoint|Peername"),
    ("member", r"MemberName"),
    ("forward", r"Forward|.*CallForward"),
    ("application", r".*(?:AppData|ApplicationData|LastData|UserField|Value|Extra)"),
    ("assignment", r".*ChanVariable|Variable-?\d*"),
    ("report", r"Report"),
    (STAYS, r".*(?:Uniqueid|Linkedid|ChannelState|ChannelStateDesc|Language|Context|Priority|Timestamp|TimeStamp)"),
    (STAYS, r"Event|Response|Privilege|Cause|Cause-txt|TechCause|DialStatus|ActionID|AsteriskVersion|SequenceNumber"),
    (STAYS, r".*Bridge[A-Z].*|Queue|Application|EventName|EventTime|SystemName|Variable|Duration|BillableSeconds"),
)
"""AMI's headers (main/manager*.c, res_parking, app_queue, cdr_manager, cel_manager), by patterns of their names."""

ARI = (
    ("number", r"number|exten|caller_rdnis|destination_exten|parkee_exten"),
    ("report", r"report"),
    ("words", r"person"),
    ("channel", r"name"),
    ("forward", r"forward"),
    ("dial_string", r"dialstring|parker_dial_string|uri|aor"),
    ("application", r"app_data|dialplan_app_data|value|args"),
    (STAYS, r"id|type|timestamp|.*time|.*uniqueid|linkedid|protocol_id|state|language|.*context|variable|cause_txt"),
    (STAYS, r"asterisk_id|application|technology|.*bridge_.*|creator|channels|dialstatus|since|version|resource|door"),
)
"""ARI's keys (rest-api/api-docs/*.json), and that of a report by AGI. ``person``: the ``name`` beside a number."""

SIP = (
    ("address", r"from|f|to|t|contact|m|p-asserted-identity|p-preferred-identity|p-associated-uri|p-called-party-id"),
    ("address", r"remote-party-id|diversion|history-info|refer-to|r|referred-by|b|reply-to|route|record-route"),
    ("words", r"identity|y|subject|s|organization|p-charge-info|p-charging-vector|alert-info|call-info|replaces"),
    (STAYS, r"via|v|call-id|i|cseq|max-forwards|content-type|c|content-length|l|content-encoding|e|allow|supported|k"),
    (STAYS, r"require|proxy-require|unsupported|reason|warning|retry-after|user-agent|server|date|session-expires|x"),
    (
        STAYS,
        r"min-se|rack|rseq|expires|min-expires|accept.*|event|o|subscription-state|allow-events|u|privacy|timestamp",
    ),
    (STAYS, r".*authorization|.*authenticate|.*authentication-info"),
)
"""SIP's headers (RFC 3261 section 20 and what extends it), in small letters. Identity holds the numbers in Base64."""

CALL_ID = "SIPCALLID"
"""The variable that tells the SIP Call-ID where ``protocol_id`` does not: it joins a channel with its SIP messages."""

REPORT = {"number": "number", "name": "words", "dialled": "forward", "channel": "channel", "source": "channel"}
"""What a hangup handler reports in Base64 (`handler_wire`), and what is done to it."""

_ADDRESS = re.compile(
    r"""(?xi)
    (?P<quoted> "(?:[^"\\]|\\.)*" ) (?= \s*< )
    | (?P<plain> (?:^|(?<=,)) [^<>",;:@]*? ) (?= \s*< )
    | (?P<scheme> sips?:|tel: ) (?P<user> [^@:;>\s]+ ) (?P<end> (?:[:;][^@>\s]*)? @ )?
    """
)
_SDP_NAMES = re.compile(r"(?m)^(o=)(\S+)|^([siep]=)([^\r\n]*)")


def rules(table: tuple[tuple[str, str], ...], masks: dict[str, Mask]) -> Callable[[str], Mask]:
    """Return what looks up the mask of a header or key; each name is looked up once."""
    patterns = [(masks[rule], re.compile(pattern)) for rule, pattern in table]

    @lru_cache(maxsize=4096)
    def mask_of(name: str) -> Mask:
        return next((mask for mask, pattern in patterns if pattern.fullmatch(name)), masks["text"])

    return mask_of


def masks_of(pseudonyms: Pseudonyms) -> dict[str, Mask]:
    """Return what the rules of the tables do."""
    names = ("number", "words", "channel", "dial_string", "member", "forward", "application", "assignment", "text")
    named = {name: getattr(pseudonyms, name) for name in names}
    return {**named, STAYS: str, "report": Report(pseudonyms), "address": Address(pseudonyms)}


class Report:
    """Masks what a hangup handler reports: words of ``key=value``, some in Base64. Other text is an application's."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def __call__(self, text: str) -> str:
        """Return the line without numbers and names."""
        if not text.startswith("v="):
            return self._pseudonyms.application(text)
        return " ".join(map(self._word, text.split(" ")))

    def _word(self, word: str) -> str:
        key, equals, value = word.partition("=")
        if key == "heard":
            channel, colon, status = value.partition(":")
            return key + equals + self._pseudonyms.base64(channel, "channel") + colon + status
        return key + equals + (self._pseudonyms.base64(value, REPORT[key]) if key in REPORT and value else value)


class Address:
    """Masks the names and users of a SIP header with addresses in it; parameters and hosts stay."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def __call__(self, text: str) -> str:
        """Return the header's value without numbers and names."""
        return _ADDRESS.sub(self._part, text)

    def _part(self, match: re.Match[str]) -> str:
        if match["scheme"] is None:
            return self._pseudonyms.words(match[0])
        end = match["end"] or ""
        if not end and match["scheme"].lower() != "tel:":
            return match[0]  # a host
        return match["scheme"] + self._pseudonyms.number(match["user"]) + end


def line_mask(pseudonyms: Pseudonyms) -> Mask:
    """Return what masks lines of ``Key: value``, as AMI has them."""
    mask_of = rules(AMI, masks_of(pseudonyms))

    @lru_cache(maxsize=16_384)
    def masked(line: str) -> str:
        key, colon, value = line.partition(": ")
        if not colon or not value:
            return line if ":" in line[:64] else pseudonyms.text(line)
        end = "\r" if value.endswith("\r") else ""
        return f"{key}: {mask_of(key)(value.removesuffix(end))}{end}"

    def lines(text: str) -> str:
        return "\n".join(map(masked, text.split("\n")))

    return lines


def json_mask(pseudonyms: Pseudonyms) -> Callable[[Any], Any]:
    """Return what masks an ARI message, or a report by AGI."""
    mask_of = rules(ARI, masks_of(pseudonyms))

    def masked(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            if key == "channelvars":
                return {name: variable(name, inner) for name, inner in value.items()}
            person = "number" in value and "id" not in value
            return {
                name: masked(inner, "person" if person and name == "name" else name) for name, inner in value.items()
            }
        if isinstance(value, list):
            return [masked(inner, key) for inner in value]
        return mask_of(key)(value) if isinstance(value, str) else value

    def variable(name: str, value: Any) -> Any:
        return pseudonyms.assignment(f"{name}={value}")[len(name) + 1 :] if isinstance(value, str) else value

    def message(value: Any) -> Any:
        shown = masked(value, "")
        if isinstance(value, dict) and value.get("variable") == CALL_ID:
            shown["value"] = value.get("value")
        return shown

    return message


def sip_mask(pseudonyms: Pseudonyms) -> Mask:
    """Return what masks a SIP message; its length in bytes stays, as all of it is of ASCII or what replaces it."""
    masks = masks_of(pseudonyms)
    mask_of = rules(SIP, masks)

    def header(line: str) -> str:
        name, colon, value = line.partition(":")
        if not colon or name[:1] in (" ", "\t"):
            return masks["address"](line)  # a request line, a status line, or a header that goes on
        return name + colon + mask_of(name.strip().lower())(value)

    def message(text: str) -> str:
        head, end, body = text.partition("\r\n\r\n")
        first, *others = head.split("\r\n")
        first = first if first.startswith("SIP/") else masks["address"](first)
        return "\r\n".join([first, *map(header, others)]) + end + _body(body, pseudonyms)

    return message


def _body(body: str, pseudonyms: Pseudonyms) -> str:
    """Mask a body: of SDP the names in it, of anything else all words. What is not ASCII becomes question marks."""
    plain = body.encode("utf-8", "surrogateescape").decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
    if not plain.startswith("v="):
        return pseudonyms.words(plain)
    return _SDP_NAMES.sub(
        lambda match: (match[1] or match[3]) + pseudonyms.words(match[2] or match[4] or ""),
        plain,
    )
