"""Turns what is recorded into CloudEvents 1.0 (JSON, structured mode), and says in one word what it is. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Told:
    """What the envelope of a record or a gap says. ``word``: failed, rescued, abandoned, answered or gap."""

    pbx: str
    word: str
    ended_at: str | None

    @property
    def type(self) -> str:
        """The type of the CloudEvent."""
        return "asterisk-sip.gap" if self.word == "gap" else f"asterisk-sip.call.{self.word}"


def told(text: str, *, gap: bool) -> Told:
    """Return what the JSON of a record, or of a gap, tells of it. Raises ValueError or KeyError when it is neither."""
    data = json.loads(text)
    return Told(data["pbx"], "gap" if gap else data["outcome"], data["ended_at"])


def cloud_event(id_: str, text: str, *, gap: bool, repeated: bool = False) -> str:
    """Return the event whose ``data`` is ``text`` as it stands.

    ``repeated`` becomes an extension attribute: it may have been sent before. Receivers drop the second of one ``id``
    and ``source``. Raises as `told`.
    """
    what = told(text, gap=gap)
    return enveloped(text, id_, f"/{what.pbx}", what.type, what.ended_at, repeated=repeated)


def enveloped(text: str, id_: str, source: str, type_: str, time: str | None, *, repeated: bool = False) -> str:
    """Return an event with these attributes, whose ``data`` is ``text`` as it stands."""
    envelope = {"specversion": "1.0", "id": id_, "source": source, "type": type_}
    if time is not None:
        envelope["time"] = time
    envelope["datacontenttype"] = "application/json"
    mark = ',"repeated":true' if repeated else ""
    return f'{json.dumps(envelope)[:-1]}{mark},"data":{text}}}'
