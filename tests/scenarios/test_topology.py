"""The topology: how links are connected, across namespaces, as the kernel has them."""

from __future__ import annotations

import sys

from tests.support.host import ROOT, Host

#: Prints each link with its other end, master, what carries it, where it sends to, and its state.
SHOW = """
import argparse
from netd.cli.look import look
options = argparse.Namespace(config_dir="/etc/netd", state_dir="/run/netd", cache_dir="/var/lib/netd")
with look(options) as found:
    topology, declaration = found.topology, found.declaration
    for at in topology.all_links():
        if at.name != "lo":
            ends = (topology.peer(at), topology.master(at), topology.carrier(at))
            print(at, *ends, ",".join(topology.far_ends(at)) or "-", declaration.link_state(at), sep=" ")
            print(at, "at", declaration.at(declaration.of_link(at)))
"""


def test_pairs_ports_and_tunnels_are_found_across_namespaces_with_and_without_files(host: Host) -> None:
    host.sh("""
        ip netns add a; ip netns add b
        ip link add va type veth peer name vb netns b
        ip -n a link add x type veth peer name y netns b
        ip link add br0 up type bridge; ip link set va master br0
        ip link add up0 type veth peer name up1
        ip link add vx0 type vxlan id 5 dev up0 dstport 4789 remote 10.0.0.9; ip link set vx0 netns a
        ip link add mv0 link up0 type macvlan mode bridge; ip link set mv0 netns b
    """)
    shown = host.run(sys.executable, "-c", SHOW, env={"PYTHONPATH": str(ROOT)})
    assert {
        "va b:vb br0 None - foreign",
        "b:vb va None None - foreign",
        "a:x b:y None None - foreign",
        "b:y a:x None None - foreign",
        "a:vx0 None None up0 10.0.0.9 foreign",
        "b:mv0 None None up0 - foreign",
        "up0 up1 None None - foreign",
    } <= set(shown.splitlines())

    host.write("lab.toml", '[bridge.br0]\n\n[veth.va]\npeer = { name = "vb", namespace = "b" }\nmtu = 1400\n')
    shown = host.run(sys.executable, "-c", SHOW, env={"PYTHONPATH": str(ROOT)})
    assert {
        "va b:vb br0 None - differs",
        "b:vb va None None - differs",
        "br0 None None None - ok",
        "b:vb at /etc/netd/lab.toml:3",
    } <= set(shown.splitlines())


def test_a_link_in_a_namespace_without_a_name_has_no_known_other_end(host: Host) -> None:
    host.sh("ip netns add a; ip link add va type veth peer name vb netns a")
    # A process keeps the namespace after its name is gone.
    host.start("sleep", "1000", ns="a")
    host.until(lambda: host.run("ip", "netns", "pids", "a").strip(), "the process is in the namespace")
    host.run("ip", "netns", "del", "a")
    shown = host.run(sys.executable, "-c", SHOW, env={"PYTHONPATH": str(ROOT)})
    assert "va None None None - foreign" in shown.splitlines()
