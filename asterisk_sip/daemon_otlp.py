"""From the configuration to OpenTelemetry: the sink for records, and the metrics once in a while."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from collections.abc import AsyncIterator

import structlog

from asterisk_sip.config_otlp import OtlpConfig
from asterisk_sip.daemon_log import told_of
from asterisk_sip.daemon_watch import Watch
from asterisk_sip.errors import SinkError
from asterisk_sip.metrics_process import own
from asterisk_sip.sinks import otlp_values
from asterisk_sip.sinks.otlp import OtlpSettings, OtlpSink, Signal
from asterisk_sip.sinks.otlp_metrics import metrics

log = structlog.get_logger(__name__)


def sink(config: OtlpConfig) -> OtlpSink:
    """Return the sink."""
    return OtlpSink(settings(config))


def settings(config: OtlpConfig) -> OtlpSettings:
    """Return where and how to send."""
    credential = {} if config.credential is None else {config.header: config.credential.get_secret_value()}
    wants = frozenset(config.wants)
    return OtlpSettings(
        config.endpoint, wants, config.logs, config.traces, config.timeout_s, credential, config.ca_file
    )


class Telling:
    """Sends the metrics again and again. A receiver that does not take them is told of once, and tried next time."""

    def __init__(self, config: OtlpConfig, watch: Watch) -> None:
        self._signal = Signal(settings(config), "metrics")
        self._every_s = config.interval_s
        self._watch = watch
        self._who = otlp_values.resource(platform.node())
        self._began_ns = time.time_ns()
        self._failing = False

    async def run(self) -> None:
        """Send for ever; the last numbers go when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(self._every_s)
                await self.once()
        finally:
            await self.once()
            await self._signal.close()

    async def once(self) -> None:
        """Send what the numbers are now."""
        samples = await self._watch.samples()
        told = await asyncio.to_thread(metrics, samples, own(), self._who, self._began_ns, time.time_ns())
        try:
            await self._signal.open()
            await self._signal.send(told)
        except SinkError as error:
            if not self._failing:
                log.warning("metrics are not taken; they are sent again next time", part="otlp", reason=str(error))
            self._failing = True
        else:
            if self._failing:
                log.info("metrics are taken again", part="otlp")
            self._failing = False


@contextlib.asynccontextmanager
async def telling(config: OtlpConfig, watch: Watch) -> AsyncIterator[None]:
    """Send the metrics as long as the body runs, and once more at its end."""
    task = told_of(asyncio.create_task(Telling(config, watch).run(), name="otlp"))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
