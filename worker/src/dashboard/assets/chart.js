// A chart of the last minutes: layers on one another, or lines.

import { h, s, write } from "./dom.js";
import { short, time } from "./words.js";

const MINUTES = 10;
/** From one mark of the clock to the next. */
const STEPS_S = [10, 20, 30, 60, 120, 300];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 10, 26];

/**
 * A figure with a title, a legend that names the values, and the chart. `series` is
 * `[key, label]`, drawn in the colour of the CSS class `key`; `stacked` puts them on one another.
 */
export function chart({ title, series, stacked = false, value = short, height = 220 }) {
  const svg = s("svg", { role: "img", preserveAspectRatio: "none", height });
  const legend = h("ul", { class: "legend" });
  const values = new Map();
  for (const [key, label] of series) {
    const number = h("b", {}, "–");
    values.set(key, number);
    legend.append(h("li", { class: key }, h("i", { "aria-hidden": "true" }), label, " ", number));
  }
  const when = h("span", { class: "when" });
  const figure = h("figure", { class: "chart" }, h("figcaption", {}, h("h2", {}, title), when), legend, svg);
  let points = [];
  let now = Date.now();
  let pointed = null;

  const draw = () => {
    const width = Math.max(svg.clientWidth, 200);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    // As long as there is little to see, it is seen large.
    const from = Math.max(now - MINUTES * 60_000, Math.min(points[0]?.at ?? now, now - 60_000));
    const seen = points.filter((point) => point.at >= from);
    const highest = Math.max(0, ...seen.map((point) => sum(point, series, stacked)));
    const steps = axis(highest);
    const top = steps.at(-1);
    const x = (at) => LEFT + ((at - from) / (now - from)) * (width - LEFT - RIGHT);
    const y = (n) => height - BOTTOM - (n / top) * (height - TOP - BOTTOM);
    const parts = steps.map((n) => s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(n), y2: y(n) }));
    parts.push(...steps.map((n) => s("text", { class: "tick", x: LEFT - 8, y: y(n) + 4, "text-anchor": "end" }, value(n))));
    const step = STEPS_S.find((s) => (now - from) / 1000 / s <= (width < 500 ? 3 : 6)) * 1000;
    for (let ago = 0; ago <= now - from; ago += step) {
      const label = ago === 0 ? "now" : step < 60_000 ? `−${ago / 1000} s` : `−${ago / 60_000} min`;
      const anchor = ago === 0 ? "end" : x(now - ago) < LEFT + 30 ? "start" : "middle";
      parts.push(s("text", { class: "tick", x: x(now - ago), y: height - 6, "text-anchor": anchor }, label));
    }
    parts.push(...(stacked ? layers(seen, series, x, y) : lines(seen, series, x, y)));
    const shown = pointed === null ? seen.at(-1) : nearest(seen, from + pointed * (now - from));
    if (pointed !== null && shown) {
      parts.push(s("line", { class: "pointer", x1: x(shown.at), x2: x(shown.at), y1: TOP, y2: height - BOTTOM }));
    }
    svg.replaceChildren(...parts);
    for (const [key, number] of values) write(number, shown ? value(shown[key]) : "–");
    write(when, pointed !== null && shown ? time(shown.at) : "");
    const said = series.map(([key, label]) => `${label} ${shown ? value(shown[key]) : "not known"}`);
    svg.setAttribute("aria-label", `${title}, the last minutes. Now: ${said.join(", ")}`);
  };
  const point = (event) => {
    const box = svg.getBoundingClientRect();
    pointed = Math.min(1, Math.max(0, (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)));
    draw();
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", () => {
    pointed = null;
    draw();
  });
  new ResizeObserver(draw).observe(svg);
  return {
    figure,
    show(all, at) {
      points = all;
      now = at;
      draw();
    },
  };
}

/** Points that came since; what is older than anybody sees is forgotten. */
export function grow(points, { columns, points: rows }) {
  for (const row of rows) {
    points.push(Object.fromEntries(columns.map((name, at) => [name, row[at]])));
  }
  const first = points.length - (MINUTES * 60 + 5);
  return first > 0 ? points.slice(first) : points;
}

function sum(point, series, stacked) {
  const values = series.map(([key]) => point[key]);
  return stacked ? values.reduce((a, b) => a + b, 0) : Math.max(...values);
}

/** Round numbers up to the highest value or beyond. */
function axis(highest) {
  const rough = Math.max(highest, 4) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const steps = Math.ceil(Math.max(highest, 4) / step);
  return Array.from({ length: steps + 1 }, (_, n) => n * step);
}

function layers(points, series, x, y) {
  const below = points.map(() => 0);
  return series.map(([key]) => {
    const lower = points.map((point, at) => `${x(point.at)},${y(below[at])}`);
    points.forEach((point, at) => (below[at] += point[key]));
    const upper = points.map((point, at) => `${x(point.at)},${y(below[at])}`);
    return s("polygon", { class: `layer ${key}`, points: [...upper, ...lower.reverse()].join(" ") });
  });
}

function lines(points, series, x, y) {
  return series.map(([key]) => {
    const path = points.map((point) => `${x(point.at)},${y(point[key])}`).join(" ");
    return s("polyline", { class: `line ${key}`, points: path });
  });
}

function nearest(points, at) {
  return points.reduce((best, point) => (best && Math.abs(best.at - at) <= Math.abs(point.at - at) ? best : point), null);
}
