"""Alerts to a Prometheus Alertmanager, by its API v2: told again while they fire, and ended when they are over.

Alertmanager ends by itself what it does not hear of any more; an alert lasts there for a few times of ``resend_s``, so
that one does not end because this program is started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from asterisk_sip.alerts.model import Change
from asterisk_sip.calls.model import isoformat
from asterisk_sip.calls.plain_text import disarmed, plain
from asterisk_sip.errors import SinkError, StoreError
from asterisk_sip.sinks.base import Delivery, Kind
from asterisk_sip.sinks.poster import Poster, PostSettings

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Firing = Callable[[], Awaitable[list[Change]]]

_LASTS = 4
"""An alert lasts for so many times of ``resend_s``, as those of Prometheus do."""
_HOOK_LASTS_S = 300
_LABEL_CHARACTERS = 200
_TEXT_CHARACTERS = 1_500
_MOST_LABELS = 20
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class AlertmanagerSettings:
    """How to reach it; the path of ``post.url`` is that of Alertmanager, without ``/api/v2/alerts``."""

    post: PostSettings
    resend_s: float = 60.0
    labels: Mapping[str, str] = field(default_factory=dict)


class AlertmanagerTarget:
    """Posts what fires and what clears. ``firing`` returns the alerts that fire now, for telling them again."""

    wants: frozenset[Kind] = frozenset({"notice"})
    at_most = 1

    def __init__(self, settings: AlertmanagerSettings, firing: Firing) -> None:
        self._settings = settings
        self._poster = Poster(settings.post, "application/json")
        self._firing = firing
        self._posted: dict[str, Json] = {}
        self._one_at_a_time = asyncio.Lock()
        self._resending: asyncio.Task[None] | None = None
        self._log = log.bind(target=self._poster.place)

    async def open(self) -> None:
        """Make ready, and begin to tell again what fires. Raises TransientSinkError when ``ca_file`` cannot be read."""
        await self._poster.open()
        if self._resending is None:
            self._resending = asyncio.create_task(self._resend_for_ever(), name="alertmanager")

    async def write(self, deliveries: Sequence[Delivery]) -> None:
        """Post the alerts of notices. Raises TransientSinkError or PermanentSinkError, as the answer says."""
        now = datetime.now(UTC)
        async with self._one_at_a_time:
            for delivery in deliveries:
                told = json.loads(delivery.text)
                alerts = [self._alert(each, told["text"], now) for each in told["alerts"]]
                await self._post(alerts)
                for each, alert in zip(told["alerts"], alerts, strict=True):
                    if each["state"] == "fired":
                        self._posted[each["alert_id"]] = alert
                    else:
                        self._posted.pop(each["alert_id"], None)

    async def close(self) -> None:
        """Let go; what fires stays so in Alertmanager for a while, until this program tells of it again."""
        resending, self._resending = self._resending, None
        if resending is not None:
            resending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await resending
        await self._poster.close()

    async def _resend_for_ever(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._settings.resend_s)
            try:
                await self._resend()
            except (SinkError, StoreError) as error:
                if not failing:
                    self._log.warning("cannot tell again what fires", reason=str(error))
                failing = True
            else:
                failing = False

    async def _resend(self) -> None:
        """Tell of everything that fires once more, so that it does not end in Alertmanager."""
        async with self._one_at_a_time:
            firing = await self._firing()
            now = datetime.now(UTC)
            known = {change.alert_id for change in firing}
            self._posted = {id_: alert for id_, alert in self._posted.items() if id_ in known}
            alerts = [
                {**self._posted[each.alert_id], "endsAt": self._until(now)}
                if each.alert_id in self._posted
                else self._bare(each, now)
                for each in firing
            ]
            await self._post(alerts)

    async def _post(self, alerts: Sequence[Json]) -> None:
        for begin in range(0, len(alerts), _AT_ONCE):
            body = json.dumps(alerts[begin : begin + _AT_ONCE], separators=(",", ":"))
            await self._poster.post(body.encode(), {})

    def _alert(self, told: Json, text: str, now: datetime) -> Json:
        """Return one alert of a notice as Alertmanager has it."""
        annotations = {"summary": told["headline"], "description": text[:_TEXT_CHARACTERS]}
        if told["next_steps"]:
            annotations["next_step"] = told["next_steps"][0]
        alert: Json = {
            "labels": self._labels(told["rule"], told["severity"], told["kind"], told["group"]),
            "annotations": annotations,
            "startsAt": told["since"],
            "endsAt": self._until(now),
        }
        if told["state"] == "cleared":
            alert["endsAt"] = told["at"]
        elif told["state"] == "hook":
            at = datetime.fromisoformat(told["at"])
            alert |= {"startsAt": told["at"], "endsAt": isoformat(at + timedelta(seconds=_HOOK_LASTS_S))}
        return alert | ({"generatorURL": told["link"]} if told["link"] else {})

    def _bare(self, change: Change, now: datetime) -> Json:
        """Return an alert of which no notice was seen since this program began."""
        return {
            "labels": self._labels(change.rule, str(change.severity), str(change.kind), change.group),
            "annotations": {"summary": f"{disarmed(change.rule)}: fires since {isoformat(change.since)}"},
            "startsAt": isoformat(change.since),
            "endsAt": self._until(now),
        }

    def _labels(self, rule: str, severity: str, kind: str, group: Mapping[str, str]) -> dict[str, str]:
        """Return the labels: few and short, for Alertmanager keeps every combination."""
        labels = {_label(name): value for name, value in group.items() if value}
        ours = {"alertname": rule, "severity": severity, "kind": kind, "source": "asterisk-sip"}
        every = {**ours, **self._settings.labels, **{name: value for name, value in labels.items() if name not in ours}}
        return {name: plain(value)[:_LABEL_CHARACTERS] for name, value in list(every.items())[:_MOST_LABELS]}

    def _until(self, now: datetime) -> str:
        return isoformat(now + timedelta(seconds=_LASTS * self._settings.resend_s))


def _label(name: str) -> str:
    """Return a name that Prometheus takes: letters, digits and ``_``, no digit first, and never none."""
    return re.sub(r"^(?=[0-9]|$)", "_", re.sub(r"[^a-zA-Z0-9_]", "_", name))
