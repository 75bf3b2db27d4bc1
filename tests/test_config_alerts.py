"""Rules of alerts in the configuration: what is refused and how it is told, what holds when nothing is said."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from asterisk_sip.alerts.model import Kind, Rule, Severity
from asterisk_sip.config import load
from asterisk_sip.config_alerts import rules
from asterisk_sip.errors import ConfigError

CONFIGS = Path(__file__).parent.parent / "configs"
SECRET = {"ASTERISK_SIP_AMI_SECRET": "for-this-test"}
PBX = '[[pbx]]\nname = "pbx"\n'


def loaded(folder: Path, text: str) -> tuple[Rule, ...]:
    path = folder / "asterisk-sip.toml"
    path.write_text(PBX + text)
    return rules(load(path, SECRET).alerts)


def one(folder: Path, kind: str, text: str = "") -> Rule:
    (rule,) = loaded(folder, f'[[alerts]]\nname = "it"\nkind = "{kind}"\n{text}')
    return rule


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return [f"{key}: {reason}" for key, reason in caught.value.faults]


def test_what_a_rule_does_not_say_depends_on_its_kind(tmp_path: Path) -> None:
    shared = one(tmp_path, "share", 'filter = { code = 503 }\nthreshold = 0.5\ncounted = "attempts"')
    assert (shared.min_samples, shared.clear, shared.counted) == (30, 0.5, "attempts")
    assert shared.of == {"not.e425": ("not_counted",)}
    row = one(tmp_path, "consecutive", "threshold = 5")
    assert (row.counted, row.filter) == ("attempts", {"e425": ("other",)})
    assert row.of == {"not.e425": ("not_counted", "cancelled")}
    new = one(tmp_path, "new_code")
    assert (new.group_by, new.threshold, new.learn_s) == (("trunk", "code"), 1.0, 86_400)
    assert one(tmp_path, "silence").threshold == 0.0
    gap = one(tmp_path, "gap", "for_s = 60")
    assert (gap.group_by, gap.threshold) == (("pbx", "source"), 60.0)
    assert one(tmp_path, "sink").group_by == ("sink",)
    assert one(tmp_path, "count", "threshold = 3").severity is Severity.WARNING


@pytest.mark.parametrize(
    ("ratio", "when", "counted"),
    [("asr", "below", "attempts"), ("isa", "above", "attempts"), ("rescue", "above", "calls")],
)
def test_a_ratio_is_bad_on_its_own_side(ratio: str, when: str, counted: str, tmp_path: Path) -> None:
    rule = one(tmp_path, "ratio", f'ratio = "{ratio}"\nthreshold = 0.5')
    assert (rule.when, rule.counted) == (when, counted)


def test_fields_may_be_written_as_paths_or_short_and_values_as_lists_or_alone(tmp_path: Path) -> None:
    text = 'filter = { sip.code = [503, 500], not.trunk = "acme*", partial = false }\ngroup_by = ["sip.code", "pbx"]'
    rule = one(tmp_path, "hook", text)
    assert rule.filter == {"code": (503, 500), "not.trunk": ("acme*",), "partial": (False,)}
    assert rule.group_by == ("code", "pbx")


def test_quiet_hours_have_a_zone(tmp_path: Path) -> None:
    rule = one(tmp_path, "count", 'threshold = 1\nquiet_hours = "22:30-06:00"\nquiet_zone = "Europe/Berlin"')
    assert rule.quiet is not None
    assert (rule.quiet.begin, rule.quiet.end, str(rule.quiet.zone)) == (time(22, 30), time(6), "Europe/Berlin")


def test_a_rule_that_is_off_is_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, '[[alerts]]\nname = "it"\nkind = "hook"\nenabled = false\n') == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('kind = "sum"', "alerts[0].kind: must be 'count', 'rate'"),
        ('kind = "count"', "alerts[0].threshold: is required for this kind"),
        ('kind = "share"\nthreshold = 0.5', "alerts[0].filter: must name a field: of what the share is"),
        ('kind = "share"\nthreshold = 50\nfilter = { code = 503 }', "alerts[0].threshold: is a share"),
        ('kind = "ratio"\nthreshold = 0.5', "alerts[0].ratio: must be one of: asr, ner"),
        ('kind = "count"\nthreshold = 5\nratio = "asr"', 'alerts[0].ratio: has no effect without kind = "ratio"'),
        ('kind = "count"\nthreshold = 5\nclear = 6', "alerts[0].clear: must be at most threshold (5)"),
        (
            'kind = "ratio"\nratio = "asr"\nthreshold = 0.5\nclear = 0.4',
            "alerts[0].clear: must be at least threshold (0.5)",
        ),
        ('kind = "pdd"\nthreshold = 5\ncounted = "calls"', "alerts[0].counted: must be 'attempts' for this kind"),
        ('kind = "gap"\nthreshold = 5', "alerts[0].threshold: has no effect for this kind; set for_s"),
        ('kind = "gap"\nfilter = { trunk = "a" }', "alerts[0].filter: 'trunk' is none of: pbx, source"),
        ('kind = "count"\nthreshold = 5\nfilter = { trnk = "a" }', "alerts[0].filter: 'trnk' is no field of a record"),
        (
            'kind = "count"\nthreshold = 5\nfilter = { code = 1.5 }',
            "alerts[0].filter: code must be a text, a whole number",
        ),
        ('kind = "count"\nthreshold = 5\nof = { code = 5 }', "alerts[0].of: has no effect without kind"),
        ('kind = "count"\nthreshold = 5\ngroup_by = ["dialled"]', "alerts[0].group_by: dialled names a person"),
        ('kind = "pdd"\nthreshold = 5\ngroup_by = ["code"]', "alerts[0].group_by: code is known at the end of a call"),
        ('kind = "count"\nthreshold = 5\ngroup_by = ["code", "sip.code"]', "alerts[0].group_by: names a field twice"),
        ('kind = "count"\nthreshold = 5\nquiet_hours = "22-6"', "alerts[0].quiet_hours: must be two times of a day"),
        ('kind = "count"\nthreshold = 5\nquiet_zone = "Mars"', "alerts[0].quiet_zone: must be a time zone"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_key(text: str, told: str, tmp_path: Path) -> None:
    found = faults(tmp_path, f'[[alerts]]\nname = "it"\n{text}\n')
    assert any(fault.startswith(told) for fault in found), found


class TestIncludedFiles:
    def test_their_rules_come_after_those_of_the_main_file(self, tmp_path: Path) -> None:
        (tmp_path / "alerts").mkdir()
        for name in ("b", "a"):
            (tmp_path / "alerts" / f"{name}.toml").write_text(f'[[alerts]]\nname = "{name}"\nkind = "hook"\n')
        found = loaded(tmp_path, '[alerting]\ninclude = ["alerts/*.toml"]\n[[alerts]]\nname = "own"\nkind = "hook"\n')
        assert [rule.name for rule in found] == ["own", "a", "b"]

    def test_their_faults_are_told_by_their_own_names_and_all_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "one.toml").write_text('[[alerts]]\nname = "own"\nkind = "count"\nwindow_s = 0\n')
        (tmp_path / "two.toml").write_text("[log]\nlevel = 'info'\n")
        (tmp_path / "three.toml").write_text("no toml")
        text = '[alerting]\ninclude = ["one.toml", "two.toml", "three.toml", "four*.toml"]\n'
        found = faults(tmp_path, text + '[[alerts]]\nname = "own"\nkind = "hook"\n')
        expected = (
            "one.toml: alerts[0].window_s: must be at least 1",
            "one.toml: alerts[0].threshold: is required",
            "one.toml: alerts[0].name: is already the name of alerts[0]",
            "two.toml: log: has no place here",
            "three.toml: is not TOML",
            "alerting.include[3]: ",
        )
        for told in expected:
            assert any(fault.startswith(told) for fault in found), (told, found)

    def test_the_starter_set_loads_as_it_is_shipped(self, tmp_path: Path) -> None:
        found = loaded(tmp_path, f'[alerting]\ninclude = ["{CONFIGS}/alerts/*.toml"]\n')
        assert {rule.kind for rule in found} >= {Kind.CONSECUTIVE, Kind.SHARE, Kind.BURST, Kind.PDD, Kind.GAP}


def test_a_collector_has_no_alerts(tmp_path: Path) -> None:
    path = tmp_path / "asterisk-sip.toml"
    path.write_text('[collector]\nservers = ["127.0.0.1:4222"]\n[[alerts]]\nname = "it"\nkind = "hook"\n')
    with pytest.raises(ConfigError, match=r"alerts: has no place beside \[collector\]"):
        load(path, SECRET)
