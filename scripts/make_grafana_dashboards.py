#!/usr/bin/env python3
"""Write configs/grafana/dashboards/*.json: what Grafana shows of asterisk-sip. With --check only look at them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_pages import PAGES, Page, Panel

FOLDER = Path(__file__).resolve().parent.parent / "configs" / "grafana" / "dashboards"
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLOURS = {
    "{{outcome}}": {"answered": "green", "rescued": "yellow", "failed": "red", "abandoned": "blue"},
    "{{class}}": {"4xx": "yellow", "5xx": "orange", "6xx": "red", "unknown": "text"},
    "{{grade}}": {
        "wire": "green",
        "reported": "blue",
        "local": "purple",
        "sent": "yellow",
        "candidates": "orange",
        "none": "red",
    },
}
"""What has a colour of its own wherever it is shown, by the legend of its query."""

KINDS = {
    "stat": stat.Panel,
    "lines": timeseries.Panel,
    "stack": timeseries.Panel,
    "bars": bargauge.Panel,
    "table": table.Panel,
}
Builder = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel
Variable = dashboard.DatasourceVariable | dashboard.QueryVariable | dashboard.CustomVariable


def made(panel: Panel) -> Builder:
    """Return the panel as Grafana's builders have it."""
    built: Builder = KINDS[panel.kind]()
    built.title(panel.title).description(panel.about).datasource(SOURCE).unit(panel.unit)
    built.span(panel.width).height(4 if panel.kind == "stat" else 8).no_value("nothing yet")
    for number, (query, legend) in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + number))
        if panel.kind in ("bars", "table"):
            target.instant()
        if panel.kind == "table":
            target.format(PromQueryFormat.TABLE)
        built.with_target(target)
    if panel.steps:
        steps = [models.Threshold(value=value, color=colour) for value, colour in panel.steps]
        built.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.most is not None:
        built.min(0).max(panel.most)
    _styled(built, panel)
    return built


def _styled(built: Builder, panel: Panel) -> None:
    if isinstance(built, timeseries.Panel):
        legend = (
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        built.legend(legend).fill_opacity(30 if panel.kind == "stack" else 5).show_points(shapes.VisibilityMode.NEVER)
        if panel.kind == "stack":
            built.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL)).min(0)
        for name, colour in COLOURS.get(panel.queries[0][1], {}).items():
            fixed = models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
            built.override_by_name(name, [fixed])
    elif isinstance(built, bargauge.Panel):
        built.orientation(shapes.VizOrientation.HORIZONTAL).display_mode(shapes.BarGaugeDisplayMode.BASIC)
    elif isinstance(built, stat.Panel):
        by_name = panel.queries[0][1] != ""
        built.text_mode(shapes.BigValueTextMode.NAME if by_name else shapes.BigValueTextMode.VALUE)
        built.graph_mode(shapes.BigValueGraphMode.NONE)
    else:
        built.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        letters = {f"Value #{chr(ord('A') + number)}": legend for number, (_, legend) in enumerate(panel.queries)}
        shown = {"excludeByName": {"Time": True}, "renameByName": letters}
        built.with_transformation(models.DataTransformerConfig(id_val="organize", options=shown))
        for name in ("NER", "ASR"):
            built.override_by_name(name, [models.DynamicConfigValue(id_val="unit", value="percentunit")])


def _variables(page: Page) -> Iterator[Variable]:
    yield dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    window = dashboard.CustomVariable("window").label("Window").values("5m,15m,1h,6h,1d,7d")
    yield window.current(models.VariableOption(text="1h", value="1h", selected=True))
    for name, label, query in page.names:
        variable = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
        variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
        yield (
            variable.include_all(True)
            .all_value(".*")
            .multi(True)
            .current(models.VariableOption(text="All", value="$__all", selected=True))
        )


def written(page: Page) -> str:
    """Return a dashboard as JSON."""
    built = dashboard.Dashboard(page.title).uid(page.uid).description(page.about).tags(["asterisk-sip"]).readonly()
    built.refresh("30s").time("now-6h", "now").tooltip(models.DashboardCursorSync.CROSSHAIR).timezone("browser")
    others = dashboard.DashboardLink("asterisk-sip").type(models.DashboardLinkType.DASHBOARDS).tags(["asterisk-sip"])
    built.link(others.include_vars(True).keep_time(True).as_dropdown(True))
    for variable in _variables(page):
        built.with_variable(variable)
    for title, panels in page.rows:
        built.with_row(dashboard.Row(title))
        for panel in panels:
            built.with_panel(made(panel))
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write the files, or say whether they are current: 0 when they are."""
    texts = {FOLDER / f"{page.uid}.json": written(page) for page in PAGES}
    if "--check" in sys.argv[1:]:
        there = set(FOLDER.glob("*.json"))
        return 0 if there == texts.keys() and all(path.read_text() == text for path, text in texts.items()) else 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
