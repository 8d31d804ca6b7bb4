"""The topology, and ``netd graph``: how links are connected, across namespaces, as the kernel has them."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree

import pytest

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
            print(at, *ends, ",".join(topology.far_ends(at)) or "-", declaration.link_state(at)[0], sep=" ")
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


LAB = """\
[bridge.br0]
addresses = ["192.168.1.1/24"]

[namespace.web.veth.eth0]
addresses = ["192.168.1.2/24"]
peer = { name = "vweb", master = "br0" }

[vxlan.vx0]
vni = 24
local = "10.0.0.1"
remote = "10.0.0.2"
master = "br0"

[[nat.masquerade]]
source = "192.168.1.0/24"
out = "up0"

[[nat.dnat]]
port = 80
to = "192.168.1.2"
in = "up0"
"""


def edges(document: Any) -> set[tuple[str, str, str]]:
    return {(each["from"], each["to"], each["kind"]) for each in document["edges"]}


def test_the_graph_has_links_as_nodes_and_their_connections_as_edges_and_marks_what_differs(host: Host) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip addr add 10.0.0.1/24 dev up0")
    host.write("lab.toml", LAB)
    host.apply()
    found = host.netd("graph", "--json").json
    assert found["version"] == 1
    nodes = {node["id"]: node for node in found["nodes"]}
    assert nodes["web:eth0"] | {"kind": "veth", "namespace": "web", "name": "eth0", "state": "ok"} == nodes["web:eth0"]
    assert nodes["web:eth0"]["addresses"][0] == "192.168.1.2/24" and nodes["web:eth0"]["mtu"] == 1500
    assert {
        ("vweb", "br0", "port"),
        ("vx0", "br0", "port"),
        ("vx0", "10.0.0.2", "tunnel"),
        ("br0", "up0", "nat"),
        ("up0", "web:eth0", "nat"),
    } <= edges(found)
    assert len({("vweb", "web:eth0", "pair"), ("web:eth0", "vweb", "pair")} & edges(found)) == 1
    assert {edge[end] for edge in found["edges"] for end in ("from", "to")} <= nodes.keys()
    assert {node["state"] for node in nodes.values()} == {"ok", "foreign"}

    host.sh("ip addr del 192.168.1.1/24 dev br0; ip link del vx0; ip netns add lost")
    found = host.netd("graph", "--json").json
    nodes = {node["id"]: node for node in found["nodes"]}
    assert (nodes["br0"]["state"], nodes["vx0"]["state"], nodes["web:eth0"]["state"]) == ("differs", "missing", "ok")
    assert ("vx0", "br0", "port") in edges(found)
    assert nodes["br0"]["reason"] == "address/br0/192.168.1.1/24 is missing"
    tree = host.netd("graph").stdout
    assert "├─ br0  bridge  [differs: address/br0/192.168.1.1/24 is missing]\n" in tree
    assert "│  └─ vweb  veth  <-> web:eth0\n" in tree and "\nweb\n└─ eth0  veth 192.168.1.2/24  <-> vweb\n" in tree
    assert "dnat tcp 80 in up0 to 192.168.1.2 (web:eth0)\n" in tree and "\nlost  empty\n" in tree
    host.file("lab.toml").unlink()
    states = {node["id"]: node["state"] for node in host.netd("graph", "--json").json["nodes"]}
    assert (states["br0"], states["up0"]) == ("surplus", "foreign")


def test_names_narrow_the_graph_to_what_they_are_connected_to(host: Host) -> None:
    host.sh("""
        ip netns add a; ip netns add b; ip link add br0 type bridge
        for n in a b; do ip link add v$n master br0 type veth peer name eth0 netns $n; done
    """)
    found = host.netd("graph", "--json", "a").json
    assert {node["id"] for node in found["nodes"]} == {"a:eth0", "va", "br0"}
    assert {node["id"] for node in host.netd("graph", "--json", "br0").json["nodes"]} == {"va", "vb", "br0"}
    wrong = host.netd("graph", "a:eht0", check=1)
    assert wrong.stderr == "netd: there is no namespace or link 'a:eht0': did you mean 'a:eth0'?\n"


@pytest.mark.parametrize(
    "form, words", [("mermaid", "flowchart LR"), ("dot", "digraph netd {"), ("svg", "<svg xmlns=")]
)
def test_each_format_names_every_link_once(host: Host, form: str, words: str) -> None:
    host.sh('ip netns add "a&b"; ip link add v0 type veth peer name "x<y" netns "a&b"; ip link add br0 type bridge')
    drawn = host.netd("graph", "--format", form).stdout
    assert drawn.startswith(words)
    begin = ">" if form == "svg" else '"'
    for name in ("v0", "br0", {"dot": "x<y", "mermaid": "x#lt;y", "svg": "x&lt;y"}[form]):
        # A link of an SVG has its name twice: what is written, and what is shown beside the pointer.
        assert drawn.count(f"{begin}{name}") in ((1, 2) if form == "svg" else (1,)), drawn
    if form == "svg":
        ElementTree.fromstring(drawn)
