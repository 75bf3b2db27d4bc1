"""A small receiver of OTLP over HTTP: takes the three signals, decodes their protobuf, and can be told to refuse."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS: dict[str, tuple[type[Message], type[Message]]] = {
    "traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "logs": (ExportLogsServiceRequest, ExportLogsServiceResponse),
    "metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
}


@dataclass
class Receiver:
    """What came, in order. ``refuse`` is the status that a signal is answered with instead, by its name."""

    url: str = ""
    refuse: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    metrics: dict[str, Metric] = field(default_factory=dict)  # the newest of each name

    async def take(self, request: web.Request) -> web.Response:
        """Answer one request."""
        name = request.match_info["signal"]
        self.headers.append(dict(request.headers))
        body = await request.read()
        if name in self.refuse:
            self.refused[name] += 1
            return web.Response(status=self.refuse[name])
        asked, answer = KINDS[name]
        told = asked()
        told.ParseFromString(body)
        if isinstance(told, ExportTraceServiceRequest):
            for spans in told.resource_spans:
                self._resource(spans.resource.attributes)
                self.spans += [span for scope in spans.scope_spans for span in scope.spans]
        elif isinstance(told, ExportLogsServiceRequest):
            for logs in told.resource_logs:
                self.logs += [log for scope in logs.scope_logs for log in scope.log_records]
        elif isinstance(told, ExportMetricsServiceRequest):
            for metrics in told.resource_metrics:
                self.metrics |= {each.name: each for scope in metrics.scope_metrics for each in scope.metrics}
        return web.Response(body=answer().SerializeToString(), content_type="application/x-protobuf")

    def _resource(self, attributes: object) -> None:
        self.resources.append({each.key: each.value.string_value for each in attributes})  # type: ignore[attr-defined]  # protobuf's list


@contextlib.asynccontextmanager
async def otlp_receiver() -> AsyncIterator[Receiver]:
    """Run it on a port of its own."""
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/{signal:traces|logs|metrics}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
