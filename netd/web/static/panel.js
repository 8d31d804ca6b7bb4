// Text of the page: the panel about one thing, the story of changes, the table. Names are hostile: text, never markup.

import { changeText } from "./names.js";

const LONGEST_STORY = 500;

export function element(tag, text = "", className = "") {
  const found = document.createElement(tag);
  found.textContent = text;
  if (className) found.className = className;
  return found;
}

// Any JSON value as a list of names and values.
export function described(value) {
  if (value === null || typeof value !== "object") return element("span", value === null ? "-" : String(value));
  if (Array.isArray(value)) {
    if (isPlain(value)) return element("span", value.join(", ") || "-");
    const list = element("ol");
    value.forEach((each) => list.append(wrapped("li", described(each))));
    return list;
  }
  const list = element("dl");
  for (const [name, each] of Object.entries(value)) {
    if (each === null || each === "" || (Array.isArray(each) && !each.length)) continue;
    if (typeof each === "object" && !Array.isArray(each) && !Object.keys(each).length) continue;
    const wide = typeof each === "object" && !isPair(each) && !isPlain(each) ? "wide" : "";
    const shown = isPair(each) ? compared(each) : described(each);
    list.append(element("dt", name.replaceAll("_", " "), wide), wrapped("dd", shown, wide));
  }
  return list;
}

function isPlain(value) {
  return Array.isArray(value) && value.every((each) => each === null || typeof each !== "object");
}

// What a file says beside what the kernel has.
function isPair(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).every((name) => name === "declared" || name === "actual");
}

function compared({ declared, actual }) {
  const found = element("span", written(actual ?? declared));
  if (declared !== undefined && declared !== null && written(declared) !== written(actual)) {
    found.className = "differs";
    found.append(` (declared: ${written(declared)})`);
  }
  return found;
}

function written(value) {
  return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "-");
}

function wrapped(tag, child, className = "") {
  const found = element(tag, "", className);
  found.append(child);
  return found;
}

export class Story {
  constructor(list, filter, chosen) {
    this.list = list;
    this.filter = filter;
    this.chosen = chosen;
    filter.addEventListener("input", () => this.sift());
  }

  add(event) {
    const time = (event.time ?? "").slice(11, 19);
    const row = element("li", "", event.drift ? "repair" : "");
    const name = element("button", event.object);
    name.addEventListener("click", () => this.chosen(event.object));
    row.append(element("span", `${time} `), name, element("span", ` ${changeText(event)}${event.by ? `, after ${event.by}` : ""}`));
    row.dataset.object = event.object;
    row.hidden = !event.object.includes(this.filter.value);
    this.list.prepend(row);
    while (this.list.childElementCount > LONGEST_STORY) this.list.lastElementChild.remove();
  }

  sift() {
    for (const row of this.list.children) row.hidden = !row.dataset.object.includes(this.filter.value);
  }
}

// The links as rows; only those that changed are touched.
export class Table {
  constructor(body, chosen) {
    this.body = body;
    this.chosen = chosen;
    this.rows = new Map();
  }

  show(nodes) {
    const links = nodes.filter((node) => node.namespace !== null);
    const ids = new Set(links.map((node) => node.id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        row.remove();
        this.rows.delete(id);
      }
    }
    for (const node of links) this.row(node);
  }

  row(node) {
    let row = this.rows.get(node.id);
    if (!row) {
      row = element("tr");
      row.tabIndex = 0;
      for (let number = 0; number < 6; number += 1) row.append(element("td"));
      row.addEventListener("click", () => this.chosen(node.id));
      row.addEventListener("keydown", (event) => event.key === "Enter" && this.chosen(node.id));
      this.rows.set(node.id, row);
      this.body.append(row);
    }
    const texts = [node.id, node.kind, node.state + (node.reason ? `: ${node.reason}` : ""), node.addresses.join(" "), String(node.mtu ?? "")];
    texts.forEach((text, number) => {
      if (row.cells[number].textContent !== text) row.cells[number].textContent = text;
    });
    row.cells[2].className = node.state;
  }

  // `history`: bytes per second of the last minute.
  rate(id, history) {
    const row = this.rows.get(id);
    if (row) row.cells[5].replaceChildren(spark(history), element("span", ` ${shortRate(history.at(-1) ?? 0)}`));
  }
}

export function spark(values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const most = Math.max(1, ...values);
  svg.setAttribute("viewBox", "0 0 60 10");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("points", values.map((value, at) => `${60 - (values.length - 1 - at)},${10 - (9 * value) / most}`).join(" "));
  svg.append(line);
  return svg;
}

export function shortRate(bytes) {
  const bits = bytes * 8;
  if (bits < 1000) return `${bits.toFixed(0)} bit/s`;
  const power = Math.min(3, Math.floor(Math.log10(bits) / 3));
  return `${(bits / 1000 ** power).toFixed(1)} ${["", "k", "M", "G"][power]}bit/s`;
}
