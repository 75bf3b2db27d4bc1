"""What a rule would have told: the engine of the daemon over stored calls."""

from __future__ import annotations

from datetime import datetime, timedelta

from asterisk_sip.alerts.engine import LAG_S, Engine
from asterisk_sip.alerts.engine_past import Backtest, Episode, trouble_of
from asterisk_sip.alerts.model import Change, Kind, Rule, State
from asterisk_sip.daemon_alerts_past import COMPARING, learn, past
from asterisk_sip.desk_gaps import COMPANION
from asterisk_sip.errors import AsteriskSipError
from asterisk_sip.stores.base import Store


async def backtest(rule: Rule, store: Store, since: datetime, until: datetime, pbxs: tuple[str, ...] = ()) -> Backtest:
    """Judge a time again. Raises StoreError, and AsteriskSipError for a rule about sinks: that is not stored."""
    if rule.kind is Kind.SINK:
        raise AsteriskSipError(f"alert {rule.name!r} is about sinks; how they did is not stored")
    engine = Engine([rule], pbxs)
    if rule.kind in COMPARING:
        engine.load(await learn([rule], store, since))
    before = since - timedelta(seconds=rule.window_s)
    gaps = await store.gaps(before, until)
    for gap in gaps:
        if rule.kind is not Kind.GAP or gap.source != COMPANION:  # nobody was there to tell of it
            engine.trouble(Kind.GAP, trouble_of(gap))
    changes: list[Change] = []
    records = counted_only = 0
    async for call in past(store, since if rule.kind in COMPARING else before, until):
        changes += engine.feed(call)
        records += 1
        counted_only += 0 if call["id"] else call["count"]
    changes += engine.tick(until.timestamp() + LAG_S)
    changes = [change for change in changes if change.at >= since or change.state is State.CLEARED]
    cleared = {change.alert_id: change for change in changes if change.state is State.CLEARED}
    fired = {change.alert_id: change for change in changes if change.state is State.FIRED}
    episodes = tuple(Episode(change, cleared.get(name)) for name, change in fired.items())
    hooked = tuple(change for change in changes if change.state is State.HOOK)
    return Backtest(rule, since, until, episodes, hooked, records, counted_only, len(gaps))
