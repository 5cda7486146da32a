// Orders: each is confirmed in a dialog that says what it will do. An order is a record on the log, so what
// comes of it is told by a decision a moment later.

import { order, setToken } from "./api.js";
import { h, tell } from "./dom.js";
import { version } from "./format.js";

const WHO = "whetstone-by";

/** The agents with an order of this page of which nothing has come yet. */
const open = new Set();

/** Whether an order for `agent` was open, which it is no longer. */
export function answered(agent) {
  return open.delete(agent);
}

/** What each order is called, what it does, and what it takes besides who gives it. */
const kinds = {
  approve: {
    title: (number) => `Approve ${version(number)}`,
    says: (number) => `${version(number)} becomes the active version at once, for all units. A trial of it ends.`,
  },
  promote: {
    title: (number) => `Promote ${version(number)} now`,
    says: (number) => `${version(number)} becomes the active version at once, for all units, before its trial has proven a gain.`,
  },
  reject: {
    title: (number) => `Reject ${version(number)}`,
    says: (number) => `${version(number)} is not used again, and a trial of it ends. The active version stays.`,
    reason: true,
  },
  rollback: {
    title: (number) => `Roll back to ${version(number)}`,
    says: (number) => `${version(number)} becomes the active version again, for all units.`,
    reason: true,
    danger: true,
  },
  pause: {
    title: () => "Pause optimization",
    says: () => "No new versions are made until it is resumed. A trial under way goes on.",
  },
  resume: {
    title: () => "Resume optimization",
    says: () => "New versions are made again once there is enough evidence.",
  },
  optimize: {
    title: () => "Optimize now",
    says: () => "A new version is asked for now, on the runs of the present window, whatever the cooldown says.",
  },
};

/** A button that asks for confirmation and then gives the order to `agent`. */
export function orderButton(agent, kind, number, label) {
  const key = `${kind}-${number ?? ""}`;
  const look = kinds[kind].danger ? "danger" : kind === "approve" || kind === "promote" ? "primary" : "";
  return h("button", { type: "button", class: look, "data-key": key, onclick: () => confirm(agent, kind, number) }, label);
}

function confirm(agent, kind, number) {
  const { title, says, reason, danger } = kinds[kind];
  const who = h("input", { id: "by", value: localStorage.getItem(WHO) ?? "", maxlength: 100, autocomplete: "username" });
  const why = h("input", { id: "reason", maxlength: 500, autocomplete: "off" });
  const problem = h("p", { class: "problem", role: "alert" });
  const token = h("input", { id: "token", type: "password", autocomplete: "off" });
  const locked = h("div", { hidden: true }, h("label", { for: "token" }, "Token of this server"), token);
  const give = h("button", { type: "submit", class: danger ? "danger" : "primary" }, title(number));
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-says", onclose: () => dialog.remove() },
    h(
      "form",
      { onsubmit: submit },
      h("h2", { id: "dialog-title" }, title(number)),
      h("p", { id: "dialog-says" }, h("b", {}, agent), ": ", says(number)),
      reason ? [h("label", { for: "reason" }, "Reason, for the record"), why] : null,
      h("label", { for: "by" }, "Your name, for the record"),
      who,
      problem,
      locked,
      h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), give),
    ),
  );
  async function submit(event) {
    event.preventDefault();
    give.disabled = true;
    if (token.value) setToken(token.value);
    try {
      await order(agent, kind, body(kind, number, why.value.trim(), who.value.trim()));
      open.add(agent);
      localStorage.setItem(WHO, who.value.trim());
      dialog.close();
      tell(`Ordered: ${title(number)}. What comes of it is told here.`);
    } catch (refused) {
      problem.textContent = refused.message;
      if (refused.status === 401) locked.hidden = false;
      give.disabled = false;
    }
  }
  document.body.append(dialog);
  dialog.showModal();
}

function body(kind, number, reason, by) {
  const said = { ...(by ? { by } : {}), ...(reason ? { reason } : {}) };
  if (kind === "rollback") return { ...said, to: number };
  return number === undefined ? said : { ...said, version: number };
}
