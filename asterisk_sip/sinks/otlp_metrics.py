"""The metrics for OpenTelemetry: the same numbers as /metrics tells. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as Message
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from asterisk_sip.calls.tally import Labels, Spread
from asterisk_sip.metrics import METRICS, PREFIX, Metric, Samples, Value
from asterisk_sip.metrics_process import Own
from asterisk_sip.sinks.otlp_values import SCOPE, attributes

_SINCE_THE_START = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_UNITS = {"seconds": "s", "ratio": "1", "bytes": "By"}


def metrics(samples: Samples, own: Own, who: Resource, began_ns: int, now_ns: int) -> ExportMetricsServiceRequest:
    """Return the request that tells all numbers. Counters count from ``began_ns`` (nanoseconds since 1970) on.

    What the process uses itself is told under the names that OpenTelemetry has for it.
    """
    told = [_message(each, samples[each.name], began_ns, now_ns) for each in METRICS if samples.get(each.name)]
    told += _own(own, began_ns, now_ns)
    return ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=who, scope_metrics=[ScopeMetrics(scope=SCOPE, metrics=told)])]
    )


def _message(metric: Metric, numbers: Mapping[Labels, Value], began_ns: int, now_ns: int) -> Message:
    told = Message(name=PREFIX + metric.name, description=metric.about, unit=_UNITS.get(metric.unit, ""))
    if metric.kind == "histogram":
        spreads = [(labels, each) for labels, each in numbers.items() if isinstance(each, Spread)]
        points = [_histogram(metric, labels, spread, began_ns, now_ns) for labels, spread in spreads]
        told.histogram.CopyFrom(Histogram(data_points=points, aggregation_temporality=_SINCE_THE_START))
        return told
    singles = [(labels, each) for labels, each in numbers.items() if not isinstance(each, Spread)]
    counted = metric.kind == "counter"
    numbered = [
        NumberDataPoint(
            attributes=_labelled(metric, labels),
            start_time_unix_nano=began_ns if counted else 0,
            time_unix_nano=now_ns,
            as_double=number,
        )
        for labels, number in singles
    ]
    if counted:
        told.sum.CopyFrom(Sum(data_points=numbered, aggregation_temporality=_SINCE_THE_START, is_monotonic=True))
    else:
        told.gauge.CopyFrom(Gauge(data_points=numbered))
    return told


def _histogram(metric: Metric, labels: Labels, spread: Spread, began_ns: int, now_ns: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=_labelled(metric, labels),
        start_time_unix_nano=began_ns,
        time_unix_nano=now_ns,
        count=sum(spread.counts),
        sum=spread.total,
        bucket_counts=spread.counts,
        explicit_bounds=spread.bounds,
    )


def _labelled(metric: Metric, labels: Labels) -> list[KeyValue]:
    return attributes(dict(zip(metric.labels, labels, strict=True)))


def _own(own: Own, began_ns: int, now_ns: int) -> list[Message]:
    cpu = NumberDataPoint(start_time_unix_nano=began_ns, time_unix_nano=now_ns, as_double=own.cpu_s)
    told = [
        Message(
            name="process.cpu.time",
            unit="s",
            description="CPU time of this process.",
            sum=Sum(data_points=[cpu], aggregation_temporality=_SINCE_THE_START, is_monotonic=True),
        ),
    ]
    if own.memory_bytes is not None:
        memory = NumberDataPoint(start_time_unix_nano=began_ns, time_unix_nano=now_ns, as_int=own.memory_bytes)
        told.append(
            Message(
                name="process.memory.usage",
                unit="By",
                description="Resident memory of this process.",
                sum=Sum(data_points=[memory], aggregation_temporality=_SINCE_THE_START, is_monotonic=False),
            )
        )
    return told
