"""Links: a table for each, a pair once, at the end where a person would write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netd.kinds import registry
from netd.kinds.base.kind import LOOPBACK
from netd.kinds.interface import InterfaceKind
from netd.kinds.link.link_kind import LinkKind
from netd.kinds.link.segment import kind_of
from netd.kinds.open_firewall import OpenFirewallKind
from netd.kinds.veth import VethKind
from netd.model.key import HOST, Key, LinkName
from netd.model.state import Link

from .draft import Draft
from .ends import EndWriter
from .facts import Facts

INTERFACE, PAIR = InterfaceKind.name, "other end"


class LinkWriter:
    """Writes the links of one namespace after the other."""

    def __init__(self, facts: Facts, draft: Draft, ends: EndWriter) -> None:
        self._facts = facts
        self._topology = facts.topology
        self._draft = draft
        self._ends = ends
        self._wanted: Callable[[LinkName], bool] = lambda at: at.netns in draft.sections

    def write(self, netns: str) -> None:
        """All links, as the kernel lists them; those that netd does not create only if there is something to say."""
        for at in self._topology.links(netns):
            link = self._topology.link(at)
            if link is None:
                continue
            if at in self._facts.skipped:
                self._draft.note(netns, f"{at.name}: it belongs to {self._facts.skipped[at]}")
                continue
            kind = kind_of(link)
            if kind is None or self._is_known_interface(at):
                self._interface(at, link)
            elif kind.joins == PAIR:
                self._pair(at, kind)
            else:
                self._link(at, link, kind)

    def _is_known_interface(self, at: LinkName) -> bool:
        return self._facts.is_known(Key(at.netns, INTERFACE, at.name))

    def _link(self, at: LinkName, link: Link, kind: LinkKind) -> None:
        below = kind.lower_index(link)
        if below and self._topology.carrier(at) is None:
            self._draft.note(at.netns, f"{at.name} ({link.kind}): what carries it is in a namespace without a name")
            return
        options = kind.written(at, link, self._topology.view)
        if self._opens_firewall(at, options):
            options["open_firewall"] = True
        self._draft.add(at.netns, kind.table, (kind.name, at.name), options | self._ends.values(at, made=True))

    def _pair(self, at: LinkName, kind: LinkKind) -> None:
        peer = self._topology.peer(at)
        if peer is None:
            self._draft.note(at.netns, f"{at.name} (veth): its other end is in a namespace without a name")
            self._interface_if_said(at)
            return
        if self._is_known_interface(peer):
            self._interface_if_said(at)
            return
        if self._written_at(at, peer) != at:
            if self._wanted(peer):
                return
            self._draft.note(at.netns, f"{at.name}: it is written at its other end, in namespace {peer.netns}")
            return
        other = {"name": peer.name}
        if peer.netns != HOST:
            other["namespace"] = peer.netns
        values = self._ends.values(at, made=True)
        other |= self._ends.values(peer, made=True)
        self._draft.add(at.netns, kind.table, (kind.name, at.name), values | {"peer": other})

    def _written_at(self, at: LinkName, peer: LinkName) -> LinkName:
        """As netd knows the pair; else in a namespace rather than on the host; else as "ip link add" was written."""
        for end in (at, peer):
            if self._facts.is_known(Key(end.netns, VethKind.name, end.name)):
                return end
        names = list(self._topology.namespaces)
        # Of two ends in one namespace the kernel creates the peer first.
        return min(at, peer, key=lambda end: (end.netns == HOST, names.index(end.netns), -self._index(end)))

    def _index(self, at: LinkName) -> int:
        link = self._topology.link(at)
        return link.index if link is not None else 0

    def _interface_if_said(self, at: LinkName) -> None:
        link = self._topology.link(at)
        if link is not None:
            self._interface(at, link)

    def _interface(self, at: LinkName, link: Link) -> None:
        """A link that netd does not create; nothing where only its being up is to be said."""
        record = self._facts.records.get(Key(at.netns, INTERFACE, at.name))
        values: dict[str, Any] = self._ends.values(at, made=False)
        if at.name == LOOPBACK and at.netns != HOST:
            values.pop("up", None)
        if record is not None and record.locator.get("from_host"):
            values = {"from_host": True, **values}
        if values.keys() - {"up"} or record is not None:
            if record is None or "up" not in record.fields:
                values = {key: value for key, value in values.items() if key != "up" or at.name != LOOPBACK}
            kind = registry()[INTERFACE]
            if isinstance(kind, LinkKind):
                self._draft.add(at.netns, kind.table, (INTERFACE, at.name), values)
        elif link.kind and at.name != LOOPBACK:
            self._draft.note(at.netns, f"{at.name} ({link.kind}): netd does not create links of this kind")

    def _opens_firewall(self, at: LinkName, options: dict[str, Any]) -> bool:
        """Whether netd's ledger has an opening for this tunnel's port."""
        if "vni" not in options:
            return False
        outer, port = self._topology.outer(at), str(options.get("port", 4789))
        known = (one.locator.get("match", {}) for _, one in self._facts.known(outer or HOST, OpenFirewallKind.name))
        far = set(self._topology.far_ends(at))
        return any(
            match.get("port") == port
            and (not match.get("source") or str(match["source"]).partition("/")[0] in far)
            and match.get("iif") in ("", options.get("dev"))
            for match in known
        )
