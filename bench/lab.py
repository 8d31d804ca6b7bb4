"""The lab of the table, in the language of each tool.

N namespaces, each with a veth to one bridge, an address, a default route and two sysctls; the host masquerades for
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

SYSCTLS = {"net.ipv4.tcp_fin_timeout": "30", "net.ipv4.conf.eth0.arp_announce": "1"}
#: Objects that netd counts per namespace: itself, veth, address, route, two sysctls. And the host's.
OBJECTS, HOST_OBJECTS = 6, 3
#: Ports of one bridge: the kernel takes 1,023 (BR_MAX_PORTS).
PORTS = 1000
GATEWAY = "10.20.0.1"
NAT = 'add table ip lab; add chain ip lab post { type nat hook postrouting priority 100; }; \
add rule ip lab post ip saddr 10.20.0.0/16 oifname "up0" masquerade'


def bridges(count: int) -> range:
    """The numbers of the bridges."""
    return range((count - 1) // PORTS + 1)


def bridge(number: int) -> int:
    """Where the namespace of that number, from 1, is plugged in."""
    return (number - 1) // PORTS


def address(number: int) -> str:
    """The address of the namespace of that number, from 1; each bridge has .0.1 of its own 10.X.0.0/16."""
    host = (number - 1) % PORTS + 2
    return f"10.{20 + bridge(number)}.{host // 250}.{host % 250 + 1}"


def gateway(number: int) -> str:
    """The bridge's address."""
    return f"10.{20 + bridge(number)}.0.1"


def one(number: int, ipv6: bool = True, last: str = "") -> str:
    """One namespace, as netd's tables; ``last``: another address for it."""
    n, head = number, "" if ipv6 else f"[namespace.n{number}]\nipv6 = false\n"
    sysctls = "\n".join(f"{key} = {value}" for key, value in SYSCTLS.items())
    return (
        f'{head}[namespace.n{n}.veth.eth0]\naddresses = ["{last or address(n)}/16"]\ngateway = "{gateway(n)}"\n'
        f'peer = {{ name = "v{n}", master = "br{bridge(n)}" }}\n[namespace.n{n}.sysctl]\n{sysctls}\n'
    )


def toml(count: int, ipv6: bool = True, last: str = "") -> str:
    """The lab as netd's file; ``last``: another address for the last namespace."""
    host = [f'[bridge.br{n}]\naddresses = ["10.{20 + n}.0.1/16"]\n' for n in bridges(count)]
    host.append('[[nat.masquerade]]\nsource = "10.20.0.0/16"\nout = "up0"\n')
    return "".join([*host, *(one(n, ipv6, last if n == count else "") for n in range(1, count + 1))])


def batch(count: int) -> tuple[list[str], dict[int, list[str]]]:
    """The lines of ``ip -batch``: the host's, and those of each namespace. No sysctls, no NAT: it has none."""
    numbers = range(1, count + 1)
    host: list[str] = []
    for n in bridges(count):
        host += [f"link add br{n} type bridge", f"addr add 10.{20 + n}.0.1/16 dev br{n}", f"link set br{n} up"]
    host += [f"netns add n{n}" for n in numbers]
    host += [f"link add v{n} up master br{bridge(n)} type veth peer name eth0 netns n{n}" for n in numbers]
    inside = {
        n: [
            "link set lo up",
            "link set eth0 up",
            f"addr add {address(n)}/16 dev eth0",
            f"route add default via {gateway(n)}",
        ]
        for n in numbers
    }
    return host, inside


def script(count: int) -> Iterator[str]:
    """A shell script as people write it: one command for each thing."""
    for n in bridges(count):
        yield f"ip link add br{n} type bridge"
        yield f"ip addr add 10.{20 + n}.0.1/16 dev br{n}"
        yield f"ip link set br{n} up"
    for n in range(1, count + 1):
        yield f"ip netns add n{n}"
        yield f"ip link add v{n} type veth peer name eth0 netns n{n}"
        yield f"ip link set v{n} master br{bridge(n)} up"
        yield f"ip -n n{n} link set lo up"
        yield f"ip -n n{n} link set eth0 up"
        yield f"ip -n n{n} addr add {address(n)}/16 dev eth0"
        yield f"ip -n n{n} route add default via {gateway(n)}"
        for key, value in SYSCTLS.items():
            yield f"ip netns exec n{n} sysctl -q -w {key}={value}"
    yield f"nft '{NAT}'"


def ifstate(count: int) -> str:
    """The lab for ifstate 2, which reads YAML and so JSON; without sysctls."""
    host: dict[str, object] = {
        f"br{n}": {"addresses": [f"10.{20 + n}.0.1/16"], "link": {"kind": "bridge", "state": "up"}}
        for n in bridges(count)
    }
    inside = {}
    for n in range(1, count + 1):
        port = {"state": "up", "master": f"br{bridge(n)}", "peer": "eth0", "peer_netns": f"n{n}"}
        host[f"v{n}"] = {"addresses": [], "link": {"kind": "veth"} | port}
        eth0 = {"kind": "veth", "state": "up", "peer": f"v{n}", "peer_netns": None}
        inside[f"n{n}"] = {
            "interfaces": {"eth0": {"addresses": [f"{address(n)}/16"], "link": eth0}},
            "routing": {"routes": [{"to": "0.0.0.0/0", "via": gateway(n)}]},
        }
    return json.dumps({"interfaces": host, "namespaces": inside})
