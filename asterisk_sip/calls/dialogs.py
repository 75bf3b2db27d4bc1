"""The SIP dialogs of one PBX, by Call-ID, until the call they belong to is told. Pure; bounded.

A dialog is claimed by the leg it carried: by Call-ID where a door knows it, else by number and time, and then only when
exactly one fits. A refused call that nobody claims had no channel.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import chain
from typing import Literal

from asterisk_sip.calls.bounded import Bounded
from asterisk_sip.calls.dialog import Dialog, begin
from asterisk_sip.calls.own_address import OwnAddresses
from asterisk_sip.calls.sip_seen import SipSeen

MAX_SETUPS = 10_000  # dialogs that are not answered: a flood of INVITEs cannot push out calls that talk
MAX_TALKS = 20_000
CLAIM_S = 5.0

WINDOWS = ((0.02, 0.15), (0.25, 2.0))
"""How long before its channel and how long after it an INVITE may leave: usually, and when a name has to be looked up.
The other way round for an INVITE that comes in."""

END_S = 2.0  # how long a channel may live on after its dialog ended


Key = tuple[Literal["number", "caller"], str]


class Dialogs:
    """Keeps one ``Dialog`` a Call-ID. ``now`` is seconds by any clock that only grows."""

    def __init__(
        self, local: Iterable[str] = (), *, claim_s: float = CLAIM_S, setups: int = MAX_SETUPS, talks: int = MAX_TALKS
    ) -> None:
        self.own = OwnAddresses(local)
        self._claim_s = claim_s
        self._bounds = (setups, talks)
        self._setups: OrderedDict[str, Dialog] = OrderedDict()  # the longest silent first
        self._talks: OrderedDict[str, Dialog] = OrderedDict()
        self._alike: dict[Key, dict[str, Dialog]] = {}  # by number, and by caller
        self._ended: deque[tuple[float, str]] = deque()  # when each that ended is nobody's
        self._gone: Bounded[str, None] = Bounded(MAX_SETUPS)  # Call-IDs that are dealt with
        self.ambiguous = 0  # how often several dialogs fitted one leg
        self.given_up = 0  # to make room
        self.stray = 0  # messages of dialogs whose beginning nobody saw

    @property
    def held(self) -> int:
        """How many dialogs are kept."""
        return len(self._setups) + len(self._talks)

    def feed(self, seen: SipSeen, now: float | None = None) -> Dialog | None:
        """Take a message; return the dialog it belongs to, None when it is about no call."""
        self.own.learn(seen)
        message = seen.message
        dialog = self._get(message.call_id)
        if dialog is None:
            opens = message.is_request and message.method == "INVITE" and message.target.tag is None
            if not opens or message.call_id in self._gone:
                self.stray += message.method == "INVITE" and not opens
                return None
            dialog = self._add(begin(seen, self.own.sent(seen)))
        else:
            self._take(dialog, seen, seen.at if now is None else now)
        return dialog

    def claim(self, call_id: str) -> Dialog | None:
        """Return the dialog of a Call-ID, once; None when there is none."""
        dialog = self._get(call_id)
        return self._remove(dialog) if dialog is not None else None

    def claim_like(
        self, key: Key, began_at: float, ended_at: float, code: int | None, *, outbound: bool
    ) -> Dialog | None:
        """Return the one dialog that a channel without a known Call-ID can have had, None when none or several fit.

        ``key`` is ``("number", what was dialled)`` or ``("caller", who calls)``, ``began_at`` and ``ended_at`` when the
        channel began and hung up, ``code`` the last status another source knows of it, ``outbound`` whether the PBX
        dialled it.
        """
        alike = [
            dialog
            for dialog in self._alike.get(key, {}).values()
            if dialog.sent in (None, outbound)
            and (code is None or dialog.code == code)
            and (dialog.ended_at is None or dialog.ended_at >= ended_at - END_S)
        ]
        for early_s, late_s in WINDOWS:
            before_s, after_s = (early_s, late_s) if outbound else (late_s, early_s)
            fitting = [one for one in alike if began_at - before_s <= one.began_at <= began_at + after_s]
            if len(fitting) == 1:
                return self._remove(fitting[0])
            if fitting:
                self.ambiguous += 1
                return None
        return None

    def unclaimed(self, now: float) -> list[Dialog]:
        """Return the dialogs of calls refused ``claim_s`` seconds ago that were nobody's; they are forgotten here.

        Other dialogs wait for their call: it may go on long after one of its legs ended.
        """
        found = []
        undecided = []
        while self._ended and self._ended[0][0] <= now:
            dialog = self._get(self._ended.popleft()[1])
            if dialog is None:
                continue
            if dialog.sent is None:
                dialog.sent = self.own.sent_between(dialog.src, dialog.dst, udp=dialog.udp)
            if dialog.refused_outright:
                found.append(self._remove(dialog))
            elif dialog.sent is None:
                undecided.append((now + self._claim_s, dialog.call_id))
        self._ended.extend(undecided)
        return found

    def finish(self) -> list[Dialog]:
        """Return the dialogs of refused calls that were nobody's, whether they waited or not."""
        return self.unclaimed(float("inf"))

    def known(self) -> Iterable[Dialog]:
        """Return all dialogs that are kept."""
        return chain(self._setups.values(), self._talks.values())

    def _add(self, dialog: Dialog) -> Dialog:
        self._setups[dialog.call_id] = dialog
        for key in _keys(dialog):
            self._alike.setdefault(key, {})[dialog.call_id] = dialog
        self._make_room(self._setups, self._bounds[0])
        return dialog

    def _take(self, dialog: Dialog, seen: SipSeen, now: float) -> None:
        ended = dialog.ended_at
        dialog.take(seen)
        if dialog.sent is None:
            sent = self.own.sent(seen)
            by_inviter = (seen.message.sender.tag == dialog.invite.sender.tag) == seen.message.is_request
            dialog.sent = None if sent is None else sent == by_inviter
        if dialog.answered_at is not None and self._setups.pop(dialog.call_id, None) is not None:
            self._talks[dialog.call_id] = dialog
            self._make_room(self._talks, self._bounds[1])
        else:
            (self._talks if dialog.answered_at is not None else self._setups).move_to_end(dialog.call_id)
        if dialog.ended_at is not None and dialog.ended_at != ended:
            self._ended.append((now + self._claim_s, dialog.call_id))

    def _make_room(self, dialogs: OrderedDict[str, Dialog], bound: int) -> None:
        while len(dialogs) > bound:
            self._remove(next(iter(dialogs.values())))
            self.given_up += 1

    def _get(self, call_id: str) -> Dialog | None:
        return self._setups.get(call_id) or self._talks.get(call_id)

    def _remove(self, dialog: Dialog) -> Dialog:
        self._setups.pop(dialog.call_id, None)
        self._talks.pop(dialog.call_id, None)
        for key in _keys(dialog):
            alike = self._alike.get(key)
            if alike is not None:
                alike.pop(dialog.call_id, None)
                if not alike:
                    del self._alike[key]
        self._gone[dialog.call_id] = None
        return dialog


def _keys(dialog: Dialog) -> tuple[Key, ...]:
    return ("number", dialog.number), ("caller", dialog.invite.sender.user)
