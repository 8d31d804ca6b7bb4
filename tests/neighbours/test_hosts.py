"""The same folder on three machines is a lab of three machines, told apart by hostname and machine-id."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

from tests.rig.machine import Machine, cable
from tests.support.process import until

#: b is in the middle; c goes by its machine-id. The tunnel names no link: each host has its address on another one.
FOLDER = {
    "underlay": """
[host.a]
address = "10.77.0.1"
[host.a.interface.ul0]
addresses = ["10.77.0.1/24"]
up = true

[host.b]
address = "10.77.0.2"
[host.b.bridge.lan]
addresses = ["10.77.0.2/24"]
[host.b.interface.ul0]
master = "lan"
up = true
[host.b.interface.ul1]
master = "lan"
up = true

[host.ID]
address = "10.77.0.3"
[host.ID.interface.ul0]
addresses = ["10.77.0.3/24"]
up = true
""",
    "overlay": """
[bridge.br0]
mtu = "auto"

[vxlan.vxlan0]
vni = 24
remote = ["host:a", "host:b", "host:ID"]
master = "br0"
mtu = "auto"
""",
    "nodes": "".join(
        f"""
[host.{host}.namespace.web.veth.eth0]
addresses = ["192.168.1.{number}/24", "fd01::{number}/64"]
nodad = true
mtu = "auto"
peer = {{ name = "web", master = "br0", mtu = "auto" }}
"""
        for number, host in enumerate(("a", "b", "ID"), 1)
    ),
}


def copied(machines: Sequence[Machine], change: Callable[[str], str] = str) -> None:
    """The same files to all."""
    number = machines[2].run("cat", "/etc/machine-id").stdout.strip()
    for machine, (name, text) in itertools.product(machines, FOLDER.items()):
        machine.write(f"/etc/netd/{name}.toml", change(text).replace("ID", number))


def answers(machine: Machine, address: str, *options: str) -> bool:
    return machine.run("ping", "-n", "-c1", "-W1", *options, address, ns="web", check=None).returncode == 0


def all_reach_all(machines: Sequence[Machine]) -> None:
    for machine, number in itertools.product(machines, (1, 2, 3)):
        for address in (f"192.168.1.{number}", f"fd01::{number}"):
            until(partial(answers, machine, address), f"{machine.name} reaches {address}")


def test_the_same_directory_on_three_machines_is_a_lab_of_three(neighbour: Callable[[str], Machine]) -> None:
    a, b, c = machines = [neighbour(name) for name in "abc"]
    cable(a, "ul0", b, "ul0")
    cable(c, "ul0", b, "ul1")
    copied(machines)
    all_reach_all(machines)
    assert answers(a, "192.168.1.3", "-M", "do", "-s", "1422") and not answers(
        a, "192.168.1.3", "-M", "do", "-s", "1423"
    )
    # A change is one more copy to all; who boots anew takes its part again.
    copied(machines, lambda text: text.replace("10.77.0.2", "10.77.0.22"))
    all_reach_all(machines)
    b.reboot(crash=True)
    cable(a, "ul0", b, "ul0")
    cable(c, "ul0", b, "ul1")
    # It speaks first: until then the others may remember the MAC that its namespace had before, for a minute.
    all_reach_all((b, a, c))
    for machine in machines:
        machine.netd("check", "--strict")
        machine.netd("wait")
