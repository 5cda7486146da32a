// Pictures of numbers, in SVG. Each says in words what it shows; colours and widths come from the style sheet.

import { h, s } from "./dom.js";
import { NONE, difference, moment } from "./format.js";

/**
 * Whether so many runs say enough to be drawn beside the others: the stretch that has just begun is mostly
 * luck, and a picture of it would look like news.
 */
export function telling(runs) {
  const sorted = runs.toSorted((left, right) => left - right);
  const usual = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return (count) => count * 3 >= usual;
}

/** A line small enough for a table. The number beside it says it in words. */
export function sparkline(values) {
  const [width, height, edge] = [76, 24, 3];
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return h("span", { class: "spark", "aria-hidden": "true" });
  const across = scale([0, values.length - 1], [edge, width - edge]);
  const up = scale(padded(known, 0.02), [height - edge, edge]);
  const points = values.map((value, at) => (value === null ? null : [across(at), up(value)]));
  const last = points.findLast((point) => point !== null);
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    s("path", { class: "line", d: line(points) }),
    s("circle", { class: "end", cx: last[0], cy: last[1], r: 2 }),
  );
}

/**
 * Lines over time: `series` are `{ name, index, points: [[millis, value or null]] }`. The index picks the
 * colour. `floor` and `ceiling` hold the axis within what is possible, `least` is the shortest it may be.
 */
export function history(title, series, { write, floor, ceiling, least }) {
  const [width, height, left, right, top, bottom] = [310, 150, 48, 8, 8, 24];
  const all = series.flatMap((each) => each.points).filter(([, value]) => value !== null);
  if (all.length === 0) return h("p", { class: "empty" }, "No runs with known outcome yet.");
  const times = all.map(([at]) => at);
  const span = [Math.min(...times), Math.max(...times)];
  const range = within(padded(all.map(([, value]) => value), least), floor, ceiling);
  const across = scale(span[0] === span[1] ? [span[0] - 1, span[1] + 1] : span, [left, width - right]);
  const up = scale(range, [height - bottom, top]);
  const drawn = series.map(({ index, points }) => {
    const placed = points.map(([at, value]) => (value === null ? null : [across(at), up(value)]));
    const dots = placed.filter((point) => point !== null);
    return s(
      "g",
      { class: `series c${index % 6}` },
      s("path", { class: "line", d: line(placed) }),
      dots.map(([x, y]) => s("circle", { class: "dot", cx: x, cy: y, r: dots.length > 40 ? 1.2 : 2.2 })),
    );
  });
  const latest = series.map(({ name, points }) => `${name} ${write(points.findLast(([, value]) => value !== null)?.[1])}`);
  return s(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title} over time; latest: ${latest.join(", ")}` },
    ticks(range).map((tick) => grid(tick, up(tick), left, width - right, write)),
    s("text", { class: "tick", x: left, y: height - 6 }, moment(span[0])),
    s("text", { class: "tick", x: width - right, y: height - 6, "text-anchor": "end" }, moment(span[1])),
    drawn,
  );
}

/**
 * How a trial's confidence sequence closed in: the difference of the candidate's mean reward from the
 * baseline's, with its bounds, over units of the candidate.
 */
export function course(points, least) {
  const [width, height, left, right, top, bottom] = [720, 240, 60, 14, 14, 40];
  if (points.length === 0) return h("p", { class: "empty" }, "Nothing has been compared yet.");
  const most = Math.max(...points.map(([, units]) => units), 1);
  const last = points.at(-1);
  // At the beginning the bounds say next to nothing, and would flatten all that follows.
  const later = points.slice(Math.floor(points.length / 3));
  const reach = later.flatMap(([, , effect, low, high]) => [low, high, effect]).concat(0, least);
  const range = within(padded(reach, 0.05), -1, 1);
  const across = scale([0, most], [left, width - right]);
  const up = scale(range, [height - bottom, top]);
  const clip = (value) => up(Math.min(Math.max(value, range[0]), range[1]));
  const [highs, lows] = [4, 3].map((at) => points.map((point) => [across(point[1]), clip(point[at])]));
  const means = points.map(([, units, effect]) => [across(units), clip(effect)]);
  const says =
    `Difference of mean reward after ${last[1]} units of the candidate: ${difference(last[2])}, ` +
    `between ${difference(last[3])} and ${difference(last[4])} at 95 percent confidence`;
  return s(
    "svg",
    { class: "chart course", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": says },
    ticks(range, 5).map((tick) => grid(tick, up(tick), left, width - right, difference)),
    s("path", { class: "band", d: `${line(highs)} L${pairs(lows.toReversed())} Z` }),
    s("path", { class: "bound", d: line(highs) }),
    s("path", { class: "bound", d: line(lows) }),
    s("line", { class: "zero", x1: left, x2: width - right, y1: up(0), y2: up(0) }),
    s("path", { class: "line", d: line(means) }),
    s("circle", { class: "end", cx: means.at(-1)[0], cy: means.at(-1)[1], r: 3.5 }),
    ticks([0, most], 5).filter(Number.isInteger).map((tick) =>
      s("text", { class: "tick", x: across(tick), y: height - bottom + 16, "text-anchor": "middle" }, String(tick)),
    ),
    s("text", { class: "tick", x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, "units of the candidate"),
  );
}

/** An interval of differences beside zero; small enough for a table. */
export function interval(low, high, middle) {
  const [width, height] = [120, 14];
  const reach = Math.min(Math.max(Math.abs(low), Math.abs(high), 0.05) * 1.1, 1);
  const across = scale([-reach, reach], [2, width - 2]);
  const tone = low > 0 ? "good" : high < 0 ? "bad" : "open";
  return s(
    "svg",
    { class: `interval ${tone}`, viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    s("line", { class: "zero", x1: across(0), x2: across(0), y1: 2, y2: height - 2 }),
    s("line", { class: "reach", x1: across(low), x2: across(high), y1: height / 2, y2: height / 2 }),
    middle === null ? null : s("circle", { class: "end", cx: across(middle), cy: height / 2, r: 3.5 }),
  );
}

/** How near evidence is to its bar, on the logarithmic scale on which it grows. */
export function progress(value, bar, label) {
  const part = value <= 0 ? 0 : Math.min(Math.max(Math.log(value) / Math.log(bar), 0), 1);
  return h("meter", { class: value >= bar ? "reached" : "", min: 0, max: 1, value: part, "aria-label": label });
}

function grid(tick, y, left, right, write) {
  return [
    s("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
    s("text", { class: "tick", x: left - 6, y: y + 3.5, "text-anchor": "end" }, write(tick) ?? NONE),
  ];
}

function scale([from, to], [low, high]) {
  return (value) => low + ((value - from) / (to - from || 1)) * (high - low);
}

/** The range of `values` with some room; never narrower than `least`. */
function padded(values, least) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((high - low) * 0.08, (least - (high - low)) / 2, 1e-9);
  return [low - room, high + room];
}

function within([low, high], floor = -Infinity, ceiling = Infinity) {
  return [Math.max(low, floor), Math.min(high, ceiling)];
}

/** Round numbers within the range, about `wanted` of them. */
function ticks([low, high], wanted = 3) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-6; at += 1) found.push(Number((at * step).toPrecision(6)));
  return found;
}

/** A line through the points, broken where one is missing. */
function line(points) {
  let path = "";
  let pen = "M";
  for (const point of points) {
    if (point === null) {
      pen = "M";
    } else {
      path += `${pen}${pairs([point])}`;
      pen = "L";
    }
  }
  return path;
}

function pairs(points) {
  return points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");
}
