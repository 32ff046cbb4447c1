// Draws the overview's series. Where the library is missing, the table below the charts says the same.

const LINES = {
  sessions: [["Turns", "turns", "--second"], ["Sessions", "sessions", "--accent"]],
  latency: [["p95", "p95", "--second"], ["p50", "p50", "--accent"]],
  containment: [["Sessions", "sessions", "--second"], ["Without a human", "contained", "--accent"]],
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

const readable = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);

function options(name, place, uPlot) {
  const seconds = name === "latency";
  const show = (_, value) => (value == null ? "–" : seconds ? readable(value) : value.toLocaleString());
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return {
    width: place.clientWidth,
    height: 180,
    scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, seconds ? 0.01 : 1) * 1.1] } },
    axes: [{ ...axis, values: times }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => show(null, tick)) }],
    series: [
      { value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      ...LINES[name].map(([label, , line]) => ({
        label,
        stroke: colour(line),
        fill: seconds ? undefined : colour(line).replace("rgb(", "rgba(").replace(")", ", .12)"),
        width: 2,
        value: show,
        points: { show: (plot, series) => plot.data[series].filter((each) => each).length < 12, size: 6 },
      })),
    ],
    cursor: { drag: { x: false, y: false } },
  };
}

function draw(uPlot) {
  const series = JSON.parse(document.getElementById("series").textContent);
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
  for (const place of document.querySelectorAll("[data-chart]")) {
    place.textContent = "The library that draws charts is not installed (make page); the table below says the same.";
  }
}
