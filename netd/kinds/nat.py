"""Address translation: ``[[nat.masquerade]]``, ``[[nat.snat]]``, ``[[nat.dnat]]``, all in netd's own nft table."""

from __future__ import annotations

import bisect
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, Literal

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.firewall import Firewall
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.operations import DropFlows, RunNft

from .base import nat_rules as translation
from .base.group_kind import GroupKind
from .base.kind import TableContext, TomlForm, Traits
from .base.nat_flows import changed_translations
from .base.options import Table, option
from .base.roles import Diversion, DivertsPackets, NeedsForwarding
from .base.values import ADDRESS, Form, Name, Network, canonical_address, unicast_address


def port_range(value: int | str) -> str:
    """A port or a range of ports: "80", "8000-8010"."""
    first, dash, last = str(value).partition("-")
    numbers = [text.strip() for text in ((first, last) if dash else (first,))]
    if not all(text.isascii() and text.isdigit() and 0 < int(text) < 65536 for text in numbers):
        raise ValueError(f"'{value}' is not a port (1 to 65535) or a range such as '8000-8010'")
    ends = [int(text) for text in numbers]
    if ends[0] > ends[-1]:
        raise ValueError(f"'{value}' ends before it begins: did you mean '{ends[1]}-{ends[0]}'?")
    return str(ends[0]) if ends[0] == ends[-1] else f"{ends[0]}-{ends[1]}"


def local_address(text: str) -> str:
    """An address that packets from outside can be sent to."""
    address = unicast_address(text)
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        raise ValueError(f"'{text}' cannot be the address of a host")
    if parsed.is_loopback:
        raise ValueError(f"'{text}' is a loopback address: the kernel does not translate packets to it")
    return address


def target(text: str) -> str:
    """Where to: "192.168.1.204:80", "[fd00::2]:80", or an address alone; canonical."""
    address, port = split_target(text)
    try:
        address = local_address(canonical_address(address))
        port = port_range(port) if port else ""
    except ValueError as error:
        raise ValueError(f"'{text}' is not an address, with or without a port (192.168.1.2:80): {error}") from None
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def split_target(text: str) -> tuple[str, str]:
    """(address, port), the port "" where there is none."""
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or rest == ":":
            raise ValueError(f"'{text}' is not an address with a port, such as [fd00::2]:80")
        return address, rest[1:]
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        if not port:
            raise ValueError(f"'{text}' has no port after its colon")
        return address, port
    return text, ""


def span(port: str) -> tuple[int, int]:
    """First and last port."""
    first, _, last = port.partition("-")
    return int(first), int(last or first)


PortRange = Annotated[int | str, Form(port_range, 'integer, or a range such as `"8000-8010"`')]
LocalAddress = Annotated[str, Form(local_address, "address", ADDRESS)]
Target = Annotated[str, Form(target, "address, or address and port")]


class Masquerade(Table):
    """Packets leave with the address of the link that they leave by."""

    source: Network | None = option("source network of the packets", default=None, absent="any")
    out: Name | None = option(
        "the link through which the packets leave; they get its address as their source", default=None, absent="any"
    )

    def check(self) -> None:
        if self.source is None and self.out is None:
            raise ValueError("neither source nor out: write at least one, or everything would be masqueraded")


class Snat(Table):
    """Packets leave with an address that is given."""

    source: Network | None = option("source network of the packets", default=None, absent="any")
    out: Name | None = option("the link through which the packets leave", default=None, absent="any")
    to: LocalAddress = option("new source address of the packets")

    def check(self) -> None:
        if self.source is None and self.out is None:
            raise ValueError("neither source nor out: write at least one, or everything would be translated")
        if len(translation.families((self.source or "", self.to))) > 1:
            raise ValueError(f"to: {self.to} and source {self.source} are not of the same address family")


class Dnat(Table):
    """Packets to a port of this machine go to another."""

    protocol: Literal["tcp", "udp"] = option("protocol", default="tcp")
    port: PortRange = option("destination port, 1 to 65535")
    to: Target = option("new destination; without a port, the port stays")
    in_: Name | None = option("the link through which the packets arrive", default=None, key="in", absent="any")
    destination: LocalAddress | None = option(
        "original destination address; the default excludes loopback addresses",
        default=None,
        absent="every address of this host",
    )

    def check(self) -> None:
        address, to_port = split_target(self.to)
        first, last = span(str(self.port))
        if to_port and span(to_port)[1] - span(to_port)[0] != last - first:
            raise ValueError(f"to: port range {to_port} is not as long as port {self.port}")
        if len(translation.families((address, self.destination or ""))) > 1:
            raise ValueError(f"destination: {self.destination} and {address} are not of the same address family")


class NatTable(Table):
    """[nat]: entries match in the order of their file, files in the order of their names."""

    masquerade: list[Masquerade] = option("[[nat.masquerade]]", default_factory=list)
    snat: list[Snat] = option("[[nat.snat]]", default_factory=list)
    dnat: list[Dnat] = option("[[nat.dnat]]", default_factory=list)


class NatKind(GroupKind, NeedsForwarding, DivertsPackets):
    """nat/masquerade/…, nat/snat/…, nat/dnat/…"""

    name = "nat"
    #: The types that compete for outgoing packets: dnat is not among them.
    toml = TomlForm(NatTable, "single", frozenset({"snat", "masquerade"}))
    traits = Traits(never_adopted=True)

    def declare(self, table: NatTable, context: TableContext) -> Iterable[Desired]:
        for number, entry in _entries(table):
            yield _object(context, number, entry)

    def arranged(self, desired: Sequence[Desired]) -> Sequence[Desired]:
        """Each entry has the name of the one before it: a number would change with every entry before it."""
        before = ["", *(one.key.name for one in desired)]
        return [
            replace(one, locator={**one.locator, "after": name}) for one, name in zip(desired, before, strict=False)
        ]

    def cross_check(self, desired: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
        groups: dict[tuple[str, ...], list[Desired]] = {}
        for one in desired:
            if one.locator["type"] == "dnat":
                family = one.key.name.split("/")[1]
                groups.setdefault((one.key.netns, family, one.locator["protocol"]), []).append(one)
        for group in groups.values():
            yield from _overlaps(group)

    def forwarded(self, key: Key) -> Sequence[Literal["ip", "ip6"]]:
        family = key.name.split("/")[1]
        return ("ip6",) if family == "ip6" else ("ip",) if family == "ip" else ("ip", "ip6")

    def diversion(self, desired: Desired) -> Diversion | None:
        entry = desired.locator
        if entry["type"] != "dnat":
            return None
        return Diversion(entry["protocol"], span(entry["port"]), entry["destination"], entry["address"])

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        if not view.exists(key.netns):
            return None
        firewall = view.firewall(key.netns)
        found = firewall.own.get(key.name)
        if found is None:
            return None
        after = firewall.own.get(locator.get("after", ""))
        if firewall.disorder:
            rules = firewall.disorder
        elif not locator or found.digest != translation.digest(locator):
            rules = found.digest if " " in found.digest else f"other rules ({found.digest})"
        elif after is not None and after.position > found.position:
            rules = f"comes before {locator['after']}"
        else:
            rules = _words(locator)
        return Observed({"rules": rules}, {"cookie": view.cookie(key.netns)}, marked=True)

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (WatchKey("nft", key.netns),)

    def validate_locator(self, key: Key, locator: Mapping[str, Any]) -> None:
        if locator:
            translation.digest(locator)

    def write_all(self, netns: str, desired: Sequence[Desired], view: View) -> Sequence[Step]:
        firewall = view.firewall(netns)
        if not desired and not firewall.exists:
            return []
        entries = [(one.key.name, one.locator) for one in _in_order(desired, firewall)]
        text = translation.transaction(entries, firewall.exists)
        flows = changed_translations(entries, firewall)
        steps = [Step(Phase.FIREWALL, RunNft(netns, text))]
        return [*steps, Step(Phase.FIREWALL, DropFlows(netns, flows))] if flows else steps


def _in_order(desired: Sequence[Desired], firewall: Firewall) -> list[Desired]:
    """The declared entries, in their order; each of the others after the entry that it follows now."""

    def position(one: Desired) -> int:
        found = firewall.own.get(one.key.name)
        return found.position if found is not None else -1

    ordered = sorted((one for one in desired if one.origins), key=lambda one: one.order)
    for left in sorted((one for one in desired if not one.origins), key=position):
        before = [number for number, one in enumerate(ordered, 1) if position(one) < position(left)]
        ordered.insert(max(before, default=0), left)
    return ordered


def _entries(table: NatTable) -> Iterable[tuple[int, dict[str, Any]]]:
    """Array by array; the parser sorts the ``interleaved`` arrays in the order of the file."""
    for number, dnat in enumerate(table.dnat):
        yield number, _dnat_entry(dnat)
    for number, snat in enumerate(table.snat):
        yield number, {"type": "snat", "source": snat.source or "", "out": snat.out or "", "to": snat.to}
    for number, each in enumerate(table.masquerade):
        yield number, {"type": "masquerade", "source": each.source or "", "out": each.out or ""}


def _dnat_entry(table: Dnat) -> dict[str, Any]:
    address, to_port = split_target(table.to)
    return {
        "type": "dnat",
        "protocol": table.protocol,
        "port": table.port,
        "address": address,
        "to_port": to_port,
        "in": table.in_ or "",
        "destination": table.destination or "",
    }


def _object(context: TableContext, number: int, entry: dict[str, Any]) -> Desired:
    kind = entry["type"]
    origin = context.at(kind, number)
    key, link = _name(entry), "in" if kind == "dnat" else "out"
    mentions = ((LinkName(context.netns, entry[link]), context.at(kind, number, link)),) if entry[link] else ()
    return Desired(
        key=Key(context.netns, "nat", key),
        fields={"rules": _words(entry)},
        origins=(origin,),
        locator=entry,
        references=mentions,
    )


def _name(entry: Mapping[str, Any]) -> str:
    """The object's name: what it matches; what is not given is ``*``."""
    if entry["type"] == "dnat":
        (family,) = translation.families([entry["address"]])
        port, destination, link = entry["port"], entry["destination"] or "*", entry["in"] or "*"
        return f"dnat/{family}/{entry['protocol']}/{port},{destination},{link}"
    family = next(iter(translation.families([entry["source"] or entry.get("to", "")])), "inet")
    return f"{entry['type']}/{family}/{entry['source'] or '*'},{entry['out'] or '*'}"


def _words(entry: Mapping[str, Any]) -> str:
    """What the rules do, for people; equal only where the entries are."""
    if entry["type"] == "masquerade":
        return "masquerade"
    if entry["type"] == "snat":
        return f"to {entry['to']}"
    address, port = entry["address"], entry["to_port"]
    return f"to [{address}]:{port}" if port and ":" in address else f"to {address}{port and ':' + port}"


def _overlaps(group: Sequence[Desired]) -> Iterable[tuple[Desired, Desired, str]]:
    """Pairs with overlapping ports, of which the earlier matches the packets of the later; not its exceptions.

    An entry that loses is not compared further, so the entries of one link and destination never overlap.
    """
    taken: dict[tuple[str, str], list[tuple[int, int, Desired]]] = {}
    for later in sorted(group, key=lambda one: one.order):
        link, destination = later.locator["in"], later.locator["destination"]
        first, last = span(later.locator["port"])
        for match in dict.fromkeys(((link, destination), (link, ""), ("", destination), ("", ""))):
            apart = taken.get(match, [])
            index = bisect.bisect(apart, last, key=lambda one: one[0]) - 1
            if index >= 0 and apart[index][1] >= first:
                earlier = apart[index][2]
                ports = f"port {later.locator['port']} overlaps {earlier.locator['port']}"
                yield later, earlier, f"{ports}, which already goes to {earlier.locator['address']}"
                break
        else:
            bisect.insort(taken.setdefault((link, destination), []), (first, last, later), key=lambda one: one[0])
