"""VXLANs, their forwarding entries, and links of others: one line per field that can drift."""

from __future__ import annotations

import pytest

from tests.scenarios.drift import Drift, addresses, comes_back, fdb, link, option
from tests.support.stage import Stage

VXLAN = """
# host pings 10.6.0.2 10.7.0.2 10.8.0.2

[veth.under]
mac = "02:00:00:00:00:61"
addresses = ["10.9.0.1/24"]
peer = { name = "eth0", namespace = "far", mac = "02:00:00:00:00:62", addresses = ["10.9.0.2/24"] }

[veth.side]
peer = { name = "side-peer" }

[bridge.br0]
addresses = ["10.8.0.1/24"]

[vxlan.vx0]
vni = 24
dev = "under"
local = "10.9.0.1"
remote = ["10.9.0.2", "10.9.0.3"]
ttl = 8
tos = 4
learning = false
ageing = 100
mac = "02:00:00:00:00:20"
master = "br0"
fdb = [{ mac = "02:00:00:00:00:21", dst = "10.9.0.2" }]

[vxlan.vx1]
vni = 25
dev = "under"
local = "10.9.0.1"
remote = "10.9.0.2"
addresses = ["10.7.0.1/24"]

[vxlan.vx2]
vni = 26
dev = "under"
group = "239.1.1.1"
addresses = ["10.6.0.1/24"]

[namespace.far.vxlan.vx0]
vni = 24
local = "10.9.0.2"
remote = "10.9.0.1"
mac = "02:00:00:00:00:21"
addresses = ["10.8.0.2/24"]

[namespace.far.vxlan.vx1]
vni = 25
local = "10.9.0.2"
remote = "10.9.0.1"
addresses = ["10.7.0.2/24"]

[namespace.far.vxlan.vx2]
vni = 26
dev = "eth0"
group = "239.1.1.1"
addresses = ["10.6.0.2/24"]
"""

VXLAN6 = """
# host pings 10.6.0.2 10.7.0.2

[veth.under]
addresses = ["fd09::1/64"]
nodad = true
peer = { name = "eth0", namespace = "far", addresses = ["fd09::2/64"], nodad = true }

[namespace.far.vxlan.vx6]
vni = 26
local = "fd09::2"
remote = "fd09::1"
addresses = ["10.6.0.2/24"]

[namespace.far.vxlan.vx7]
vni = 27
local = "fd09::2"
remote = "fd09::1"
mac = "02:00:00:00:00:21"
addresses = ["10.7.0.2/24"]

[vxlan.vx6]
vni = 26
local = "fd09::1"
remote = "fd09::2"
addresses = ["10.6.0.1/24"]

[vxlan.vx7]
vni = 27
dev = "under"
local = "fd09::1"
remote = ["fd09::2", "fd09::3"]
addresses = ["10.7.0.1/24"]
fdb = [{ mac = "02:00:00:00:00:21", dst = "fd09::2" }]
"""

INTERFACE = """
# host pings 10.3.0.2
# a pings 10.2.0.2 fd02::2

[bridge.br0]
addresses = ["10.3.0.1/24"]

[interface.port0]
mtu = 1300
mac = "02:00:00:00:00:40"
up = true
master = "br0"
addresses = ["10.1.0.1/24"]
bridge_port.isolated = true

[namespace.a.interface.port1]
from_host = true
up = true
addresses = ["10.2.0.1/24", "fd02::1/64"]
nodad = true
"""

#: A port, and the place that it leads to.
PORT0 = """
ip link add port0 type veth peer name other0 netns foreign
ip -n foreign addr add 10.3.0.2/24 dev other0
ip -n foreign link set other0 up
"""

#: What is there before netd comes.
PORTS = f"""{PORT0}
ip link add port1 type veth peer name other1 netns foreign
ip -n foreign addr add 10.2.0.2/24 dev other1
ip -n foreign addr add fd02::2/64 dev other1 nodad
ip -n foreign link set other1 up
"""

CASES = [
    # VXLAN
    Drift("vxlan-deleted", VXLAN, "ip link del vx0", link("vx0", "up", "master", "address", "linkinfo.info_data.id"),
          "vxlan/vx0 create"),
    Drift("vxlan-dev-deleted", VXLAN, "ip link del under", link("vx0", "up", "master", "linkinfo.info_data.link"),
          "veth/under create"),
    Drift("vxlan-down", VXLAN, "ip link set vx0 down", link("vx0", "up", "ifindex"),
          "vxlan/vx0 update up"),
    Drift("vxlan-unplugged", VXLAN, "ip link set vx0 nomaster", link("vx0", "master", "ifindex"),
          "vxlan/vx0 update master"),
    Drift("vxlan-ttl", VXLAN, "ip link set vx0 type vxlan ttl 9", option("vx0", "ttl"),
          "vxlan/vx0 update ttl"),
    Drift("vxlan-tos", VXLAN, "ip link set vx0 type vxlan tos 8", option("vx0", "tos"),
          "vxlan/vx0 update tos"),
    Drift("vxlan-local", VXLAN, "ip link set vx0 type vxlan local 10.9.0.77", option("vx0", "local"),
          "vxlan/vx0 update local"),
    Drift("vxlan-remote", VXLAN, "ip link set vx1 type vxlan remote 10.9.0.77", option("vx1", "remote"),
          "vxlan/vx1 update remote"),
    Drift("vxlan-group", VXLAN, "ip link set vx2 type vxlan group 239.1.1.77 dev under",
          link("vx2", "linkinfo.info_data.group"),
          "vxlan/vx2 recreate", again=":link/vx2"),
    Drift("vxlan-learning", VXLAN, "ip link set vx0 type vxlan learning", option("vx0", "learning"),
          "vxlan/vx0 update learning"),
    Drift("vxlan-ageing", VXLAN, "ip link set vx0 type vxlan ageing 77", option("vx0", "ageing"),
          "vxlan/vx0 update ageing"),
    Drift("vxlan-other-vni", VXLAN, "ip link del vx0; ip link add vx0 type vxlan id 99 dstport 4789 dev under",
          link("vx0", "linkinfo.info_data.id"),
          "vxlan/vx0 recreate"),
    Drift("vxlan-group-mark", VXLAN, "ip link set vx0 group 7", link("vx0", "group", "ifindex"),
          "vxlan/vx0 update link_group"),
    Drift("vxlan-renamed", VXLAN, "ip link set vx0 down; ip link set vx0 name lost", None, "vxlan/vx0 update name"),
    Drift("vxlan-dev-down", VXLAN, "ip link set under down", link("under", "up", "ifindex"), "veth/under update up"),
    Drift("vxlan-other-kind", VXLAN, "ip link del vx0; ip link add vx0 type bridge", None, "vxlan/vx0 recreate"),
    Drift("vxlan-other-dev", VXLAN, """
          ip link del vx0; ip link add vx0 type vxlan id 24 dstport 4789 dev side""", None, "vxlan/vx0 recreate"),
    Drift("vxlan-dev-deleted-and-made-wrong-by-another", VXLAN, """
          ip link del under; ip link add under type veth peer name lost""",
          link("vx0", "up", "master", "linkinfo.info_data.link"), "vxlan/vx0 create"),
    Drift("vxlan-dev-deleted-and-made-by-another", VXLAN, """
          ip link del under; ip link add under type veth peer name eth0 netns far""",
          link("vx0", "up", "master", "linkinfo.info_data.link"), "vxlan/vx0 create",
          spoilt="(:link/under|far:link/eth0)"),
    Drift("vxlan-remote-ipv6", VXLAN6, "ip link set vx6 type vxlan remote fd09::77", option("vx6", "remote6"),
          "vxlan/vx6 update remote"),
    Drift("vxlan-deleted-ipv6", VXLAN6, "ip link del vx6", None, "vxlan/vx6 create"),
    Drift("fdb-entry-replaced-ipv6", VXLAN6, "bridge fdb replace 02:00:00:00:00:21 dev vx7 dst fd09::77", None,
          "fdb/vx7/02:00:00:00:00:21/fd09::2 create"),
    Drift("fdb-flooding-deleted-ipv6", VXLAN6, "bridge fdb del 00:00:00:00:00:00 dev vx7 dst fd09::3", None,
          "fdb/vx7/00:00:00:00:00:00/fd09::3 create"),
    Drift("fdb-flooding-elsewhere", VXLAN, """
          bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.9.0.2
          bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.77""", None,
          "fdb/vx0/00:00:00:00:00:00/10.9.0.2 create"),
    Drift("fdb-entry-other-port", VXLAN, """
          bridge fdb del 02:00:00:00:00:21 dev vx0 dst 10.9.0.2
          bridge fdb add 02:00:00:00:00:21 dev vx0 dst 10.9.0.2 port 4444""", None,
          "fdb/vx0/02:00:00:00:00:21/10.9.0.2 update port"),
    Drift("fdb-all-deleted", VXLAN, """
          bridge fdb show dev vx0 | grep ' dst ' | while read -r mac dst ip rest; do
              bridge fdb del $mac dev vx0 dst $ip; done""", None, "fdb/vx0/00:00:00:00:00:00/10.9.0.3 create"),
    Drift("fdb-entry-deleted", VXLAN, "bridge fdb del 02:00:00:00:00:21 dev vx0 dst 10.9.0.2", fdb("vx0"),
          "fdb/vx0/02:00:00:00:00:21/10.9.0.2 create"),
    Drift("fdb-entry-replaced", VXLAN, "bridge fdb replace 02:00:00:00:00:21 dev vx0 dst 10.9.0.77", fdb("vx0"),
          "fdb/vx0/02:00:00:00:00:21/10.9.0.2 create"),
    Drift("fdb-flooding-deleted", VXLAN, "bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.9.0.3", fdb("vx0"),
          "fdb/vx0/00:00:00:00:00:00/10.9.0.3 create"),
    # Links of others
    Drift("interface-mtu", INTERFACE, "ip link set port0 mtu 1280", link("port0", "mtu", "ifindex"),
          "interface/port0 update mtu", before=PORTS),
    Drift("interface-mac", INTERFACE, "ip link set port0 address 02:00:00:00:00:99", link("port0", "address"),
          "interface/port0 update mac", before=PORTS),
    Drift("interface-down", INTERFACE, "ip link set port0 down", link("port0", "up"),
          "interface/port0 update up", before=PORTS),
    Drift("interface-unplugged", INTERFACE, "ip link set port0 nomaster", link("port0", "master"),
          "interface/port0 update master", before=PORTS),
    Drift("interface-port-option", INTERFACE, "bridge link set dev port0 isolated off",
          link("port0", "linkinfo.info_slave_data.isolated"),
          "interface/port0 update bridge_port.isolated", before=PORTS),
    Drift("interface-address", INTERFACE, "ip addr flush dev port0", addresses("port0"),
          "address/port0/10.1.0.1/24 create", before=PORTS),
    Drift("interface-made-again", INTERFACE, f"ip link del port0; {PORT0}",
          link("port0", "mtu", "master", "address", "up"),
          "interface/port0 update master", before=PORTS, spoilt="foreign:(link|sysctl|address)/.*other0.*"),
    Drift("interface-moved-out", INTERFACE, "ip -n a link set port1 netns 1", addresses("port1", "a"),
          "a:interface/port1 update from_host", before=PORTS),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_broken_comes_back(stage: Stage, case: Drift) -> None:
    comes_back(stage, case)
