// The server's HTTP API, with the token if it wants one, and what it tells of by itself.

const TOKEN = "whetstone-token";

/** What the server would not do, in its words. */
export class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** The path of an agent. */
export function path(agent, rest = "") {
  return `/api/agents/${encodeURIComponent(agent)}${rest}`;
}

/** Kept for as long as the tab is open, and sent to this server alone. */
export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

export async function get(url, signal) {
  return (await ask(url, { signal })).json();
}

/** Gives an order. It stands on the log when this returns; a decision says what came of it. */
export async function order(agent, what, body) {
  const headers = { "content-type": "application/json" };
  const answer = await ask(path(agent, `/${what}`), { method: "POST", headers, body: JSON.stringify(body) });
  return answer.json();
}

async function ask(url, options) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(url, { ...options, headers, redirect: "error" });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refusal(answer.status, said.error ?? `the server answered ${answer.status}`);
}

/**
 * Listens to server-sent events until `signal`, and comes back whenever the connection is lost. (An
 * `EventSource` cannot send a token.) `on` is told each event, and `state` whether there is a connection.
 */
export async function listen(topics, { on, state, signal }) {
  let last = "";
  let wait = 500;
  while (!signal.aborted) {
    try {
      const headers = last ? { "last-event-id": last } : {};
      const answer = await ask(`/api/updates?topics=${topics}`, { headers, signal });
      state("live");
      wait = 500;
      for await (const event of events(answer.body)) {
        if (event.id !== undefined) last = event.id;
        if (event.data !== "") on(event.name, JSON.parse(event.data));
      }
    } catch (problem) {
      if (signal.aborted) return;
      // A place that is no longer known: begin anew.
      if (problem instanceof Refusal && problem.status === 400) last = "";
      state(problem instanceof Refusal && problem.status === 401 ? "locked" : "lost");
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 15_000);
  }
}

/** The events of a stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html writes them. */
async function* events(body) {
  let event = fresh();
  for await (const line of lines(body)) {
    if (line === "") {
      if (event.any) yield event;
      event = fresh();
      continue;
    }
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event.name = value;
    else if (field === "data") event.data += (event.data ? "\n" : "") + value;
    else if (field === "id") event.id = value;
    else continue;
    event.any = true;
  }
}

function fresh() {
  return { name: "message", data: "", id: undefined, any: false };
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield part.replace(/\r$/, "");
  }
}
