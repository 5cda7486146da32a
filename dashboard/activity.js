// What was decided about all agents, and what could not be read: the newest first, a page at a time.

import { get } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { trialView } from "./trial.js";

/** Decisions that take something back or refuse it, and those that let something in. */
const BAD = ["rolled_back", "rejected", "command_refused", "proposal_refused", "proposal_failed"];
const GOOD = ["promoted", "approved"];

export async function activity(into, page) {
  const list = new List("/api/decisions", (item, times) => decision(item, times, true), "Nothing has been decided yet.");
  into.replaceChildren(h("div", { class: "title" }, h("h1", {}, "Activity"), h("p", { class: "muted" }, "What was decided, and why.")), list.element);
  await list.more(page.signal);
  page.decided = () => list.newest(page.signal);
  page.changed = (names) => names === null && list.newest(page.signal);
}

export async function deadLetters(into, page) {
  const list = new List("/api/dead-letters", letter, "Everything could be read.");
  into.replaceChildren(
    h("div", { class: "title" }, h("h1", {}, "Dead letters"), h("p", { class: "muted" }, "What could not be read, and why. Nothing of it was used. What looks secret is hidden.")),
    list.element,
  );
  await list.more(page.signal);
}

/** A list of what is there, the newest first. */
class List {
  constructor(url, draw, empty) {
    this.url = url;
    this.draw = draw;
    this.items = h("ol", { class: "records" });
    this.ids = new Set();
    this.none = h("p", { class: "empty", hidden: true }, empty);
    this.button = h("button", { type: "button", hidden: true }, "Older ones");
    this.element = h("div", {}, this.none, this.items, this.button);
  }

  async more(signal) {
    const { items, next } = await get(`${this.url}?limit=50${this.next ? `&before=${this.next}` : ""}`, signal);
    this.items.append(...this.fresh(items));
    this.next = next;
    this.button.hidden = next === null;
    this.button.onclick = () => this.more(signal);
    this.none.hidden = this.ids.size > 0;
  }

  async newest(signal) {
    const { items } = await get(`${this.url}?limit=50`, signal).catch(() => ({ items: [] }));
    this.items.prepend(...this.fresh(items));
    this.none.hidden = this.ids.size > 0;
  }

  fresh(items) {
    const fresh = items.filter((item) => !this.ids.has(item.id));
    for (const item of fresh) this.ids.add(item.id);
    return alike(fresh).map(([item, times]) => this.draw(item, times));
  }
}

/** Decisions about one agent. */
export function decisionList(items) {
  return h("ol", { class: "records" }, alike(items).map(([item, times]) => decision(item, times, false)));
}

/** Those that say the same one after the other are one, with how often it was said. */
function alike(items) {
  const said = ({ agent, decision: what, version, reason }) => JSON.stringify([agent, what, version, reason]);
  const groups = [];
  for (const item of items) {
    if (item.decision && groups.length && said(groups.at(-1)[0]) === said(item)) groups.at(-1)[1] += 1;
    else groups.push([item, 1]);
  }
  return groups;
}

function decision(item, times, named) {
  const { decision: what, agent, version, reason, at, trial } = item;
  const tone = BAD.includes(what) ? "bad" : GOOD.includes(what) ? "good" : "";
  const details = trial ? h("details", { "data-key": `decision-${item.id}` }, h("summary", {}, "The trial as it then stood")) : null;
  // Drawn when it is looked at: there may be many.
  details?.addEventListener("toggle", () => details.children.length === 1 && details.append(h("div", {}, trialView(trial))));
  return h(
    "li",
    {},
    h("time", { datetime: new Date(at).toISOString() }, format.time(at)),
    h("div", {},
      h("p", {}, h("span", { class: `tag ${tone}` }, format.words(what)), " ",
        named ? h("a", { href: `/agents/${encodeURIComponent(agent)}`, "data-link": true }, agent) : null,
        version ? ` ${format.version(version)}` : null,
        times > 1 ? h("span", { class: "muted" }, ` ${times} times in a row`) : null),
      h("p", { class: "reason" }, reason),
      details),
  );
}

function letter({ reason, detail, topic, partition, offset, bytes, preview, at }) {
  return h(
    "li",
    {},
    h("time", { datetime: new Date(at).toISOString() }, format.time(at)),
    h("div", {},
      h("p", {}, h("span", { class: "tag bad" }, format.words(reason)), ` ${topic}${partition === null ? "" : `, partition ${partition}`}${offset === null ? "" : `, offset ${offset}`}, ${format.count(bytes)} bytes`),
      h("p", { class: "reason" }, detail),
      h("details", {}, h("summary", {}, "How it begins"), h("pre", { tabindex: 0 }, preview))),
  );
}
