"""Storms of changes that netd has to read and finds right: what they cost stays where they are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from netd.daemon.attention import Attention
from netd.model.invalidation import EVERYTHING, Invalidation
from tests.attack.user import User, inside, number
from tests.support.host import Host
from tests.support.process import Daemon

LAB = """
[bridge.br0]
addresses = ["10.7.0.1/24"]

[[route]]
to = "10.99.0.0/16"
via = "10.7.0.9"
"""
BOX = """
[namespace.box]
attach = "pid:{0}"

[namespace.box.veth.lab0]
addresses = ["10.7.1.1/24"]
gateway = "10.7.1.2"
peer = {{ name = "to-box", master = "br0" }}

[[namespace.box.nat.masquerade]]
source = "10.77.0.0/16"
out = "lab0"
"""
#: Fifty times a second, one of very many routes.
ROUTES = """
ip link add r0 type veth peer name r1
ip link set r0 up; ip link set r1 up; ip addr add 10.66.0.1/16 dev r0
for n in $(seq 0 %d); do echo "route add 11.$((n / 250 / 250)).$((n / 250 %% 250)).$((n %% 250))/32 dev r0"; done |
    ip -batch -
"""
FLAP = "while :; do ip route add 12.0.0.1/32 dev r0; ip route del 12.0.0.1/32 dev r0; sleep 0.02; done"
#: Very many rules in a chain that forwarded packets pass, and ten changes a second.
RULES = """
{ echo 'table ip big { chain forward { type filter hook forward priority 0; policy accept;'
  for n in $(seq %d); do echo "ip saddr 11.0.$((n / 250)).$((n %% 250)) drop"; done
  echo '}'; echo '}'; } | nft -f -
"""
CHANGE = "while :; do nft add rule ip big forward ip saddr 12.0.0.1 drop; sleep 0.1; done"


def cpu(daemon: Daemon) -> float:
    """Seconds of processor time so far."""
    words = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def heal(host: Host) -> float:
    """Seconds until an address of the host's is back."""
    began = time.monotonic()
    host.run("ip", "addr", "del", "10.7.0.1/24", "dev", "br0")
    host.until(lambda: "10.7.0.1/24" in host.addresses("br0"), "the address is back")
    return time.monotonic() - began


def calm(host: Host, daemon: Daemon, share: float) -> None:
    """The host heals, answers, and netd does not spend all its time on the storm."""
    for _ in range(3):
        # Almost all of it is what the test itself takes to start programs.
        assert heal(host) < 3
    began, before = time.monotonic(), cpu(daemon)
    time.sleep(3)
    assert (cpu(daemon) - before) / (time.monotonic() - began) < share
    assert host.netd("status", check=None).returncode in (0, 2)


@pytest.mark.parametrize(
    ("prepare", "storm"), [(ROUTES % 10_000, FLAP), (RULES % 4_000, CHANGE)], ids=["routes", "rules"]
)
def test_a_storm_in_a_users_namespace_costs_the_host_nothing(host: Host, prepare: str, storm: str) -> None:
    container = number(host, User(host).container())
    host.write("lab.toml", LAB)
    host.write("box.toml", BOX.format(container))
    daemon = host.daemon()
    inside(host, container, prepare)
    host.start("nsenter", "-t", str(container), "-n", "--", "sh", "-c", storm)
    calm(host, daemon, 0.5)
    inside(host, container, "ip route del default")
    host.until(lambda: inside(host, container, "ip route show default"), "what is there heals, too")


def test_a_routing_daemon_of_the_host_costs_one_route_of_netds_nothing(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.sh(ROUTES % 20_000)
    host.start("sh", "-c", FLAP)
    calm(host, daemon, 0.3)
    began = time.monotonic()
    host.run("ip", "route", "del", "10.99.0.0/16")
    host.until(lambda: host.routes("10.99.0.0/16"), "the route is back")
    assert time.monotonic() - began < 3


def test_a_route_that_takes_the_place_of_netds_is_noticed_among_very_many(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.sh(ROUTES % 5_000)
    for wrong in ("via 10.7.0.8", "via 10.7.0.9 mtu 1300", "dev br0"):
        host.run("ip", "route", "replace", "10.99.0.0/16", *wrong.split())
        host.until(lambda: host.routes("10.99.0.0/16")[0].get("gateway") == "10.7.0.9", "netd's route is back")


def test_what_leads_to_nothing_is_looked_at_less_often_and_nothing_else_waits() -> None:
    attention = Attention()
    noise, other = Invalidation("nft", "box"), Invalidation("addresses", "box", 3)
    assert attention.sift([noise], 0.0) == [noise]
    attention.charge([noise], 0.1, 0.1, idle=True)
    assert attention.sift([noise, noise, other, EVERYTHING], 0.2) == [other, EVERYTHING]
    assert attention.sift([], 0.9) == []
    assert attention.next_due() == pytest.approx(1.0)
    assert attention.sift([noise], 1.1) == [noise], "once, whatever came meanwhile"
    attention.charge([noise], 0.001, 1.2, idle=False)
    assert attention.sift([noise], 1.2) == [noise], "a repair that took no time has no pause"
