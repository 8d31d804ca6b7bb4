// Names of objects and links, as netd writes them: [NAMESPACE:]KIND/NAME, [NAMESPACE:]LINK.

export function linkName(namespace, name) {
  return namespace ? `${namespace}:${name}` : name;
}

// The link, or namespace, in the picture that an object is a part of.
export function placeOf(object, graph) {
  const [head, ...rest] = object.split("/");
  const colon = head.lastIndexOf(":");
  const namespace = colon < 0 ? "" : head.slice(0, colon);
  const kind = head.slice(colon + 1);
  if (kind === "namespace") return boxId(rest.join("/"));
  const direct = linkName(namespace, rest[0] ?? "");
  return graph.links.has(direct) ? direct : boxId(namespace);
}

export function boxId(namespace) {
  return `namespace ${namespace}`;
}

// "address restored, 1.3 ms": an operator's words for one change.
export function changeText(event) {
  const kind = event.object.split("/")[0].split(":").pop();
  const words = { create: "created", update: "changed", recreate: "recreated", delete: "removed" };
  const word = event.drift && event.action !== "delete" ? "restored" : words[event.action] ?? event.action ?? "";
  const time = event.ms === null || event.ms === undefined ? "" : `, ${event.ms} ms`;
  return `${kind} ${word}${time}`;
}
