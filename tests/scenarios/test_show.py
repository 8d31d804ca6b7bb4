"""``netd show`` and ``netd top``: all about one thing, and what moves."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.host import Host
from tests.support.terminal import Terminal, plain, read_all

LAB = """\
[bridge.br0]
addresses = ["10.1.0.1/24"]

[namespace.web.veth.eth0]
addresses = ["10.1.0.2/24"]
gateway = "10.1.0.1"
mtu = 1400
peer = { name = "vweb", master = "br0" }

[vxlan.vx0]
vni = 7
dev = "up0"
local = "10.9.0.1"
remote = "10.9.0.2"
master = "br0"
"""


def lab(host: Host) -> None:
    host.sh("ip link add up0 up type veth peer name up1; ip link set up1 up; ip addr add 10.9.0.1/24 dev up0")
    host.write("lab.toml", LAB)
    host.apply()


def test_declared_is_shown_beside_actual_with_its_place_and_what_hangs_together(host: Host) -> None:
    lab(host)
    host.sh("ip netns exec web ping -c1 -W2 10.1.0.1")
    found = host.netd("show", "web:eth0", "--json").json
    assert (found["version"], found["kind"], found["name"], found["object"]) == (1, "link", "web:eth0", "web:veth/eth0")
    assert found["at"] == "/etc/netd/lab.toml:4" and found["peer"] == "vweb"
    assert found["fields"]["mtu"] == {"declared": 1400, "actual": 1400}
    assert found["mtu"] == {"value": 1400, "from": "declared"}
    assert [one["address"] for one in found["addresses"] if "fe80" not in one["address"]] == ["10.1.0.2/24"]
    assert {"address": "10.1.0.1", "mac": host.link("br0")["address"], "state": "stale"}.keys() <= found["neighbors"][
        0
    ].keys()
    assert found["counters"]["tx_packets"] > 0 and found["identity"]["made_by_netd"] is True
    assert [one["to"] for one in found["routes"]] == ["0.0.0.0/0"]

    learned = [(each["mac"], each["port"]) for each in host.netd("show", "br0", "--json").json["fdb"]]
    assert (host.link("eth0", "web")["address"], "vweb") in learned
    host.run("ip", "link", "set", "br0", "down")
    bridge = host.netd("show", "br0", "--json").json
    assert bridge["state"] == "differs" and bridge["reason"] == "up is false, declared true"
    assert sorted(bridge["ports"]) == ["vweb", "vx0"] and "web:veth/eth0" in bridge["dependents"]
    tunnel = host.netd("show", "vxlan/vx0", "--json").json
    assert tunnel["mtu"]["from"] == "up0 (1500), less 50 bytes of headers" and tunnel["remotes"] == ["10.9.0.2"]
    text = host.netd("show", "br0").stdout
    assert text.startswith(
        "br0: link, differs\n  why: up is false, declared true\n  declared at /etc/netd/lab.toml:1 as"
    )
    assert "differs  up " in text


def test_a_link_without_any_file_a_namespace_an_object_and_a_file_are_shown(host: Host) -> None:
    lab(host)
    host.sh("ip netns add other")
    foreign = host.netd("show", "up0", "--json").json
    assert (foreign["state"], foreign["at"], foreign["carried"]) == ("foreign", None, ["vx0"])
    space = host.netd("show", "web", "--json").json
    assert (space["kind"], space["states"]) == ("namespace", {"ok": 3})
    assert {"id": "web:eth0", "state": "ok"} in space["links"]
    assert host.netd("show", "other", "--json").json["state"] == "foreign"
    route = host.netd("show", "web:route/main/0.0.0.0/0/0", "--json").json
    assert (route["kind"], route["state"], route["at"]) == ("object", "ok", "/etc/netd/lab.toml:6")
    assert host.netd("show", "lab.toml", "--json").json["state"] == "ok"


def test_an_unknown_name_is_an_error_that_suggests_one(host: Host) -> None:
    lab(host)
    wrong = host.netd("show", "web:eht0", check=1)
    said = "there is no link, namespace, object or file called 'web:eht0': did you mean 'web:eth0'?"
    assert wrong.stderr == f"netd: {said}\n"


def test_the_last_changes_and_the_reason_of_a_state_are_the_daemon_s(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.until(lambda: host.state("bridge/br0") == "ok", "the bridge is there")
    for _ in range(2):
        host.run("ip", "link", "set", "br0", "down")
        host.until(lambda: "UP" in host.link("br0")["flags"], "it is up again")
    host.until(lambda: len(host.netd("show", "br0", "--json").json["changes"]) > 2, "the repairs are known")
    found = host.netd("show", "br0", "--json").json["changes"]
    assert (found[0]["object"], found[0]["action"], found[0]["drift"]) == ("bridge/br0", "update", True)
    pending = host.netd("show", "vx0", "--json").json
    assert (pending["state"], pending["reason"], pending["present"]) == ("pending", "waits for up0", False)
    # Members of the group have it from the daemon.
    member = ("setpriv", "--reuid=65534", "--regid=0", "--clear-groups", "timeout", "3")
    ask = ("socat", "-,ignoreeof", "UNIX-CONNECT:/run/netd/netd.sock")
    document = json.loads(host.result(*member, *ask, stdin='{"verb": "show", "name": "br0"}\n').stdout)["document"]
    assert document["fields"]["up"] == {"declared": True, "actual": True} and document["ports"] == ["vweb"]
    graph = json.loads(host.result(*member, *ask, stdin='{"verb": "graph"}\n').stdout)
    assert {"vweb", "br0", "web:eth0", "vx0"} <= {node["id"] for node in graph["nodes"]}


@pytest.mark.parametrize("daemon", [True, False])
def test_top_counts_states_and_measures_rates(host: Host, daemon: bool) -> None:
    lab(host)
    if daemon:
        host.daemon()
        host.converged()
    ping = host.start("ping", "-i", "0.05", "10.1.0.1", ns="web")
    host.until(lambda: "bytes from" in ping.text(), "packets flow")
    lines = host.netd("top", "--json", "-n", "2", "-d", "0.5").stdout.splitlines()
    last = json.loads(lines[-1])
    links = {each["link"]: each for each in last["links"]}
    assert len(lines) == 2 and links["web:eth0"]["tx_bits"] > 0 and links["web:eth0"]["packets"] > 1
    assert last["state"] == ("converged" if daemon else "no daemon")
    assert last["objects"] == ({"ok": 8} if daemon else {})


def test_top_is_a_screen_with_keys(host: Host) -> None:
    lab(host)
    host.daemon()
    host.converged()
    popen, ours = Terminal(host, 120, 30).start("top")
    shown = ""
    while "web:eth0" not in plain(shown):
        shown += os.read(ours, 65536).decode(errors="replace")
    os.write(ours, b"/web:eth0\r")
    while "filter: web:eth0 " not in plain(shown):
        shown += os.read(ours, 65536).decode(errors="replace")
    os.write(ours, b"\r")
    while "declared at /etc/netd/lab.toml:4" not in plain(shown):
        shown += os.read(ours, 65536).decode(errors="replace")
    os.write(ours, b"x")
    os.write(ours, b"q")
    read_all(ours)
    assert popen.wait() == 0
    os.close(ours)
    assert "netd top' needs a terminal" in host.netd("top", check=1).stderr
