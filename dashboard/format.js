// Numbers and times as people read them.

/** Nothing is known. */
export const NONE = "–";

const some = (write) => (value) => (value === null || value === undefined || Number.isNaN(value) ? NONE : write(value));

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const axis = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** A count in full. */
export const count = some((value) => whole.format(value));

/** A count in a few characters, e.g. 12.3K. */
export const compact = some((value) => short.format(value));

/** A rate in [0, 1]. */
export const percent = some((value) => `${(value * 100).toFixed(1)} %`);

/** A reward in [0, 1]. */
export const reward = some((value) => value.toFixed(3));

/** A difference of rewards. */
export const difference = some((value) => (Math.abs(value) < 0.0005 ? "0" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3)));

/** Seconds. */
export const seconds = some((value) => {
  if (value < 0.001) return "0 s";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 90) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${(value / 3600).toFixed(1)} h`;
});

/** Tool calls of a run. */
export const attempts = some((value) => value.toFixed(value < 10 ? 1 : 0));

/** An e-value, which may be huge. */
export const evidence = some((value) => (value >= 1000 ? value.toExponential(1) : value.toFixed(value < 10 ? 2 : 0)));

/** A point in time. */
export const time = some((millis) => day.format(millis));

/** A point in time on an axis. */
export const moment = some((millis) => axis.format(millis));

/** A text of the server's with its points in time as people here write them. */
export function dated(text) {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (found) => day.format(Date.parse(found)));
}

/** How long ago a point in time is. */
export const ago = some((millis) => {
  const passed = (millis - Date.now()) / 1000;
  for (const [unit, length] of [["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(passed) >= length) return relative.format(Math.trunc(passed / length), unit);
  }
  return relative.format(Math.trunc(passed), "second");
});

/** A version. */
export const version = some((number) => `v${number}`);

/** What was spent, given in millionths of a dollar. */
export const dollars = some((micros) => `$${(micros / 1e6).toFixed(micros < 1e6 ? 4 : 2)}`);

/** Runs of all outcomes. */
export function runs(counts) {
  return counts.success + counts.failure + counts.aborted + counts.unknown;
}

/** A name of the API in words, e.g. `rolled_back`. */
export function words(name) {
  return name.replaceAll("_", " ");
}
