// A trial: where it stands, how its confidence sequence closed in, and what is still to be proven.

import { course, interval, progress } from "./charts.js";
import { h, unseen } from "./dom.js";
import * as format from "./format.js";

const metrics = {
  reward: "Reward",
  success: "Success",
  quickness: "Quickness (1 is instant)",
  soundness: "Soundness (came to a known outcome)",
};

/** A trial, under way or as it stood when it was decided. */
export function trialView(trial) {
  const { candidate, baseline, kind } = trial;
  const [ours, theirs] = [format.version(candidate), format.version(baseline)];
  return [
    h(
      "figure",
      {},
      h("figcaption", {}, `Mean reward of ${ours} less that of ${theirs}: the line is the estimate, the band the 95 % confidence sequence, which holds at all times at once. What decides is the e-value: it asks for a gain alone, so that it may prove one while the band, which asks for both, still touches zero.`),
      course(trial.course ?? [], 0),
      courseTable(trial),
    ),
    h("div", { class: "wide" }, arms(trial)),
    h("div", { class: "wide" }, comparisons(trial)),
    bars(trial, kind),
    excluded(trial),
  ];
}

function arms({ kind, candidate, baseline, candidate_arm: ours, baseline_arm: theirs, share }) {
  // The share is that of the version beside the active one.
  const own = kind === "trial" ? share : 1 - share;
  const row = (number, arm, units) =>
    h("tr", {}, h("th", { scope: "row" }, format.version(number)), h("td", {}, units), h("td", {}, format.count(arm.units)),
      h("td", {}, format.reward(arm.reward)), h("td", {}, format.percent(arm.success)), h("td", {}, format.count(arm.unsound)));
  return h(
    "table",
    {},
    h("caption", {}, "The two arms"),
    head("Version", "Share of units", "Units", "Reward", "Success", "Unsound"),
    h("tbody", {}, row(candidate, ours, format.percent(own)), row(baseline, theirs, format.percent(1 - own))),
  );
}

function comparisons({ kind, metrics: compared }) {
  const guarded = kind === "trial";
  const row = ({ metric, candidate, baseline, effect, low, high, no_worse: guard }) => {
    const state = guard ? (guard.e_value >= guard.bar ? "no worse" : "not yet shown") : "must gain";
    return h("tr", {}, h("th", { scope: "row" }, metrics[metric] ?? metric), h("td", {}, format.reward(candidate)), h("td", {}, format.reward(baseline)),
      h("td", {}, format.difference(effect), " ", effect === null ? null : interval(low, high, effect)),
      h("td", {}, effect === null ? format.NONE : `${format.difference(low)} to ${format.difference(high)}`), guarded ? h("td", {}, state) : null);
  };
  return h(
    "table",
    {},
    h("caption", {}, "What is compared, all between 0 and 1, more is better"),
    head("Metric", "Candidate", "Baseline", "Difference", "95 % confidence sequence", ...(guarded ? ["Guardrail"] : [])),
    h("tbody", {}, compared.map(row)),
  );
}

function bars({ gain, harm }, kind) {
  const bar = (title, { e_value: value, bar: wanted }, means) =>
    h("div", { class: "evidence" }, h("span", {}, title), progress(value, wanted, `${title}: ${format.evidence(value)} of ${format.evidence(wanted)}`),
      h("span", { class: "muted" }, `e-value ${format.evidence(value)} of ${format.evidence(wanted)}${value >= wanted ? `: ${means}` : ""}`));
  return h(
    "div",
    { class: "bars" },
    kind === "trial" ? bar("Evidence of gain", gain, "proven") : null,
    bar("Evidence of harm", harm, "rolled back"),
  );
}

function excluded({ excluded: out, pending, strayed, late_labels: late, one_in: oneIn }) {
  const parts = [
    [pending, "wait for their deadline"],
    [out.mixed, "ran both versions and count for neither"],
    [out.early, "came before agents knew of the trial"],
    [out.continued, "had begun before it"],
    [out.late + late, "were told of too late"],
    [strayed, "count though they ran the other version"],
  ].filter(([number]) => number > 0);
  const thinned = oneIn > 1 ? [`one unit in ${oneIn} takes part`] : [];
  const said = parts.map(([number, what]) => `${format.count(number)} ${what}`).concat(thinned);
  return said.length === 0 ? null : h("p", { class: "muted" }, `Units: ${said.join("; ")}.`);
}

function courseTable({ course: points = [] }) {
  if (points.length === 0) return null;
  const row = ([at, units, effect, low, high, value]) =>
    h("tr", {}, [format.time(at), format.count(units), format.difference(effect), format.difference(low), format.difference(high), format.evidence(value)].map((text) => h("td", {}, text)));
  return h(
    "details",
    { "data-key": "course" },
    h("summary", {}, "As a table"),
    h("div", { class: "wide scroll", tabindex: 0, role: "region", "aria-label": "The course as a table" },
      h("table", {}, head("Time", "Units", "Difference", "Low", "High", "e-value of gain"), h("tbody", {}, points.map(row)))),
  );
}

/** A table's head. */
export function head(...titles) {
  return h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title || unseen("Orders")))));
}
