// The frame of all pages: which one is shown, whether it is live, and how it looks. Pages know nothing of each
// other; each is a function that fills an element and says what to do when the server tells of something.

import { Refusal, hasToken, listen, setToken } from "./api.js";
import { activity, deadLetters } from "./activity.js";
import { agent } from "./agent.js";
import { agents } from "./agents.js";
import { h } from "./dom.js";

const main = document.getElementById("main");

/** The page that is shown, and what ends it. */
let shown = null;

const routes = [
  [/^\/$/, "Agents", () => agents],
  [/^\/agents\/([^/]+)$/, null, ([name]) => (into, page) => agent(into, page, decodeURIComponent(name))],
  [/^\/activity$/, "Activity", () => activity],
  [/^\/dead-letters$/, "Dead letters", () => deadLetters],
];

/** Shows the page of the address. */
async function show() {
  shown?.leave.abort();
  const leave = new AbortController();
  const page = { signal: leave.signal, changed: null, decided: null, go };
  shown = { leave, page };
  const found = routes.map(([pattern, title, made]) => [location.pathname.match(pattern), title, made]).find(([match]) => match);
  const [match, title, made] = found ?? [[], "Not found", () => missing];
  const [, ...parts] = match;
  document.title = `${title ?? decodeURIComponent(parts[0])} · Whetstone`;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === location.pathname;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.replaceChildren(h("p", { class: "loading" }, "Loading"));
  try {
    await made(parts)(main, page);
  } catch (problem) {
    if (!leave.signal.aborted) failed(problem);
  }
}

async function missing(into) {
  into.replaceChildren(h("h1", {}, "There is nothing here"), h("p", {}, h("a", { href: "/", "data-link": true }, "All agents")));
}

function failed(problem) {
  if (problem instanceof Refusal && problem.status === 401) {
    main.replaceChildren(tokenForm());
    return;
  }
  const said = problem instanceof Refusal ? problem.message : `The server cannot be reached (${problem.message}).`;
  main.replaceChildren(
    h("h1", {}, "This cannot be shown"),
    h("p", { class: "problem" }, said),
    h("button", { type: "button", onclick: show }, "Try again"),
  );
}

/** Asks for the token. It stays in this tab. */
function tokenForm() {
  const field = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const submit = (event) => {
    event.preventDefault();
    setToken(field.value);
    location.reload();
  };
  return h(
    "form",
    { class: "panel token", onsubmit: submit },
    h("h1", {}, "This server wants a token"),
    h("p", {}, "It is what the server's http.token_env or http.token_file say. It is kept until this tab is closed."),
    hasToken() ? h("p", { class: "problem", role: "alert" }, "The one that was given is not the server's.") : null,
    h("label", { for: "token" }, "Token"),
    field,
    h("button", { type: "submit", class: "primary" }, "Go on"),
  );
}

/** Goes to another page without loading the frame again. */
function go(to) {
  history.pushState(null, "", to);
  show().then(() => main.focus({ preventScroll: true }));
  scrollTo(0, 0);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-link]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", show);

function connection(state) {
  const said = { live: "live", lost: "connection lost, trying again", locked: "token wanted" };
  const shownAs = document.getElementById("connection");
  if (shownAs.dataset.state === state) return;
  // What happened before is not told.
  if (state === "live") shown?.page.changed?.(null);
  shownAs.dataset.state = state;
  shownAs.textContent = said[state];
}

function happened(name, data) {
  if (name === "agents") shown?.page.changed?.(data.agents);
  if (name === "gap") shown?.page.changed?.(null);
  if (name === "decision") shown?.page.decided?.(data);
}

const themes = ["system", "light", "dark"];

function theme(chosen) {
  document.documentElement.dataset.theme = chosen;
  document.getElementById("theme").textContent = `Theme: ${chosen}`;
  localStorage.setItem("whetstone-theme", chosen);
}

document.getElementById("theme").addEventListener("click", () => {
  theme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]);
});
theme(themes.find((each) => each === localStorage.getItem("whetstone-theme")) ?? "system");
show();
listen("decisions,agents", { on: happened, state: connection, signal: new AbortController().signal });
