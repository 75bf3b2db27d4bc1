"""What the core hears: one small immutable value an event, the same whichever door it came through.

``at`` is seconds since 1970 (UTC), by Asterisk's clock where the event carries one.
"""

from __future__ import annotations

from typing import NamedTuple

from asterisk_sip.calls.sip_seen import SipSeen


class Channel(NamedTuple):
    """Asterisk's channel as an event shows it.

    ``linkedid`` is empty when the door it came through does not know it (ARI): which channels belong to one call is
    then told by who dials whom, by Local pairs and by bridges. ``heard`` is the value of the channelvars line: None
    when the event does not carry the line, else its text, which ``evidence.read_line`` understands.
    """

    name: str
    uniqueid: str
    linkedid: str
    up: bool = False
    ringing: bool = False
    refused: bool = False  # Asterisk indicated busy or congestion to it (state Busy)
    caller_number: str | None = None
    caller_name: str | None = None
    account: str | None = None
    context: str | None = None
    exten: str | None = None
    heard: str | None = None
    call_id: str | None = None


class ChannelBegan(NamedTuple):
    """A channel came into being."""

    at: float
    channel: Channel


class ChannelSeen(NamedTuple):
    """A channel changed state, or was found alive when we asked."""

    at: float
    channel: Channel


class ChannelRenamed(NamedTuple):
    """A channel has another name now (masquerade, transfer)."""

    at: float
    uniqueid: str
    linkedid: str
    name: str


class LocalPaired(NamedTuple):
    """Two halves of a Local channel: what is dialled as ``one`` runs the dialplan as ``two``."""

    at: float
    one: Channel
    two: Channel


class DialBegan(NamedTuple):
    """An attempt began. ``source`` is None when Asterisk itself dials (Originate, call file).

    ``seen``: False when ``at`` is only the earliest time at which it can have begun.
    """

    at: float
    source: Channel | None
    dest: Channel
    dial_string: str
    seen: bool = True


class DialProgressed(NamedTuple):
    """The far end of an attempt showed a sign of life: RINGING, PROGRESS, PROCEEDING."""

    at: float
    dest: Channel
    status: str


class DialEnded(NamedTuple):
    """An attempt ended, with Asterisk's own word for it."""

    at: float
    dest: Channel
    status: str
    forward: str | None
    source: Channel | None = None


class HangupRequested(NamedTuple):
    """The far end of a channel asked to end it, or its SIP session ended. Not sent when Asterisk ends it."""

    at: float
    channel: Channel
    cause: int | None
    tech_cause: int | None


class HungUp(NamedTuple):
    """A channel is gone. ``tech_cause`` is None before 20.17, 22.7, 23.1 and when Asterisk left it out."""

    at: float
    channel: Channel
    cause: int | None
    cause_text: str | None
    tech_cause: int | None
    source: str | None = None  # what told the cause, where that was no event of Asterisk


class ChannelsMet(NamedTuple):
    """Channels share a bridge: they belong to one call (told by a door that does not know linkedids)."""

    at: float
    uniqueids: tuple[str, ...]


class QueueJoined(NamedTuple):
    """A caller waits in a queue from now on (AMI class ``agent``)."""

    at: float
    channel: Channel


class QueueLeft(NamedTuple):
    """A caller waits in a queue no more: an agent took the call, the time was over, or the caller gave up."""

    at: float
    channel: Channel


class HandlerReport(NamedTuple):
    """What a channel's hangup handler told in the dialplan, just before the channel went (configs/asterisk).

    ``source`` is the way it came: ``UserEvent`` or ``AGI``. ``channel`` holds its own facts. ``heard`` are the status
    lines it knows of: (name of the dialled channel, ``SIP 486 Busy Here``), of each leg that the channel dialled, or of
    itself when it was dialled. ``requested``: the far end ended it. ``caller`` is the uniqueid of the channel that
    dialled it, ``root`` that of the one the call began with; both are empty where no handler is hooked in there.
    """

    at: float
    source: str
    channel: Channel
    is_dialled_leg: bool = False
    began_at: float | None = None
    answered_at: float | None = None
    dial_status: str | None = None
    cause: int | None = None
    requested: bool = False
    dialled: str | None = None  # of a dialled leg: the dial string without its technology
    answered_ms: int | None = None  # of a caller: how long its last answered Dial lasted from the answer on
    queue_status: str | None = None  # of a caller: how it left its last Queue
    caller: str = ""
    root: str = ""
    heard: tuple[tuple[str, str], ...] = ()


class Booted(NamedTuple):
    """Asterisk is fully booted (sent after each login too)."""

    at: float


class ShutDown(NamedTuple):
    """Asterisk is going down: no channel survives."""

    at: float
    restart: bool


class ChannelsListed(NamedTuple):
    """All channels that were alive at one moment, as Asterisk listed them on our asking.

    ``since`` is when the list was begun: of what began then or later it says nothing. None: the list is as of ``at``.
    """

    at: float
    channels: tuple[Channel, ...]
    since: float | None = None


class Backfilled(NamedTuple):
    """What Asterisk's own log (CEL) told afterwards of one call that began, went on or ended while nobody listened.

    ``linkedids`` are all that the call had; ``events`` are in order, none of them is ``Backfilled``. ``gap_ids`` are
    the gaps that hid it.
    """

    at: float
    linkedids: tuple[str, ...]
    events: tuple[Event, ...]
    gap_ids: tuple[str, ...] = ()


Event = (
    ChannelBegan
    | ChannelSeen
    | ChannelRenamed
    | LocalPaired
    | DialBegan
    | DialProgressed
    | DialEnded
    | HangupRequested
    | HungUp
    | ChannelsListed
    | ChannelsMet
    | QueueJoined
    | QueueLeft
    | HandlerReport
    | SipSeen
    | Booted
    | ShutDown
    | Backfilled
)
