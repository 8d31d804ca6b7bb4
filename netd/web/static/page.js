// The page: keeps picture, table, story and panel as the daemon says.

import { calmly, follow, read } from "./daemon.js";
import { changeText, placeOf } from "./names.js";
import { Picture } from "./picture.js";
import { Story, Table, described, element } from "./panel.js";

const byId = (id) => document.getElementById(id);
// Milliseconds between two graphs, and between two readings of rates; seconds of a rate that are shown.
const PAUSE = 1000;
const RATES = 2000;
const MINUTE = 60;

const picture = new Picture(byId("picture"), (name, isBox) => about(name, isBox));
const table = new Table(byId("rows"), (id) => picture.find(id));
const story = new Story(byId("changes"), byId("filter"), (object) => go(object));
const rates = new Map();
let away = false;
let shown = "";

function tell(text, bad = false) {
  byId("state").textContent = text;
  byId("state").className = bad ? "bad" : "";
}

const refresh = calmly(async () => {
  try {
    const graph = await read("graph");
    picture.show(graph);
    table.show(graph.nodes);
    suggest(graph);
    await summary();
    arrive();
  } catch (error) {
    tell(error.message, true);
  }
}, PAUSE);

async function summary() {
  const status = await read("status");
  if (!away) tell(`${status.state}: ${status.summary}`, status.state === "degraded");
}

function suggest(graph) {
  const names = [...graph.nodes.map((node) => node.id), ...graph.namespaces.map((each) => each.name).filter(Boolean)];
  fill(byId("names"), names);
  fill(byId("places"), ["host", ...graph.namespaces.map((each) => each.name).filter(Boolean)]);
}

function fill(list, names) {
  if (list.childElementCount === names.length) return;
  list.replaceChildren(...names.map((name) => Object.assign(document.createElement("option"), { value: name })));
}

function hear(event) {
  if (event.type === "away" || event.type === "gone") {
    away = true;
    tell("netd is away: the picture is the last one that was seen", true);
  } else if (event.type === "back" || event.type === "again" || event.lost) {
    away = false;
    refresh();
  } else if (event.type === "change") {
    story.add(event);
    const place = placeOf(event.object, picture);
    if (event.drift) picture.flash(place, changeText(event));
    if (shown) again();
    refresh();
  } else if (event.type === "state" || event.type === "file" || event.type === "object") {
    refresh();
  }
}

// The panel ----------------------------------------------------------------------------------------------------------

async function about(name, isBox = false) {
  shown = isBox && !name ? "" : name;
  byId("panel").hidden = false;
  document.querySelector("main").classList.remove("wide");
  history.replaceState(null, "", `#${encodeURIComponent(name || "host")}`);
  if (!shown) {
    byId("about").replaceChildren(element("h2", "host"), element("p", "The network of this machine itself."));
    return;
  }
  try {
    const answer = await read("show", { name });
    if (shown !== name) return;
    byId("about").replaceChildren(element("h2", name), answer.document ? described(answer.document) : element("p", "netd knows nothing more about it."));
  } catch (error) {
    byId("about").replaceChildren(element("h2", name), element("p", error.message, "failed"));
  }
}

const again = calmly(async () => {
  if (shown) await about(shown);
}, PAUSE);

function close() {
  shown = "";
  byId("panel").hidden = true;
  document.querySelector("main").classList.add("wide");
  history.replaceState(null, "", "#");
}

function go(name) {
  if (!picture.find(name)) {
    const place = name.includes("/") ? placeOf(name, picture) : "";
    if (place) picture.find(place);
    about(name);
  }
}

let wanted = decodeURIComponent(location.hash.slice(1));
function arrive() {
  if (wanted) go(wanted === "host" ? "" : wanted);
  wanted = "";
}

// Traces -------------------------------------------------------------------------------------------------------------

async function trace(from, to) {
  byId("panel").hidden = false;
  document.querySelector("main").classList.remove("wide");
  shown = "";
  byId("about").replaceChildren(element("h2", `${from} to ${to}`), element("p", "asking the kernel ..."));
  try {
    const way = await read("trace", { from, to });
    byId("about").replaceChildren(element("h2", `${from} to ${to}`), ...told("the packet", way), ...(way.back ? told("the answer", way.back) : []));
    picture.way(way.steps.filter((step) => step.link).map((step) => (step.namespace ? `${step.namespace}:${step.link}` : step.link)));
  } catch (error) {
    byId("about").replaceChildren(element("h2", `${from} to ${to}`), element("p", error.message, "failed"));
  }
}

function told(what, way) {
  const words = { delivered: "arrives", lost: "is lost", leaves: "leaves this machine", unknown: "cannot be told" };
  const steps = element("ol", "", "steps");
  for (const step of way.steps) {
    const place = step.namespace ? `${step.namespace}:${step.link}` : step.link || "host";
    const row = element("li", `${place} ${step.kind}: ${step.text}`);
    if (step.at) row.append(element("small", ` (${step.object}, ${step.at})`));
    steps.append(row);
  }
  const end = element("p", `${what} ${words[way.verdict]}${way.reason ? `: ${way.reason}` : ""}`, way.verdict === "delivered" ? "ok" : way.verdict);
  return [end, steps];
}

// Rates --------------------------------------------------------------------------------------------------------------

let before = null;
async function measure() {
  if (!document.hidden && !away) {
    try {
      const { time, links } = await read("rates");
      for (const [id, counters] of Object.entries(links ?? {})) {
        const total = (counters.rx_bytes ?? 0) + (counters.tx_bytes ?? 0);
        const last = before?.links[id];
        if (last !== undefined && time > before.time) {
          const found = [...(rates.get(id) ?? []), Math.max(0, (total - last) / (time - before.time))].slice(-MINUTE);
          rates.set(id, found);
          table.rate(id, found);
        }
      }
      before = { time, links: Object.fromEntries(Object.entries(links ?? {}).map(([id, each]) => [id, (each.rx_bytes ?? 0) + (each.tx_bytes ?? 0)])) };
    } catch {
      before = null;
    }
  }
  setTimeout(measure, RATES);
}

// Controls -----------------------------------------------------------------------------------------------------------

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  go(byId("name").value.trim());
});
byId("trace").addEventListener("submit", (event) => {
  event.preventDefault();
  trace(byId("from").value.trim() || "host", byId("to").value.trim());
});
byId("open-all").addEventListener("click", () => picture.openAll(true));
byId("close-all").addEventListener("click", () => picture.openAll(false));
byId("fit").addEventListener("click", () => picture.fit());
byId("close-panel").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !(event.target instanceof HTMLInputElement)) {
    event.preventDefault();
    byId("name").focus();
  } else if (event.key === "Escape") {
    close();
  }
});
close();
follow(hear);
refresh();
measure();
Object.assign(window, { netd: { picture, table } });
