"""All that a kernel (real or fake) has, in a form that does not depend on indexes, cookies and random MACs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from netd.kernel.kernel import Kernel
from netd.kernel.session import Session
from netd.kinds.link.bridge_port import read_port
from netd.kinds.link.segment import kind_of, link_kinds
from netd.kinds.link.tunnel import TunnelKind
from netd.kinds.qdisc import decode_netem
from netd.kinds.vlans import fields_of_port, is_member
from netd.model.state import IFA_F_NODAD, RTPROT_KERNEL, FdbEntry, Link, Qdisc, Route
from tests.fakekernel import FakeKernel
from tests.fakekernel.options import Lookup
from tests.fakekernel.session import FakeSession

#: Keys whose values are compared: those that the labs write, and some that follow from them.
SYSCTLS = (
    "net/ipv4/ip_forward", "net/ipv4/ip_default_ttl", "net/ipv4/conf/default/rp_filter",
    "net/ipv4/conf/all/accept_redirects", "net/ipv4/conf/eth0/forwarding",
    "net/ipv4/conf/eth0/proxy_arp", "net/ipv4/conf/br0/rp_filter", "net/ipv6/conf/all/disable_ipv6",
)  # fmt: skip
#: Tunnels of the kernel's own, which appear in every namespace when it loads a module.
FALLBACKS = frozenset().union(*(kind.fallbacks for kind in link_kinds().values() if isinstance(kind, TunnelKind)))
TABLES = (254, 100, 101, 50)


def snapshot(kernel: Kernel | FakeKernel) -> dict[str, Any]:
    """{namespace: what is in it}."""
    found: dict[str, Any] = {}
    for netns in ("", *kernel.names()):
        with kernel.open(netns) as session:
            found[netns] = inside(session)
        found[netns]["firewall"] = firewall(kernel, netns)
    return found


def without_vlans(found: dict[str, Any]) -> dict[str, Any]:
    """The same, as a kernel shows it whose bridges know no VLANs (CONFIG_BRIDGE_VLAN_FILTERING)."""
    for space in found.values():
        space.pop("vlans", None)
        for link in space["links"].values():
            for key in ("vlan_default_pvid", "vlan_protocol", "vlan_filtering"):
                link.get("options", {}).pop(key, None)
    return found


def inside(session: Session | FakeSession) -> dict[str, Any]:
    """One namespace."""
    links = {link.index: link for link in session.links() if link.name not in FALLBACKS}
    names = {index: link.name for index, link in links.items()}
    return {
        "links": {link.name: plain_link(link, links) for link in links.values()},
        "addresses": sorted(
            (names[one.index], one.address, one.protocol, bool(one.flags & IFA_F_NODAD), one.peer)
            for one in session.addresses()
            if not ipaddress.ip_interface(one.address).is_link_local
        ),
        "routes": sorted(plain_routes((route for table in TABLES for route in session.routes(table)), names)),
        "rules": sorted(
            (one.family, one.priority, one.table, one.source, one.to, one.fwmark, one.protocol)
            for one in session.rules()
            # The first VRF of a namespace brings a rule of the kernel's own, which stays (vrf_add_fib_rules()).
            if (one.priority, one.protocol) != (1000, RTPROT_KERNEL)
        ),
        "neighbors": sorted(
            (name, one.address, one.mac, one.protocol)
            for index, name in names.items()
            for one in session.neighbors(index)
            # Loopback and the unspecified address have permanent entries of the kernel's own.
            if one.mac not in ("", "00:00:00:00:00:00") and not ipaddress.ip_address(one.address).is_multicast
        ),
        "fdb": sorted(
            (link.name, one.mac, one.dst, one.port, one.vni, via(link, one, names))
            for link in links.values()
            if link.kind == "vxlan"
            for one in session.fdb(link.index)
        ),
        "vlans": {
            link.name: str(fields_of_port(session.vlans(link.index))) for link in links.values() if is_member(link)
        },
        "qdiscs": sorted((names[one.index], one.kind, one.handle, plain_qdisc(one)) for one in session.qdiscs()),
        "sysctls": {path: session.sysctl(path) for path in SYSCTLS},
    }


def via(link: Link, entry: FdbEntry, names: Mapping[int, str]) -> str:
    """What carries an entry of a tunnel, by name where that is in the tunnel's own namespace."""
    if link.link_netnsid is not None:
        return "elsewhere" if entry.via else ""
    return names.get(entry.via, "")


def plain_qdisc(one: Qdisc) -> str:
    """Its options, as they are compared; the kernel chooses a seed where nobody does."""
    found = decode_netem(one.options) if one.kind == "netem" else {}
    return " ".join(f"{name}={value}" for name, value in found.items() if name != "seed")


def plain_link(link: Link, known: Mapping[int, Link]) -> dict[str, Any]:
    """One link. A MAC counts where somebody chose it: those of the labs begin with 02:00:00."""
    names = {index: each.name for index, each in known.items()}
    return {
        "kind": link.kind,
        "up": link.up,
        "mtu": link.mtu,
        "mac": link.mac if link.mac.startswith("02:00:00:00") else "",
        "master": names.get(link.master, ""),
        "group": link.group,
        "lower": names.get(link.link, "") if link.link_netnsid is None else "elsewhere",
        "options": options(link, known),
        "port": read_port(link.port),
    }


def options(link: Link, known: Mapping[int, Link]) -> dict[str, Any]:
    """What netd could have written of IFLA_INFO_DATA."""
    kind = kind_of(link)
    return kind.read_options(link, "", Lookup(known)) if kind is not None else {}


def plain_routes(routes: Iterable[Route], names: Mapping[int, str]) -> Iterable[tuple[Any, ...]]:
    """Routes by the names of their links; those to link-local networks are the kernel's own business."""
    for one in routes:
        if one.to.startswith(("fe80:", "ff00:")):
            continue
        hops = tuple((hop.via, names.get(hop.index, ""), hop.weight, hop.onlink) for hop in one.nexthops)
        yield (one.table, one.to, one.metric, one.type, one.protocol, one.src, one.mtu, hops)


def firewall(kernel: Kernel | FakeKernel, netns: str) -> dict[str, Any]:
    """netd's table, and what it has in the chains of others."""
    found = kernel.firewall(netns)
    return {
        "exists": found.exists,
        "disorder": found.disorder,
        "own": dict(found.own),
        "accepted": sorted(
            (gate.family, gate.table, chain, *one.match)
            for gate in found.base_chains
            for chain, lines in gate.rules.items()
            for one in lines
            if one.own
        ),
    }


def differences(have: Any, want: Any, path: str = "") -> list[str]:
    """Where two snapshots differ, in words; none: they are equal."""
    if have == want:
        return []
    if isinstance(have, dict) and isinstance(want, dict):
        keys = sorted({*have, *want}, key=str)
        return [line for key in keys for line in differences(have.get(key), want.get(key), f"{path}/{key}")]
    if isinstance(have, list) and isinstance(want, list):
        extra, missing = [one for one in have if one not in want], [one for one in want if one not in have]
        return [f"{path}: {one} is too much" for one in extra] + [f"{path}: {one} is missing" for one in missing]
    return [f"{path}: {have!r} instead of {want!r}"]
