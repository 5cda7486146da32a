// Elements out of text. Whatever agents, models and people wrote gets into the page here and only as text:
// nothing takes markup, so that nothing they wrote is ever run.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Properties named `on…` are listeners; those that are null or false are left out. */
export function h(tag, properties, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function s(tag, properties, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What only screen readers say. */
export function unseen(text) {
  return h("span", { class: "unseen" }, text);
}

/**
 * Puts `children` in place of what `parent` holds. What is focused or folded open there stays so, if it is
 * still there: elements are known again by their `data-key`.
 */
export function swap(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const folds = [...parent.querySelectorAll("details[data-key]")].map((fold) => [fold.dataset.key, fold.open]);
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  for (const [key, open] of folds) {
    const fold = keyed(parent, key);
    if (fold) fold.open = open;
  }
  if (focused) keyed(parent, focused)?.focus({ preventScroll: true });
}

function keyed(parent, key) {
  return parent.querySelector(`[data-key="${CSS.escape(key)}"]`);
}

/** Says `text` to screen readers, and shows it for a while. */
export function tell(text, kind = "info") {
  const notes = document.getElementById("notes");
  const note = h("p", { class: `note ${kind}` }, text);
  notes.append(note);
  while (notes.children.length > 4) notes.firstChild.remove();
  setTimeout(() => note.remove(), kind === "bad" ? 20_000 : 8_000);
}
