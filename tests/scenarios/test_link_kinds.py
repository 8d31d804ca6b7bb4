"""Each kind of link on the real kernel: traffic through it, every harm healed, and nothing left."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.support.host import Host
from tests.support.snapshot import differences

#: What of ``ip -d link`` follows from the moment, not from what was declared.
FLEETING = ("active_slave", "ad_info", "ad_actor_system", "lower_state")


class Lab(NamedTuple):
    """``pings``: (namespace, address). ``harms``: shell lines, after which all is as it was, at the same index.

    ``losses``: shell lines that cost links; netd may be quicker than the second command of a line.
    """

    needs: tuple[str, ...]
    text: str
    pings: tuple[tuple[str, str], ...]
    harms: tuple[str, ...]
    losses: tuple[str, ...]


#: Where the last picture differed, for the message.
LAST: list[str] = []
VLAN = Lab(
    ("vlan",),
    """
    [veth.trunk]
    peer = { name = "trunk", namespace = "far" }
    [vlan.v10]
    dev = "trunk"
    id = 10
    reorder_hdr = true
    mtu = 1400
    addresses = ["10.10.0.1/24", "fd10::1/64"]
    nodad = true
    gateway = "10.10.0.2"
    [namespace.far.vlan.v10]
    dev = "trunk"
    id = 10
    addresses = ["10.10.0.2/24", "fd10::2/64"]
    nodad = true
    [namespace.near.vlan.v20]
    dev = "trunk"
    dev_namespace = ""
    id = 20
    addresses = ["10.20.0.1/24"]
    [namespace.far.vlan.v20]
    dev = "trunk"
    id = 20
    addresses = ["10.20.0.2/24"]
    """,
    (("", "10.10.0.2"), ("", "fd10::2"), ("near", "10.20.0.2")),
    (
        "ip link set v10 down",
        "ip link set v10 mtu 1300",
        "ip link set v10 address 02:00:00:00:00:99",
        "ip link set v10 type vlan reorder_hdr off",
        "ip addr del 10.10.0.1/24 dev v10",
        "ip -6 addr flush dev v10",
        "ip route del default",
        "ip link set trunk down",
        "ip link set v10 group default",
    ),
    (
        "ip link del v10",
        "ip link del v10; ip link add link trunk name v10 type vlan id 11 || :",
        "ip -n near link del v20",
        "ip link del trunk",
        "ip netns del near",
        "ip netns del far",
    ),
)
MACVLAN = Lab(
    ("macvlan",),
    """
    [namespace.far]
    [veth.under]
    peer = { name = "wire", namespace = "far", addresses = ["10.11.0.9/24"] }
    [macvlan.m1]
    dev = "under"
    mtu = 1400
    addresses = ["10.11.0.1/24", "fd11::1/64"]
    nodad = true
    [namespace.near.macvlan.m2]
    dev = "under"
    dev_namespace = ""
    addresses = ["10.11.0.2/24", "fd11::2/64"]
    nodad = true
    """,
    (("", "10.11.0.9"), ("", "10.11.0.2"), ("near", "fd11::1")),
    (
        "ip link set m1 down",
        "ip link set m1 mtu 1300",
        "ip link set m1 address 02:00:00:00:00:99",
        "ip link set m1 type macvlan mode private",
        "ip addr flush dev m1",
        "ip link set under down",
    ),
    (
        "ip link del m1",
        "ip link del m1; ip link add m1 type veth || :",
        "ip -n near link del m2",
        "ip link del under",
        "ip netns del near",
        "ip netns del far",
    ),
)
IPVLAN = Lab(
    ("ipvlan",),
    """
    [namespace.far]
    [veth.under]
    peer = { name = "wire", namespace = "far", addresses = ["10.12.0.9/24"] }
    [ipvlan.i1]
    dev = "under"
    addresses = ["10.12.0.1/24"]
    [namespace.near.ipvlan.i2]
    dev = "under"
    dev_namespace = ""
    addresses = ["10.12.0.2/24"]
    """,
    (("", "10.12.0.9"), ("", "10.12.0.2"), ("near", "10.12.0.9")),
    (
        "ip link set i1 down",
        "ip link set i1 type ipvlan mode l3",
        "ip link set i1 type ipvlan mode l2 private",
        "ip addr flush dev i1",
        "ip link set under down",
    ),
    (
        "ip link del i1",
        "ip link del i1; ip link add i1 type veth || :",
        "ip -n near link del i2",
        "ip link del under",
        "ip netns del near",
        "ip netns del far",
    ),
)
BOND = Lab(
    ("bond",),
    """
    [bond.bond0]
    updelay = 200
    primary = "p1"
    min_links = 1
    mtu = 1400
    addresses = ["10.13.0.1/24", "fd13::1/64"]
    nodad = true
    [veth.p1]
    master = "bond0"
    peer = { name = "q1", namespace = "far", master = "br0" }
    [veth.p2]
    master = "bond0"
    peer = { name = "q2", namespace = "far", master = "br0" }
    [namespace.far.bridge.br0]
    addresses = ["10.13.0.9/24", "fd13::9/64"]
    nodad = true
    """,
    (("", "10.13.0.9"), ("", "fd13::9")),
    (
        "ip link set p1 nomaster",
        "ip link set p2 nomaster",
        "ip link set p1 down",
        "ip link set bond0 down",
        "ip link set bond0 mtu 1300",
        "ip link set p2 mtu 1300; ip link set bond0 mtu 1301",
        "ip link set bond0 address 02:00:00:00:00:99",
        "ip link set bond0 type bond miimon 50",
        "ip link set bond0 type bond updelay 300",
        "ip link set bond0 type bond min_links 0",
        "ip link set bond0 type bond primary p2",
        "ip addr flush dev bond0",
    ),
    (
        "ip link del p1",
        "ip link del bond0",
        "ip link del bond0; ip link add bond0 type bond mode balance-rr || :",
        "ip link del p1; ip link del p2",
        "ip netns del far",
    ),
)
LACP = Lab(
    ("bond",),
    """
    [bond.bond0]
    mode = "802.3ad"
    lacp_rate = "fast"
    ad_select = "bandwidth"
    min_links = 1
    addresses = ["10.14.0.1/24", "fd14::1/64"]
    nodad = true
    [veth.p1]
    master = "bond0"
    peer = { name = "q1", namespace = "far", master = "bond0" }
    [veth.p2]
    master = "bond0"
    peer = { name = "q2", namespace = "far", master = "bond0" }
    [namespace.far.bond.bond0]
    mode = "802.3ad"
    lacp_rate = "fast"
    addresses = ["10.14.0.9/24", "fd14::9/64"]
    nodad = true
    [vlan.v5]
    dev = "bond0"
    id = 5
    addresses = ["10.15.0.1/24", "fd15::1/64"]
    nodad = true
    [namespace.far.vlan.v5]
    dev = "bond0"
    id = 5
    addresses = ["10.15.0.9/24", "fd15::9/64"]
    nodad = true
    """,
    (("", "10.14.0.9"), ("", "fd14::9"), ("", "10.15.0.9"), ("", "fd15::9")),
    ("ip link set p1 nomaster", "ip link set bond0 type bond min_links 2", "ip link set bond0 down"),
    ("ip link del bond0", "ip link del p2", "ip netns del far"),
)
LABS = {"vlan": VLAN, "macvlan": MACVLAN, "ipvlan": IPVLAN, "bond": BOND, "vlan over lacp": LACP}
each_lab = pytest.mark.parametrize(
    "lab", [pytest.param(lab, id=name, marks=pytest.mark.needs_kernel(*lab.needs)) for name, lab in LABS.items()]
)


def picture(host: Host, *, indexes: bool) -> dict[str, Any]:
    """All links, addresses and routes, as iproute2 shows them."""
    found: dict[str, Any] = {}
    for ns in ("", *sorted(host.namespaces())):
        begin = ["ip", "-j", *(("-n", ns) if ns else ())]
        links = host.json(*begin, "-d", "link") or []
        found[f"{ns} links"] = {link["ifname"]: plain(link, indexes=indexes) for link in links if link}
        shown = host.json(*begin, "addr") or []
        found[f"{ns} addresses"] = {
            each["ifname"]: sorted(
                info["local"] for info in each["addr_info"] if info["scope"] != "link" and not info.get("tentative")
            )
            for each in shown
            if each
        }
        routes = [
            route
            for family in ("-4", "-6")
            for route in (host.json(*begin, family, "route", "show", "table", "all") or [])
        ]
        found[f"{ns} routes"] = sorted(
            (route["dst"], str(route.get("table")), route.get("dev", ""), route.get("gateway", ""), route["protocol"])
            for route in routes
            if not route["dst"].startswith(("fe80", "ff00", "multicast"))
            and route["protocol"] != "ra"
            and "linkdown" not in route["flags"]
        )
    return found


def plain(link: dict[str, Any], *, indexes: bool) -> dict[str, Any]:
    """One link, without what changes by itself."""
    kept = ("mtu", "address", "master", "group", *(("ifindex",) if indexes else ()))
    data = link.get("linkinfo", {}).get("info_data", {})
    options = {key: value for key, value in data.items() if key not in FLEETING and not key.endswith("timer")}
    return {key: link.get(key) for key in kept} | {"up": "UP" in link["flags"], "options": options}


def works(host: Host, lab: Lab) -> None:
    """Every ping of the lab is answered."""
    for ns, address in lab.pings:
        host.ping(address, ns=ns)


def restored(host: Host, right: dict[str, Any], *, indexes: bool) -> bool:
    """Whether all is as it was."""
    LAST[:] = differences(picture(host, indexes=indexes), right)
    return not LAST


def repairs(host: Host) -> int:
    """Of all objects."""
    return sum(each["repairs"] for each in host.status()["objects"])


def repaired(host: Host, before: int) -> bool:
    """Whether there were more since."""
    return repairs(host) > before


@each_lab
def test_traffic_passes_every_harm_is_healed_in_place_and_every_loss_by_a_new_link(host: Host, lab: Lab) -> None:
    host.write("lab.toml", lab.text)
    host.daemon()
    host.converged()
    works(host, lab)
    for lines, indexes in ((lab.harms, True), (lab.losses, False)):
        right = picture(host, indexes=indexes)
        for harm in lines:
            before = repairs(host)
            host.sh(harm)
            host.until(partial(repaired, host, before), f"{harm}: it was repaired")
            try:
                host.until(partial(restored, host, right, indexes=indexes), f"{harm}: all is as before")
            except AssertionError as error:
                raise AssertionError(f"{harm}: {LAST}") from error
            host.converged()
        works(host, lab)
    assert host.netd("diff").returncode == 0
    host.remove("lab.toml")
    host.until(lambda: host.names() == set() and not host.namespaces(), "nothing is left")
