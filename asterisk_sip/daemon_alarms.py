"""The rules of a configuration and the targets that are told, as the daemon starts and stops them."""

from __future__ import annotations

from collections.abc import Callable

from asterisk_sip.config import Config
from asterisk_sip.config_alerts import rules
from asterisk_sip.daemon_alert_targets import open_targets
from asterisk_sip.daemon_alerts import Lookout
from asterisk_sip.sinks.couriers import Couriers
from asterisk_sip.stores.alert_book import AlertBook
from asterisk_sip.stores.sqlite import SqliteStore


class Alarms:
    """The rules of a configuration at work, and the targets that are told. Without rules nothing is at work."""

    def __init__(self, config: Config, store: SqliteStore) -> None:
        """Make them. Raises ConfigError for a target that cannot be made."""
        wanted, names = rules(config.alerts), config.alert_target.names
        self.book = AlertBook(store, delivers=bool(names))
        self._rules = {rule.name: rule for rule in wanted}
        self.readers = (Lookout(wanted, [pbx.name for pbx in config.pbx], store, self.book),) if wanted else ()
        self.targets = open_targets(config, store, self.book, self._rules) if names else None

    def start(self, sinks: Couriers) -> None:
        """Begin to tell; who reads the spool is begun with the sinks."""
        for lookout in self.readers:
            lookout.sinks = sinks.progress
            if self.targets is not None:
                lookout.told = self.targets.wake
        if self.targets is not None:
            self.targets.start()

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules at work."""
        return tuple(self._rules)

    def other_rules(self, config: Config) -> Callable[[], None]:
        """Prepare to judge by the rules of another configuration."""
        wanted = rules(config.alerts)

        def take() -> None:
            self._rules.clear()
            self._rules.update({rule.name: rule for rule in wanted})
            for lookout in self.readers:
                lookout.change(wanted)

        return take

    async def stop(self, drain_s: float) -> None:
        """Let what was told reach its targets, for so many seconds; the rest waits in the book."""
        if self.targets is not None:
            await self.targets.stop(drain_s)
