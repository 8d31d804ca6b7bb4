"""Random networks, and random breaks in them: what ``netd trace`` predicts is compared with what ping says.

``python -m tests.support.reality SEED ROUNDS`` inside a pretend host, or as a test with a few rounds.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from netd.cli.look import look
from netd.cli.main import build_parser
from netd.errors import NetdError
from netd.trace.machine import Machine
from netd.trace.question import ask, question_of


class Pair(NamedTuple):
    """A ping: from a namespace ("host") to an address, with so many bytes of IP."""

    begin: str
    end: str
    size: int


class Result(NamedTuple):
    """``verdict`` is what was predicted: both, lost or unknown; ``arrives`` what ping says."""

    pair: Pair
    verdict: str
    reason: str
    arrives: bool


def shell(text: str, check: bool = True) -> None:
    subprocess.run(["sh", "-ec" if check else "-c", text], check=check, capture_output=True)


class Network:
    """Hosts on bridges, routers between them, the machine's own stack as one, tunnels, translation."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.hosts: dict[str, list[str]] = {"host": []}
        self.links: list[tuple[str, str]] = []
        self.bridges: list[tuple[str, str]] = []
        self.lines: list[str] = [
            "ip link set lo up", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
        ]  # fmt: skip
        self._segments = chance.randint(2, 3)
        for number in range(self._segments):
            self._segment(number)
        self._behind_router()
        if chance.random() < 0.7:
            self._overlay()
        if chance.random() < 0.5:
            self._translation()

    def _namespace(self, name: str) -> None:
        self.lines += [f"ip netns add {name}", f"ip -n {name} link set lo up"]
        self.hosts[name] = []

    def _address(self, netns: str, dev: str, four: str, six: str) -> None:
        at = "" if netns == "host" else f"-n {netns} "
        self.lines += [f"ip {at}address add {four}/24 dev {dev}", f"ip {at}address add {six}/64 dev {dev} nodad"]
        self.hosts[netns] += [four, six]

    def _segment(self, number: int) -> None:
        bridge = f"br{number}"
        self.lines.append(f"ip link add {bridge} up type bridge")
        self.bridges.append(("host", bridge))
        self._address("host", bridge, f"10.{number}.0.254", f"fd0{number}::fe")
        for each in range(self._chance.randint(1, 3)):
            name, port = f"h{number}{each}", f"p{number}{each}"
            self._namespace(name)
            self.lines += [
                f"ip link add {port} up master {bridge} type veth peer name eth0 netns {name}",
                f"ip -n {name} link set eth0 up",
            ]
            self.links += [("host", port), (name, "eth0")]
            self._address(name, "eth0", f"10.{number}.0.{each + 1}", f"fd0{number}::{each + 1}")
            self.lines += [
                f"ip -n {name} route add default via 10.{number}.0.254",
                f"ip -n {name} route add default via fd0{number}::fe",
            ]

    def _behind_router(self) -> None:
        """A router on the first segment, and a host behind it."""
        self._namespace("r")
        self._namespace("far")
        self.lines += [
            "ip link add pr up master br0 type veth peer name eth0 netns r", "ip -n r link set eth0 up",
            "ip -n r link add eth1 up type veth peer name eth0 netns far", "ip -n far link set eth0 up",
            "ip netns exec r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
        ]  # fmt: skip
        self.links += [("host", "pr"), ("r", "eth0"), ("r", "eth1"), ("far", "eth0")]
        self._address("r", "eth0", "10.0.0.100", "fd00::100")
        self._address("r", "eth1", "10.50.0.1", "fd50::1")
        self._address("far", "eth0", "10.50.0.2", "fd50::2")
        self.lines += [
            "ip -n far route add default via 10.50.0.1", "ip -n far route add default via fd50::1",
            "ip -n r route add default via 10.0.0.254", "ip -n r route add default via fd00::fe",
            "ip route add 10.50.0.0/24 via 10.0.0.100", "ip route add fd50::/64 via fd00::100",
        ]  # fmt: skip

    def _overlay(self) -> None:
        """A VXLAN between two hosts of two segments."""
        ends = (("h00", "10.0.0.1"), ("h10", "10.1.0.1"))
        for (name, own), (_, other) in zip(ends, reversed(ends), strict=True):
            number = 1 if name == "h00" else 2
            self.lines.append(
                f"ip -n {name} link add vx0 up type vxlan id 7 dstport 4789 local {own} remote {other} "
                + ("nolearning" if self._chance.random() < 0.3 else "")
            )
            self.links.append((name, "vx0"))
            self._address(name, "vx0", f"10.77.0.{number}", f"fd77::{number}")

    def _translation(self) -> None:
        self.lines += [
            "ip netns exec r nft add table inet t",
            "ip netns exec r nft add chain inet t post '{ type nat hook postrouting priority 100; }'",
            "ip netns exec r nft add rule inet t post oifname eth0 masquerade",
        ]
        if self._chance.random() < 0.5:
            self.lines += [
                "nft add table ip d", "nft add chain ip d pre '{ type nat hook prerouting priority -100; }'",
                "nft add rule ip d pre ip daddr 10.99.0.1 dnat to 10.0.0.1",
            ]  # fmt: skip
            self.hosts.setdefault("host", []).append("10.99.0.1")

    def build(self) -> None:
        shell("\n".join(self.lines))

    # breaks ----------------------------------------------------------------------------------------------------

    def breaks(self) -> Iterator[str]:
        """One random fault, as shell; some of them change nothing that matters."""
        chance = self._chance
        netns, link = chance.choice(self.links)
        at = "" if netns == "host" else f"-n {netns} "
        inside = "" if netns == "host" else f"ip netns exec {netns} "
        some = chance.choice([name for name in self.hosts if name != "host"])
        router = chance.choice(["", "ip netns exec r "])
        number = chance.randrange(self._segments)
        yield chance.choice([
            f"ip {at}link set {link} down",
            f"ip {at}link set {link} mtu {chance.choice([1280, 1400])}",
            f"ip {at}address flush dev {link}",
            f"ip -n {some} route del default",
            f"ip -n {some} -6 route del default",
            f"ip -n {some} route add blackhole 10.1.0.0/24; ip -n {some} route add unreachable 10.50.0.0/24",
            f"ip -n {some} route replace prohibit default",
            f"ip link set br{number} down",
            f"ip link set p{number}0 nomaster",
            f"for p in /sys/class/net/br{number}/brif/*; do bridge link set dev ${{p##*/}} isolated on; done",
            f"bridge link set dev p{number}0 state {chance.choice([0, 4])}",
            f"bridge link set dev p{number}0 flood off mcast_flood off bcast_flood off learning off",
            f"bridge fdb flush dev p{number}0; ip -n {some} neigh flush all",
            f"{router}sysctl -qw net.ipv4.ip_forward=0",
            f"{router}sysctl -qw net.ipv6.conf.all.forwarding=0",
            f"ip netns exec {some} sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
            f"ip netns exec {some} sysctl -qw net.ipv4.conf.all.rp_filter=1",
            "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route del 10.50.0.0/24; ip route add blackhole 10.50.0.0/25",
            f"ip -n {some} neigh replace 10.{number}.0.254 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
            f"ip neigh replace 10.{number}.0.1 lladdr 02:00:00:00:00:98 dev br{number} nud permanent",
            f"ip -n h00 link set vx0 type vxlan remote 10.1.0.{chance.choice([1, 77])}",
            "bridge -n h00 fdb del 00:00:00:00:00:00 dev vx0 dst 10.1.0.1",
            f"ip netns exec {some} sh -c \"nft add table inet g; nft add chain inet g in "
            "'{ type filter hook input priority 0; policy drop; }'; nft add rule inet g in "
            + chance.choice([
                "ct state established accept", "ip protocol icmp accept", "meta l4proto ipv6-icmp accept",
                "iifname lo accept", "ip saddr 10.0.0.0/8 accept",
            ]) + "\"",
            f"{router}sh -c \"nft add table inet g; nft add chain inet g fw "
            "'{ type filter hook forward priority 0; policy accept; }'; nft add rule inet g fw "
            + chance.choice([
                "icmp type echo-reply drop", "ip daddr 10.1.0.0/24 drop", "ct state new drop",
                "meta length > 100 reject",
                "ip6 saddr fd00::/64 drop", "oifname br1 counter drop", "ct state established,related accept",
                "ip saddr { 10.0.0.1, 10.1.0.1 } drop", "iifname vmap { br0 : drop, br1 : accept }",
            ]) + "\"",
            f"{router}sh -c 'iptables -A FORWARD -s 10.{number}.0.0/24 -p icmp -m conntrack --ctstate NEW -j DROP'",
            f"ip rule add priority 100 from 10.{number}.0.0/24 unreachable",
            f"ip -n {some} rule add priority 100 to 10.{number}.0.0/24 blackhole",
            f"{inside}nft add table netdev n; {inside}nft add chain netdev n i "
            f"'{{ type filter hook ingress device {link} priority 0; }}'; "
            f"{inside}nft add rule netdev n i {chance.choice(['ip protocol icmp drop', 'arp operation request drop'])}",
            "nft add table bridge b; nft add chain bridge b f '{ type filter hook forward priority 0; }'; "
            "nft add rule bridge b f "
            + chance.choice(["ip saddr 10.0.0.1 drop", "ether type arp drop", "meta oifname p00 drop"]),
            f"ip {at}link del {link}",
            "true",
        ])  # fmt: skip

    def pairs(self, count: int) -> list[Pair]:
        """Random pings."""
        found: list[Pair] = []
        every = [address for name in self.hosts for address in self.hosts[name]] + ["10.200.0.1"]
        for _ in range(count):
            size = self._chance.choice([84, 84, 84, 1300, 1500])
            found.append(Pair(self._chance.choice(list(self.hosts)), self._chance.choice(every), size))
        return found


def predict(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """(both, lost or unknown; the reason) of each."""
    options = argparse.Namespace(**vars(build_parser("trace").parse_args(["trace", "a", "b"])))
    found = []
    with look(options) as seen:
        for pair in pairs:
            try:
                machine = Machine(seen.mirror, seen.topology, seen.declaration)
                answer = ask(machine, question_of(machine, pair.begin, pair.end, "icmp", pair.size))
            except NetdError as error:
                found.append(("lost", str(error)))
                continue
            way = answer.back if answer.back is not None and answer.forth.verdict == "delivered" else answer.forth
            found.append(({0: "both", 2: "lost", 3: "unknown"}[answer.status], way.reason))
    return found


def ping(pair: Pair) -> bool:
    """Whether an answer comes; three tries, because a bridge learns, and a neighbor is asked for."""
    header = 48 if ":" in pair.end else 28
    into = [] if pair.begin == "host" else ["ip", "netns", "exec", pair.begin]
    command = [
        *into,
        "ping",
        "-q",
        "-c",
        "3",
        "-i",
        "0.3",
        "-W",
        "2",
        "-M",
        "do",
        "-s",
        str(pair.size - header),
        pair.end,
    ]
    return subprocess.run(command, capture_output=True).returncode == 0


def one_round(seed: int, pairs: int) -> list[Result]:
    """A network, a break, and many pings."""
    chance = random.Random(seed)
    network = Network(chance)
    network.build()
    text = "; ".join(network.breaks())
    shell(text, check=False)
    chosen = network.pairs(pairs)
    predicted = predict(chosen)
    with ThreadPoolExecutor(12) as pool:
        arrived = list(pool.map(ping, chosen))
    results = [Result(pair, *guess, came) for pair, guess, came in zip(chosen, predicted, arrived, strict=True)]
    for each in results:
        if not right(each):
            print(json.dumps({"seed": seed, "break": text, **each._asdict()}), flush=True)
    return results


def right(result: Result) -> bool:
    """Whether the prediction holds; one that says nothing is not wrong."""
    return result.verdict == "unknown" or (result.verdict == "both") == result.arrives


def main() -> None:
    seed, pairs = int(sys.argv[1]), int(sys.argv[2])
    results = one_round(seed, pairs)
    counts = Counter(f"{each.verdict} {'arrives' if each.arrives else 'lost'}" for each in results)
    print(json.dumps({"seed": seed, "counts": counts}), flush=True)


if __name__ == "__main__":
    main()
