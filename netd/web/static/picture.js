// The topology as a picture: namespaces are boxes that open and close, states have a color and a shape.

import { boxId } from "./names.js";

const SHAPES = {
  ok: "round-rectangle", pending: "diamond", failed: "octagon", conflict: "vee", missing: "octagon", differs: "diamond",
  contended: "star", diverged: "star", surplus: "tag", foreign: "ellipse", orphan: "tag", fault: "concave-hexagon",
};
// More namespaces than this begin closed; more elements than this are laid out fast.
const MANY_BOXES = 12;
const MANY = 250;
const FLASH = 2500;

export class Picture {
  constructor(container, chosen) {
    this.container = container;
    this.chosen = chosen;
    this.open = new Set();
    this.touched = false;
    this.links = new Map();
    this.cy = window.cytoscape({
      container, elements: [], minZoom: 0.02, maxZoom: 4, hideEdgesOnViewport: true,
      textureOnViewport: true, pixelRatio: 1,
    });
    this.restyle();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    this.cy.on("tap", "node", (event) => this.act(event.target));
    this.selected = null;
    this.cy.on("zoom pan", () => { this.framed = this.fitting; });
    new ResizeObserver(() => {
      this.cy.resize();
      if (this.framed) this.fit();
    }).observe(container);
    container.addEventListener("keydown", (event) => this.key(event));
  }

  restyle() {
    const look = getComputedStyle(document.documentElement);
    const color = (name) => look.getPropertyValue(`--${name}`).trim();
    const states = Object.entries(SHAPES).map(([state, shape]) => ({
      selector: `node[state = "${state}"]`,
      style: { shape, "border-color": color({ differs: "pending", conflict: "failed", missing: "failed", fault: "contended",
        diverged: "contended", surplus: "contended", orphan: "foreign" }[state] ?? state) },
    }));
    this.cy.style([
      { selector: "node", style: {
        label: "data(label)", color: color("ink"), "font-size": 11, "text-valign": "bottom", "text-margin-y": 3,
        "background-color": color("box"), "border-width": 2, width: 26, height: 18, "text-wrap": "wrap", "min-zoomed-font-size": 7 } },
      ...states,
      { selector: "node.box", style: { shape: "round-rectangle", width: 40, height: 28, "font-weight": "bold" } },
      { selector: ":parent", style: { "text-valign": "top", "background-opacity": 0.5, shape: "round-rectangle", padding: 14 } },
      { selector: "edge", style: { width: 1.5, "line-color": color("line"), "curve-style": "straight" } },
      { selector: 'edge[kind = "tunnel"]', style: { "line-style": "dashed", "line-color": color("accent") } },
      { selector: 'edge[kind = "nat"]', style: { "line-style": "dotted", "line-color": color("contended"), "target-arrow-shape": "triangle", "target-arrow-color": color("contended"), "curve-style": "bezier" } },
      { selector: ".selected", style: { "border-width": 4, "overlay-color": color("accent"), "overlay-opacity": 0.15 } },
      { selector: ".flash", style: { "overlay-color": color("accent"), "overlay-opacity": 0.35 } },
      { selector: "node.flash", style: { label: "data(flash)" } },
      { selector: ".way", style: { "line-color": color("way"), "border-color": color("way"), width: 4, "z-index": 9 } },
      { selector: "node.way", style: { "border-width": 5, width: 26 } },
    ]);
  }

  // Shows a document of `netd graph --format json`.
  show(graph) {
    this.graph = graph;
    this.links = new Map(graph.nodes.map((node) => [node.id, node]));
    if (!this.touched && graph.namespaces.length <= MANY_BOXES) {
      graph.namespaces.forEach((each) => this.open.add(each.name));
    }
    this.draw();
  }

  // Where a link is drawn: itself, or its closed box.
  place(id) {
    const node = this.links.get(id);
    if (!node || node.namespace === null) return id;
    return this.open.has(node.namespace) ? id : boxId(node.namespace);
  }

  elements() {
    const { graph } = this;
    const found = new Map();
    const worst = new Map();
    for (const node of graph.nodes) {
      if (node.namespace === null) {
        found.set(node.id, { data: { id: node.id, label: node.name, state: "foreign" } });
        continue;
      }
      if (node.state !== "ok" && node.state !== "foreign") worst.set(node.namespace, node.state);
      if (this.open.has(node.namespace)) {
        found.set(node.id, { data: { id: node.id, label: node.name, state: node.state, parent: boxId(node.namespace) } });
      }
    }
    for (const box of graph.namespaces) {
      const state = worst.get(box.name) ?? box.state;
      found.set(boxId(box.name), { data: { id: boxId(box.name), label: box.name || "host", state, box: box.name }, classes: "box" });
    }
    graph.edges.forEach((edge) => {
      const [source, target] = [this.place(edge.from), this.place(edge.to)];
      if (source === target || !found.has(source) || !found.has(target)) return;
      const id = `${edge.kind} ${source} ${target}`;
      found.set(id, { data: { id, source, target, kind: edge.kind } });
    });
    return found;
  }

  draw() {
    const wanted = this.elements();
    let moved = false;
    this.cy.batch(() => {
      this.cy.elements().forEach((element) => {
        const fresh = wanted.get(element.id());
        if (!fresh || (fresh.data.parent ?? null) !== (element.data("parent") ?? null)) {
          element.remove();
          moved = true;
        } else {
          element.data(fresh.data);
        }
      });
      const missing = [...wanted.values()].filter((each) => !this.cy.getElementById(each.data.id).length);
      // A box before what is in it, an edge behind both of its ends.
      missing.sort((one, other) => this.order(one) - this.order(other));
      missing.forEach((each) => this.cy.add(each));
      moved ||= missing.length > 0;
    });
    if (moved) {
      const framed = this.framed ?? true;
      this.arrange();
      if (framed) this.fit();
    }
    if (this.selected) this.cy.getElementById(this.selected).addClass("selected");
  }

  order(element) {
    if (element.data.source) return 2;
    return element.data.parent ? 1 : 0;
  }

  arrange() {
    const count = this.cy.nodes().length;
    const first = !this.arranged;
    this.arranged = true;
    if (count > MANY) {
      const name = "concentric";
      const rank = (node) => node.degree(false);
      this.cy.layout({ name, concentric: rank, levelWidth: () => 8, minNodeSpacing: 12, animate: false, fit: false }).run();
      return;
    }
    const quality = count > 80 ? "draft" : "default";
    this.cy.layout({ name: "fcose", quality, animate: false, randomize: first, nodeSeparation: 90, fit: false, packComponents: true }).run();
  }

  toggle(box) {
    this.touched = true;
    if (this.open.has(box)) this.open.delete(box);
    else this.open.add(box);
    this.draw();
  }

  openAll(open) {
    this.touched = true;
    this.open = new Set(open ? this.graph.namespaces.map((each) => each.name) : []);
    this.arranged = false;
    this.draw();
  }

  // The whole picture, until somebody moves it.
  fit() {
    this.fitting = true;
    this.cy.fit(undefined, 30);
    this.framed = true;
    this.fitting = false;
  }

  act(node) {
    const box = node.data("box");
    if (box !== undefined) this.toggle(box);
    this.select(node.id());
  }

  select(id) {
    this.cy.elements(".selected").removeClass("selected");
    this.selected = id;
    const node = this.cy.getElementById(id);
    node.addClass("selected");
    this.chosen(node.length && node.data("box") !== undefined ? node.data("box") : id, node.data("box") !== undefined);
  }

  // Makes a link visible, and selects it.
  find(id) {
    const node = this.links.get(id);
    if (node && node.namespace !== null && !this.open.has(node.namespace)) this.toggle(node.namespace);
    const there = this.cy.getElementById(this.links.has(id) ? this.place(id) : boxId(id));
    if (!there.length) return false;
    if (!this.framed) this.cy.center(there);
    this.select(there.id());
    return true;
  }

  flash(place, text) {
    const node = this.cy.getElementById(this.place(place));
    if (!node.length) return;
    node.data("flash", `${node.data("label")}\n${text}`);
    node.addClass("flash");
    clearTimeout(node.scratch("timer"));
    node.scratch("timer", setTimeout(() => node.removeClass("flash"), FLASH));
  }

  // Draws the way of a packet.
  way(places) {
    this.cy.elements(".way").removeClass("way");
    const nodes = places.map((place) => this.cy.getElementById(this.place(place))).filter((node) => node.length);
    nodes.forEach((node, number) => {
      node.addClass("way");
      if (number) node.edgesWith(nodes[number - 1]).addClass("way");
    });
  }

  key(event) {
    const current = this.selected ? this.cy.getElementById(this.selected) : this.cy.collection();
    const direction = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (direction) {
      event.preventDefault();
      const next = current.length ? this.nearest(current, direction) : this.cy.nodes()[0];
      if (next) this.select(next.id());
    } else if (event.key === "Enter" && current.length && current.data("box") !== undefined) {
      this.toggle(current.data("box"));
    } else if (event.key === "+" || event.key === "-") {
      this.cy.zoom({ level: this.cy.zoom() * (event.key === "+" ? 1.3 : 1 / 1.3), renderedPosition: { x: this.cy.width() / 2, y: this.cy.height() / 2 } });
    }
  }

  nearest(from, [x, y]) {
    const begin = from.position();
    let best = null;
    let least = Infinity;
    this.cy.nodes().forEach((node) => {
      if (node.same(from)) return;
      const { x: right, y: down } = node.position();
      const [across, along] = [right - begin.x, down - begin.y];
      const ahead = across * x + along * y;
      const aside = Math.abs(across * y) + Math.abs(along * x);
      if (ahead > 0 && ahead + 2 * aside < least) [best, least] = [node, ahead + 2 * aside];
    });
    return best;
  }
}
