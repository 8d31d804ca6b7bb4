"""What the files say about links, beside the topology: objects, their states, and where they are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from netd.model.change import Change
from netd.model.desired import Desired, Origin
from netd.model.key import Key, LinkName, namespace_key
from netd.model.status import State, Status

#: Where an origin is, as text ("/etc/netd/lab.toml:3").
Locate = Callable[[Origin], str]
#: States of what no file declares, of what is not there although declared, and of what is there but should not be.
FOREIGN, MISSING, SURPLUS, DIFFERS = "foreign", "missing", "surplus", "differs"
#: The end of a sentence about a part of a link.
PART_WORDS = {MISSING: "is missing", SURPLUS: "is not declared any more", DIFFERS: "differs"}
#: What a change that is still to be made says of an object.
TO_DO = {"create": MISSING, "delete": SURPLUS, "update": DIFFERS, "recreate": DIFFERS}


class Declaration:
    """``desired``: what the files want. ``statuses``: the states of objects. ``changes``: what differs from the kernel.

    Without files all three are empty, and everything is foreign.
    """

    def __init__(
        self,
        desired: Mapping[Key, Desired],
        statuses: Iterable[Status] = (),
        changes: Iterable[Change] = (),
        locate: Locate = lambda origin: os.fspath(origin.file),
    ) -> None:
        self.desired: dict[Key, Desired] = {}
        self.statuses = {status.key: status for status in statuses}
        self.changes = {change.key: change for change in changes}
        self._locate = locate
        self._of_link: dict[LinkName, Key] = {}
        self._on_link: dict[LinkName, list[Key]] = {}
        for key, one in desired.items():
            self.add(key, one)
        for key in self.changes.keys() - desired.keys():
            if key.is_namespace:
                continue
            self._of_link.setdefault(LinkName(key.netns, key.name), key)
            self._on_link.setdefault(LinkName(key.netns, key.name.partition("/")[0]), []).append(key)

    def add(self, key: Key, one: Desired, status: Status | None = None) -> None:
        """One more object; for those who cannot wait until all are known."""
        self.desired[key] = one
        if status is not None:
            self.statuses[key] = status
        for link in (*one.provides, *(end.link for end in one.ends)):
            self._of_link.setdefault(link, key)
        own = set(one.provides)
        for link in dict.fromkeys((*one.requires, *one.after, *(link for link, _ in one.references))):
            if link not in own:
                self._on_link.setdefault(link, []).append(key)

    def of_link(self, at: LinkName) -> Key | None:
        """The object that declares a link ("veth/veth0" for both ends), None: no file does."""
        return self._of_link.get(at)

    def on_link(self, at: LinkName) -> list[Key]:
        """The objects that need a link: its addresses, routes, ports, tunnels, NAT."""
        return self._on_link.get(at, [])

    def links(self) -> Iterable[LinkName]:
        """All links that the files declare."""
        return [at for at, key in self._of_link.items() if key in self.desired]

    def state(self, key: Key | None) -> str:
        """A state of ``netd status``, or "differs", "missing", "surplus"; "foreign": no file declares it."""
        if key is None:
            return FOREIGN
        status = self.statuses.get(key)
        if status is not None and status.state not in (State.OK, State.PENDING):
            return status.state.value
        if key in self.changes:
            return TO_DO[self.changes[key].action]
        if status is not None:
            return status.state.value
        return State.OK.value if key in self.desired else FOREIGN

    def reason(self, key: Key | None) -> str:
        """Why an object is not ok."""
        status = self.statuses.get(key) if key is not None else None
        return status.reason if status is not None else ""

    def parts(self, at: LinkName) -> list[Key]:
        """The objects that are a part of a link: those whose names begin with its own (address/DEV/CIDR)."""
        begin = f"{at.name}/"
        return [key for key in self.on_link(at) if key.netns == at.netns and key.name.startswith(begin)]

    def link_state(self, at: LinkName) -> tuple[str, str]:
        """(state, reason) of the object that declares a link; where that is ok, of the first part that is not."""
        key = self.of_link(at)
        state = self.state(key)
        if state in (State.OK, FOREIGN):
            for part in self.parts(at):
                found = self.state(part)
                if found not in (State.OK, FOREIGN):
                    reason = self.reason(part) or f"{part} {PART_WORDS.get(found, f'is {found}')}"
                    return DIFFERS if found in PART_WORDS else found, reason
        return state, self.reason(key) or difference(self.changes.get(key) if key is not None else None)

    def namespace_state(self, netns: str) -> str:
        """The state of the namespace with that name."""
        key = namespace_key(netns)
        return self.state(key if key in self.desired or key in self.changes else None)

    def origin(self, key: Key | None) -> Origin | None:
        """Where an object is declared first."""
        one = self.desired.get(key) if key is not None else None
        return one.origins[0] if one is not None else None

    def at(self, key: Key | None) -> str:
        """The same as text: "/etc/netd/lab.toml:3"; "" for what no file declares."""
        origin = self.origin(key)
        return self._locate(origin) if origin is not None else ""


def difference(change: Change | None) -> str:
    """ "mtu is 1500, declared 1400"."""
    if change is None or change.action not in ("update", "recreate"):
        return ""
    return ", ".join(
        f"{name} is {shown(diff.have)}, declared {shown(diff.want)}" for name, diff in change.fields.items()
    )


def shown(value: object) -> str:
    """A value as a file has it."""
    if value is None or value in ("", ()):
        return "not there"
    return str(value).lower() if isinstance(value, bool) else str(value)
