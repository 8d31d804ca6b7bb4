"""Kernel parameters that somebody set, and address translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netd.errors import KernelError
from netd.kinds.base import nat_rules
from netd.kinds.nat import Dnat, Masquerade, NatKind, Snat
from netd.kinds.sysctl import (
    ALIASES,
    IP_FORWARD,
    PER_LINK,
    REDIRECTS,
    SysctlKind,
    SysctlTable,
    link_of,
    path_of,
    sysctl_path,
)
from netd.model.key import HOST, Key

from .draft import Draft
from .facts import Facts

ALL, DEFAULT = "all", "default"
#: Parameters that follow from something else, or count something.
DERIVED = frozenset({"net/netfilter/nf_conntrack_count", "net/ipv4/route/flush", "net/ipv6/route/flush"})
DERIVED_OF_LINKS = frozenset({"mtu", "stable_secret"})
#: Written through another one: of the host only what somebody has to do with forwarding and addresses.
DISABLE_IPV6 = "net/ipv6/conf/all/disable_ipv6"
MODELS = {"masquerade": Masquerade, "snat": Snat, "dnat": Dnat}


class SettingWriter:
    """Writes ``[sysctl]`` and ``[nat]``."""

    def __init__(self, facts: Facts, draft: Draft) -> None:
        self._facts = facts
        self._draft = draft

    def sysctls(self, netns: str) -> None:
        """What differs from a new namespace, and of a link from "default"; and what netd's ledger has."""
        values = self._facts.extra.sysctls(netns)
        chosen = {path: value for path, value in values.items() if self._was_set(netns, path, value, values)}
        for key, _ in self._facts.known(netns, SysctlKind.name):
            path = sysctl_path(key.name)
            if path in values:
                chosen[path] = values[path]
        if netns != HOST and values.get(DISABLE_IPV6) == "1":
            self._draft.sections[netns].own["ipv6"] = False
            chosen = {path: value for path, value in chosen.items() if not path.endswith("/disable_ipv6")}
        if chosen:
            # By names with slashes, which need no thought about dots in the names of links.
            ordered = sorted(chosen, key=lambda path: (bool(link_of(path)), path))
            written = {name_of(path): number(chosen[path]) for path in ordered}
            self._draft.add(netns, SysctlTable, ("sysctl",), written, dotted=True)

    def _was_set(self, netns: str, path: str, value: str, values: Mapping[str, str]) -> bool:
        if path in DERIVED or path in ALIASES:
            return False
        if path == REDIRECTS and values.get(IP_FORWARD) == "1":
            # Forwarding sets it (inet_forward_change() in net/ipv4/devinet.c).
            return value != "0"
        parts = path.split("/")
        if tuple(parts[:3]) not in PER_LINK:
            return path in self._facts.extra.fresh_sysctls() and value != self._facts.extra.fresh_sysctls()[path]
        if parts[-1] in DERIVED_OF_LINKS:
            return False
        fresh = self._facts.extra.fresh_sysctls().get(path)
        if parts[3] == ALL or (parts[3] == DEFAULT and not self._follows_all(path, values)):
            return fresh is not None and value != fresh
        if parts[3] == DEFAULT:
            return False
        if parts[3] == "lo":
            return fresh is not None and value not in (fresh, values.get(path_of(path, DEFAULT)))
        return self._differs_from_default(netns, path, value, values)

    def _follows_all(self, path: str, values: Mapping[str, str]) -> bool:
        """Whether "default" is as "all", which sets it."""
        wide = path_of(path, ALL)
        return path.rpartition("/")[2] in ("forwarding", "disable_ipv6") and values.get(wide) == values[path]

    def _differs_from_default(self, netns: str, path: str, value: str, values: Mapping[str, str]) -> bool:
        """Of a link: whether it is other than that of new links; what links choose for themselves is not set."""
        fresh = self._facts.extra.fresh_sysctls().get(path_of(path, DEFAULT))
        usual = values.get(path_of(path, DEFAULT))
        return fresh is not None and usual is not None and value != usual and not value.startswith("-")

    def nat(self, netns: str) -> None:
        """netd's own entries, in their order."""
        try:
            firewall = self._facts.topology.view.firewall(netns)
        except KernelError as error:
            self._draft.note(netns, f"nat: {error}")
            return
        entries = sorted(firewall.own.items(), key=lambda each: each[1].position)
        for name, own in entries:
            record = self._facts.records.get(Key(netns, NatKind.name, name))
            entry = dict(record.locator) if record is not None else _entry_of(name)
            entry.pop("after", None)
            if not entry or (nat_rules.digest(entry) != own.digest):
                self._draft.note(netns, f"nat/{name}: netd's ledger does not say where its packets go")
                continue
            self._draft.add(netns, MODELS[entry["type"]], (NatKind.name, entry["type"]), nat_values(entry), array=True)
        if firewall.disorder:
            self._draft.note(netns, f"nat: {firewall.disorder}")


def _entry_of(name: str) -> dict[str, Any]:
    """The entry of a name that says everything: of masquerading."""
    kind, _, rest = name.partition("/")
    if kind != "masquerade":
        return {}
    source, _, out = rest.partition("/")[2].rpartition(",")
    return {"type": kind, "source": source.replace("*", ""), "out": out.replace("*", "")}


def nat_values(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A table of [nat]."""
    if entry["type"] != "dnat":
        return {key: entry[key] for key in ("source", "out", "to") if entry.get(key)}
    address, to_port = entry["address"], entry["to_port"]
    to = address if not to_port else f"[{address}]:{to_port}" if ":" in address else f"{address}:{to_port}"
    port = int(entry["port"]) if str(entry["port"]).isdigit() else entry["port"]
    found: dict[str, Any] = {"protocol": entry["protocol"], "port": port, "to": to}
    return found | {key: entry[key] for key in ("in", "destination") if entry[key]}


def name_of(path: str) -> str:
    """A parameter as a key of [sysctl]: with dots, unless a link's name has one."""
    return path if "." in path else path.replace("/", ".")


def number(value: str) -> int | str:
    """A value as TOML has it."""
    return int(value) if value.lstrip("-").isdigit() and str(int(value)) == value else value
