// Two versions side by side, with the words that changed marked.

import { h, unseen } from "./dom.js";

/** Unchanged lines that stay in sight beside a change. */
const CONTEXT = 3;

/** What `diff` of the API says, side by side. */
export function diffView({ from, to, prompts, config }) {
  if (prompts.length === 0 && config.length === 0) return h("p", { class: "empty" }, "They say the same.");
  return [
    prompts.map(({ key, lines }) => h("section", { class: "diff" }, h("h3", {}, "Prompt ", h("code", {}, key)), sides(lines, from, to))),
    config.length ? h("section", { class: "diff" }, h("h3", {}, "Config"), settings(config, from, to)) : null,
  ];
}

function sides(lines, from, to) {
  const rows = folded(paired(lines));
  const body = h("tbody");
  for (const row of rows) body.append(...(row.hidden ? fold(row.hidden, body) : [drawn(row)]));
  return h(
    "div",
    { class: "wide" },
    h("table", { class: "sides" },
      h("colgroup", {}, ["number", "said", "number", "said"].map((column) => h("col", { class: column }))),
      h("thead", { class: "unseen" }, h("tr", {}, ["Line", `v${from}`, "Line", `v${to}`].map((title) => h("th", { scope: "col" }, title)))),
      body),
  );
}

/** Each removed line beside the added one that stands for it. */
function paired(lines) {
  const rows = [];
  let [left, right] = [0, 0];
  let [removed, added] = [[], []];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at += 1) rows.push({ left: removed[at], right: added[at] });
    [removed, added] = [[], []];
  };
  for (const { change, parts } of lines) {
    if (change === "delete") removed.push({ number: ++left, parts });
    else if (change === "insert") added.push({ number: ++right, parts });
    else {
      flush();
      rows.push({ same: true, left: { number: ++left, parts }, right: { number: ++right, parts } });
    }
  }
  flush();
  return rows;
}

/** Long stretches without a change are folded away. */
function folded(rows) {
  const near = (at) => rows.slice(Math.max(at - CONTEXT, 0), at + CONTEXT + 1).some((row) => !row.same);
  const shown = [];
  for (const [at, row] of rows.entries()) {
    if (near(at)) shown.push(row);
    else if (shown.at(-1)?.hidden) shown.at(-1).hidden.push(row);
    else shown.push({ hidden: [row] });
  }
  return shown.flatMap((row) => (row.hidden?.length < 3 ? row.hidden : [row]));
}

function fold(hidden) {
  const open = () => {
    const rows = hidden.map(drawn);
    line.replaceWith(...rows);
    rows[0].tabIndex = -1;
    rows[0].focus();
  };
  const line = h("tr", { class: "fold" }, h("td", { colspan: 4 }, h("button", { type: "button", class: "quiet", onclick: open }, `${hidden.length} unchanged lines`)));
  return [line];
}

function drawn({ same, left, right }) {
  return h("tr", { class: same ? "same" : "" }, side(left, same ? null : "del"), side(right, same ? null : "ins"));
}

function side(line, tag) {
  if (!line) return [h("td", { class: "line" }), h("td", { class: "text none" })];
  const parts = line.parts.map(({ text, changed }) => (changed && tag ? h(tag, {}, text) : text));
  const said = tag === "del" ? "removed: " : "added: ";
  return [h("td", { class: "line" }, String(line.number)), h("td", { class: `text ${tag ?? ""}` }, tag ? unseen(said) : null, parts)];
}

function settings(config, from, to) {
  const value = (given, tag) => (given === undefined ? h("span", { class: "muted" }, "not set") : h(tag, {}, JSON.stringify(given)));
  return h(
    "div",
    { class: "wide" },
    h("table", {},
      h("thead", {}, h("tr", {}, ["Key", `v${from}`, `v${to}`].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, config.map((item) =>
        h("tr", {}, h("th", { scope: "row" }, h("code", {}, item.key)), h("td", {}, value(item.from, "del")), h("td", {}, value(item.to, "ins")))))),
  );
}
