"""OpenTelemetry: what a receiver decodes is the record, the same trace whenever it is sent, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from asterisk_sip.calls.model import CallRecord, LadderLine
from asterisk_sip.calls.record_text import record_text
from asterisk_sip.config import load
from asterisk_sip.errors import ConfigError, PermanentSinkError, TransientSinkError
from asterisk_sip.metrics import METRICS, PREFIX, of_tally
from asterisk_sip.metrics_process import Own
from asterisk_sip.sinks.base import Delivery
from asterisk_sip.sinks.otlp import OtlpSettings, OtlpSink
from asterisk_sip.sinks.otlp_metrics import metrics
from asterisk_sip.sinks.otlp_records import logs, span_id, spans_of, trace_id
from asterisk_sip.sinks.otlp_values import resource
from asterisk_sip.stores.base import Gap, gap_json

from .call_records import BEGAN, abandoned, answered, failed, rescued
from .lab.wait import until
from .otlp_receiver import otlp_receiver
from .played import free_port, played
from .test_calls_tally import RECORDS, tally

NOW = BEGAN + timedelta(hours=1)
WHO = resource("pbx.example")
CREDENTIAL = "Bearer of-the-test"


def told(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as a dict."""
    found: dict[str, Any] = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        assert kind is not None, each.key
        value = getattr(each.value, kind)
        found[each.key] = (
            [item.int_value or item.string_value for item in value.values] if kind == "array_value" else value
        )
    return found


def delivery(position: int, record: CallRecord) -> Delivery:
    return Delivery(position, "answered" if record.outcome == "answered" else "failure", record.id, record_text(record))


def test_a_rescued_call_is_a_trace_with_a_span_for_each_attempt() -> None:
    record = rescued(3)
    call, first, second = spans_of(record)
    assert call.trace_id.hex() == first.trace_id.hex() == record.id
    assert (call.parent_span_id, first.parent_span_id, second.parent_span_id) == (b"", call.span_id, call.span_id)
    assert len({call.span_id, first.span_id, second.span_id}) == 3
    assert call.status.code == second.status.code == Status.STATUS_CODE_UNSET
    assert (first.status.code, first.status.message) == (Status.STATUS_CODE_ERROR, "503 Service Unavailable")
    assert (call.kind, first.kind) == (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_CLIENT)
    assert call.start_time_unix_nano == int(BEGAN.timestamp() + 3) * 10**9
    assert [event.name for event in call.events] == ["answered"]
    assert first.events[0].time_unix_nano - first.start_time_unix_nano == 120 * 10**6
    attributes = told(first.attributes)
    assert attributes["sip.response.status_code"] == 503
    assert attributes["sip.response.reason_phrase"] == "Service Unavailable"
    assert attributes["asterisk_sip.evidence.grade"] == "wire"
    assert attributes["asterisk_sip.trunk"] == "carrier-a"
    assert attributes["asterisk.q850.cause"] == 34
    assert "asterisk_sip.forward" not in attributes  # what is not known is left out


def test_the_same_call_is_the_same_trace_wherever_it_is_made() -> None:
    once, again = [[span.SerializeToString(deterministic=True) for span in spans_of(rescued(3))] for _ in range(2)]
    assert once == again
    assert trace_id(failed(1)) != trace_id(failed(2))
    assert span_id(failed(1)) != span_id(failed(1), 1)


@pytest.mark.parametrize("id_", ["", "no hex at all", "0" * 32, "ab" * 8])
def test_an_id_that_is_none_for_opentelemetry_gives_one_that_is(id_: str) -> None:
    made = trace_id(replace(failed(1), id=id_))
    assert len(made) == 16
    assert any(made)


def test_a_call_of_which_little_is_known_is_told_without_guesses() -> None:
    record = abandoned(4)
    record = replace(record, started_at=None, ended_at=None, attempts=(replace(record.attempts[0], began_at=None),))
    call, attempt = spans_of(record)
    attributes = told(call.attributes)
    assert "sip.response.status_code" not in attributes
    assert attributes["sip.response.candidates"] == [487, 600]
    assert call.start_time_unix_nano <= call.end_time_unix_nano
    assert 0 < attempt.start_time_unix_nano <= attempt.end_time_unix_nano


def test_each_sip_message_is_an_event_and_hostile_text_does_no_harm() -> None:
    lines = (
        LadderLine(BEGAN, "sent", "INVITE sip:608@acme"),
        LadderLine(BEGAN, "received", "608 \udcff\x00", "SIP;cause=608"),
    )
    call, _ = spans_of(replace(failed(1), ladder=lines))
    assert [told(event.attributes).get("sip.line") for event in call.events] == ["INVITE sip:608@acme", "608 ?\x00"]
    assert Span.FromString(call.SerializeToString()) == call


def test_calls_and_gaps_are_logs_as_grave_as_they_are() -> None:
    gaps = [
        Gap("g", "pbx", "ami", BEGAN, BEGAN + timedelta(seconds=3), "Asterisk restarted", blind)
        for blind in (True, False)
    ]
    request = logs([failed(1), rescued(3), abandoned(4), answered(5)], gaps, WHO, NOW)
    found = request.resource_logs[0].scope_logs[0].log_records
    assert [each.severity_text for each in found] == ["WARN", "INFO2", "INFO", "DEBUG", "ERROR", "WARN"]
    assert found[0].severity_number == SeverityNumber.SEVERITY_NUMBER_WARN
    assert found[0].body.string_value == "failed: 503 Service Unavailable (No free channel.)"
    assert found[0].trace_id.hex() == failed(1).id
    assert found[4].body.string_value == "pbx was not heard through ami: Asterisk restarted"
    assert told(found[4].attributes)["asterisk_sip.gap.duration_s"] == 3.0
    assert found[0].observed_time_unix_nano == int(NOW.timestamp()) * 10**9


def test_the_metrics_are_those_of_prometheus() -> None:
    request = metrics(of_tally(tally(*RECORDS)), Own(1.5, 1 << 20, 9, 1024, 0.0), WHO, 10, 20)
    found = {each.name: each for each in request.resource_metrics[0].scope_metrics[0].metrics}
    assert found.keys() - {"process.cpu.time", "process.memory.usage"} <= {PREFIX + each.name for each in METRICS}
    calls = found["asterisk_sip_calls"].sum
    assert calls.is_monotonic
    assert sum(point.as_double for point in calls.data_points) == len(RECORDS)
    assert {point.start_time_unix_nano for point in calls.data_points} == {10}
    delays = found["asterisk_sip_pdd_seconds"]
    assert delays.unit == "s"
    for point in delays.histogram.data_points:
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert sum(point.bucket_counts) == point.count
    assert found["process.cpu.time"].sum.data_points[0].as_double == 1.5
    assert not found["process.memory.usage"].sum.is_monotonic


async def test_what_went_as_logs_is_not_sent_so_again_when_the_traces_are_refused_for_a_while() -> None:
    batch = [delivery(1, failed(1)), delivery(2, rescued(2))]
    async with otlp_receiver() as receiver:
        sink = OtlpSink(OtlpSettings(receiver.url + "/", headers={"Authorization": CREDENTIAL}))
        await sink.open()
        receiver.refuse["traces"] = 503
        with pytest.raises(TransientSinkError, match="answered 503") as raised:
            await sink.write(batch)
        assert CREDENTIAL not in str(raised.value)
        del receiver.refuse["traces"]
        await sink.write(batch)
        gap = Gap("g", "pbx", "ami", BEGAN, BEGAN, "restart")
        await sink.write([Delivery(3, "gap", "g", json.dumps(gap_json(gap)))])
        await sink.close()
    assert len(receiver.logs) == 3
    assert len(receiver.spans) == 5
    assert {each["Authorization"] for each in receiver.headers} == {CREDENTIAL}
    assert {each["Content-Encoding"] for each in receiver.headers} == {"gzip"}
    assert receiver.resources[0]["service.name"] == "asterisk-sip"


async def test_what_is_no_record_and_what_is_refused_for_good_is_put_aside() -> None:
    async with otlp_receiver() as receiver:
        sink = OtlpSink(OtlpSettings(receiver.url))
        await sink.open()
        with pytest.raises(PermanentSinkError, match="not a record"):
            await sink.write([Delivery(1, "failure", "x", "{}")])
        receiver.refuse["logs"] = 400
        with pytest.raises(PermanentSinkError, match="answered 400"):
            await sink.write([delivery(2, failed(1))])
        await sink.close()


async def test_a_run_is_told_whole_although_the_receiver_was_down_for_a_while(tmp_path: Path) -> None:
    async with otlp_receiver() as receiver:
        receiver.refuse |= {"traces": 503, "logs": 503, "metrics": 503}
        config = f'\n[otlp]\nendpoint = "{receiver.url}"\nwants = ["failure", "answered", "gap"]\ninterval_s = 1.0\n'
        delivery_config = "\n[delivery]\nretry_min_s = 0.05\nretry_max_s = 0.2\n"
        async with played(tmp_path, config + delivery_config, ASTERISK_SIP_OTLP_CREDENTIAL=CREDENTIAL) as site:
            await until(lambda: receiver.refused["logs"] >= 2 and receiver.refused["metrics"] >= 2, "it tries")
            assert len(site.program.logged("metrics are not taken; they are sent again next time")) == 1
            receiver.refuse.clear()
            await until(lambda: len(receiver.logs) >= 80, "the calls come")
            await until(lambda: "asterisk_sip_calls" in receiver.metrics, "the metrics come")
            assert await site.program.stop() == 0
        calls = receiver.metrics["asterisk_sip_calls"].sum.data_points
    ids = [each.trace_id for each in receiver.logs if each.event_name == "asterisk_sip.call"]
    assert len(set(ids)) == len(ids)
    traces = {span.trace_id for span in receiver.spans if span.name == "call"}
    assert traces == set(ids)
    assert sum(point.as_double for point in calls) == len(ids)  # the last numbers went at the end
    assert {each["Authorization"] for each in receiver.headers} == {CREDENTIAL}
    assert CREDENTIAL not in site.program.log.read_text()
    codes = {told(span.attributes).get("sip.response.status_code") for span in receiver.spans if span.name == "attempt"}
    assert {200, 486, 503, 603, 608} <= codes


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('endpoint = "ftp://x"', "otlp.endpoint: must begin with https:// or http://"),
        ('endpoint = "http://x"\nmetrics = false\nlogs = false\ntraces = false', "otlp: sends nothing"),
        ('endpoint = "http://x"\nheader = "a b"', "otlp.header: must be the name of an HTTP header"),
    ],
)
def test_a_table_that_cannot_be_is_refused(table: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(f'[[pbx]]\nname = "p"\n[otlp]\n{table}\n')
    with pytest.raises(ConfigError, match=fault):
        load(path, {"ASTERISK_SIP_AMI_SECRET": "x"})


def test_times_are_exact_to_the_microsecond() -> None:
    at = datetime(2026, 11, 27, 20, 0, 0, 123_457, tzinfo=UTC)
    call, *_ = spans_of(replace(failed(1), started_at=at))
    assert call.start_time_unix_nano % 10**9 == 123_457_000


async def test_a_receiver_that_is_not_there_is_told_in_the_words_of_the_system() -> None:
    sink = OtlpSink(OtlpSettings(f"http://127.0.0.1:{free_port()}"))
    await sink.open()
    with pytest.raises(TransientSinkError, match="Connection refused"):
        await sink.write([delivery(1, failed(1))])
    await sink.close()
