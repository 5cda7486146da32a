// One agent: how it fares, its trial, its versions and what changed between them, telling runs, and what was
// decided. Each section is drawn again only when what it shows has changed.

import { get, path } from "./api.js";
import { history, telling } from "./charts.js";
import { decisionList } from "./activity.js";
import { diffView } from "./diff.js";
import { h, swap, tell } from "./dom.js";
import * as format from "./format.js";
import { answered, orderButton } from "./orders.js";
import { head, trialView } from "./trial.js";

/** Versions that may be gone back to. */
const EARLIER = ["superseded", "holdback", "rolled_back"];
const UNDECIDED = ["candidate", "trial"];

export async function agent(into, page, name) {
  const view = new View(page, name);
  await view.load(into);
}

class View {
  constructor(page, name) {
    this.page = page;
    this.name = name;
    this.drawn = new Map();
  }

  async load(into) {
    this.agent = await get(path(this.name), this.page.signal);
    const section = (key, title) => [key, h("section", { class: "panel", "aria-labelledby": `${key}-title`, id: key }, h("h2", { id: `${key}-title` }, title), h("div", {}))];
    this.sections = new Map([
      section("figures", "How it fares"),
      section("trial", "Trial"),
      section("versions", "Versions"),
      section("changes", "What changed, and why"),
      section("runs", "Telling runs"),
      section("decisions", "Decisions"),
      section("spending", "Spent on the model"),
    ]);
    this.header = h("div", { class: "title" });
    this.compared = this.hashed();
    into.replaceChildren(h("nav", { "aria-label": "Breadcrumb", class: "crumbs" }, h("a", { href: "/", "data-link": true }, "Agents"), " / ", this.name), this.header, ...this.sections.values());
    await this.draw();
    this.page.changed = (names) => (names === null || names.includes(this.name)) && this.refresh();
    this.page.decided = (decision) => decision.agent === this.name && this.decided(decision);
    performance.mark("whetstone-agent");
  }

  /** The versions that the address asks for, as #v1..v2. */
  hashed() {
    const found = location.hash.match(/^#v(\d+)\.\.v(\d+)$/);
    return found ? { from: Number(found[1]), to: Number(found[2]) } : null;
  }

  async refresh() {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    try {
      do {
        this.again = false;
        this.agent = await get(path(this.name), this.page.signal);
        await this.draw();
      } while (this.again);
    } catch {
      // The connection says that it is lost; all is asked for again when it is back.
    } finally {
      this.asking = false;
    }
  }

  decided({ decision, version, reason }) {
    const about = version ? `${format.version(version)} ` : "";
    const asked = answered(this.name);
    // That there was nothing to change is news only to who asked.
    if (asked || decision !== "no_change") tell(`${about}${format.words(decision)}: ${reason}`, decision.endsWith("refused") ? "bad" : "info");
    this.refresh();
  }

  async draw() {
    const { agent } = this;
    this.part(this.header, [agent.active, agent.paused, agent.optimizing, agent.candidate, agent.watermark], () => this.title());
    this.section("figures", [agent.past, agent.recent], () => figures(agent));
    this.section("trial", agent.trial ?? null, () => this.trial());
    this.section("versions", agent.versions, () => this.versions());
    this.section("spending", agent.spending ?? [], () => spending(agent.spending ?? []));
    await Promise.all([this.changes(), this.runs(), this.decisions()]);
  }

  section(key, shows, make) {
    const section = this.sections.get(key);
    this.part(section.lastChild, shows, () => {
      const made = make();
      section.hidden = made === null;
      return made ?? [];
    });
  }

  /** Fills `element` anew if what it `shows` is not what it showed. */
  part(element, shows, make) {
    const text = JSON.stringify(shows);
    if (this.drawn.get(element) === text) return;
    this.drawn.set(element, text);
    swap(element, make());
  }

  title() {
    const { agent, name } = this;
    const waits = agent.candidate !== null && !agent.trial;
    return [
      h("h1", {}, name),
      h("p", { class: "tags" },
        h("span", { class: "tag good" }, agent.active === null ? "no version" : `${format.version(agent.active)} active`),
        agent.trial ? h("span", { class: "tag busy" }, `${format.version(agent.candidate ?? agent.trial.baseline)} ${agent.trial.kind === "trial" ? "on trial" : "held back"}`) : null,
        waits ? h("span", { class: "tag wait" }, `${format.version(agent.candidate)} waits for approval`) : null,
        agent.optimizing ? h("span", { class: "tag busy" }, `optimizing, request ${agent.optimizing}`) : null,
        agent.paused ? h("span", { class: "tag" }, "optimization paused") : null,
        h("span", { class: "muted" }, `last run ${format.ago(agent.watermark)}`)),
      h("div", { class: "buttons" },
        agent.paused ? orderButton(name, "resume", undefined, "Resume") : orderButton(name, "pause", undefined, "Pause"),
        orderButton(name, "optimize", undefined, "Optimize now"),
        this.earlier() === undefined ? null : orderButton(name, "rollback", this.earlier(), `Roll back to ${format.version(this.earlier())}`)),
    ];
  }

  /** The version that was active before. */
  earlier() {
    const earlier = this.agent.versions.filter((each) => ["superseded", "holdback"].includes(each.state));
    return earlier.at(-1)?.version;
  }

  trial() {
    const { trial } = this.agent;
    if (!trial) return [h("p", { class: "empty" }, "No version is on trial.")];
    const undecided = trial.kind === "trial";
    return [
      h("p", {}, h("b", {}, undecided ? `${format.version(trial.candidate)} on trial against ${format.version(trial.baseline)}` : `${format.version(trial.baseline)} held back, to see what ${format.version(trial.candidate)} does`), `: ${format.dated(trial.next)}.`),
      undecided ? h("div", { class: "buttons" }, orderButton(this.name, "promote", trial.candidate, "Promote now"), orderButton(this.name, "reject", trial.candidate, "Reject")) : null,
      trialView(trial),
    ];
  }

  versions() {
    const newest = this.agent.versions.toReversed();
    if (newest.length === 0) return [h("p", { class: "empty" }, "The config repo does not know this agent: its runs are counted, nothing is optimized.")];
    return [h("ol", { class: "timeline", reversed: true }, newest.map((each) => this.version(each)))];
  }

  version({ version, state, state_reason: why, parent, author, created, changes, evidence, runs, success_rate: success, mean_reward: reward }) {
    const { name } = this;
    const orders = UNDECIDED.includes(state)
      ? [orderButton(name, "approve", version, `Approve ${format.version(version)}`), orderButton(name, "reject", version, `Reject ${format.version(version)}`)]
      : EARLIER.includes(state) ? [orderButton(name, "rollback", version, `Roll back to ${format.version(version)}`)] : [];
    const compare = parent === null ? null : h("button", { type: "button", "data-key": `diff-${version}`, onclick: () => this.compare(parent, version) }, `Compare with ${format.version(parent)}`);
    return h(
      "li",
      { class: state },
      h("h3", {}, format.version(version), " ", h("span", { class: `tag ${tone(state)}` }, format.words(state))),
      h("p", { class: "muted" }, `by ${author}, ${format.time(created)}${parent === null ? "" : `, from ${format.version(parent)}`}`),
      why ? h("p", {}, why) : null,
      changes.length ? h("ul", {}, changes.map((change) => h("li", {}, change))) : null,
      evidence ? h("p", { class: "muted" }, `Evidence: ${evidence}`) : null,
      h("p", { class: "measured" }, `${format.count(format.runs(runs))} runs, success ${format.percent(success)}, reward ${format.reward(reward)}`),
      h("div", { class: "buttons" }, compare, orders),
    );
  }

  compare(from, to) {
    this.compared = { from, to };
    remember(`#v${from}..v${to}`);
    this.changes().then(() => {
      const title = document.getElementById("changes-title");
      title.tabIndex = -1;
      title.focus();
      title.scrollIntoView({ block: "start" });
    });
  }

  /** The difference that was asked for; else of what waits or is active from what it was made from. */
  async changes() {
    const numbers = this.agent.versions.map((each) => each.version);
    const to = this.compared?.to ?? this.agent.candidate ?? this.agent.active;
    const from = this.compared?.from ?? this.agent.versions.find((each) => each.version === to)?.parent;
    const section = this.sections.get("changes").lastChild;
    const shows = JSON.stringify([numbers, from, to]);
    if (this.drawn.get(section) === shows) return;
    this.drawn.set(section, shows);
    if (to === null || from === null || from === undefined) {
      swap(section, h("p", { class: "empty" }, numbers.length === 0 ? "There are no versions yet." : "There is one version only: nothing has changed yet."));
      return;
    }
    const [diff, made] = await Promise.all([get(path(this.name, `/diff?from=${from}&to=${to}`), this.page.signal), get(path(this.name, `/versions/${to}`), this.page.signal)]);
    const choice = (id, label, chosen, then) =>
      [h("label", { for: id }, label), h("select", { id, "data-key": id, onchange: (event) => then(Number(event.target.value)) },
        numbers.map((number) => h("option", { value: number, selected: number === chosen }, format.version(number))))];
    swap(
      section,
      h("div", { class: "bar" },
        choice("from", "From", from, (number) => this.compare(number, to)),
        choice("to", "to", to, (number) => this.compare(from, number))),
      made.reasons.length
        ? h("div", { class: "why" }, h("h3", {}, `Why ${format.version(to)}`), h("dl", {}, made.reasons.map(({ change, why }) => [h("dt", {}, change), h("dd", {}, why)])), made.evidence ? h("p", { class: "muted" }, `Evidence: ${made.evidence}`) : null)
        : null,
      diffView(diff),
    );
  }

  async runs() {
    const shows = JSON.stringify([this.agent.active, this.agent.recent.runs]);
    const section = this.sections.get("runs").lastChild;
    if (this.drawn.get(section) === shows) return;
    this.drawn.set(section, shows);
    const { items } = await get(path(this.name, "/exemplars"), this.page.signal);
    const note = h("p", { class: "muted" }, "Runs of the active version in their own words. Keys, tokens and what else looks secret is hidden. It is what agents said: text to read, not to follow.");
    const run = ({ kind, trace_id: id, latency, attempts, signature, excerpt }) =>
      h("li", {},
        h("details", { "data-key": `run-${id}` },
          h("summary", {}, h("span", { class: `tag ${kind === "success" ? "good" : "bad"}` }, kind), " ", h("code", {}, id), h("span", { class: "muted" }, ` ${format.seconds(latency)}, ${format.count(attempts)} tool calls`), signature ? h("span", { class: "signature" }, signature) : null),
          h("pre", { tabindex: 0, role: "region", "aria-label": `What ${id} said` }, excerpt)));
    swap(section, note, items.length ? h("ul", { class: "exemplars" }, items.map(run)) : h("p", { class: "empty" }, "None yet."));
  }

  async decisions() {
    const { items } = await get(`/api/decisions?limit=30&agent=${encodeURIComponent(this.name)}`, this.page.signal);
    this.section("decisions", items.map((item) => item.id), () => (items.length ? [decisionList(items)] : [h("p", { class: "empty" }, "None yet.")]));
  }
}

/** Notes what is compared in the address, so that it can be passed on. */
function remember(hash) {
  window.history.replaceState(null, "", hash);
}

function tone(state) {
  return { active: "good", trial: "busy", holdback: "busy", candidate: "wait", rejected: "bad", rolled_back: "bad" }[state] ?? "";
}

/** The figures now, and over time for each version. */
function figures({ past: all, recent }) {
  const enough = telling(all.map((point) => format.runs(point.runs)));
  const past = all.filter((point) => enough(format.runs(point.runs)));
  const series = (of) => {
    const versions = [...new Set(past.map((point) => point.version))].sort((left, right) => left - right);
    return versions.map((number, index) => ({
      name: number === 0 ? "no version" : format.version(number),
      index,
      points: past.filter((point) => point.version === number).map((point) => [point.to, of(point)]),
    }));
  };
  const card = (title, now, of, axis) =>
    h("figure", { class: "card" }, h("figcaption", {}, h("span", {}, title), h("b", {}, axis.write(now))), history(title, series(of), axis));
  const legend = series(() => null).map(({ name, index }) => h("li", { class: `c${index % 6}` }, name));
  return [
    h("ul", { class: "legend", "aria-label": "Versions" }, legend),
    h("div", { class: "cards" },
      card("Reward", recent.mean_reward, (point) => point.mean_reward, { write: format.reward, floor: 0, ceiling: 1, least: 0.1 }),
      card("Success", recent.success_rate, (point) => point.success_rate, { write: format.percent, floor: 0, ceiling: 1, least: 0.1 }),
      card("Latency p95", recent.latency_p95, (point) => point.latency_p95, { write: format.seconds, floor: 0, least: 1 }),
      card("Attempts p50", recent.attempts_p50, (point) => point.attempts_p50, { write: format.attempts, floor: 0, least: 2 })),
    pastTable(all),
    tools(recent.tools),
  ];
}

function pastTable(past) {
  const row = (point) => h("tr", {}, [format.time(point.to), format.version(point.version), format.count(format.runs(point.runs)), format.reward(point.mean_reward), format.percent(point.success_rate),
    format.seconds(point.latency_p50), format.seconds(point.latency_p95), format.attempts(point.attempts_p50)].map((text) => h("td", {}, text)));
  return h("details", { "data-key": "past" }, h("summary", {}, "As a table"),
    h("div", { class: "wide scroll", tabindex: 0, role: "region", "aria-label": "The past as a table" },
      h("table", {}, head("Until", "Version", "Runs", "Reward", "Success", "Latency p50", "Latency p95", "Attempts p50"), h("tbody", {}, past.toReversed().map(row)))));
}

function tools(used) {
  if (used.length === 0) return null;
  const row = ([name, calls, failed]) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, format.count(calls)), h("td", {}, format.count(failed)), h("td", {}, format.percent(calls ? failed / calls : null)));
  return h("details", { "data-key": "tools" }, h("summary", {}, `Tools of the active version (${used.length})`),
    h("div", { class: "wide" }, h("table", {}, head("Tool", "Calls", "Failed", "Share"), h("tbody", {}, used.map(row)))));
}

function spending(days) {
  if (days.length === 0) return null;
  const row = (day) => h("tr", {}, [day.day, format.count(day.calls), format.count(day.cached), format.count(day.input_tokens), format.count(day.output_tokens), format.dollars(day.cost_micros)].map((text) => h("td", {}, text)));
  return [h("div", { class: "wide" }, h("table", {}, head("Day", "Calls", "Answered from the log", "Tokens in", "Tokens out", "Cost"), h("tbody", {}, days.toReversed().map(row))))];
}

