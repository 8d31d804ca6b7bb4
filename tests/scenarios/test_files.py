"""Files that come, change, move and go while the daemon runs, or between two applies."""

from __future__ import annotations

import time

import pytest

from tests.scenarios.watch import A, B, indexes, nothing_happens
from tests.support.host import Host


def test_a_new_file_is_built_and_disturbs_nothing(host: Host) -> None:
    host.write("a.toml", A)
    host.daemon()
    before = indexes(host, "to-a")
    host.write("b.toml", B)
    host.ping("10.2.0.1", "fd02::1", "10.1.0.1", "fd01::1")
    assert indexes(host, "to-a") == before


def test_a_changed_file_changes_what_it_says_and_nothing_else(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.daemon()
    before = indexes(host, "to-a", "to-b")
    host.write("b.toml", B.replace("10.2.0.1/24", "10.2.0.7/24").replace("\npeer", "\nmtu = 1300\npeer"))
    host.ping("10.2.0.7", "fd02::1", "10.1.0.1")
    host.until(lambda: host.addresses("eth0", "b") == {"10.2.0.7/24", "fd02::1/64"}, "the old address is gone")
    assert host.link("eth0", "b")["mtu"] == 1300
    assert indexes(host, "to-a", "to-b") == before


def test_a_key_that_goes_puts_the_kernels_default_back(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\nmtu = 1300\nforward_delay = 4\nageing_time = 60\n")
    host.daemon()
    index, mac = host.link("br0")["ifindex"], host.link("br0")["address"]
    host.write("a.toml", "[bridge.br0]\n")
    host.until(lambda: host.link("br0")["mtu"] == 1500, "the MTU is the default")
    data = host.link("br0")["linkinfo"]["info_data"]
    assert (data["forward_delay"], data["ageing_time"]) == (1500, 30000)
    assert (host.link("br0")["ifindex"], host.link("br0")["address"]) == (index, mac)


def test_a_removed_file_takes_away_what_it_declared_and_nothing_else(host: Host) -> None:
    host.run("ip", "netns", "add", "foreign")
    host.run("ip", "link", "add", "mine", "type", "bridge")
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.daemon()
    before = indexes(host, "to-a", "mine")
    host.remove("b.toml")
    host.until(lambda: host.namespaces() == {"a", "foreign"}, "the namespace is gone")
    host.until(lambda: host.names() == {"to-a", "mine"}, "the pair is gone")
    assert indexes(host, "to-a", "mine") == before
    host.ping("10.1.0.1", "fd01::1")


def test_a_renamed_file_disturbs_nothing(host: Host) -> None:
    host.write("a.toml", A)
    daemon = host.daemon()
    before = indexes(host, "to-a")
    with nothing_happens(host):
        host.rename("a.toml", "z.toml")
        host.until(lambda: host.status()["files"][0]["path"].endswith("/z.toml"), "the daemon knows the new name")
        host.netd("reload")
        time.sleep(0.5)  # what goes, goes after 300 ms: nothing may
    assert indexes(host, "to-a") == before
    daemon.stop()
    host.apply()
    assert indexes(host, "to-a") == before


def test_an_editors_way_of_saving_disturbs_nothing(host: Host) -> None:
    host.write("a.toml", A)
    host.daemon()
    with nothing_happens(host):
        host.sh("cd /etc/netd; mv a.toml a.toml~; cat a.toml~ > a.toml; touch .a.toml.swp '#a.toml#' a.toml.orig")
        host.netd("reload")
        time.sleep(0.5)  # what goes, goes after 300 ms: nothing may
    assert len(host.status()["files"]) == 1


@pytest.mark.parametrize("emptied", ["rm a.toml; ln -s /dev/null a.toml", ": > a.toml", "echo '# nothing' > a.toml"])
def test_an_empty_file_declares_nothing(host: Host, emptied: str) -> None:
    host.write("a.toml", A)
    host.daemon()
    host.sh(f"cd /etc/netd; {emptied}")
    host.until(lambda: host.namespaces() == set(), "all that it declared is gone")
    host.netd("check")


def test_what_two_files_declare_alike_goes_with_the_last_of_them(host: Host) -> None:
    shared = '[sysctl]\nnet.ipv4.ip_default_ttl = 77\n[[route]]\nto = "10.5.0.0/24"\ntype = "blackhole"\n'
    host.write("a.toml", shared)
    host.write("b.toml", shared)
    host.apply()
    host.remove("a.toml")
    host.apply()
    assert host.sysctl("net.ipv4.ip_default_ttl") == "77" and host.routes("10.5.0.0/24")
    host.remove("b.toml")
    host.apply()
    assert host.sysctl("net.ipv4.ip_default_ttl") == "64" and not host.routes("10.5.0.0/24")


def test_namespace_tables_of_several_files_merge_and_refer_to_each_other(host: Host) -> None:
    host.write("10-bridge.toml", '[bridge.br0]\naddresses = ["10.1.0.254/24"]\n')
    host.write(
        "20-a.toml",
        """
        [namespace.a.veth.eth0]
        addresses = ["10.1.0.1/24"]
        peer = { name = "port-a", master = "br0" }
        """,
    )
    host.write(
        "30-a.toml",
        """
        [namespace.a.sysctl]
        net.ipv4.ip_forward = 1

        [[namespace.a.route]]
        to = "default"
        via = "10.1.0.254"
        """,
    )
    host.apply()
    host.ping("10.1.0.254", ns="a")
    assert host.sysctl("net.ipv4.ip_forward", "a") == "1"
    assert host.routes("default", ns="a")[0]["gateway"] == "10.1.0.254"


def test_what_must_make_room_goes_before_what_needs_the_room(host: Host) -> None:
    text = """
        [veth.u]
        peer = { name = "v" }

        [vxlan.%s]
        vni = 24
        dev = "u"
        remote = "10.9.0.2"
        addresses = ["10.3.0.1/24"]
        """
    host.write("a.toml", text % "vxold")
    host.apply()
    host.write("a.toml", text % "vxnew")
    host.apply()
    assert host.link("vxold") is None
    assert host.link("vxnew")["linkinfo"]["info_data"]["id"] == 24
    assert host.addresses("vxnew") == {"10.3.0.1/24"}


def test_a_name_may_change_its_kind(host: Host) -> None:
    host.write("a.toml", '[bridge.x0]\naddresses = ["10.3.0.1/24"]\n')
    host.daemon()
    host.write("a.toml", '[veth.x0]\naddresses = ["10.3.0.1/24"]\npeer = { name = "x1" }\n')
    host.until(lambda: host.link("x0")["linkinfo"]["info_kind"] == "veth", "x0 is a veth now")
    host.until(lambda: host.addresses("x0") == {"10.3.0.1/24"}, "with its address")
    host.converged()


# Who may write them


@pytest.mark.parametrize(
    "harm",
    [
        "chmod o+w /etc/netd/b.toml",
        "chmod g+w /etc/netd/b.toml",
        "chown 1000 /etc/netd/b.toml",
        "mv /etc/netd/b.toml /run/b.toml; ln -s /run/b.toml /etc/netd/b.toml",
    ],
)
def test_a_file_that_others_may_write_is_refused_by_name(host: Host, harm: str) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.sh(harm)
    said = host.netd("apply", check=1)
    assert "b.toml" in said.text
    assert host.namespaces() == {"a"}
    assert "b.toml" in host.netd("check").text
    host.netd("check", "--strict", check=1)


def test_a_link_within_the_directory_is_followed(host: Host) -> None:
    host.write("a.lab", A)
    host.file("a.toml").symlink_to("a.lab")
    host.apply()
    assert host.namespaces() == {"a"}


# Clashes


def test_a_clash_names_both_places_and_costs_the_later_file_that_object_alone(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\nmtu = 1400\n")
    host.write("b.toml", "[bridge.br1]\n\n[bridge.br0]\nmtu = 1300\n")
    checked = host.netd("check", check=1)
    assert "/etc/netd/b.toml:3:" in checked.text
    assert "a.toml:1" in checked.text
    host.daemon()
    assert host.link("br0")["mtu"] == 1400
    assert host.link("br1") is not None
    states = {each["path"].rpartition("/")[2]: each["state"] for each in host.status()["files"]}
    assert states == {"a.toml": "ok", "b.toml": "partial"}
    host.remove("a.toml")
    host.until(lambda: host.link("br0")["mtu"] == 1300, "the other file's turn has come")
    host.converged()


def test_the_same_route_with_another_way_is_a_clash(host: Host) -> None:
    host.write("a.toml", '[[route]]\nto = "10.5.0.0/24"\ntype = "blackhole"\n')
    host.write("b.toml", '[[route]]\nto = "10.5.0.0/24"\ntype = "prohibit"\n')
    assert "b.toml:1" in host.netd("check", check=1).text
    host.netd("apply", check=1)
    assert host.routes("10.5.0.0/24")[0]["type"] == "blackhole"


# The daemon's life


def test_stopping_leaves_the_network_standing_and_the_next_start_takes_over(host: Host) -> None:
    host.write("a.toml", A)
    daemon = host.daemon()
    with nothing_happens(host):
        assert daemon.stop() == 0
        daemon = host.daemon()
        host.converged()
    host.ping("10.1.0.1")
    daemon.stop()
    host.remove("a.toml")
    host.daemon()
    host.until(lambda: host.namespaces() == set(), "what no file declares any more is gone")


def test_a_crash_disturbs_nothing_and_the_next_start_takes_over(host: Host) -> None:
    host.write("a.toml", A)
    daemon = host.daemon()
    with nothing_happens(host):
        daemon.kill()
        host.daemon()
        host.converged()
    host.run("ip", "link", "del", "to-a")
    host.ping("10.1.0.1", "fd01::1")


def test_without_its_ledger_netd_deletes_nothing_that_is_not_declared(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", "[bridge.br0]\n")
    daemon = host.daemon()
    daemon.stop()
    host.sh("rm -rf /run/netd/*")
    host.remove("b.toml")
    host.daemon()
    assert host.link("br0") is not None
    assert host.state("bridge/br0") == "orphan"
    assert host.status()["state"] == "converged"
    host.processes[-1].stop()
    host.netd("down", "--orphans")
    assert host.link("br0") is None


def test_what_is_taken_away_the_moment_it_was_made_goes(host: Host) -> None:
    """The files change between two portions of a round: after the kernel took the links, before they were read back."""
    host.daemon()
    host.sh("""
        cd /etc/netd
        for n in $(seq 300); do echo "[bridge.b$n]" >b$n.toml; done
        while [ $(ls -d /sys/class/net/b* 2>/dev/null | wc -l) -lt 300 ]; do :; done
        rm b*.toml
    """)
    host.until(lambda: not host.names(), "all are gone")


@pytest.mark.thorough
def test_nothing_is_begun_any_more_while_the_daemon_stops(host: Host) -> None:
    """What goes after 300 ms may be due just then: a round in a kernel that was let go of threw, or deleted."""
    host.write("a.toml", A + '\n[[namespace.a.nat.masquerade]]\nout = "eth0"\n')
    for number in range(8):
        host.write("b.toml", B)
        daemon = host.daemon()
        host.remove("b.toml")
        time.sleep(0.28 + 0.006 * number)  # around the end of the grace, whenever that is on this machine
        assert daemon.stop() == 0
        text = daemon.text()
        assert "Traceback" not in text and "netd stops" in text.splitlines()[-1], text
