"""Impairments of what a link sends: ``netem``, measured by pings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.host import Host

#: A kernel without it runs these in another one: make test-kinds.
pytestmark = pytest.mark.needs_kernel("netem")

PAIR = """
[namespace.b]

[namespace.a.veth.eth0]
addresses = ["10.0.0.1/24"]
{near}
peer = {{ name = "eth0", namespace = "b", addresses = ["10.0.0.2/24"]{far} }}
"""
#: The handle that shows tc(8) whose it is: netd's mark.
MARK = "6e64:"
CABLE = "ip link add eth0 up type veth peer name cable\n"


def pair(near: str = "", far: str = "") -> str:
    return PAIR.format(near=f"netem = {near}" if near else "", far=f", netem = {far}" if far else "")


def root(host: Host, ns: str = "a", dev: str = "eth0") -> Mapping[str, Any]:
    """The root qdisc of a link, as tc(8) shows it."""
    shown = host.json("tc", "-j", "-n", ns, "qdisc", "show", "dev", dev)
    return next(each for each in shown if each.get("root"))


def options(host: Host, ns: str = "a") -> Mapping[str, Any]:
    found = root(host, ns)
    return dict(found["options"]) if found["kind"] == "netem" else {}


def times(host: Host, count: int = 5) -> list[float]:
    """The round trips from a to b, in milliseconds."""
    text = host.run("ping", "-n", "-c", str(count), "-i", "0.2", "-W", "5", "10.0.0.2", ns="a", check=None)
    return [float(each) for each in re.findall(r"time=([0-9.]+) ms", text)]


def received(host: Host, count: int) -> int:
    """How many of so many pings are answered, sent faster than one after the other."""
    text = host.run("ping", "-n", "-q", "-c", str(count), "-i", "0.005", "-W", "2", "10.0.0.2", ns="a", check=None)
    return int(re.findall(r"(\d+) received", text)[0])


def test_packets_are_delayed_both_ways_and_the_delay_changes_in_place(host: Host) -> None:
    host.write("lab.toml", pair('{ delay = "40ms" }', '{ delay = "60ms" }'))
    host.daemon()
    assert min(times(host)) >= 100
    before = root(host)
    assert (before["handle"], before["options"]["delay"]["delay"]) == (MARK, 0.04)
    host.write("lab.toml", pair('{ delay = "5ms", jitter = "1ms" }', '{ delay = "60ms" }'))
    host.netd("reload")
    assert options(host)["delay"]["delay"] == 0.005
    assert options(host, "b")["delay"]["delay"] == 0.06
    assert 60 <= min(times(host)) < 100
    host.write("lab.toml", pair())
    host.netd("reload")
    assert (root(host)["kind"], root(host, ns="b")["kind"]) == ("noqueue", "noqueue")
    assert min(times(host)) < 40


@pytest.mark.thorough
def test_so_many_packets_are_lost_and_sent_twice(host: Host) -> None:
    host.write("lab.toml", pair('{ loss = "30%" }'))
    host.daemon()
    # Of 400 sent, 280 on average: these bounds are ten standard deviations away.
    assert 190 <= received(host, 400) <= 370
    host.write("lab.toml", pair('{ duplicate = "100%" }'))
    host.netd("reload")
    text = host.run("ping", "-n", "-q", "-c", "20", "-i", "0.05", "-W", "2", "10.0.0.2", ns="a")
    assert re.search(r"\+\d+ duplicates", text)
    host.write("lab.toml", pair('{ loss = "100%" }'))
    host.netd("reload")
    assert received(host, 5) == 0


@pytest.mark.thorough
def test_a_rate_limits_what_a_link_carries(host: Host) -> None:
    host.write("lab.toml", pair('{ rate = "256kbit" }'))
    host.daemon()
    # 1,000 bytes take 31 ms.
    host.ping("10.0.0.2", ns="a")
    text = host.run("ping", "-n", "-c", "3", "-s", "972", "10.0.0.2", ns="a")
    assert min(map(float, re.findall(r"time=([0-9.]+) ms", text))) >= 30


WHOLE = (
    '{ delay = "20ms", jitter = "5ms", loss = "1%", duplicate = "2%", corrupt = "0.1%", reorder = "5%", '
    'rate = "10mbit", limit = 500 }'
)
HARM = [
    "tc -n a qdisc del dev eth0 root",
    "tc -n a qdisc change dev eth0 root handle 6e64: netem delay 1ms",
    "tc -n a qdisc change dev eth0 root handle 6e64: netem delay 20ms 5ms loss 1% 50% duplicate 2% corrupt 0.1% "
    "reorder 5% rate 10mbit limit 500",
    "tc -n a qdisc change dev eth0 root handle 6e64: netem delay 20ms 5ms slot 10ms",
    "tc -n a qdisc replace dev eth0 root netem loss 100%",
    "tc -n a qdisc replace dev eth0 root tbf rate 1mbit burst 10k latency 50ms",
    "ip -n a link del eth0",
    "ip netns del a",
]


@pytest.mark.parametrize("harm", HARM)
def test_what_somebody_does_to_it_is_repaired(host: Host, harm: str) -> None:
    host.write("lab.toml", pair(WHOLE))
    host.daemon()
    right = {name: value for name, value in options(host).items() if name != "seed"}
    assert right["limit"] == 500 and right["delay"] == {"delay": 0.02, "jitter": 0.005, "correlation": 0}
    host.sh(harm)

    def repaired() -> bool:
        found = root(host)
        plain = {name: value for name, value in found["options"].items() if name != "seed"}
        return (found["kind"], found["handle"], plain) == ("netem", MARK, right)

    host.until(repaired, "the impairment is as declared")
    host.converged()
    assert host.netd("diff", "--json").json["changes"] == []


def test_a_root_qdisc_that_somebody_chose_is_a_conflict_and_stays(host: Host) -> None:
    host.sh(CABLE + "tc qdisc add dev eth0 root tbf rate 1mbit burst 10k limit 10k")
    host.write("lab.toml", '[interface.eth0]\nnetem = { delay = "1ms" }\n')
    host.daemon()
    (row,) = [each for each in host.status()["objects"] if each["object"] == "qdisc/eth0"]
    assert row["state"] == "conflict" and "tbf" in row["reason"]
    assert "tbf" in host.run("tc", "qdisc", "show", "dev", "eth0")
    host.run("tc", "qdisc", "del", "dev", "eth0", "root")
    host.converged()
    assert "netem 6e64:" in host.run("tc", "qdisc", "show", "dev", "eth0")


def test_a_foreign_netem_is_adopted_changed_and_goes_back_to_what_it_was(host: Host) -> None:
    host.sh(CABLE + "tc qdisc add dev eth0 root handle 7: netem delay 3ms")
    host.write("lab.toml", '[interface.eth0]\nnetem = { delay = "9ms" }\n')
    host.apply()
    assert "netem 7: root" in host.run("tc", "qdisc", "show", "dev", "eth0")
    assert "delay 9ms" in host.run("tc", "qdisc", "show", "dev", "eth0")
    host.write("lab.toml", "[interface.eth0]\n")
    host.apply()
    assert "netem 7: root" in host.run("tc", "qdisc", "show", "dev", "eth0")
    assert "delay 3ms" in host.run("tc", "qdisc", "show", "dev", "eth0")


def test_a_kernel_without_the_seed_says_so_at_the_object_and_impairs_nevertheless(host: Host) -> None:
    host.write("lab.toml", pair('{ delay = "30ms", seed = 7 }'))
    host.daemon(wait=False)
    host.until(lambda: host.state("a:qdisc/eth0") in ("ok", "diverged"), "it is decided")
    (row,) = [each for each in host.status()["objects"] if each["object"] == "a:qdisc/eth0"]
    assert options(host)["delay"]["delay"] == 0.03
    assert row["state"] == "ok" if "seed" in options(host) else "6.6" in row["reason"]
