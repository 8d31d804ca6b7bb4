"""All about one thing, as JSON values: for ``netd show``, and what the daemon answers to it.

Each document has ``{"version", "kind", "name", "state", "reason", "object", "file", "path", "fields", "changes",
"dependents"}``: ``kind`` is "link", "namespace", "object" or "file"; ``fields`` are ``{NAME: {"declared", "actual"}}``;
``path`` is where in ``file`` it is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from netd.errors import KernelError
from netd.kinds import registry
from netd.model.desired import HIDDEN
from netd.model.key import Key, LinkName, namespace_key, parse_key

from .declaration import FOREIGN, Declaration
from .link_details import LinkDetails, LinkReader
from .topology import Topology

VERSION = 1
#: The last changes of one thing that are shown.
MOST_CHANGES = 10
#: The last changes of these objects, the newest first, at most so many.
History = Callable[[Collection[Key], int], list[dict[str, Any]]]


class Details:
    """``reader`` reads what the view does not have; ``history`` knows the last changes."""

    def __init__(self, topology: Topology, declaration: Declaration, reader: LinkReader, history: History) -> None:
        self._topology = topology
        self._declaration = declaration
        self._reader = reader
        self._history = history

    def of(self, name: str) -> dict[str, Any] | None:
        """The document of a name: an object, a link ([NAMESPACE:]LINK), a namespace, a file. None: nothing has it."""
        for find in (self._as_object, self._as_link, self._as_namespace, self._as_file):
            found = find(name)
            if found is not None:
                return found
        return None

    def names(self) -> list[str]:
        """All names, for suggestions."""
        links = [str(at) for at in self._topology.all_links()]
        objects = [str(key) for key in self._declaration.desired]
        return [*links, *(netns for netns in self._topology.namespaces if netns), *objects]

    # what a name can be ----------------------------------------------------------------------------------------

    def _as_object(self, name: str) -> dict[str, Any] | None:
        try:
            key = parse_key(name)
        except ValueError:
            return None
        if key.is_namespace:
            return self._as_namespace(key.name)
        if not self._is_known(key):
            return None
        at = LinkName(key.netns, key.name)
        if self._declaration.of_link(at) == key:
            return self._link(at)
        return self._document("object", str(key), key) | {"dependents": []}

    def _is_known(self, key: Key) -> bool:
        known = self._declaration
        return key in known.desired or key in known.changes or key in known.statuses

    def _as_link(self, name: str) -> dict[str, Any] | None:
        netns, _, link = name.rpartition(":")
        at = LinkName(netns, link)
        if self._topology.link(at) is None and self._declaration.of_link(at) is None:
            return None
        return self._link(at)

    def _as_namespace(self, name: str) -> dict[str, Any] | None:
        key = namespace_key(name)
        if name not in self._topology.namespaces and not self._is_known(key):
            return None
        found = self._document("namespace", name, key)
        links = self._topology.links(name) if name in self._topology.namespaces else []
        inside = [one for one in self._declaration.desired if one.netns == name and name]
        found["links"] = [{"id": str(at), "state": self._declaration.link_state(at)[0]} for at in links]
        found["identity"] = {"cookie": self._topology.view.cookie(name)}
        found["dependents"] = [str(one) for one in inside]
        found["changes"] = self._history([key, *inside], MOST_CHANGES)
        states: dict[str, int] = {}
        for one in inside:
            state = self._declaration.state(one)
            states[state] = states.get(state, 0) + 1
        return found | {"states": states}

    def _as_file(self, name: str) -> dict[str, Any] | None:
        declared = self._declaration.desired.items()
        own = [key for key, one in declared if any(name in (o.file, o.file.rpartition("/")[2]) for o in one.origins)]
        if not own:
            return None
        path = self._declaration.desired[own[0]].file
        states = [self._declaration.state(key) for key in own]
        wrong = next((key for key in own if self._declaration.state(key) not in ("ok", "pending")), None)
        found = self._document("file", path, None) | {"file": path, "path": [], "state": "ok"}
        if wrong is not None:
            found |= {"state": self._declaration.state(wrong), "reason": f"{wrong}: {self._declaration.reason(wrong)}"}
        found["objects"] = [{"object": str(key), "state": state} for key, state in zip(own, states, strict=True)]
        return found | {"changes": self._history(own, MOST_CHANGES)}

    # documents -------------------------------------------------------------------------------------------------

    def _document(self, kind: str, name: str, key: Key | None) -> dict[str, Any]:
        origin = self._declaration.origin(key)
        known = key is not None and self._is_known(key)
        return {
            "version": VERSION, "kind": kind, "name": name, "object": str(key) if known else None,
            "state": self._declaration.state(key) if known else FOREIGN, "reason": self._declaration.reason(key),
            "file": origin.file if origin else None, "path": list(origin.path) if origin else [],
            "fields": self._fields(key) if key is not None else {},
            "changes": self._history([key], MOST_CHANGES) if key is not None else [], "dependents": [],
        }  # fmt: skip

    def _fields(self, key: Key) -> dict[str, Any]:
        """What is declared beside what is there."""
        one = self._declaration.desired.get(key)
        kind = registry().get(key.kind)
        actual: Mapping[str, Any] = {}
        if one is not None and kind is not None:
            try:
                observed = kind.observe(key, one.locator, self._topology.view)
            except KernelError:
                observed = None
            actual = observed.fields if observed is not None else {}
        wanted = one.fields if one is not None else {}
        return {
            name: {"declared": plain(wanted.get(name)), "actual": plain(actual.get(name))}
            for name in dict.fromkeys((*wanted, *actual))
            if name in wanted or plain(actual.get(name)) not in (None, "", [])
        }

    def _link(self, at: LinkName) -> dict[str, Any]:
        key = self._declaration.of_link(at)
        found = self._document("link", str(at), key)
        state, reason = self._declaration.link_state(at)
        found |= {"state": state, "reason": reason, "namespace": at.netns}
        if key is None:
            found["fields"] = {
                name: {"declared": None, "actual": plain(value)} for name, value in self._topology.options(at).items()
            }
        found |= LinkDetails(self._topology, self._declaration, self._reader, at).json()
        parts = set(self._declaration.parts(at)) | ({key} if key is not None else set())
        found["changes"] = self._history(parts, MOST_CHANGES)
        found["objects"] = [
            {"object": str(part), "state": self._declaration.state(part), "reason": self._declaration.reason(part)}
            for part in self._declaration.parts(at)
        ]
        found["dependents"] = self._dependents(at, parts)
        return found

    def _dependents(self, at: LinkName, parts: Iterable[Key]) -> list[str]:
        """Objects that need it, and links that are on it."""
        declared = [key for key in self._declaration.on_link(at) if key not in set(parts)]
        there = [*self._topology.ports(at), *self._topology.carried(at)]
        foreign = [str(each) for each in there if self._declaration.of_link(each) is None]
        named = [self._declaration.of_link(each) for each in there]
        return list(dict.fromkeys([*map(str, declared), *(str(each) for each in named if each), *foreign]))


def plain(value: Any) -> Any:
    """A value as JSON."""
    if value is HIDDEN:
        return None
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
