"""``forward`` and ``open_firewall`` beside others' firewalls: through, healed after their restarts, nothing left."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.rig.machine import Machine
from tests.support.labs import ROUTED
from tests.support.process import until

#: Two namespaces that the machine routes between, and a tunnel from the machine to one of them.
LAB = f"""{ROUTED}
[vxlan.vx]
vni = 3
local = "10.1.0.254"
remote = "10.1.0.1"
addresses = ["172.16.0.1/24"]
#OPEN

[namespace.a.vxlan.vx]
vni = 3
local = "10.1.0.1"
remote = "10.1.0.254"
addresses = ["172.16.0.2/24"]
"""
SHUT = LAB.replace(" #FORWARD", "")
OPEN = LAB.replace(" #FORWARD", ", forward = true").replace("#OPEN", "open_firewall = true")
#: What is not an engine's own: a machine that lets in only what it must, and lets nothing through.
STRICT = """for i in iptables ip6tables; do
    $i -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; $i -A INPUT -p icmp -j ACCEPT
    $i -A INPUT -p ipv6-icmp -j ACCEPT; $i -P INPUT DROP; $i -P FORWARD DROP; done
"""
BOX = "tar -C / -c bin/busybox usr/bin/busybox 2>/dev/null | {0} import - box >/dev/null; "
SAVE = "for i in iptables ip6tables; do $i-save > /run/saved; $i-restore < /run/saved; done"
RUNNING = "until firewall-cmd --state && firewall-cmd --get-zones; do sleep 0.05; done >/dev/null 2>&1"
PODMAN = """mkdir -p /etc/containers
    printf '[containers]\\npids_limit = 0\\n[engine]\\nruntime = "runc"\\n' > /etc/containers/containers.conf
"""


@dataclass(frozen=True)
class Firewall:
    """How it begins, and what happens to it: after each, it is there again and drops as before."""

    begin: str
    blows: dict[str, str]


FIREWALLS = {
    "docker": Firewall(
        f"systemctl start docker; {STRICT}{BOX.format('docker')}docker run -d --name one box /bin/busybox sleep 9999",
        {
            "restart": "systemctl restart docker",
            "a container's restart": "docker restart -t 0 one",
            "DOCKER-USER flushed": "iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN",
            "everything flushed": f"nft flush ruleset; systemctl restart docker; {STRICT}",
        },
    ),
    "podman": Firewall(
        f"{PODMAN}{STRICT}{BOX.format('podman')}podman run -d --name one box /bin/busybox sleep 9999",
        {
            "a container's restart": "podman restart -t 0 one",
            "network reload": f"nft flush ruleset; {STRICT} podman network reload --all",
        },
    ),
    "firewalld": Firewall(
        f"systemctl start firewalld; {RUNNING}",
        {
            "reload": f"firewall-cmd --reload; {RUNNING}",
            "complete reload": f"firewall-cmd --complete-reload; {RUNNING}",
            "restart": f"systemctl restart firewalld; {RUNNING}",
            "zones": "for i in add remove; do firewall-cmd --zone=internal --$i-interface=to-a; "
            "firewall-cmd --zone=dmz --$i-interface=to-b; done",
            "panic and its end": "firewall-cmd --panic-on; firewall-cmd --panic-off",
            "everything flushed": f"nft flush ruleset; systemctl restart firewalld; {RUNNING}",
        },
    ),
    "iptables-nft": Firewall(
        STRICT,
        {
            "flushed and written anew": f"nft flush ruleset; {STRICT}",
            "chains flushed": f"for i in iptables ip6tables; do $i -F; done; {STRICT}",
        },
    ),
    "nft": Firewall(
        """cat > /etc/nftables.conf <<END
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state { established, related } accept
        iif lo accept
        meta l4proto { icmp, ipv6-icmp } accept
    }
    chain forward { type filter hook forward priority filter; policy drop; }
}
END
systemctl start nftables""",
        {
            "the file loaded again": "nft -f /etc/nftables.conf",
            "restart": "systemctl restart nftables",
        },
    ),
}


def listed(machine: Machine) -> str:
    """All rules, without counters."""
    saved = machine.sh("for i in iptables ip6tables; do $i-save; $i-legacy-save; done 2>/dev/null").stdout
    rules = machine.run("nft", "-s", "list", "ruleset").stdout
    return rules + re.sub(r"\[\d+:\d+\]|^#.*\n", "", saved, flags=re.MULTILINE)


def pings(machine: Machine, address: str, ns: str = "") -> bool:
    return machine.run("ping", "-n", "-c1", "-W1", address, ns=ns, check=None).returncode == 0


def through(machine: Machine) -> bool:
    """Routed in both families and both directions, and through the tunnel."""
    ways = (("10.2.0.1", "a"), ("fd02::1", "a"), ("10.1.0.1", "b"), ("fd01::1", "b"), ("172.16.0.2", ""))
    return all(pings(machine, address, ns) for address, ns in ways)


def blocked(machine: Machine) -> bool:
    return not any(pings(machine, address, ns) for address, ns in (("10.2.0.1", "a"), ("172.16.0.2", "")))


def take(machine: Machine, text: str) -> None:
    machine.write("/etc/netd/lab.toml", text)
    machine.netd("reload")


def permanent(machine: Machine) -> str:
    """What firewalld keeps for its next start."""
    return machine.sh("cd /etc/firewalld && find . -type f -exec cat {} + || :").stdout


@pytest.mark.parametrize("how", FIREWALLS)
def test_a_firewall_is_passed_by_one_key_and_left_as_it_was(neighbour: Callable[[str], Machine], how: str) -> None:
    machine, firewall = neighbour("wall"), FIREWALLS[how]
    take(machine, SHUT)
    until(lambda: through(machine), "without a firewall all get through")
    machine.sh(firewall.begin)
    until(lambda: blocked(machine), f"{how} drops")
    assert "'open_firewall = true' accepts them" in machine.netd("status").stdout
    before, kept = listed(machine), permanent(machine)

    take(machine, OPEN)
    until(lambda: through(machine), "with the keys all get through")
    assert listed(machine) != before
    machine.run("rm", "/etc/netd/lab.toml")
    machine.netd("reload")
    assert listed(machine) == before

    take(machine, OPEN)
    for blow, text in firewall.blows.items():
        machine.sh(text)
        until(lambda: through(machine), f"all get through again after: {blow}")
    take(machine, SHUT)
    until(lambda: blocked(machine), "without the keys they do not")
    assert "netd" not in listed(machine)

    machine.sh(SAVE)
    before = listed(machine)
    take(machine, OPEN)
    until(lambda: through(machine), "with the keys all get through")
    machine.sh(SAVE)
    until(lambda: through(machine), "also after iptables-save and iptables-restore")
    machine.run("rm", "/etc/netd/lab.toml")
    machine.netd("reload")
    assert listed(machine) == before
    assert permanent(machine) == kept
