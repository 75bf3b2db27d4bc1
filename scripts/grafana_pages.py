"""What the dashboards show: their panels, and the questions to Prometheus behind them. Data; nothing of Grafana's."""

from __future__ import annotations

from dataclasses import dataclass

M = "asterisk_sip_"
OURS = f" and on (instance) {M}build_info"
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its queries are (PromQL, legend). ``steps`` are (from, colour) of its thresholds; None: from below."""

    kind: str  # stat, lines, stack, bars, table
    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = HALF
    steps: tuple[tuple[float | None, str], ...] = ()
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard. ``names`` are its variables: (name, label, query)."""

    uid: str
    title: str
    about: str
    names: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


PBX = ("pbx", "PBX", f"label_values({M}pbx_heard, pbx)")
TRUNK = ("trunk", "Trunk", f'label_values({M}ratio_denominator_total{{trunk!=""}}, trunk)')
INSTANCE = ("instance", "Companion", f"label_values({M}build_info, instance)")
BAD_BELOW = ((None, "red"), (0.9, "yellow"), (0.97, "green"))
BAD_ABOVE_ZERO = ((None, "green"), (1.0, "red"))
MUST_BE_ONE = ((None, "red"), (1.0, "green"))


def added(metric: str, by: str, where: str, window: str = "$window") -> str:
    """Return how much a counter grew in a window, summed."""
    return f"sum by ({by}) (increase({M}{metric}_total{{{where}}}[{window}]))"


def grown(metric: str, where: str) -> str:
    """Return how much a counter grew in the window, all series together."""
    return f"sum(increase({M}{metric}_total{{{where}}}[$window]))"


def share(metric: str, which: str, where: str) -> str:
    """Return which share of a counter's growth some of its series have; 0 when they have none."""
    return f"({grown(metric, f'{which},{where}')} or vector(0)) / {grown(metric, where)}"


def per_minute(metric: str, by: str, where: str) -> str:
    """Return how fast a counter grows, a minute."""
    return f"sum by ({by}) (rate({M}{metric}_total{{{where}}}[$__rate_interval])) * 60"


def ratio(name: str, by: str, where: str, window: str = "$window") -> str:
    """Return one of the six ratios; nothing where there is nothing to divide by."""
    above, below = (
        added(f"ratio_{part}", by, f'ratio="{name}",{where}', window) for part in ("numerator", "denominator")
    )
    return f"{above} / ({below} > 0)"


def quantile(metric: str, share: float, by: str, where: str, window: str = "$window") -> str:
    """Return a quantile of a histogram, by some labels or over all."""
    kept = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({share}, sum by ({kept}) (rate({M}{metric}_bucket{{{where}}}[{window}])))"


def top(count: int, query: str) -> str:
    """Return the largest few."""
    return f"topk({count}, {query} > 0)"


def quality(by: str, where: str) -> tuple[Panel, ...]:
    """Return the panels that tell how good the trunks are."""
    legend = " ".join(f"{{{{{name.strip()}}}}}" for name in by.split(","))
    shared = {"unit": "percentunit", "width": THIRD, "most": 1.0}
    return (
        Panel(
            "lines",
            "NER",
            "What the network delivered: (answered + busy + no answer + rejected by the user) / "
            "seizures, ITU-T E.425. A busy callee does not lower it; a carrier that fails does.",
            ((ratio("ner", by, where), legend),),
            **shared,
        ),
        Panel(
            "lines",
            "ASR",
            "Answered / seizures, ITU-T E.425. Falls with people who do not answer, too.",
            ((ratio("asr", by, where), legend),),
            **shared,
        ),
        Panel(
            "lines",
            "Post-dial delay, 95 %",
            "From dialling to the first sign of the far side; 95 of 100 are below.",
            ((quantile("pdd_seconds", 0.95, by, where), legend),),
            "s",
            THIRD,
        ),
    )


def failures(where: str) -> tuple[Panel, ...]:
    """Return the panels that tell what failures are made of."""
    return (
        Panel(
            "stack",
            "Failed attempts by class",
            "4xx: the far side refuses this call. 5xx: it cannot. 6xx: nobody "
            "anywhere will. Unknown: no code was told.",
            ((per_minute("failed_attempts", "class", where), "{{class}}"),),
            "opm",
            THIRD,
        ),
        Panel(
            "stack",
            "Failed attempts by side of the fault",
            "Whose side it was on, as the records say.",
            ((per_minute("failed_attempts", "fault", where), "{{fault}}"),),
            "opm",
            THIRD,
        ),
        Panel(
            "stack",
            "How the status is known",
            "Evidence of failed attempts, best first: wire, reported, local, sent, candidates, none.",
            ((per_minute("attempt_evidence", "grade", where), "{{grade}}"),),
            "opm",
            THIRD,
        ),
        Panel(
            "bars",
            "SIP codes",
            "Failed attempts in the window, by code.",
            ((top(12, added("failed_attempts", "code", where)), "{{code}}"),),
            "short",
            HALF,
        ),
        Panel(
            "bars",
            "Dispositions",
            "Failed attempts in the window, by what became of them.",
            ((top(12, added("failed_attempts", "disposition", where)), "{{disposition}}"),),
            "short",
            HALF,
        ),
    )


def totals(where: str) -> tuple[Panel, ...]:
    """Return the small panels on top: the numbers of the whole window."""
    return (
        Panel(
            "stat",
            "Calls",
            "In the window, however they ended.",
            ((grown("calls", where), ""),),
            "short",
            SMALL,
        ),
        Panel(
            "stat",
            "Failed",
            "Share of calls that failed in the window.",
            (
                (
                    share("calls", 'outcome="failed"', where),
                    "",
                ),
            ),
            "percentunit",
            SMALL,
            ((None, "green"), (0.1, "yellow"), (0.3, "red")),
        ),
        Panel(
            "stat",
            "NER",
            "Network effectiveness ratio in the window.",
            ((ratio("ner", "", where), ""),),
            "percentunit",
            SMALL,
            BAD_BELOW,
        ),
        Panel(
            "stat", "ASR", "Answer seizure ratio in the window.", ((ratio("asr", "", where), ""),), "percentunit", SMALL
        ),
        Panel(
            "stat",
            "Rescue rate",
            "Calls that a further trunk saved, of those whose first one failed.",
            ((ratio("rescue", "", where), ""),),
            "percentunit",
            SMALL,
        ),
        Panel(
            "stat",
            "Mean talk time",
            "ACD: time from answer to end, a call that was answered.",
            (
                (
                    grown("talk_seconds", where) + " / " + grown("calls", f'outcome=~"answered|rescued",{where}'),
                    "",
                ),
            ),
            "s",
            SMALL,
        ),
    )


def traffic(where: str) -> Panel:
    """Return the panel that shows how calls ended."""
    about = "Rescued: a first trunk failed, a later one answered. Abandoned: the caller gave up."
    return Panel("stack", "Calls by outcome", about, ((per_minute("calls", "outcome", where), "{{outcome}}"),), "opm")


FLEET = Page(
    "asterisk-sip-fleet",
    "asterisk-sip: all PBXs",
    "Which PBX or trunk needs somebody to look.",
    (),
    (
        ("Now", totals('pbx!=""')),
        (
            "PBXs",
            (
                Panel(
                    "lines",
                    "PBXs heard",
                    "1 while calls of the PBX are told, 0 in an outage.",
                    ((f"min by (pbx) ({M}pbx_heard)", "{{pbx}}"),),
                    width=THIRD,
                    most=1.0,
                ),
                Panel(
                    "lines",
                    "Completeness, 24 h",
                    "Share of the last day in which the PBX was heard.",
                    ((f"min by (pbx) ({M}completeness_ratio)", "{{pbx}}"),),
                    "percentunit",
                    THIRD,
                    most=1.0,
                ),
                Panel(
                    "lines",
                    "Alerts that fire",
                    "Rules of the companion itself, by rule.",
                    ((f"sum by (rule) ({M}alerts_firing)", "{{rule}}"),),
                    width=THIRD,
                ),
                Panel(
                    "lines",
                    "Calls in flight",
                    "Calls that are up now.",
                    ((f"sum by (pbx) ({M}open_calls)", "{{pbx}}"),),
                    width=THIRD,
                ),
                traffic('pbx!=""'),
                Panel(
                    "stack",
                    "Failed calls by PBX",
                    "Calls nobody answered, and the caller did not give up.",
                    ((per_minute("failed_calls", "pbx", 'pbx!=""'), "{{pbx}}"),),
                    "opm",
                ),
            ),
        ),
        (
            "Trunks",
            (
                Panel(
                    "table",
                    "Trunks in the window",
                    "Seizures, NER and ASR of each trunk on each PBX.",
                    (
                        (added("ratio_denominator", "pbx, trunk", 'ratio="asr"'), "seizures"),
                        (ratio("ner", "pbx, trunk", 'trunk!=""'), "NER"),
                        (ratio("asr", "pbx, trunk", 'trunk!=""'), "ASR"),
                    ),
                    "short",
                    WIDE,
                ),
                *quality("trunk", 'trunk!=""'),
            ),
        ),
        ("Failures", failures('trunk!=""')),
    ),
)
ONE_PBX = Page(
    "asterisk-sip-pbx",
    "asterisk-sip: one PBX",
    "How calls of one PBX end, through which trunks, and how well it is heard.",
    (PBX,),
    (
        (
            "Calls",
            (
                *totals('pbx=~"$pbx"'),
                traffic('pbx=~"$pbx"'),
                Panel(
                    "stack",
                    "Calls by direction",
                    "Inbound, outbound, internal.",
                    ((per_minute("calls", "direction", 'pbx=~"$pbx"'), "{{direction}}"),),
                    "opm",
                ),
            ),
        ),
        ("Trunks", quality("trunk", 'pbx=~"$pbx",trunk!=""')),
        ("Failures", failures('pbx=~"$pbx"')),
        (
            "How well it is heard",
            (
                Panel(
                    "lines",
                    "Doors",
                    "1 while the door is heard.",
                    ((f'min by (pbx, door) ({M}link_up{{pbx=~"$pbx"}})', "{{pbx}} {{door}}"),),
                    width=THIRD,
                    most=1.0,
                ),
                Panel(
                    "stack",
                    "Gaps begun",
                    "Times in which a source was not heard; blind: nothing else told of the calls.",
                    ((added("gaps", "source, blind", 'pbx=~"$pbx"'), "{{source}}, blind: {{blind}}"),),
                    width=THIRD,
                ),
                Panel(
                    "lines",
                    "From event to record, 95 %",
                    "How old the news is when it is written.",
                    ((quantile("record_lag_seconds", 0.95, "pbx", 'pbx=~"$pbx"'), "{{pbx}}"),),
                    "s",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Calls not seen whole, and sources that disagree",
                    "Partial, read after a gap, contradicted.",
                    (
                        (added("partial_calls", "pbx", 'pbx=~"$pbx"'), "{{pbx}} partial"),
                        (added("backfilled_calls", "pbx", 'pbx=~"$pbx"'), "{{pbx}} backfilled"),
                        (added("disagreements", "pbx", 'pbx=~"$pbx"'), "{{pbx}} disagreements"),
                    ),
                ),
                Panel(
                    "lines",
                    "Clock",
                    "How far the clock of the PBX seems ahead of ours.",
                    ((f'max by (pbx) ({M}clock_ahead_seconds{{pbx=~"$pbx"}})', "{{pbx}}"),),
                    "s",
                ),
            ),
        ),
    ),
)
ONE_TRUNK = Page(
    "asterisk-sip-trunk",
    "asterisk-sip: one trunk",
    "What one carrier does with our calls: for the talk with its support.",
    (TRUNK, PBX),
    (
        (
            "Quality",
            (
                Panel(
                    "stat",
                    "Seizures",
                    "Attempts that took the trunk in the window.",
                    ((added("ratio_denominator", "", 'ratio="asr",trunk=~"$trunk",pbx=~"$pbx"'), ""),),
                    "short",
                    SMALL,
                ),
                *(
                    Panel(
                        "stat",
                        name.upper(),
                        about,
                        ((ratio(name, "", 'trunk=~"$trunk",pbx=~"$pbx"'), ""),),
                        "percentunit",
                        SMALL,
                        steps,
                    )
                    for name, about, steps in (
                        ("ner", "Network effectiveness, ITU-T E.425.", BAD_BELOW),
                        ("asr", "Answered of seizures, ITU-T E.425.", ()),
                        ("ser", "200 of INVITEs without 3xx, RFC 6076.", ()),
                        ("seer", "200, 480, 486, 600 and 603 of INVITEs, RFC 6076.", BAD_BELOW),
                        (
                            "isa",
                            "408, 500, 503 and 504 of INVITEs, RFC 6076.",
                            ((None, "green"), (0.05, "yellow"), (0.2, "red")),
                        ),
                    )
                ),
                *quality("trunk", 'trunk=~"$trunk",pbx=~"$pbx"'),
            ),
        ),
        ("Failures", failures('trunk=~"$trunk",pbx=~"$pbx"')),
        (
            "Attempts",
            (
                Panel(
                    "stack",
                    "Attempts by disposition",
                    "How each attempt ended, answered ones too.",
                    ((per_minute("attempts", "disposition", 'trunk=~"$trunk",pbx=~"$pbx"'), "{{disposition}}"),),
                    "opm",
                ),
                Panel(
                    "lines",
                    "Post-dial delay",
                    "Half, 95 % and 99 % are below.",
                    tuple(
                        (quantile("pdd_seconds", share, "", 'trunk=~"$trunk",pbx=~"$pbx"'), f"{share:.0%}")
                        for share in (0.5, 0.95, 0.99)
                    ),
                    "s",
                ),
            ),
        ),
    ),
)
ITSELF = Page(
    "asterisk-sip-itself",
    "asterisk-sip: the companion itself",
    "Whether the program that tells all this is well.",
    (INSTANCE,),
    (
        (
            "Now",
            (
                Panel(
                    "stat",
                    "Ready",
                    "What /readyz says.",
                    ((f'min({M}ready{{instance=~"$instance"}})', ""),),
                    "bool_yes_no",
                    SMALL,
                    MUST_BE_ONE,
                ),
                Panel(
                    "stat",
                    "Store",
                    "It takes what is written.",
                    ((f'min({M}store_up{{instance=~"$instance"}})', ""),),
                    "bool_yes_no",
                    SMALL,
                    MUST_BE_ONE,
                ),
                Panel(
                    "stat",
                    "Doors down",
                    "Links that are not heard.",
                    ((f'count({M}link_up{{instance=~"$instance"}} == 0) or vector(0)', ""),),
                    "short",
                    SMALL,
                    BAD_ABOVE_ZERO,
                ),
                Panel(
                    "stat",
                    "Dead letters",
                    "Records that a sink will never take, since the start.",
                    ((f'sum({M}sink_dead_letters_total{{instance=~"$instance"}}) or vector(0)', ""),),
                    "short",
                    SMALL,
                    BAD_ABOVE_ZERO,
                ),
                Panel(
                    "stat",
                    "Records lost",
                    "Given up because the store did not take them, since the start.",
                    ((f'sum({M}lost_records_total{{instance=~"$instance"}})', ""),),
                    "short",
                    SMALL,
                    BAD_ABOVE_ZERO,
                ),
                Panel(
                    "stat",
                    "Version",
                    "What runs.",
                    ((f'{M}build_info{{instance=~"$instance"}}', "{{version}}"),),
                    "short",
                    SMALL,
                ),
            ),
        ),
        (
            "Work",
            (
                Panel(
                    "lines",
                    "Events",
                    "Worked on, a second.",
                    (
                        (
                            f'sum by (instance) (rate({M}events_total{{instance=~"$instance"}}[$__rate_interval]))',
                            "{{instance}}",
                        ),
                    ),
                    "ops",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Waiting",
                    "Events in the inbox, and records that the store has not taken.",
                    (
                        (f'sum by (instance) ({M}inbox_events{{instance=~"$instance"}})', "{{instance}} events"),
                        (f'sum by (instance) ({M}waiting_records{{instance=~"$instance"}})', "{{instance}} records"),
                    ),
                    "short",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Lost",
                    "Events, messages and records that were not taken.",
                    tuple(
                        (added(name, "instance", 'instance=~"$instance"'), f"{{{{instance}}}} {name.replace('_', ' ')}")
                        for name in ("lost_events", "lost_messages", "lost_records")
                    ),
                    "short",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "From event to record",
                    "Half and 95 % are below.",
                    tuple(
                        (
                            quantile("record_lag_seconds", share, "instance", 'instance=~"$instance"'),
                            f"{{{{instance}}}} {share:.0%}",
                        )
                        for share in (0.5, 0.95)
                    ),
                    "s",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Store: a batch, 95 %",
                    "Until what was written is durable.",
                    ((quantile("store_write_seconds", 0.95, "instance", 'instance=~"$instance"'), "{{instance}}"),),
                    "s",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Outages of doors",
                    "How often a door fell silent in the window.",
                    ((added("link_outages", "pbx, door", 'instance=~"$instance"'), "{{pbx}} {{door}}"),),
                    "short",
                    THIRD,
                ),
            ),
        ),
        (
            "Sinks",
            (
                Panel(
                    "lines",
                    "Waiting for a sink",
                    "Records and gaps that it has not been given.",
                    ((f'sum by (sink) ({M}sink_waiting{{instance=~"$instance"}})', "{{sink}}"),),
                    "short",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "In a sink's hands",
                    "For how long it has held the same batch.",
                    ((f'max by (sink) ({M}sink_lag_seconds{{instance=~"$instance"}})', "{{sink}}"),),
                    "s",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Delivered and failed",
                    "Deliveries and tries that failed, a minute.",
                    (
                        (per_minute("sink_delivered", "sink", 'instance=~"$instance"'), "{{sink}}"),
                        (per_minute("sink_failures", "sink", 'instance=~"$instance"'), "{{sink}} failures"),
                    ),
                    "opm",
                    THIRD,
                ),
            ),
        ),
        (
            "The process",
            (
                Panel(
                    "lines",
                    "CPU",
                    "Share of one core.",
                    (
                        (
                            f'rate(process_cpu_seconds_total{{instance=~"$instance"}}[$__rate_interval]){OURS}',
                            "{{instance}}",
                        ),
                    ),
                    "percentunit",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Memory",
                    "Resident.",
                    (
                        (
                            f'process_resident_memory_bytes{{instance=~"$instance"}}{OURS}',
                            "{{instance}}",
                        ),
                    ),
                    "bytes",
                    THIRD,
                ),
                Panel(
                    "lines",
                    "Open files",
                    "Sockets too.",
                    ((f'process_open_fds{{instance=~"$instance"}}{OURS}', "{{instance}}"),),
                    "short",
                    THIRD,
                ),
            ),
        ),
    ),
)
PAGES = (FLEET, ONE_PBX, ONE_TRUNK, ITSELF)
