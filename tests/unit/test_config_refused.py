"""What the kernel always refuses, or silently changes, is told before it is tried; what it may take is not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from netd.config import Config, ConfigDirectory

VXLAN = "[vxlan.{}]\nvni = 5\n{}\n"
ROUTE6 = '[[route]]\nto = "fd09::/64"\n'
OFF = "[namespace.n]\nipv6 = false\n[namespace.n.bridge.b]\n{}\n"


def read(folder: Path, **files: str) -> Config:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return ConfigDirectory(str(folder), None, trusted=False).read(warn=True)


def said(folder: Path, **files: str) -> list[str]:
    """The first line of each mistake, as of ``a.toml`` in the present folder."""
    config = read(folder, **files)
    return [str(each).splitlines()[0].replace(f"{folder}/", "").removeprefix("a.toml:") for each in config.problems]


REFUSED = {
    "no gateway at all": (
        '[bridge.b]\ngateway = "0.0.0.0"',
        "2:1: bridge.b: gateway: '0.0.0.0' means any address: leave it out, or write one address",
    ),
    "nor of IPv6": (
        '[[route]]\nto = "default"\nvia = "::"',
        "3:1: route: via: '::' means any address: leave it out, or write one address",
    ),
    "loopback of IPv6": (
        '[bridge.b]\ngateway = ["10.0.0.1", "::1"]',
        "2:24: bridge.b: gateway: '::1' cannot be a gateway: no other machine has it",
    ),
    "broadcast as a hop": (
        '[[route]]\nto = "default"\nnexthops = [{ via = "10.0.0.1" }, { via = "255.255.255.255" }]',
        "3:37: route: nexthops.via: '255.255.255.255' cannot be a gateway: no other machine has it",
    ),
    "a group": (
        '[bridge.b]\ngateway = "224.0.0.1"',
        "2:1: bridge.b: gateway: '224.0.0.1' is a multicast group, a unicast address is needed here",
    ),
    "loopback": (
        '[bridge.b]\ngateway = "127.0.0.1"',
        "2:1: bridge.b: gateway: '127.0.0.1' is this machine, not another",
    ),
    "its own address of IPv6": (
        '[bridge.b]\naddresses = ["fd00::1/64"]\ngateway = "fd00:0::1"',
        "3:1: bridge.b: gateway: 'fd00::1' is an address of this link itself",
    ),
    "a peer's own address": (
        '[veth.v]\npeer = { name = "w", addresses = ["fd00::1/64"], gateway = "fd00::1" }',
        "2:50: veth.v: peer.gateway: 'fd00::1' is an address of this link itself",
    ),
    "a source that is none": (
        '[[route]]\nto = "10.0.0.0/8"\nvia = "10.1.0.1"\nsrc = "0.0.0.0"',
        "4:1: route: src: '0.0.0.0' means any address: leave it out, or write one address",
    ),
    "a link-local gateway of no link": (
        ROUTE6 + 'via = "fe80::1"',
        "3:1: route: via: 'fe80::1' is link-local: write dev, the link that it is on",
    ),
    "a link-local hop of no link": (
        ROUTE6 + 'nexthops = [{ via = "fe80::1" }]',
        "3:1: route: nexthops: 'fe80::1' is link-local: write dev, the link that it is on",
    ),
    "a hop of IPv6 twice": (
        ROUTE6 + 'nexthops = [{ via = "fd00::1", dev = "e" }, { via = "fd00::1", dev = "e", weight = 2 }]',
        "3:1: route: nexthops: 'fd00::1' appears twice: IPv6 accepts each hop once; use weight",
    ),
    "a hop of IPv6 without gateway": (
        ROUTE6 + 'nexthops = [{ dev = "e" }, { via = "fd00::1" }]',
        "3:1: route: nexthops: with several IPv6 hops, each needs via",
    ),
    "an address of IPv6 with two lengths": (
        '[bridge.b]\naddresses = ["fd00::1/64", "fd00:0::1/48"]',
        "2:28: bridge.b: addresses: the link already has it as 'fd00::1/64', and can have an IPv6 address only once "
        "(the other is at line 2)",
    ),
    "loopback's address of IPv6": (
        '[bridge.b]\naddresses = ["::1/128"]',
        "2:1: bridge.b: addresses: '::1' can only be on lo",
    ),
    "IPv6 on a small link": (
        '[veth.v]\npeer = { name = "w", mtu = 1279, gateway = "fd00::1" }',
        "2:22: veth.v: peer.mtu: IPv6 needs at least 1280, and 'fd00::1' is IPv6",
    ),
    "one VNI twice": (
        VXLAN.format("x", 'dev = "e"\nremote = "10.0.0.1"') + VXLAN.format("y", 'local = "10.0.0.9"\nttl = 9'),
        "6:1: vxlan.y: vni: vxlan/x already uses 5 on port 4789 (the other is at line 1)",
    ),
    "one VNI twice of IPv6": (
        VXLAN.format("x", 'remote = ["fd00::1"]') + VXLAN.format("y", 'local = "fd00::2"'),
        "5:1: vxlan.y: vni: vxlan/x already uses 5 on port 4789 (the other is at line 1)",
    ),
    "ports of a vxlan": (
        VXLAN.format("x", "") + '[veth.v]\npeer = { name = "w", master = "x" }',
        "5:22: veth.v: peer.master: 'x' is vxlan/x at line 1: only a bridge, a bond or a vrf has members",
    ),
    "ports of a pair, which stands later": (
        VXLAN.format("x", 'master = "v"') + '[veth.w]\npeer = { name = "v" }',
        "3:1: vxlan.x: master: 'v' is veth/w at line 4: only a bridge, a bond or a vrf has members",
    ),
    "a bridge of a bridge": (
        '[bridge.a]\nmaster = "b"\n[bridge.b]',
        "2:1: bridge.a: master: a bridge cannot be a port of a bridge, and 'b' is bridge/b at line 3",
    ),
    "a bridge in what nothing declares": (
        '[bridge.a]\nmaster = "b"',
        "2:1: bridge.a: master: a bridge can only be in a vrf, and none declares 'b'",
    ),
    "port settings in a bond": (
        '[bond.b]\n[dummy.d]\nmaster = "b"\nbridge_port = { cost = 9 }',
        "4:1: dummy.d: bridge_port: 'b' is bond/b at line 1: only a bridge has ports",
    ),
    "a bond's member with an address": (
        '[bond.b]\n[dummy.d]\nmaster = "b"\naddresses = ["10.0.0.1/24"]',
        "4:14: dummy.d: addresses: d is a member of bond/b at line 1, so its frames go there: write this on the bond",
    ),
    "a bond's member with a gateway": (
        '[bond.b]\naddresses = ["10.0.0.9/24"]\n[dummy.d]\nmaster = "b"\ngateway = "10.0.0.1"',
        "5:1: dummy.d: gateway: d is a member of bond/b at line 1, so its frames go there: write this on the bond",
    ),
    "a primary of a mode without": (
        '[bond.b]\nmode = "802.3ad"\nprimary = "d"',
        "3:1: bond.b: primary: mode 802.3ad has none, only active-backup, balance-tlb, balance-alb",
    ),
    "LACP of a mode without": (
        '[bond.b]\nlacp_rate = "fast"',
        '2:1: bond.b: lacp_rate: mode active-backup has no LACP: write mode = "802.3ad"',
    ),
    "a delay that is no multiple": (
        "[bond.b]\nupdelay = 150",
        "2:1: bond.b: updelay: must be a multiple of miimon, which is 100",
    ),
    "a delay of nothing": (
        "[bond.b]\nmiimon = 0\ndowndelay = 100",
        "3:1: bond.b: downdelay: without miimon there is no delay",
    ),
    "a vrf of no table": ("[vrf.v]\ntable = 0", "2:1: vrf.v: table: must be at least 1, not 0"),
    "a vrf in a bridge": (
        '[bridge.b]\n[vrf.v]\ntable = 9\nmaster = "b"',
        "4:1: vrf.v: master: a vrf cannot be in another link",
    ),
    "one VLAN twice": (
        '[vlan.a]\ndev = "eth0"\nid = 5\n[vlan.b]\ndev = "eth0"\nid = 5',
        "6:1: vlan.b: id: vlan/a is VLAN 5 of eth0 already (the other is at line 1)",
    ),
    "one VLAN twice, in two namespaces": (
        '[vlan.a]\ndev = "eth0"\nid = 5\n[namespace.n.vlan.b]\ndev = "eth0"\ndev_namespace = ""\nid = 5',
        "7:1: namespace.n.vlan.b: id: vlan/a is VLAN 5 of eth0 already (the other is at line 1)",
    ),
    "a VLAN on itself": (
        '[vlan.a]\ndev = "eth0"\nid = 5\n[vlan.b]\ndev = "a"\nid = 5',
        "6:1: vlan.b: id: its dev is VLAN 5 itself: write another id, or another protocol (the other is at line 1)",
    ),
    "a VLAN that is up on what is down": (
        '[dummy.d]\nup = false\n[vlan.b]\ndev = "d"\nid = 5',
        "3:1: vlan.b: up: a VLAN is not up while its dev is down, and d is: write up = false, or loose_binding "
        "(the other is at line 1)",
    ),
    "VLAN 0": ('[vlan.b]\ndev = "d"\nid = 0', "3:1: vlan.b: id: must be at least 1, not 0"),
    "a VLAN of lo": ('[vlan.b]\ndev = "lo"\nid = 1', "2:1: vlan.b: dev: 'lo' carries no other links"),
    "a macvlan of lo": ('[macvlan.b]\ndev = "lo"', "2:1: macvlan.b: dev: 'lo' carries no other links"),
    "a macvlan beside one in passthru mode": (
        '[macvlan.a]\ndev = "eth0"\nmode = "passthru"\n[macvlan.b]\ndev = "eth0"',
        "5:1: macvlan.b: dev: a macvlan in passthru mode is alone on its link, and macvlan/a is on eth0 "
        "(the other is at line 1)",
    ),
    "a macvlan in passthru mode beside one": (
        '[macvlan.a]\ndev = "eth0"\n[macvlan.b]\ndev = "eth0"\nmode = "passthru"',
        "4:1: macvlan.b: dev: a macvlan in passthru mode is alone on its link, and macvlan/a is on eth0 "
        "(the other is at line 1)",
    ),
    "a macvlan of a macvlan": (
        '[macvlan.a]\ndev = "eth0"\n[macvlan.b]\ndev = "a"',
        "4:1: macvlan.b: dev: macvlan/a is a macvlan itself: write its own dev, 'eth0' (the other is at line 1)",
    ),
    "a macvlan of a bridge's port": (
        '[bridge.br]\n[interface.eth0]\nmaster = "br"\n[macvlan.a]\ndev = "eth0"',
        "5:1: macvlan.a: dev: the frames of eth0 go to bridge/br already (at line 2)",
    ),
    "an ipvlan beside a macvlan": (
        '[macvlan.a]\ndev = "eth0"\n[ipvlan.b]\ndev = "eth0"',
        "4:1: ipvlan.b: dev: the frames of eth0 go to macvlan/a already (at line 1)",
    ),
    "a MAC address in passthru mode": (
        '[macvlan.a]\ndev = "eth0"\nmode = "passthru"\nmac = "02:00:00:00:00:01"',
        "4:1: macvlan.a: mac: in passthru mode it has the MAC address of its dev: write mac there",
    ),
    "a MAC address of an ipvlan": (
        '[ipvlan.a]\ndev = "eth0"\nmac = "02:00:00:00:00:01"',
        "3:1: ipvlan.a: mac: an ipvlan has the MAC address of its dev: write mac there, or use a macvlan",
    ),
    "two modes of ipvlans on one link": (
        '[ipvlan.a]\ndev = "eth0"\n[ipvlan.b]\ndev = "eth0"\nmode = "l3"',
        "5:1: ipvlan.b: mode: ipvlan/a on the same link has 'l2': write that (the other is at line 1)",
    ),
    "a bridge that passes on LACP": (
        "[bridge.b]\ngroup_fwd_mask = 0xfffc",
        "2:1: bridge.b: group_fwd_mask: bits 0 to 2 cannot be set: STP, pause frames and LACP are never forwarded",
    ),
    "a neighbour on lo": (
        '[[neighbor]]\naddress = "10.0.0.1"\nmac = "02:00:00:00:00:01"\ndev = "lo"',
        "4:1: neighbor: dev: lo has no IPv4 neighbours",
    ),
    "entries that do not age": (VXLAN.format("x", "ageing = 0"), "3:1: vxlan.x: ageing: must be at least 1, not 0"),
    "a tunnel to nowhere": (
        VXLAN.format("x", 'remote = "0.0.0.0"'),
        "3:1: vxlan.x: remote: '0.0.0.0' means any address: leave it out, or write one address",
    ),
    "a tunnel from a link-local address of no link": (
        VXLAN.format("x", 'local = "fe80::1"'),
        "3:1: vxlan.x: local: 'fe80::1' is link-local: write dev, the link that it is on",
    ),
    "a tunnel to a link-local address from any": (
        VXLAN.format("x", 'dev = "e"\nremote = "fe80::1"'),
        "4:1: vxlan.x: remote: 'fe80::1' is link-local: write a link-local address as local, too",
    ),
    "a tunnel from a link-local address to another": (
        VXLAN.format("x", 'dev = "e"\nlocal = "fe80::1"\ngroup = "ff05::1"'),
        "4:1: vxlan.x: local: 'fe80::1' is link-local, and 'ff05::1' is not",
    ),
    "a tunnel of two families": (
        '[gre.g]\nlocal = "10.0.0.1"\nremote = "fd00::1"',
        "3:1: gre.g: remote: 'fd00::1' is IPv6, and local is IPv4",
    ),
    "a tunnel of another family": (
        '[sit.s]\nremote = "fd00::1"',
        "2:1: sit.s: remote: 'fd00::1' is IPv6, the tunnel is IPv4",
    ),
    "a tunnel without addresses": (
        "[ipip.t]\nttl = 3",
        "1:1: ipip.t: missing key 'local' or 'remote': without both it would be the same tunnel as tunl0",
    ),
    "a tunnel of the kernel's own": (
        '[gre.gretap0]\nremote = "10.0.0.1"',
        "1:1: gre.gretap0: 'gretap0' is a tunnel of the kernel's own: write another name",
    ),
    "a key twice": (
        '[gre.g]\nremote = "10.0.0.1"\nkey = 1\nokey = 2',
        "3:1: gre.g: key: it is the key of both directions: leave it out, or ikey and okey",
    ),
    "a TTL and fragments": (
        '[ipip.t]\nremote = "10.0.0.1"\nttl = 9\npmtudisc = false',
        "3:1: ipip.t: ttl: with pmtudisc = false the TTL is that of the inner packet: leave out one of the two",
    ),
    "fragments of IPv6": (
        '[ip6tnl.t]\nremote = "fd00::1"\npmtudisc = false',
        "3:1: ip6tnl.t: pmtudisc: no router fragments IPv6: it cannot be switched off",
    ),
    "a link-local tunnel": (
        '[ip6tnl.t]\nremote = "fe80::1"',
        "2:1: ip6tnl.t: remote: 'fe80::1' is link-local: write dev, the link that it is on",
    ),
    "a MAC of IP packets": (
        '[gre.g]\nremote = "10.0.0.1"\nmac = "02:00:00:00:00:01"',
        "3:1: gre.g: mac: this link carries IP packets, not Ethernet frames: it has none",
    ),
    "IP packets into a bridge": (
        '[bridge.b]\n[gre.g]\nremote = "10.0.0.1"\nmaster = "b"',
        "4:1: gre.g: master: 'b' is bridge/b at line 1: this link carries IP packets, not Ethernet frames",
    ),
    "the same tunnel twice": (
        '[gre.g]\nremote = "10.0.0.1"\n[gre.h]\nremote = "10.0.0.1"',
        "3:1: gre.h: gre/h and gre/g have the same local, remote, dev and key: one is enough (the other is at line 1)",
    ),
    "the same geneve twice": (
        '[geneve.g]\nvni = 3\nremote = "10.0.0.1"\n[geneve.h]\nvni = 3\nremote = "10.0.0.1"',
        "5:1: geneve.h: vni: geneve/g already uses 3 to 10.0.0.1 (the other is at line 1)",
    ),
    "a user that does not exist": (
        '[tun.t]\nowner = "no-such-user"',
        "2:1: tun.t: owner: this machine has no user 'no-such-user'",
    ),
    "no private key": (
        "[wireguard.w]\nlisten_port = 3",
        "1:1: wireguard.w: missing key 'private_key_file': write the path of a file with the private key",
    ),
    "an endpoint by name": (
        '[wireguard.w]\nprivate_key_file = "/k"\n'
        'peers = [{ public_key = "vD/spd52f69fta9W6Ud2RYOWM1PljeaYM4WzGm9cnQ0=", endpoint = "example.org:51820" }]',
        "3:73: wireguard.w: peers.endpoint: 'example.org:51820': write the address of the peer: names are not resolved",
    ),
}


@pytest.mark.parametrize(("text", "head"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_kernel_always_refuses_is_an_error(tmp_path: Path, text: str, head: str) -> None:
    assert [line for line in said(tmp_path, a=text) if "warning" not in line] == [head]
    assert not read(tmp_path).desired


DOUBTFUL = {
    "its own address": (
        '[bridge.b]\naddresses = ["10.0.0.1/24"]\ngateway = "10.0.0.1"',
        "3:1: warning: bridge.b: gateway: '10.0.0.1' is an address of b itself: the kernel looks for all "
        "destinations on that link",
    ),
    "its own address that is to be on the link": (
        '[bridge.b]\naddresses = ["10.0.0.1/24"]\n'
        '[[route]]\nto = "default"\nvia = "10.0.0.1"\ndev = "b"\nonlink = true',
        "5:1: warning: route: via: '10.0.0.1' is an address of b itself: the kernel refuses such a gateway",
    ),
    "an address of another link": (
        '[bridge.b]\naddresses = ["fd00::1/64"]\n' + ROUTE6 + 'via = "fd00::1"\n',
        "5:1: warning: route: via: 'fd00::1' is an address of b itself: the kernel refuses such a gateway",
    ),
    "loopback": (
        '[interface.lo]\n[[route]]\nto = "default"\nvia = "127.0.0.1"\ndev = "lo"\n[interface.b]\ngateway = "127.0.0.1"'
        "\ngateway_metric = 1\n[bridge.c]",
        "7:1: warning: interface.b: gateway: '127.0.0.1' is this machine itself: the kernel refuses such a gateway "
        "on b",
    ),
    "an address without IPv6": (
        OFF.format('addresses = ["10.0.0.1/24", "fd00::1/64"]'),
        "4:29: warning: namespace.n.bridge.b: addresses: 'fd00::1/64' is IPv6: ipv6 = false disables it in this "
        "namespace",
    ),
    "a gateway without IPv6": (
        OFF.format('gateway = "fd00::2"'),
        "4:1: warning: namespace.n.bridge.b: gateway: the route is IPv6: ipv6 = false disables it in this namespace",
    ),
    "a neighbour without IPv6": (
        OFF.format("") + '[[namespace.n.neighbor]]\naddress = "fd00::9"\ndev = "b"\nmac = "02:00:00:00:00:01"',
        "5:1: warning: namespace.n.neighbor: 'fd00::9' is IPv6: ipv6 = false disables it in this namespace",
    ),
    "an address on a link that has none": (
        '[bridge."b.5"]\naddresses = ["fd00::1/64"]\n[sysctl]\nnet.ipv6.conf.b.5.disable_ipv6 = 1',
        "2:14: warning: bridge.\"b.5\": addresses: 'fd00::1/64' is IPv6: net.ipv6.conf.b/5.disable_ipv6 disables it "
        "on b.5",
    ),
    "a route through a small link": (
        "[bridge.b]\nmtu = 1200\n" + ROUTE6 + 'dev = "b"',
        "5:1: warning: route: dev: the route is IPv6: b is declared with an MTU below 1280, the minimum of IPv6",
    ),
    "a route through a link that is down": (
        '[veth.v]\npeer = { name = "w", up = false }\n[[route]]\nto = "10.0.0.0/8"\ndev = "w"',
        "5:1: warning: route: dev: a route cannot use w, which is declared down (up = false)",
    ),
}


@pytest.mark.parametrize(("text", "head"), DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_what_the_kernel_refuses_unless_somebody_else_acts_is_a_warning(tmp_path: Path, text: str, head: str) -> None:
    assert [line for line in said(tmp_path, a=text) if "is not declared" not in line] == [head]
    assert read(tmp_path).desired and not read(tmp_path).errors


TAKEN = {
    "a loopback gateway that its link knows": '[bridge.b]\naddresses = ["127.5.5.1/24"]\ngateway = "127.5.5.2"',
    "IPv4 with two lengths": '[bridge.b]\naddresses = ["10.0.0.1/24", "10.0.0.1/25"]',
    "an address of IPv6 on two links": "".join(f'[bridge.{b}]\naddresses = ["fd00::1/64"]\n' for b in "bc"),
    "one VNI on two ports": VXLAN.format("x", "") + VXLAN.format("y", "port = 4790"),
    "one VNI of two families": VXLAN.format("x", "") + VXLAN.format("y", 'remote = ["fd00::1", "fd00::2"]'),
    "one VNI in two namespaces": VXLAN.format("x", "") + "[namespace.n.vxlan.x]\nvni = 5",
    "one VNI on two links": "[bridge.b]\n[bridge.c]\n"
    + VXLAN.format("x", 'dev = "b"\nlocal = "fe80::1"\ngroup = "ff02::1"')
    + VXLAN.format("y", 'dev = "c"\nlocal = "fe80::1"\nremote = "fe80::2"'),
    "a link-local hop of two links": "[bridge.b]\n[bridge.c]\n"
    + ROUTE6
    + 'nexthops = [{ via = "fe80::1", dev = "b" }, { via = "fe80::1", dev = "c" }]',
    "a hop of IPv4 twice": '[bridge.b]\naddresses = ["10.0.0.1/24"]\n[[route]]\nto = "10.9.0.0/16"\n'
    'nexthops = [{ via = "10.0.0.2" }, { via = "10.0.0.2" }]',
    "one hop of IPv6 without gateway": "[bridge.b]\n" + ROUTE6 + 'nexthops = [{ dev = "b" }]',
    "a small lo": '[namespace.n.interface.lo]\nmtu = 1000\naddresses = ["fd00::1/128"]',
    "a neighbour of IPv6 on lo": '[[neighbor]]\naddress = "fd00::9"\nmac = "02:00:00:00:00:01"\ndev = "lo"',
    "IPv6 on one link alone": OFF.format('addresses = ["fd00::1/64"]')
    + "[namespace.n.sysctl]\nnet.ipv6.conf.b.disable_ipv6 = 0",
    "a bridge that passes on LLDP": "[bridge.b]\ngroup_fwd_mask = 0xfff8",
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN.keys())
def test_what_the_kernel_takes_is_valid(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, a=text) == []


BETWEEN = {
    "an address of IPv6": (
        '[interface.e]\naddresses = ["fd00::1/64"]',
        '[interface.e]\naddresses = ["fd00::1/48"]',
        "b.toml:1:1: interface.e: declared at a.toml:1 already: a link is declared once; a.toml keeps it",
    ),
    "a VNI": (
        VXLAN.format("x", ""),
        VXLAN.format("y", ""),
        "b.toml:2:1: vxlan.y: vni: vxlan/x already uses 5 on port 4789 (the other is at a.toml:1); a.toml keeps it",
    ),
    "a master": (
        '[veth.v]\nmaster = "x"\npeer = { name = "w" }',
        VXLAN.format("x", ""),
        "2:1: veth.v: master: 'x' is vxlan/x at b.toml:1: only a bridge, a bond or a vrf has members; b.toml keeps it",
    ),
}


@pytest.mark.parametrize(("first", "second", "head"), BETWEEN.values(), ids=BETWEEN.keys())
def test_between_files_it_costs_one_of_them_the_object(tmp_path: Path, first: str, second: str, head: str) -> None:
    assert said(tmp_path, a=first, b=second) == [head]
    assert sorted(state.state for state in read(tmp_path).files) == ["ok", "partial"]


def test_a_master_that_is_only_a_last_good_copy_gives_way_to_who_names_it(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    reader = ConfigDirectory(str(etc), str(tmp_path / "cache"), trusted=False)
    (etc / "a.toml").write_text(VXLAN.format("x", ""))
    assert reader.read(write=True).desired
    (etc / "a.toml").write_text("[[[")
    (etc / "b.toml").write_text('[veth.v]\nmaster = "x"\npeer = { name = "w" }\n')
    config = reader.read(write=True)
    assert {str(key) for key in config.desired} == {"veth/v"} and len(config.errors) == 1
