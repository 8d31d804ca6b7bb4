"""Labs that the tests build, and how they are looked at."""

from __future__ import annotations

from tests.rig.machine import Machine

#: Two namespaces on a bridge, with an address of the host on it.
LAB = """
[bridge.br-lab]
addresses = ["10.3.0.1/24"]

[namespace.web.veth.eth0]
addresses = ["10.3.0.10/24"]
gateway = "10.3.0.1"
peer = { name = "lab-web", master = "br-lab" }

[namespace.db.veth.eth0]
addresses = ["10.3.0.11/24"]
peer = { name = "lab-db", master = "br-lab" }
"""


def big(count: int) -> str:
    """``count`` namespaces, each on a cable to one bridge."""
    one = """
[namespace.n{0}.veth.eth0]
addresses = ["10.9.{1}.{2}/16"]
peer = {{ name = "n{0}", master = "br-big" }}
"""
    return '[bridge.br-big]\naddresses = ["10.9.255.1/16"]\n' + "".join(
        one.format(number, number // 250, number % 250 + 1) for number in range(count)
    )


def indexes(machine: Machine, *namespaces: str) -> dict[tuple[str, str], int]:
    """The index of each link, by namespace and name; and of each namespace, its inode."""
    found = {}
    for ns in ("", *namespaces):
        for link in machine.run("ip", "-j", "link", ns=ns).json:
            found[ns, link["ifname"]] = link["ifindex"]
        if ns:
            found[ns, ""] = int(machine.run("stat", "-c", "%i", f"/run/netns/{ns}").stdout)
    return found
