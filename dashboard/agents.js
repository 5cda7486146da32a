// All agents at a glance. There may be thousands: of the table only the rows in sight are in the page, and
// only those are asked for again when the server says that agents changed.

import { get } from "./api.js";
import { interval, sparkline, telling } from "./charts.js";
import { h, swap, unseen } from "./dom.js";
import * as format from "./format.js";

/** The height of a row in pixels, as the style sheet has it. */
const ROW = 52;
/** Rows beyond the edge of the window that are there already. */
const BEYOND = 10;
/** Agents of the first answer, which is shown while the rest comes, and of those that follow. */
const [FIRST, REST] = [60, 500];

/** What can be asked for: the agents of which it is true. */
const filters = {
  all: ["All", () => true],
  trial: ["On trial", (agent) => agent.trial?.kind === "trial"],
  waiting: ["Candidate waits", (agent) => agent.candidate !== null && agent.trial?.kind !== "trial"],
  holdback: ["Held back", (agent) => agent.trial?.kind === "holdback"],
  optimizing: ["Optimizing", (agent) => agent.optimizing !== null],
  paused: ["Paused", (agent) => agent.paused],
};

/** The columns: how they are called, what they are sorted by, and what stands in them. */
const columns = [
  ["agent", "Agent", (agent) => agent.agent, name],
  ["version", "Version", (agent) => agent.active ?? 0, current],
  ["reward", "Reward", (agent) => agent.mean_reward, (agent) => figure(format.reward(agent.mean_reward), agent, 2)],
  ["success", "Success", (agent) => agent.success_rate, (agent) => figure(format.percent(agent.success_rate), agent, 3)],
  ["latency", "Latency p50", (agent) => agent.latency_p50, (agent) => figure(format.seconds(agent.latency_p50), agent, 4)],
  ["attempts", "Attempts p50", (agent) => agent.attempts_p50, (agent) => figure(format.attempts(agent.attempts_p50), agent, 5)],
  ["runs", "Runs", (agent) => agent.runs.windowed, (agent) => format.compact(agent.runs.windowed)],
  ["trial", "Trial", (agent) => agent.trial?.units ?? null, trial],
  ["seen", "Last run", (agent) => agent.watermark, (agent) => format.ago(agent.watermark)],
];

export async function agents(into, page) {
  const view = new View(page);
  await view.load(into);
}

class View {
  constructor(page) {
    this.page = page;
    /** By name. */
    this.agents = new Map();
    this.unreadable = [];
    this.total = 0;
    const asked = new URLSearchParams(location.search);
    this.filter = filters[asked.get("show")] ? asked.get("show") : "all";
    this.text = asked.get("q") ?? "";
    const [sort, order] = (asked.get("sort") ?? "agent").split(":");
    this.sort = columns.some(([key]) => key === sort) ? sort : "agent";
    this.down = order === "desc";
    this.shown = [];
  }

  async load(into) {
    const { signal } = this.page;
    this.take(await get(`/api/agents?limit=${FIRST}`, signal));
    this.frame(into);
    this.choose();
    performance.mark("whetstone-agents");
    addEventListener("scroll", () => this.rows(), { signal, passive: true });
    addEventListener("resize", () => this.rows(), { signal, passive: true });
    addEventListener("keydown", (event) => this.key(event), { signal });
    this.page.changed = (names) => this.refresh(names);
    await this.rest();
    performance.mark("whetstone-all-agents");
  }

  async rest() {
    while (this.next) {
      this.take(await get(`/api/agents?limit=${REST}&after=${encodeURIComponent(this.next)}`, this.page.signal));
      this.choose();
    }
  }

  /** Asks for all of them anew. */
  async again() {
    const answer = await get(`/api/agents?limit=${REST}`, this.page.signal);
    this.agents.clear();
    this.unreadable = [];
    this.take(answer);
    await this.rest();
    this.choose();
  }

  take(answer) {
    for (const agent of answer.items) this.agents.set(agent.agent, agent);
    this.unreadable.push(...answer.unreadable);
    this.total = answer.total;
    this.next = answer.next;
  }

  /** Asks again for those in sight that changed, and for all of them if nobody says which. */
  async refresh(names) {
    const insight = new Set(this.insight().map((agent) => agent.agent));
    const known = names?.filter((name) => insight.has(name) || !this.agents.has(name)) ?? [...insight];
    if (this.asking || this.next) return;
    this.asking = true;
    try {
      if (known.length === 0) {
        if (names === null) await this.again();
        return;
      }
      const asked = known.slice(0, 100).map(encodeURIComponent).join(",");
      const answer = await get(`/api/agents?names=${asked}`, this.page.signal);
      const before = this.agents.size;
      for (const agent of answer.items) this.agents.set(agent.agent, agent);
      this.total = answer.total;
      // Some came or went that nobody named.
      if (names === null && this.total !== this.agents.size) await this.again();
      // Rows do not change places while somebody looks at them.
      if (this.agents.size === before) {
        this.shown = this.shown.map((agent) => this.agents.get(agent.agent));
        this.rows(true);
        this.counts();
      } else {
        this.choose();
      }
    } catch {
      // The connection says that it is lost; all is asked for again when it is back.
    } finally {
      this.asking = false;
    }
  }

  frame(into) {
    const search = h("input", {
      id: "search", type: "search", placeholder: "Search agents", "aria-label": "Search agents",
      "aria-keyshortcuts": "/", value: this.text, autocomplete: "off", spellcheck: "false",
      oninput: () => { this.text = search.value; this.choose(true); },
    });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Show" });
    this.head = h("tr", { "aria-rowindex": 1 });
    this.above = h("tr", { "aria-hidden": "true" });
    this.below = h("tr", { "aria-hidden": "true" });
    this.body = h("tbody");
    this.table = h("table", { class: "agents" }, h("caption", { class: "unseen" }, "Agents"), h("thead", {}, this.head), this.body);
    this.empty = h("div", { class: "empty" });
    this.status = h("p", { class: "muted", role: "status" });
    into.replaceChildren(
      h("div", { class: "title" }, h("h1", {}, "Agents"), this.status),
      h("div", { class: "bar" }, search, this.chips),
      h("div", { class: "wide" }, this.table),
      this.empty,
    );
  }

  /** Which agents are shown, and in which order. */
  choose(typed = false) {
    const [, wanted] = filters[this.filter];
    const text = this.text.trim().toLowerCase();
    const [, , by] = columns.find(([key]) => key === this.sort);
    const found = [...this.agents.values()].filter((agent) => wanted(agent) && agent.agent.toLowerCase().includes(text));
    // Those of which nothing is known are last, whatever the order.
    const order = (left, right) => {
      const [a, b] = [by(left), by(right)];
      if (a === null || b === null || a === undefined || b === undefined) return (a ?? null) === null ? ((b ?? null) === null ? 0 : 1) : -1;
      const sign = a < b ? -1 : a > b ? 1 : 0;
      return (this.down ? -sign : sign) || (left.agent < right.agent ? -1 : 1);
    };
    this.shown = found.sort(order);
    if (typed) scrollTo(0, 0);
    this.remember();
    this.heading();
    this.counts();
    this.rows(true);
  }

  remember() {
    const asked = new URLSearchParams();
    if (this.filter !== "all") asked.set("show", this.filter);
    if (this.text) asked.set("q", this.text);
    if (this.sort !== "agent" || this.down) asked.set("sort", `${this.sort}${this.down ? ":desc" : ""}`);
    history.replaceState(null, "", asked.size ? `/?${asked}` : "/");
  }

  heading() {
    const cell = ([key, title]) => {
      const sorted = this.sort === key ? (this.down ? "descending" : "ascending") : null;
      const click = () => {
        this.down = this.sort === key ? !this.down : false;
        this.sort = key;
        this.choose();
      };
      return h("th", { scope: "col", class: key, "aria-sort": sorted }, h("button", { type: "button", "data-key": `sort-${key}`, onclick: click }, title));
    };
    swap(this.head, columns.map(cell));
  }

  counts() {
    const all = [...this.agents.values()];
    const chip = ([key, [title, wanted]]) => {
      const click = () => { this.filter = key; this.choose(); };
      const pressed = this.filter === key ? "true" : "false";
      const number = key === "all" ? this.total : all.filter(wanted).length;
      return h("button", { type: "button", class: "chip", "aria-pressed": pressed, "data-key": `show-${key}`, onclick: click }, title, h("b", {}, format.count(number)));
    };
    swap(this.chips, Object.entries(filters).map(chip));
    const loading = this.next ? `, ${format.count(all.length)} loaded` : "";
    const broken = this.unreadable.length ? `; state does not read back: ${this.unreadable.join(", ")}` : "";
    this.status.textContent = `${format.count(this.shown.length)} of ${format.count(this.total)}${loading}${broken}`;
    this.table.setAttribute("aria-rowcount", this.shown.length + 1);
    this.table.hidden = this.shown.length === 0;
    this.empty.hidden = this.shown.length > 0;
    if (this.shown.length > 0 || this.next) this.empty.replaceChildren();
    else if (this.total > 0) this.empty.replaceChildren(h("p", {}, "No agent is like that."));
    else this.empty.replaceChildren(newcomer());
  }

  insight() {
    return this.shown.slice(...this.range());
  }

  range() {
    const top = -this.body.getBoundingClientRect().top;
    const first = Math.max(Math.floor(top / ROW) - BEYOND, 0);
    const most = Math.ceil(innerHeight / ROW) + 2 * BEYOND;
    const from = Math.min(first, Math.max(this.shown.length - most, 0));
    return [from, Math.min(from + most, this.shown.length)];
  }

  /** Fills in the rows that are in sight, if they are not yet there. */
  rows(anew = false) {
    const [from, to] = this.range();
    if (!anew && this.drawn && this.drawn[0] === from && this.drawn[1] === to) return;
    this.drawn = [from, to];
    const row = (agent, at) =>
      h("tr", { "aria-rowindex": from + at + 2 }, columns.map(([key, , , cell]) =>
        h(key === "agent" ? "th" : "td", { class: key, scope: key === "agent" ? "row" : null }, cell(agent))));
    this.above.style.height = `${from * ROW}px`;
    this.below.style.height = `${(this.shown.length - to) * ROW}px`;
    swap(this.body, this.above, this.shown.slice(from, to).map(row), this.below);
  }

  /** `/` goes to the search; the arrows go from row to row. */
  key(event) {
    const typing = event.target.matches("input, textarea, select") && event.target.id !== "search";
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (event.key === "/" && event.target.id !== "search") {
      event.preventDefault();
      document.getElementById("search").focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const names = [...this.body.querySelectorAll("th a")];
      const at = names.indexOf(document.activeElement);
      const inTable = at >= 0 || document.activeElement.id === "search";
      const next = names[at + (event.key === "ArrowDown" ? 1 : -1)];
      if (!inTable || !next) return;
      event.preventDefault();
      next.focus();
    }
  }
}

function name(agent) {
  const state = agent.paused ? h("span", { class: "tag" }, "paused") : null;
  const busy = agent.optimizing ? h("span", { class: "tag busy" }, "optimizing") : null;
  const to = `/agents/${encodeURIComponent(agent.agent)}`;
  return [h("a", { href: to, "data-link": true, "data-key": agent.agent }, agent.agent), state, busy];
}

function current(agent) {
  const waits = agent.candidate !== null && agent.trial?.candidate !== agent.candidate;
  return [format.version(agent.active), waits ? h("span", { class: "tag wait" }, `${format.version(agent.candidate)} waits`) : null];
}

function figure(text, agent, at) {
  const enough = telling(agent.trend.map(([, runs]) => runs));
  const values = agent.trend.map((stretch) => (enough(stretch[1]) ? stretch[at] : null));
  return h("span", { class: "figure" }, h("span", { class: "number" }, text), sparkline(values));
}

function trial(agent) {
  if (!agent.trial) return h("span", { class: "muted" }, "none");
  const { kind, candidate, baseline, units, effect, low, high } = agent.trial;
  const bounds = `${format.difference(low)} to ${format.difference(high)}`;
  return h(
    "span",
    { class: "trial", title: `difference of mean reward ${bounds}` },
    h("span", {}, `${format.version(candidate)} against ${format.version(baseline)}`,
      h("span", { class: "muted" }, kind === "holdback" ? " holdback" : ` ${format.compact(units)} units`)),
    interval(low, high, effect),
    unseen(`, difference of mean reward ${bounds}`),
  );
}

/** What stands where there are no agents yet. */
function newcomer() {
  return [
    h("h2", {}, "No agents yet"),
    h("p", {}, "They appear here with their first runs, or as soon as the config repo names them. Send a run:"),
    h("pre", {}, `curl -H 'Content-Type: application/json' ${location.origin}/api/traces -d '{
  "agent": "mitigation", "trace_id": "run-1", "start": 1770000000, "end": 1770000041.5, "outcome": "success"}'`),
  ];
}
