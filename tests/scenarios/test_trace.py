"""``netd trace``: what it says of a packet is what happens to it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.support.host import ROOT, Host

LAB = """
[bridge.br0]
addresses = ["10.5.0.254/24", "fd05::fe/64"]
nodad = true

[namespace.web.veth.eth0]
addresses = ["10.5.0.1/24", "fd05::1/64"]
gateway = "10.5.0.254"
nodad = true
peer = { name = "port-web", master = "br0" }

[namespace.db.veth.eth0]
addresses = ["10.5.0.2/24", "fd05::2/64"]
nodad = true
peer = { name = "port-db", master = "br0" }

[namespace.out.veth.eth0]
addresses = ["10.6.0.1/24"]
peer = { name = "port-out", addresses = ["10.6.0.254/24"] }

[[nat.masquerade]]
source = "10.5.0.0/24"
out = "port-out"

[sysctl]
net.ipv4.ip_forward = 1
"""


@pytest.fixture
def lab(host: Host) -> Host:
    host.sh("ip link set lo up")
    host.write("lab.toml", LAB)
    host.apply()
    return host


def trace(host: Host, *args: str, check: int = 0) -> Any:
    return host.netd("trace", *args, "--json", check=check).json


def kinds(way: Any) -> list[tuple[str, str, str]]:
    return [(step["namespace"], step["link"], step["kind"]) for step in way["steps"]]


def test_each_step_names_its_place_and_the_line_that_declares_it(lab: Host) -> None:
    found = trace(lab, "web", "db")
    assert found["verdict"] == "delivered"
    assert found["back"]["verdict"] == "delivered"
    assert kinds(found) == [
        ("web", "", "source"), ("web", "eth0", "route"), ("web", "eth0", "neighbor"), ("web", "eth0", "link"),
        ("", "br0", "bridge"), ("", "port-db", "link"), ("db", "eth0", "local"),
    ]  # fmt: skip
    link = found["steps"][3]
    assert (link["object"], link["at"]) == ("web:veth/eth0", "/etc/netd/lab.toml:6")
    assert found["version"] == 1


def test_translation_is_followed_there_and_back(lab: Host) -> None:
    found = trace(lab, "web", "10.6.0.1")
    (step,) = [step for step in found["steps"] if step["kind"] == "nat"]
    assert "becomes 10.6.0.254 > 10.6.0.1" in step["text"]
    assert found["back"]["steps"][-1]["namespace"] == "web"


BREAKS = {
    "no route": ("ip -n web route del default", "out", "no route to 10.6.0.1 in web"),
    "no neighbor": ("ip -n db address flush dev eth0", "10.5.0.2", "no neighbor 10.5.0.2"),
    "link down": ("ip -n db link set eth0 down", "10.5.0.2", "db:eth0 is down"),
    "rule": (
        "nft add table inet f; nft add chain inet f fw '{ type filter hook forward priority 0; policy accept; }'; "
        "nft add rule inet f fw ip daddr 10.6.0.1 counter drop",
        "out",
        "dropped by ip daddr 10.6.0.1 counter packets 0 bytes 0 drop in fw in table inet f",
    ),
    "isolated": (
        "bridge link set dev port-web isolated on; bridge link set dev port-db isolated on", "db",
        "isolated from each other",
    ),
    "blocked": ("bridge link set dev port-db state 0", "db", "the port port-db of br0 is disabled"),
    "dead end": ("ip -n web route add blackhole 10.6.0.0/24", "out", "says blackhole for 10.6.0.1"),
    "forwarding": ("sysctl -qw net.ipv4.ip_forward=0", "out", "net.ipv4.ip_forward is 0"),
    "reverse path": (
        "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add blackhole 10.5.0.1", "out",
        "has no route back to 10.5.0.1",
    ),
    "no answer": ("ip netns exec db sysctl -qw net.ipv4.icmp_echo_ignore_all=1", "db", "does not answer pings"),
}  # fmt: skip


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_lost_says_why(lab: Host, what: str) -> None:
    harm, target, reason = BREAKS[what]
    lab.sh(harm)
    found = trace(lab, "web", target, check=2)
    assert found["verdict"] == "lost"
    assert reason in found["reason"]


def test_a_packet_that_is_too_large_names_the_link_of_the_mtu(lab: Host) -> None:
    lab.sh("ip -n out link set eth0 mtu 1280; ip link set port-out mtu 1280")
    found = trace(lab, "web", "out", "--size", "1400", check=2)
    assert found["reason"] == "a packet of 1400 bytes is larger than the MTU 1280 of port-out"


def test_a_rule_that_cannot_be_told_is_not_guessed(lab: Host) -> None:
    lab.sh("""
        nft add table inet f; nft add chain inet f fw '{ type filter hook forward priority 0; policy drop; }'
        nft add rule inet f fw limit rate 5/second accept
    """)
    found = trace(lab, "web", "out", check=3)
    assert found["verdict"] == "unknown"


def test_a_probe_shows_how_far_a_packet_comes(lab: Host) -> None:
    found = trace(lab, "web", "out", "--live")
    assert all(step["seen"] for way in (found, found["back"]) for step in way["steps"] if "seen" in step)
    lab.sh("ip netns exec out nft add table inet f; ip netns exec out nft add chain inet f i "
           "'{ type filter hook input priority 0; policy drop; }'")  # fmt: skip
    found = trace(lab, "web", "out:80", "--live", check=2)
    assert [step["seen"] for step in found["steps"] if step["link"] == "eth0" and "seen" in step][-1] is True


def test_the_lines_are_for_a_person(lab: Host) -> None:
    text = lab.netd("trace", "web", "db").stdout
    assert "the packet arrives" in text
    assert "the answer arrives" in text
    assert "(web:veth/eth0, /etc/netd/lab.toml:6)" in text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["wbe", "db"], "there is no namespace 'wbe'"),
        (["10.9.9.9", "db"], "no namespace of this machine has the address 10.9.9.9"),
        (["web", "db", "--protocol", "udp"], "udp needs a port: write db:PORT"),
        (["10.5.0.1", "fd05::2"], "of different families"),
    ],
)
def test_a_wrong_question_is_an_error_that_says_what_to_write(lab: Host, args: list[str], words: str) -> None:
    assert words in lab.netd("trace", *args, check=1).stderr


@pytest.mark.parametrize("seed", [100, *range(101, 109)])
def test_random_networks_and_breaks_are_predicted_as_pings_go(host: Host, seed: int) -> None:
    printed = host.run(
        sys.executable, "-m", "tests.support.reality", str(seed), "20", env={"PYTHONPATH": str(ROOT)}
    ).splitlines()
    wrong = [json.loads(line) for line in printed[:-1]]
    counts = json.loads(printed[-1])["counts"]
    assert len(wrong) <= 2, wrong
    assert sum(number for what, number in counts.items() if what.startswith("unknown")) <= 4
