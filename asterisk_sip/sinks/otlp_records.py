"""Records for OpenTelemetry: a call as a trace with its attempts as spans, a call or a gap as a log. No I/O here.

The id of the trace is that of the record, the ids of the spans come from it: the same call is the same trace whenever
and by whomever it is sent. ``sip.*`` is what SIP said (RFC 3261), ``asterisk_sip.*`` the keys of our record.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from asterisk_sip.calls.model import Attempt, CallRecord, LadderLine, Outcome
from asterisk_sip.catalog.dispositions import disposition
from asterisk_sip.sinks.otlp_values import SCOPE, attributes, nanoseconds, text
from asterisk_sip.stores.base import Gap, ended_at

Part = CallRecord | Attempt

_KINDS = {"inbound": Span.SPAN_KIND_SERVER, "outbound": Span.SPAN_KIND_CLIENT}
_SAMPLED = 1  # trace flags of W3C
_SEVERITY = {
    Outcome.FAILED: ("WARN", SeverityNumber.SEVERITY_NUMBER_WARN),
    Outcome.RESCUED: ("INFO2", SeverityNumber.SEVERITY_NUMBER_INFO2),
    Outcome.ABANDONED: ("INFO", SeverityNumber.SEVERITY_NUMBER_INFO),
    Outcome.ANSWERED: ("DEBUG", SeverityNumber.SEVERITY_NUMBER_DEBUG),
}


def trace_id(record: CallRecord) -> bytes:
    """Return the 16 bytes of a trace's id: the record's own."""
    try:
        given = bytes.fromhex(record.id)
    except ValueError:
        given = b""
    return given if len(given) == 16 and any(given) else hashlib.blake2b(record.id.encode(), digest_size=16).digest()


def span_id(record: CallRecord, seq: int = 0) -> bytes:
    """Return the 8 bytes of a span's id: of the call (0), or of its so-manieth attempt."""
    return hashlib.blake2b(f"{record.id}/{seq}".encode(), digest_size=8).digest()


def traces(records: list[CallRecord], who: Resource) -> ExportTraceServiceRequest:
    """Return the request that tells of some calls as traces."""
    spans = [span for record in records for span in spans_of(record)]
    scoped = ScopeSpans(scope=SCOPE, spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=who, scope_spans=[scoped])])


def logs(records: list[CallRecord], gaps: list[Gap], who: Resource, now: datetime) -> ExportLogsServiceRequest:
    """Return the request that tells of some calls and gaps as logs; ``now`` is when they are seen."""
    told = [*(_call_log(record, now) for record in records), *(_gap_log(gap, now) for gap in gaps)]
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=who, scope_logs=[ScopeLogs(scope=SCOPE, log_records=told)])]
    )


def spans_of(record: CallRecord) -> list[Span]:
    """Return the spans of a call: itself first, then each attempt below it."""
    return [_call_span(record), *(_attempt_span(record, attempt) for attempt in record.attempts)]


def _call_span(record: CallRecord) -> Span:
    end = ended_at(record)
    events = [_event("answered", record.answered_at)] if record.answered_at is not None else []
    return Span(
        trace_id=trace_id(record),
        span_id=span_id(record),
        flags=_SAMPLED,
        name="call",
        kind=_KINDS.get(record.direction or "", Span.SPAN_KIND_INTERNAL),
        start_time_unix_nano=nanoseconds(record.started_at or end),
        end_time_unix_nano=nanoseconds(end),
        attributes=attributes(call_attributes(record)),
        events=[*events, *map(_message, record.ladder or ())],
        status=_status(record, failed=record.outcome is Outcome.FAILED),
    )


def _attempt_span(record: CallRecord, attempt: Attempt) -> Span:
    end = attempt.ended_at or ended_at(record)
    began = attempt.began_at or attempt.ended_at or record.started_at or end
    told = {
        "asterisk_sip.attempt.seq": attempt.seq,
        "asterisk_sip.attempt.stage": attempt.stage,
        "asterisk_sip.trunk": attempt.trunk,
        "asterisk_sip.endpoint": attempt.endpoint,
        "asterisk_sip.dial_status": attempt.dial_status,
        "asterisk_sip.forward": attempt.forward,
        "asterisk_sip.pdd_ms": attempt.pdd_ms,
        "asterisk_sip.ring_ms": attempt.ring_ms,
        "asterisk.channel": attempt.channel,
        "asterisk.uniqueid": attempt.uniqueid,
        "sip.retry_after_s": attempt.retry_after_s,
        "sip.reason": attempt.remote_reason,
        "sip.warning": attempt.remote_warning,
        **_told(attempt),
    }
    events = []
    if attempt.pdd_ms is not None and attempt.began_at is not None:
        events.append(_event("first sign of the far side", attempt.began_at + timedelta(milliseconds=attempt.pdd_ms)))
    return Span(
        trace_id=trace_id(record),
        span_id=span_id(record, attempt.seq),
        parent_span_id=span_id(record),
        flags=_SAMPLED,
        name="attempt",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=nanoseconds(began),
        end_time_unix_nano=max(nanoseconds(end), nanoseconds(began)),
        attributes=attributes(told),
        events=[*events, *map(_message, attempt.ladder or ())],
        status=_status(attempt, failed=disposition(attempt.disposition).failed),
    )


def call_attributes(record: CallRecord) -> dict[str, object]:
    """Return what is told of a call, in a trace and in a log."""
    return {
        "asterisk_sip.id": record.id,
        "asterisk_sip.pbx": record.pbx,
        "asterisk_sip.direction": record.direction,
        "asterisk_sip.outcome": record.outcome.value,
        "asterisk_sip.released_by": record.released_by,
        "asterisk_sip.hint": record.hint,
        "asterisk_sip.partial": record.partial,
        "asterisk_sip.attempts": len(record.attempts),
        "asterisk_sip.count": record.count,
        "asterisk_sip.caller.number": record.caller.number,
        "asterisk_sip.caller.endpoint": record.caller.endpoint,
        "asterisk.version": record.asterisk_version,
        "asterisk.linkedid": record.linkedid,
        "asterisk.context": record.context,
        "asterisk.exten": record.exten,
        **_told(record),
    }


def _told(part: Part) -> dict[str, object]:
    """Return what is told alike of a call and of an attempt."""
    sip = part.sip
    return {
        "network.protocol.name": "sip",
        "sip.response.status_code": sip.code,
        "sip.response.reason_phrase": sip.phrase,
        "sip.response.class": None if sip.class_ is None else f"{sip.class_}xx",
        "sip.response.candidates": sip.candidates,
        "sip.call_id": part.sip_call_id,
        "asterisk_sip.dialled": part.dialled,
        "asterisk_sip.meaning": sip.meaning,
        "asterisk_sip.disposition": part.disposition,
        "asterisk_sip.evidence.grade": part.evidence.grade.value,
        "asterisk_sip.evidence.source": part.evidence.source,
        "asterisk_sip.evidence.conflict": part.evidence.conflict,
        "asterisk_sip.fault.side": part.fault.side,
        "asterisk_sip.fault.reason": part.fault.reason,
        "asterisk_sip.rule": part.rule,
        "asterisk.q850.cause": part.q850.cause,
        "asterisk.q850.text": part.q850.text,
    }


def _status(part: Part, *, failed: bool) -> Status:
    if not failed:
        return Status()
    return Status(code=Status.STATUS_CODE_ERROR, message=_in_words(part))


def _in_words(part: Part) -> str:
    """Return the status in few words: ``486 Busy Here``, else the disposition."""
    told = " ".join(str(word) for word in (part.sip.code, part.sip.phrase) if word)
    return text(told or part.disposition)


def _event(name: str, at: datetime, **told: object) -> Span.Event:
    return Span.Event(name=name, time_unix_nano=nanoseconds(at), attributes=attributes(told))


def _message(line: LadderLine) -> Span.Event:
    told: dict[str, Any] = {"sip.direction": line.direction, "sip.line": line.line, "sip.reason": line.reason}
    return _event("sip message", line.at, **told)


def _call_log(record: CallRecord, now: datetime) -> LogRecord:
    name, number = _SEVERITY[record.outcome]
    body = f"{record.outcome.value}: {_in_words(record)}" + (f" ({record.sip.meaning})" if record.sip.meaning else "")
    return LogRecord(
        time_unix_nano=nanoseconds(ended_at(record)),
        observed_time_unix_nano=nanoseconds(now),
        severity_number=number,
        severity_text=name,
        event_name="asterisk_sip.call",
        body=AnyValue(string_value=text(body)),
        attributes=attributes(call_attributes(record)),
        trace_id=trace_id(record),
        span_id=span_id(record),
        flags=_SAMPLED,
    )


def _gap_log(gap: Gap, now: datetime) -> LogRecord:
    told = {
        "asterisk_sip.gap.id": gap.id,
        "asterisk_sip.pbx": gap.pbx,
        "asterisk_sip.gap.source": gap.source,
        "asterisk_sip.gap.blind": gap.blind,
        "asterisk_sip.gap.duration_s": None if gap.ended_at is None else (gap.ended_at - gap.began_at).total_seconds(),
    }
    name, number = ("ERROR", SeverityNumber.SEVERITY_NUMBER_ERROR) if gap.blind else _SEVERITY[Outcome.FAILED]
    return LogRecord(
        time_unix_nano=nanoseconds(gap.began_at),
        observed_time_unix_nano=nanoseconds(now),
        severity_number=number,
        severity_text=name,
        event_name="asterisk_sip.gap",
        body=AnyValue(string_value=text(f"{gap.pbx} was not heard through {gap.source}: {gap.reason}")),
        attributes=attributes(told),
    )
