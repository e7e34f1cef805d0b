// Elements, made of text and attributes only: data never becomes HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** An HTML element; attributes named on... are listeners. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Text for screen readers alone. */
export function hidden(text) {
  return el("span", { class: "hidden" }, text);
}

/** Text for eyes alone. */
export function mute(text, name = "") {
  return el("span", { "aria-hidden": "true", class: name }, text);
}

/** A number with a true minus sign, in few digits. */
export function format(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const places = size >= 100 ? 0 : size >= 10 ? 1 : digits - 1;
  return minus(value.toFixed(places));
}

export function signed(value, places) {
  const text = value.toFixed(places);
  if (Number(text) === 0) return (0).toFixed(places);
  return value > 0 ? `+${text}` : minus(text);
}

export function minus(text) {
  return text.replace("-", "−");
}

export function percent(share, places = 1) {
  return `${(100 * share).toFixed(places)} %`;
}

export function plural(n, word) {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}
