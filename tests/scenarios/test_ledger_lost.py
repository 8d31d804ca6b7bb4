"""A ledger that is damaged, old, or gone endangers nothing."""

from __future__ import annotations

import pytest

from tests.support.host import Host

TEXT = """
[bridge.br0]
addresses = ["10.1.0.1/24"]

[namespace.a.veth.eth0]
peer = { name = "port-a", master = "br0" }

[[route]]
to = "10.5.0.0/24"
via = "10.1.0.2"

[[rule]]
priority = 700
from = "10.1.0.0/24"

[interface.eth0]
addresses = ["10.8.0.1/24"]
mtu = 1400

[sysctl]
net.ipv4.ip_default_ttl = 77
"""
FOREIGN = """
ip link add eth0 up type veth peer name cable
ip link add mine type bridge
ip netns add theirs
ip address add 10.7.0.1/24 dev eth0
ip route add 10.6.0.0/24 via 10.7.0.3
"""

HARM = {
    "truncated": "truncate -s 700 ledger.jsonl",
    "cut to one byte": "truncate -s 1 ledger.jsonl",
    "rubbish": "head -c 5000 /dev/urandom > ledger.jsonl",
    "gone": "rm ledger.jsonl",
    "a pipe": "rm ledger.jsonl; mkfifo ledger.jsonl",
    "with less in it": """sed -i 's/"locator":{[^}]*}/"locator":{}/' ledger.jsonl""",
    "a folder": "rm ledger.jsonl; mkdir ledger.jsonl",
    "of an older version": """sed -i 's/"state":/"status":/' ledger.jsonl""",
    "of a newer version": """sed -i 's/"record":{/"record":{"future":[1],/' ledger.jsonl""",
    "of another machine": """sed -i 's/"cookie":[0-9]*/"cookie":1/; s/"index":[0-9]*/"index":1/' ledger.jsonl""",
}


def kept(host: Host) -> list[object]:
    """What must be there whatever happens."""
    links = [host.link(name)["ifindex"] for name in ("eth0", "cable", "mine")]
    return [links, "theirs" in host.namespaces(), "10.7.0.1/24" in host.addresses("eth0"), host.routes("10.6.0.0/24")]


@pytest.mark.parametrize("harm", HARM)
def test_a_ledger_that_is_lost_endangers_nothing(host: Host, harm: str) -> None:
    host.sh(FOREIGN)
    before = kept(host)
    host.write("a.toml", TEXT)
    host.apply()
    built = [host.link(name)["ifindex"] for name in ("br0", "port-a")]
    host.sh(f"cd /run/netd; {HARM[harm]}")
    # What is declared is taken over as it stands: nothing is made twice.
    host.netd("apply", check=None)
    assert [host.link(name)["ifindex"] for name in ("br0", "port-a")] == built
    assert host.netd("diff", check=0)
    host.sh("rm -rf /run/netd/ledger.jsonl" if harm == "a folder" else f"cd /run/netd; {HARM[harm]}")
    host.write("a.toml", "")
    host.daemon()
    states = {each["object"]: each["state"] for each in host.status()["objects"]}
    assert set(states.values()) <= {"orphan"}
    assert kept(host) == before
    host.processes[-1].stop()
    host.netd("down", "--orphans")
    assert kept(host) == before
    assert host.link("br0") is None and host.link("port-a") is None and not host.routes("10.5.0.0/24")


@pytest.mark.parametrize("harm", ["rm -f", "truncate -s 0", "cp /etc/passwd"])
def test_a_daemon_writes_anew_what_was_done_to_its_ledger(host: Host, harm: str) -> None:
    host.write("lab.toml", "[namespace.a]\n[sysctl]\nnet.ipv4.ip_default_ttl = 77\n")
    daemon = host.daemon()
    host.sh(f"{harm} /run/netd/ledger.jsonl")
    host.netd("reload")
    host.sh("sysctl -qw net.ipv4.ip_default_ttl=33; sleep 0.3")
    assert daemon.stop() == 0
    host.netd("down")
    assert host.namespaces() == set() and host.sysctl("net.ipv4.ip_default_ttl") == "64"
