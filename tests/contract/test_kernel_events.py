"""Whatever changes, in any namespace, is named: what to read again."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from netd.errors import Changed
from netd.kernel import events as events_module
from netd.kernel.kernel import Kernel
from netd.model import operations as do
from netd.model.invalidation import EVERYTHING, Invalidation, route_name
from netd.model.marks import FIRST_NSID
from netd.model.operations import LinkSettings
from tests.support.kernel_sandbox import Heard, done, lonely_kernel, sh, shown, watch_sysctl


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with lonely_kernel() as kernel:
        yield kernel


@pytest.fixture
def heard(kernel: Kernel) -> Heard:
    kernel.start_watching()
    return Heard(kernel)


def index(name: str, where: str = "") -> int:
    return int(shown(f"ip {where} -j link show dev {name}")[0]["ifindex"])


def test_nothing_is_reported_where_nothing_happens(kernel: Kernel, heard: Heard) -> None:
    assert kernel.drain() == []
    assert Kernel().drain() == []


@pytest.mark.parametrize("where", ["", "a"])
def test_each_change_names_what_to_read_again(kernel: Kernel, heard: Heard, where: str) -> None:
    sh("ip netns add a")
    kernel.watch("a")
    on = f"-n {where}" if where else ""
    sh(f"ip {on} link set lo up; ip {on} link add v0 type veth peer name v1; ip {on} link set v1 up")
    number, routes = index("v0", on), Invalidation("routes", where, family=socket.AF_INET)
    heard.forget()

    def change(command: str, *wanted: Invalidation) -> None:
        sh(command)
        heard.waits_for(*wanted)
        assert {one.netns for one in heard.all} == {where}, heard.all
        assert not any("10.8.0.0" in one.path for one in heard.all), "nobody has asked for that one"
        heard.forget()

    change(f"ip {on} link set v0 mtu 1400", Invalidation("link", where, number))
    change(f"ip {on} link set v0 up", Invalidation("link", where, number))
    change(f"ip {on} address add 10.0.0.1/24 dev v0", Invalidation("addresses", where, number), routes)
    kernel.followed_routes(where, socket.AF_INET).add(name := route_name(254, "10.9.0.0/16", 0))
    sh(f"ip {on} route add 10.8.0.0/16 via 10.0.0.9")
    change(f"ip {on} route add 10.9.0.0/16 via 10.0.0.9", replace(routes, path=name))
    change(f"ip {on} address del 10.0.0.1/24 dev v0", Invalidation("addresses", where, number), routes)
    change(f"ip {on} rule add priority 7 table 9", Invalidation("rules", where))
    change(f"ip {on} -6 rule add priority 7 table 9", Invalidation("rules", where))
    change(f"ip {on} neigh add 10.0.0.9 lladdr 02:00:00:00:00:01 dev v0", Invalidation("neighbors", where, number))
    change(f"ip {on} link set v0 down", Invalidation("link", where, number), Invalidation("routes", where))
    change(f"ip {on} link del v0", Invalidation("link", where, number))


def test_changes_of_netconf_and_nftables_are_reported(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a")
    kernel.watch("a")
    heard.forget()
    sh("ip netns exec a sysctl -qw net.ipv4.conf.lo.forwarding=1")
    heard.waits_for(Invalidation("sysctl", "a"))
    heard.forget()
    sh("ip netns exec a nft add table inet mine")
    heard.waits_for(Invalidation("nft", "a"))
    assert kernel.culprit("a") == "nft"
    assert kernel.culprit("") == ""


def test_a_port_that_leaves_its_bridge_is_not_reported_as_deleted(kernel: Kernel, heard: Heard) -> None:
    sh("ip link add br0 type bridge; ip link add v0 type veth peer name v1; ip link set v0 master br0 up")
    heard.forget()
    number = index("v0")
    sh("ip link set v0 nomaster")
    heard.waits_for(Invalidation("link", "", number))
    assert Invalidation("addresses", "", number) not in heard.all


def test_a_static_fdb_entry_is_reported_and_a_learned_one_is_not(kernel: Kernel, heard: Heard) -> None:
    sh("ip link add vx type vxlan id 7 dstport 4789; ip link set vx up")
    number = index("vx")
    heard.forget()
    sh("bridge fdb add 02:00:00:00:00:01 dst 10.0.0.7 dev vx dynamic; ip link set vx mtu 1300")
    heard.waits_for(Invalidation("link", "", number))
    assert Invalidation("fdb", "", number) not in heard.all
    sh("bridge fdb add 02:00:00:00:00:02 dst 10.0.0.7 dev vx")
    heard.waits_for(Invalidation("fdb", "", number))


def test_a_dynamic_entry_that_replaces_one_that_was_read_is_reported(kernel: Kernel, heard: Heard) -> None:
    sh(
        """
        ip link add vx type vxlan id 7 dstport 4789; ip link set vx up
        bridge fdb add 02:00:00:00:00:02 dst 10.0.0.7 dev vx
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:01 dev vx
        """
    )
    number = index("vx")
    with kernel.open("") as session:
        assert session.fdb(number) and session.neighbors(number)
    heard.forget()
    sh("bridge fdb replace 02:00:00:00:00:02 dst 10.0.0.8 dev vx dynamic")
    heard.waits_for(Invalidation("fdb", "", number))
    sh("ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:02 dev vx nud reachable")
    heard.waits_for(Invalidation("neighbors", "", number))
    heard.forget()
    sh("ip neigh replace 10.0.0.8 lladdr 02:00:00:00:00:02 dev vx nud reachable; ip link set vx mtu 1300")
    heard.waits_for(Invalidation("link", "", number))
    assert Invalidation("neighbors", "", number) not in heard.all


def test_a_write_to_a_watched_sysctl_is_reported_with_its_key(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a; ip netns add b; ip -n a link add v0 type veth peer name v1")
    key = "net/ipv4/conf/v0/arp_ignore"
    for _ in range(3):
        watch_sysctl(kernel, "a", key)
    watch_sysctl(kernel, "b", key)
    with pytest.raises(Changed):
        watch_sysctl(kernel, "nowhere", key)
    heard.forget()
    sh("ip netns exec a sysctl -qw net.ipv4.conf.v0.arp_ignore=1")
    heard.waits_for(Invalidation("sysctl", "a", path=key))
    assert len(heard.all) == 1


def test_a_sysctl_of_a_recreated_link_is_watched_again(kernel: Kernel, heard: Heard) -> None:
    key = "net/ipv4/conf/v0/arp_ignore"
    for _ in range(2):
        sh("ip link add v0 type veth peer name v1")
        watch_sysctl(kernel, "", key)
        heard.forget()
        sh("sysctl -qw net.ipv4.conf.v0.arp_ignore=1")
        heard.waits_for(Invalidation("sysctl", "", path=key))
        sh("ip link del v0")


def test_changes_in_unwatched_namespaces_are_not_reported(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a; ip netns add b; ip link add v0 type veth peer name v1 netns b")
    kernel.watch("a")
    heard.forget()
    sh("ip -n b link set v1 mtu 1400; ip -n a link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "a", 1))
    assert {one.netns for one in heard.all} == {"a"}
    kernel.stop_watching("a")
    sh("ip -n a link set lo mtu 1300; ip link set lo mtu 1300")
    heard.waits_for(Invalidation("link", "", 1))
    assert Invalidation("link", "a", 1) not in heard.all[len(heard.all) - 1 :]


def test_nsids_are_given_by_netd_and_never_used_twice(kernel: Kernel, heard: Heard) -> None:
    seen = set()
    for _ in range(4):
        sh("ip netns add a")
        kernel.watch("a")
        kernel.watch("a")
        with kernel.open("") as session:
            number = session.nsid("a")
        assert number is not None and number >= FIRST_NSID and number not in seen
        seen.add(number)
        sh("ip netns del a")


def test_an_nsid_of_an_earlier_daemon_stays(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a; ip netns add b")
    kernel.watch("a")
    second = Kernel()
    second.start_watching()
    second.watch("a")
    second.watch("b")
    with second.open("") as session:
        assert (session.nsid("a"), session.nsid("b")) == (FIRST_NSID, FIRST_NSID + 1)
    later = Heard(second)
    later.forget()
    sh("ip -n a link set lo mtu 1400")
    later.waits_for(Invalidation("link", "a", 1))
    second.close()


def test_changes_in_a_namespace_with_an_automatic_nsid_are_reported(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a; ip link add v0 type veth peer name v1 netns a")
    kernel.watch("a")
    heard.forget()
    sh("ip -n a link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "a", 1))


def test_an_nsid_of_the_host_itself_hides_no_change(kernel: Kernel, heard: Heard) -> None:
    sh("touch /run/netns/self; mount --bind /proc/self/ns/net /run/netns/self; ip netns set self 5")
    heard.forget()
    sh("ip link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "", 1))
    kernel.watch("self")
    sh("ip link set lo mtu 1300")
    heard.waits_for(Invalidation("link", "self", 1))


def test_a_change_is_reported_under_both_names_of_a_namespace(kernel: Kernel, heard: Heard) -> None:
    sh("ip netns add a; touch /run/netns/b; mount --bind /run/netns/a /run/netns/b")
    kernel.watch("a")
    kernel.watch("b")
    heard.forget()
    sh("ip -n a link set lo mtu 1400")
    heard.waits_for(Invalidation("link", "a", 1), Invalidation("link", "b", 1))


def test_the_descriptors_wake_a_loop_for_every_source(kernel: Kernel) -> None:
    poll = select.epoll()
    for descriptor in kernel.start_watching():
        poll.register(descriptor, select.EPOLLIN)
    heard = Heard(kernel)
    sh("ip netns add a")
    kernel.watch("a")
    watch_sysctl(kernel, "a", "net/ipv4/tcp_rmem")
    for command in (
        "ip -n a link set lo mtu 1400", "ip netns exec a nft add table x",
        "ip netns exec a sysctl -qw net.ipv4.tcp_rmem='1 2 3' || true", "ip netns add b", "umount /run/netns/b",
    ):  # fmt: skip
        heard.forget()
        while poll.poll(0):
            kernel.drain()
        sh(command)
        assert poll.poll(10), command
    poll.close()


def test_after_an_overrun_everything_is_read_again_and_later_events_arrive(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module.Events.__init__, "__defaults__", (2048,))
    kernel.start_watching()
    heard = Heard(kernel)
    done(kernel, "", *(do.CreateLink("", f"br{n}", "bridge", LinkSettings(up=True)) for n in range(40)))
    heard.waits_for(EVERYTHING)
    heard.forget()
    sh("ip link set br7 mtu 1400")
    heard.waits_for(Invalidation("link", "", index("br7")))


def test_each_change_is_reported_once_and_in_order(kernel: Kernel, heard: Heard) -> None:
    sh("ip link add v0 type veth peer name v1; ip link add v2 type veth peer name v3")
    first, second = index("v2"), index("v0")
    heard.forget()
    sh("for n in 1 2 3; do ip link set v2 mtu 130$n; ip link set v0 mtu 130$n; done")
    told = [one for one in kernel.drain() if one.what == "link"]
    assert told == [Invalidation("link", "", first), Invalidation("link", "", second)]
