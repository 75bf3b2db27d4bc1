"""What a SIP peer of the lab does with a call, as data. The user part of the request URI names the script."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.sip_message import Headers


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: a status, its phrase as raw bytes (None: the usual one), headers, and how long to wait before it."""

    status: int
    phrase: bytes | None = None
    headers: Headers = ()
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Script:
    """Answers in order; the last may be final. None at all is silence. After a 200 the peer may hang up itself."""

    replies: tuple[Reply, ...] = ()
    bye_after_s: float | None = None
    bye_headers: Headers = ()
    reinvite: Reply = Reply(200)  # how a re-INVITE of an answered call is answered
    logged_in: Script | None = None  # what follows when the INVITE comes again after a 401 or 407; None: silence


SILENT = Script()
TRYING = Script((Reply(100),))
RINGING = Script((Reply(100), Reply(180)))
ANSWER = Script((Reply(100), Reply(180), Reply(200)))


def rejecting(status: int, phrase: bytes | None = None, headers: Headers = ()) -> Script:
    """Give the script of a peer that refuses at once."""
    return Script((Reply(100), Reply(status, phrase, headers)))


CHALLENGE = ("WWW-Authenticate", 'Digest realm="lab", nonce="1234", algorithm=MD5, qop="auth"')


def usual(user: str) -> Script:
    """Give what a user part means that no test has a script for: a status, or one of the words below; else 404."""
    words = {"silent": SILENT, "trying": TRYING, "ring": RINGING, "ok": ANSWER}
    words["blocked"] = rejecting(603, b"Network Blocked", (("Reason", "Q.850;cause=21"),))
    words |= dict.fromkeys(("alice", "bob", "carol"), RINGING)
    if user.isdecimal() and 200 <= int(user) <= 699:
        return ANSWER if user == "200" else rejecting(int(user))
    return words.get(user, rejecting(404))
