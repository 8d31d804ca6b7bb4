"""Two states of one machine that differ in every kind of object, and what others have on it."""

from __future__ import annotations

import functools
import os
import random
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from netd.config import ConfigDirectory
from netd.model.desired import Desired
from netd.model.key import Key

#: Made before netd comes, by others: to be found as it was, whatever happens.
FOREIGN = """
ip link add eth0 up type veth peer name cable
ip link set cable up
ip address add 10.230.4.1/24 dev eth0
ip address add fd30::1/64 dev eth0 nodad
ip route add 10.2.0.0/24 via 10.230.4.77 mtu 1234
ip route add 10.6.0.0/24 via 10.230.4.3
ip rule add priority 500 from 10.99.0.0/16 table 50
ip netns add theirs
ip -n theirs link add br0 type bridge
ip link add port9 type veth peer name eth9
sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.forwarding=1
"""

#: A drop in someone's FORWARD chain, and a table that netd must not touch. (Needs nft.)
FIREWALL = """
nft add table ip filter
nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'
nft add table inet mine
nft add chain inet mine post '{ type nat hook postrouting priority 90; }'
nft add rule inet mine post ip saddr 10.77.0.0/16 masquerade
"""

FIRST = """
[bridge.br0]
forward_delay = 4
mtu = 1400
addresses = ["10.1.0.254/24", "fd01::254/64"]
nodad = true
forward = true

[bridge.br1]

[namespace.a]
ipv6 = true

[namespace.a.veth.eth0]
mtu = 1400
addresses = ["10.1.0.1/24", "fd01::1/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true
peer = { name = "port-a", master = "br0", bridge_port = { isolated = true, cost = 50 } }

[namespace.b.veth.eth0]
addresses = ["10.1.0.2/24"]
peer = { name = "port-b", master = "br0" }

[vxlan.vx0]
vni = 24
dev = "eth0"
local = "10.230.4.1"
remote = ["10.230.4.2", "10.230.4.3"]
ttl = 8
mtu = 1400
master = "br0"
fdb = [{ mac = "02:00:00:00:00:21", dst = "10.230.4.2" }]

[vxlan.vx6]
vni = 26
dev = "eth0"
dev_namespace = "a"
local = "10.1.0.1"
group = "239.1.1.1"
mtu = 1300

[namespace.b.vxlan.vx7]
vni = 27
dev = "eth0"
dev_namespace = ""
local = "10.230.4.1"
remote = "10.230.4.2"
mtu = 1400
addresses = ["10.7.0.1/24"]

[interface.eth0]
mtu = 1480
addresses = ["10.231.0.1/24", "fd30::1/48"]
nodad = true

[namespace.a.interface.eth9]
from_host = true
addresses = ["10.9.0.1/24"]

[[route]]
to = "10.2.0.0/24"
via = "10.1.0.1"

[[namespace.a.route]]
to = "fd02::/64"
type = "unreachable"

[[rule]]
priority = 1000
from = "10.1.0.0/24"
table = 100

[[neighbor]]
address = "10.1.0.7"
mac = "02:00:00:00:00:30"
dev = "br0"

[[neighbor]]
address = "10.230.4.9"
mac = "02:00:00:00:00:31"
dev = "eth0"

[sysctl]
net.ipv4.conf.br0.rp_filter = 2
net.ipv4.conf.eth0.proxy_arp = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.ip_default_ttl = 77

[namespace.a.sysctl]
net.ipv4.ip_forward = 1

[[nat.masquerade]]
source = "10.1.0.0/24"
out = "eth0"

[[nat.dnat]]
port = 8083
to = "10.1.0.1:80"

[[namespace.a.nat.snat]]
source = "10.1.0.1/32"
to = "10.1.0.77"
"""

SECOND = """
[bridge.br0]
mtu = 1300
ageing_time = 60
addresses = ["10.1.0.254/24", "10.3.0.254/24"]
nodad = true

[namespace.a]
ipv6 = false

[namespace.a.veth.eth0]
mac = "02:00:00:00:00:0a"
addresses = ["10.1.0.1/24"]
gateway = "10.1.0.253"
peer = { name = "port-a", master = "br0", bridge_port = { hairpin = true } }

[namespace.c.veth.eth0]
addresses = ["10.1.0.2/24"]
peer = { name = "port-b", master = "br0" }

[vxlan.vx0]
vni = 25
local = "10.230.4.1"
remote = "10.230.4.3"
addresses = ["10.4.0.1/24"]

[namespace.c.vxlan.vx7]
vni = 27
dev_namespace = ""
local = "10.230.4.1"
remote = ["10.230.4.2"]

[veth.br1]
peer = { name = "br1-peer" }

[interface.eth0]
addresses = ["10.231.0.2/24"]

[[route]]
to = "10.2.0.0/24"
via = "10.1.0.2"
metric = 7

[[rule]]
priority = 1000
from = "10.3.0.0/24"
table = 101

[[neighbor]]
address = "10.1.0.7"
mac = "02:00:00:00:00:32"
dev = "br0"

[sysctl]
net.ipv4.conf.eth0.proxy_arp = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.ip_default_ttl = 78

[[nat.masquerade]]
source = "10.1.0.0/24"
out = "eth0"

[[nat.dnat]]
port = 8084
to = "10.1.0.1:80"
"""

#: Two namespaces that the host routes between.
ROUTED = """
[sysctl]
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1

[namespace.a.veth.eth0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true
peer = { name = "to-a", addresses = ["10.1.0.254/24", "fd01::254/64"], nodad = true #FORWARD }

[namespace.b.veth.eth0]
addresses = ["10.2.0.1/24", "fd02::1/64"]
gateway = ["10.2.0.254", "fd02::254"]
nodad = true
peer = { name = "to-b", addresses = ["10.2.0.254/24", "fd02::254/64"], nodad = true }
"""

#: Where a container engine shows namespaces of its own, how it makes them, and a chain of legacy iptables that drops.
BOX, CRATE = "/run/engine/box", "/run/engine/crate"
ENGINE = f"""
mkdir -p /run/engine
touch {BOX} {CRATE}
unshare --net={BOX} true
unshare --net={CRATE} true
"""
LEGACY = "iptables-legacy -P FORWARD DROP\n"

ATTACHED = f"""
[bridge.br0]
forward = true

[namespace.box]
attach = "{BOX}"

[namespace.box.veth.eth0]
addresses = ["10.1.0.1/24"]
peer = {{ name = "to-box", master = "br0" }}

[namespace.box.sysctl]
net.ipv4.ip_default_ttl = 77

[[namespace.box.route]]
to = "10.6.0.0/24"
via = "10.1.0.254"
"""

#: The same in another of its namespaces, and in one of netd's own.
ELSEWHERE = ATTACHED.replace(BOX, CRATE)
OWN = ATTACHED.replace(f'attach = "{BOX}"\n', "")

#: A tunnel that somebody uses, and that must be made again.
TUNNEL = """
[vxlan.vx9]
vni = 90
dev = "eth0"
remote = ["10.230.4.8"]
addresses = ["10.90.0.1/24", "fd90::1/64"]
nodad = true
"""
OTHER_TUNNEL = TUNNEL.replace("vni = 90", "vni = 91")

#: What harms FIRST behind netd's back.
DRIFT = """
ip link del br0
ip -n b link del vx7
ip netns del b
ip -n a address del 10.1.0.1/24 dev eth0
ip rule del priority 1000
ip link set vx0 mtu 1280 down
ip address del 10.231.0.1/24 dev eth0
echo 3 > /proc/sys/net/ipv4/ip_default_ttl
ip neigh del 10.230.4.9 dev eth0
"""


def spread(text: str, seed: int) -> Mapping[str, str]:
    """{file name: text}: the tables of one text over up to three files, 0 leaves it one.

    Address translation matches in the order of the files, so all of it stays in one of them.
    """
    if not seed:
        return {"lab.toml": text}
    chance = random.Random(seed)
    names = chance.sample(["10-first.toml", "lab.toml", "lab2.toml", "z.toml"], chance.randint(1, 3))
    files = dict.fromkeys(names, "")
    for table in re.split(r"(?m)^(?=\[)", text):
        files[names[0] if ".nat." in f".{table[:20]}".replace("[", ".") else chance.choice(names)] += table
    return files


@functools.cache
def declared(text: str, seed: int = 0) -> Mapping[Key, Desired]:
    """What files with this text declare (``spread``); they are valid."""
    with tempfile.TemporaryDirectory() as folder:
        for name, part in spread(text, seed).items():
            Path(folder, name).write_text(part)
        config = ConfigDirectory(os.fspath(folder), None, trusted=False).read()
    assert not config.errors, config.errors
    return config.desired
