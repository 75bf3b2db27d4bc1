"""The numbers as Prometheus reads them: its text format, or OpenMetrics for who asks for that."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from asterisk_sip import __version__
from asterisk_sip.calls.tally import Labels, Spread
from asterisk_sip.metrics import METRICS, PREFIX, Metric, Samples, Value
from asterisk_sip.metrics_process import Own, own

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class _Snapshot(Collector):
    """Tells prometheus_client one set of numbers."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            numbers = self._samples.get(metric.name)
            if numbers:
                yield _family(metric, numbers)
        yield from _process(own())


def exposition(samples: Samples, accept: str) -> tuple[bytes, str]:
    """Return the body and its content type for an Accept header; with what the process itself uses.

    It takes some ms for each thousand series: call it where nobody waits.
    """
    info: Samples = {"build_info": {(__version__, platform.python_version()): 1}}
    registry = CollectorRegistry()
    registry.register(_Snapshot(samples | info))
    encode, content_type = choose_encoder(accept)
    body: bytes = encode(registry)
    return body, content_type


def _process(used: Own) -> Iterator[Family]:
    """Give the families that Prometheus has for any process."""
    cpu = CounterMetricFamily("process_cpu_seconds", "User and system CPU time of the process.")
    cpu.add_metric((), used.cpu_s)
    yield cpu
    for name, about, value in (
        ("process_resident_memory_bytes", "Resident memory of the process.", used.memory_bytes),
        ("process_open_fds", "Open files of the process, sockets too.", used.open_files),
        ("process_max_fds", "How many files the process may open.", used.most_files),
        ("process_start_time_seconds", "When the process began, in seconds since 1970.", used.began_at),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, about, value=value)


def _family(metric: Metric, numbers: Mapping[Labels, Value]) -> Family:
    name = PREFIX + metric.name
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(name, metric.about, labels=metric.labels)
        for labels, spread in numbers.items():
            if isinstance(spread, Spread):
                histogram.add_metric(labels, _buckets(spread), spread.total)
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily = _FAMILIES[metric.kind](name, metric.about, labels=metric.labels)
    for labels, number in numbers.items():
        if not isinstance(number, Spread):
            family.add_metric(labels, number)
    return family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in spread.bounds), "+Inf"]
    return list(zip(bounds, accumulate(spread.counts), strict=True))
