"""What the program tells of itself where /proc is not mounted: nothing, rather than zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterisk_sip import metrics_process
from asterisk_sip.sinks import otlp_metrics
from asterisk_sip.web import exposition


def test_memory_that_cannot_be_read_is_not_told_as_none_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> tuple[set[str], set[str]]:
        own = metrics_process.own()
        return {one.name for one in exposition._process(own)}, {one.name for one in otlp_metrics._own(own, 1, 2)}

    metrics, messages = names()
    assert "process_resident_memory_bytes" in metrics
    assert "process.memory.usage" in messages
    monkeypatch.setattr(metrics_process, "_OWN", tmp_path / "not mounted")
    metrics, messages = names()
    assert "process_resident_memory_bytes" not in metrics
    assert messages == {"process.cpu.time"}
    assert metrics_process._began_at() > 0
