"""Sends a sample to the targets of a rule, past the queue: whoever sets a target up sees at once what it says."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import datetime

from asterisk_sip.alerts import engine_told
from asterisk_sip.alerts.engine_value import Judged
from asterisk_sip.alerts.hooks_compose import Records, StoreComposer
from asterisk_sip.alerts.hooks_links import PageLinks
from asterisk_sip.alerts.letter import Scribe, Templates
from asterisk_sip.alerts.model import Change, Kind, Rule, State
from asterisk_sip.calls.model import CallRecord
from asterisk_sip.config import Config
from asterisk_sip.daemon_alert_targets import public_url, targets
from asterisk_sip.errors import SinkError, StoreError
from asterisk_sip.sinks.base import Delivery, Sink
from asterisk_sip.stores.base import CallQuery, MissingStoreError, Store
from asterisk_sip.stores.place import StorePlace

_EXAMPLES = {"trunk": "acme", "pbx": "pbx", "code": "503", "source": "ami", "sink": "webhook", "country": "DE"}
_SAMPLES = 3


async def send_sample(config: Config, rule: Rule, now: datetime) -> list[tuple[str, str | None]]:
    """Return each target of a rule, and why it did not take the sample: None when it did."""
    store = StorePlace(config.store.path).store(readonly=True)
    notices = config.notice
    scribe = Scribe(Templates(notices.text_template, notices.html_template))
    results: list[tuple[str, str | None]] = []
    try:
        records = await _open(store)
        change = sample(rule, tuple(record.id for record in await records.calls(CallQuery(limit=_SAMPLES))), now)
        for name, lang, _, target in targets(config, lambda _name: _nothing_fires):
            if rule.targets and name not in rule.targets:
                continue
            composer = StoreComposer(records, {rule.name: rule}, PageLinks(public_url(config)), lang, scribe)
            results.append((name, await _sent(target, composer, change, config.delivery.timeout_s)))
    finally:
        await store.close()
    return results


def sample(rule: Rule, samples: tuple[str, ...], now: datetime) -> Change:
    """Return a change as the rule would make it, marked as a sample."""
    at = int(now.timestamp())
    group = {name: _EXAMPLES.get(name, "sample") for name in rule.group_by}
    judged = _judged(rule)
    found = engine_told.Seen(secrets.token_hex(16), group, at - rule.for_s, at, judged, samples, detail="a sample")
    return replace(engine_told.change(rule, State.FIRED, found), test=True)


def _judged(rule: Rule) -> Judged:
    """Return numbers that stand at the threshold of a rule."""
    least, usual = max(rule.min_samples, 50), round(rule.expected)
    if rule.kind in (Kind.SHARE, Kind.RATIO):
        return Judged(rule.threshold, round(rule.threshold * least), least)
    if rule.kind is Kind.PDD:
        return Judged(rule.threshold, None, least)
    if rule.kind is Kind.BURST:
        return Judged(rule.threshold, round(rule.threshold * usual), usual)
    return Judged(rule.threshold, round(rule.threshold), usual if rule.kind is Kind.SILENCE else None)


class NoRecords:
    """What there is to read before anything was recorded."""

    async def calls(self, query: CallQuery) -> list[CallRecord]:  # noqa: ARG002  as a store is asked
        """Return none."""
        return []

    async def call_texts(self, query: CallQuery) -> list[str]:  # noqa: ARG002  as a store is asked
        """Return none."""
        return []

    async def call(self, record_id: str) -> CallRecord | None:  # noqa: ARG002  as a store is asked
        """Return none."""
        return None


async def _open(store: Store) -> Records:
    try:
        await store.open()
    except MissingStoreError:
        return NoRecords()
    return store


async def _sent(target: Sink, composer: StoreComposer, change: Change, timeout_s: float) -> str | None:
    try:
        async with asyncio.timeout(timeout_s):
            notice_id, text = await composer.compose([change], 0)
            await target.open()
            await target.write([Delivery(1, "notice", notice_id, text)])
    except (SinkError, StoreError) as error:
        return str(error)
    except TimeoutError:
        return f"nothing came back within {timeout_s:g} s"
    finally:
        await target.close()
    return None


async def _nothing_fires() -> list[Change]:
    return []
