// Draws the stacked bars of <figure data-chart> with uPlot, in the place of the server's SVG: what is under the pointer
// is told, and a time that is drawn across becomes a filter (data-href with since and until).
"use strict";

(() => {
const charts = new Set();

function classes() {
  const found = {};
  for (const swatch of document.querySelectorAll("[data-class]")) {
    found[swatch.dataset.class] = { label: swatch.dataset.label, colour: getComputedStyle(swatch).backgroundColor };
  }
  return found;
}

const colourOf = (name) => {
  const probe = document.createElement("i");
  probe.className = "probe-" + name;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
};

// Each series is drawn over the one below it, as high as all up to it together: the highest first.
function stacked(series) {
  const sums = [];
  let below = null;
  for (const [, counts] of series) {
    below = counts.map((count, at) => count + (below ? below[at] : 0));
    sums.push(below);
  }
  return sums;
}

function went(href, since, until) {
  const to = new URL(href, location.href);
  const text = (at) => new Date(at * 1000).toISOString().replace(/:\d\d\.\d+Z$/, "Z");
  to.searchParams.set("since", text(since));
  to.searchParams.set("until", text(until));
  location.assign(to);
}

const amount = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");

function form(step) {
  const parts = step < 3600 * 24 ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : {};
  return step < 3600 ? parts : { weekday: "short", day: "numeric", ...parts };
}

function draw(figure) {
  const data = JSON.parse(figure.dataset.chart);
  const told = classes();
  const number = data.series.length ? data.series[0][1].length : 0;
  if (!number || figure.clientWidth < 50) return;
  const at = Array.from({ length: number }, (_, each) => data.since + each * data.step);
  const sums = stacked(data.series);
  const soft = colourOf("soft"), line = colourOf("line");
  const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(document.documentElement.lang, { weekday: "short", day: "numeric" });
  const bars = uPlot.paths.bars({ align: 1, size: [0.86, Infinity] });
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;

  function show(plot) {
    const each = plot.cursor.idx;
    if (each == null || plot.cursor.left < 0) { tip.hidden = true; return; }
    const heading = document.createElement("span");
    heading.className = "soft";
    heading.textContent = `${new Intl.DateTimeFormat(document.documentElement.lang, form(data.step)).format(Math.max(data.first, at[each]) * 1000)} – `
      + clock.format(Math.min(data.until, at[each] + data.step) * 1000);
    const rows = data.series.filter(([, counts]) => counts[each]).map(([name, counts]) => {
      const row = document.createElement("div"), swatch = document.createElement("span"), count = document.createElement("b");
      row.className = "k" + name;
      swatch.className = "swatch";
      count.textContent = amount(counts[each]);
      row.append(swatch, told[name] ? told[name].label : name, count);
      return row;
    }).reverse();
    tip.replaceChildren(heading, ...rows);
    tip.hidden = false;
    const left = plot.valToPos(at[each], "x") + plot.over.offsetLeft;
    const room = figure.clientWidth - tip.offsetWidth;
    tip.style.left = Math.max(0, left + 14 > room ? left - tip.offsetWidth - 8 : left + 14) + "px";
  }

  const options = {
    width: figure.clientWidth, height: 172, padding: [8, 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false },
      dataIdx: (plot, _series, _closest, value) => Math.max(0, Math.min(number - 1, Math.floor((value - data.since) / data.step))) },
    scales: { x: { time: true, range: [data.since, data.until] }, y: { range: (_plot, _low, high) => [0, Math.max(4, high * 1.04)] } },
    axes: [
      { stroke: soft, grid: { show: false }, ticks: { stroke: line, size: 4 }, size: 26, gap: 3, font: "11px system-ui",
        values: (_plot, splits) => splits.map((value) => {
          const date = new Date(value * 1000);
          return date.getHours() + date.getMinutes() ? clock.format(date) : day.format(date);
        }) },
      { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 46, gap: 4, font: "11px system-ui",
        values: (_plot, splits) => splits.map(amount),
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] },
    ],
    series: [{}, ...data.series.map(([name]) => ({ fill: told[name] ? told[name].colour : soft, width: 0, paths: bars, points: { show: false } })).reverse()],
    hooks: {
      drawClear: [(plot) => {
        if (data.counted == null) return;
        const { left, top, height } = plot.bbox;
        plot.ctx.fillStyle = line;
        plot.ctx.fillRect(left, top, plot.valToPos(data.counted, "x", true) - left, height);
      }],
      setCursor: [show],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        const step = Math.max(60, Math.min(data.step, 60 * 15));
        const from = plot.posToVal(plot.select.left, "x"), to = plot.posToVal(plot.select.left + plot.select.width, "x");
        went(figure.dataset.href, Math.floor(from / step) * step, Math.ceil(to / step) * step);
      }],
    },
  };
  const plot = new uPlot(options, [at, ...sums.reverse()], (self, init) => {
    figure.querySelector("svg").setAttribute("hidden", "");
    for (const old of figure.querySelectorAll(".uplot, .tip, .brush")) old.remove();
    const hint = document.createElement("span");
    hint.className = "brush";
    hint.textContent = figure.dataset.hint;
    figure.append(self.root, tip, hint);
    init();
  });
  plot.over.addEventListener("click", () => {
    const each = plot.cursor.idx;
    if (each != null && plot.select.width < 4) went(figure.dataset.href, Math.max(data.first, at[each]), Math.min(data.until, at[each] + data.step));
  });
  charts.add([figure, plot]);
}

function drawAll() {
  for (const each of charts) { each[1].destroy(); charts.delete(each); }
  for (const figure of document.querySelectorAll("figure[data-chart]")) draw(figure);
}

let waiting = 0;
function soon() { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(drawAll); }

document.addEventListener("DOMContentLoaded", drawAll);
document.addEventListener("theme", soon);
document.addEventListener("htmx:after:swap", soon);
addEventListener("resize", soon);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
})();
