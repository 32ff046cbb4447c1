// Draws the overview's series. Where that fails, the table below the charts says the same.

const LINES = {
  sessions: [["Turns", "turns", "--second"], ["Sessions", "sessions", "--accent"]],
  latency: [["p95", "p95", "--second"], ["p50", "p50", "--accent"]],
  containment: [["Sessions without a human", "containment", "--accent"]],
  deliveries: [["Sent", "deliveries_sent", "--accent"], ["Retries", "retries", "--second"], ["Dead", "deliveries_dead", "--bad"]],
};

const colour = (name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

/** Below the time axis: days, or times of a day, as the reader's language writes them. */
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const times = (_plot, ticks, _axis, _space, step) =>
  ticks.map((tick) => (step >= 86400 ? DAY : TIME).format(new Date(tick * 1000)));

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact" });

/** How a chart's values are written at its axis, and under the pointer. */
const readable = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);

function options(name, place, uPlot) {
  const seconds = name === "latency";
  const share = name === "containment";
  const write = seconds ? readable : share ? (value) => `${Math.round(value)} %` : (value) => value.toLocaleString();
  const show = (_, value) => (value == null ? "–" : write(value));
  const brief = seconds || share ? write : (value) => SHORT.format(value);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return {
    width: place.clientWidth,
    height: 180,
    scales: { y: { range: share ? [0, 100] : (_, low, high) => [0, Math.max(high || 0, seconds ? 0.01 : 1) * 1.1] } },
    axes: [{ ...axis, values: times }, { ...axis, size: 64, values: (_, ticks) => ticks.map(brief) }],
    series: [
      { label: "", value: (_, at) => (at == null ? "" : MOMENT.format(new Date(at * 1000))) },
      ...LINES[name].map(([label, , line]) => ({
        label,
        stroke: colour(line),
        fill: seconds ? undefined : colour(line).replace("rgb(", "rgba(").replace(")", ", .12)"),
        width: 2,
        spanGaps: share,
        value: show,
        points: {
          show: (plot, index) => plot.data[index].filter(Boolean).length < 12,
          filter: (plot, index, shown) => (shown ? plot.data[index].flatMap((each, place) => (each ? [place] : [])) : null),
          size: 6,
        },
      })),
    ],
    cursor: { drag: { x: false, y: false } },
  };
}

function draw(uPlot) {
  const series = JSON.parse(document.getElementById("series").textContent);
  series.containment = series.sessions.map((all, index) => (all ? (series.contained[index] / all) * 100 : null));
  for (const place of document.querySelectorAll("[data-chart]")) {
    const name = place.dataset.chart;
    place.replaceChildren();
    place.classList.toggle("empty", !series.turns.some(Boolean));
    if (place.classList.contains("empty")) {
      place.textContent = "Nothing is counted in this span.";
      continue;
    }
    const data = [series.at, ...LINES[name].map(([, key]) => series[key])];
    new uPlot(options(name, place, uPlot), data, place);
  }
}

try {
  const { default: uPlot } = await import("/console/vendor/uPlot.esm.js");
  const again = () => draw(uPlot);
  again();
  document.getElementById("series").addEventListener("renewed", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(again, 150);
  });
} catch {
  document.querySelector(".charts").remove();
  document.getElementById("series-table").open = true;
}
