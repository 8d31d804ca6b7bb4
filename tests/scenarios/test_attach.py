"""Namespaces that someone else made, by path or process."""

from __future__ import annotations

import pytest

from tests.support.host import Host
from tests.support.process import Daemon

BY_PATH = """
[namespace.box]
attach = "/var/run/docker/netns/0123456789ab"

[namespace.box.veth.eth0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true
peer = { name = "to-box", addresses = ["10.1.0.2/24", "fd01::2/64"], nodad = true }
"""


def container(host: Host) -> None:
    """Makes a namespace as a container engine does: a file with the namespace mounted on it, and a process inside."""
    host.sh(
        """
        mkdir -p /run/docker/netns
        touch /run/docker/netns/0123456789ab
        unshare --net=/run/docker/netns/0123456789ab true
        """
    )
    host.start("nsenter", "--net=/run/docker/netns/0123456789ab", "sleep", "infinity")


def test_a_namespace_by_path_that_appears_later_is_built_into_at_once(host: Host) -> None:
    host.write("lab.toml", BY_PATH)
    host.daemon()
    assert host.state("namespace/box") == "pending"
    assert host.status()["state"] == "converged", "what is pending does not count against it"
    assert host.names() == set()
    container(host)
    host.ping("10.1.0.1", "fd01::1")
    host.ping("10.1.0.2", "fd01::2", ns="box")
    host.until(lambda: host.state("namespace/box") == "ok", "the namespace is ok")


def test_a_namespace_by_path_outlives_netd_and_its_files(host: Host) -> None:
    container(host)
    host.write("lab.toml", BY_PATH)
    host.apply()
    host.ping("10.1.0.1", "fd01::1")
    host.netd("down")
    assert host.names() == set()
    assert "box" not in host.namespaces()
    assert "lo" in host.run("nsenter", "--net=/run/docker/netns/0123456789ab", "ip", "link")


def test_ip_netns_del_of_the_name_does_not_harm_its_owner(host: Host) -> None:
    container(host)
    host.write("lab.toml", BY_PATH)
    host.apply()
    host.run("ip", "netns", "del", "box")
    assert "eth0" in host.run("nsenter", "--net=/run/docker/netns/0123456789ab", "ip", "link")
    host.ping("10.1.0.1")
    host.apply()
    host.ping("10.1.0.2", ns="box")


def test_a_namespace_by_process(host: Host) -> None:
    host.start("unshare", "-n", "sh", "-c", "echo $$ > /run/box.pid; exec sleep infinity")
    host.until(lambda: host.file("/run/box.pid").read_text().strip(), "the process runs")
    number = host.file("/run/box.pid").read_text().strip()
    host.write("lab.toml", BY_PATH.replace("/var/run/docker/netns/0123456789ab", f"pid:{number}"))
    host.apply()
    host.ping("10.1.0.1", "fd01::1")
    host.ping("10.1.0.2", ns="box")


def test_the_name_of_a_process_goes_when_it_ends(host: Host) -> None:
    """Its number may be another's tomorrow."""
    process = host.start("unshare", "-n", "sh", "-c", "echo $$ > /run/box.pid; exec sleep infinity")
    number = host.until(lambda: host.file("/run/box.pid").read_text().strip(), "the process runs")
    host.write("lab.toml", BY_PATH.replace("/var/run/docker/netns/0123456789ab", f"pid:{number}"))
    host.daemon()
    host.ping("10.1.0.1", "fd01::1")
    process.kill()
    host.until(lambda: host.state("namespace/box") == "pending", "the namespace is pending")
    host.until(lambda: host.namespaces() == set(), "its name is gone")
    assert next(each["repairs"] for each in host.status()["objects"] if each["object"] == "namespace/box") == 0


def test_the_name_of_a_process_that_ended_goes_with_its_file(host: Host) -> None:
    process = host.start("unshare", "-n", "sh", "-c", "echo $$ > /run/box.pid; exec sleep infinity")
    number = host.until(lambda: host.file("/run/box.pid").read_text().strip(), "the process runs")
    host.write("lab.toml", BY_PATH.replace("/var/run/docker/netns/0123456789ab", f"pid:{number}"))
    host.apply()
    process.kill()
    host.netd("down")
    host.until(lambda: host.namespaces() == set(), "its name is gone")


def test_a_container_that_comes_back_under_its_path_is_built_into_again(host: Host) -> None:
    container(host)
    host.write("lab.toml", BY_PATH)
    host.daemon()
    host.ping("10.1.0.1")
    host.processes[0].kill()
    host.sh("umount -l /run/docker/netns/0123456789ab; rm /run/docker/netns/0123456789ab")
    host.until(lambda: host.state("namespace/box") == "pending", "the namespace is pending again")
    container(host)
    host.ping("10.1.0.1", "fd01::1")


def test_another_tools_entry_of_that_name_is_a_conflict(host: Host) -> None:
    host.run("ip", "netns", "add", "box")
    container(host)
    host.write("lab.toml", BY_PATH)
    host.netd("apply", check=1)
    assert host.run("ip", "-n", "box", "-br", "link").split()[0] == "lo"
    assert host.names() == set()


def test_a_namespace_that_goes_and_comes_back_is_built_into_again_each_time(host: Host) -> None:
    host.write("lab.toml", BY_PATH)
    host.daemon()
    for _ in range(3):
        host.sh(
            """
            mkdir -p /run/docker/netns; touch /run/docker/netns/0123456789ab
            unshare --net=/run/docker/netns/0123456789ab true
            """
        )
        host.ping("10.1.0.1", "fd01::1")
        host.ping("10.1.0.2", "fd01::2", ns="box")
        host.sh("umount -l /run/docker/netns/0123456789ab; rm /run/docker/netns/0123456789ab")
        host.until(lambda: host.state("namespace/box") == "pending", "it waits for the namespace")
        host.until(lambda: host.names() == set(), "the name is gone, and keeps nothing alive")


def test_a_namespace_that_comes_back_elsewhere_is_found_there(host: Host) -> None:
    """The file names the new place: what was in the old one stays with its owner."""
    host.daemon()
    for place in ("first", "second", "first"):
        host.sh(
            f"""
            mkdir -p /run/engine; umount -l /run/engine/* 2>/dev/null || :; rm -f /run/engine/*
            touch /run/engine/{place}
            unshare --net=/run/engine/{place} true
            """
        )
        host.write("lab.toml", BY_PATH.replace("/var/run/docker/netns/0123456789ab", f"/run/engine/{place}"))
        host.ping("10.1.0.1", "fd01::1")
        host.ping("10.1.0.2", "fd01::2", ns="box")
        host.converged()


def test_a_namespace_with_two_names_has_no_orphans(host: Host) -> None:
    """As Podman's: its own name for it is in the same folder."""
    host.run("ip", "netns", "add", "netns-0123")
    host.start("ip", "netns", "exec", "netns-0123", "sh", "-c", "echo $$ > /run/box.pid; exec sleep infinity")
    number = host.until(lambda: host.file("/run/box.pid").read_text().strip(), "the process runs")
    host.write("lab.toml", BY_PATH.replace("/var/run/docker/netns/0123456789ab", f"pid:{number}"))
    host.daemon()
    host.ping("10.1.0.1")
    assert {each["state"] for each in host.status()["objects"]} == {"ok"}


def test_a_name_that_is_to_be_netds_own_lets_go_of_anothers_namespace(host: Host) -> None:
    container(host)
    host.write("lab.toml", BY_PATH)
    host.apply()
    host.write("lab.toml", "[namespace.box.bridge.br0]\n")
    host.apply()
    assert host.names("box") == {"br0"}
    inside = host.run("nsenter", "--net=/run/docker/netns/0123456789ab", "ip", "-br", "link").splitlines()
    assert [line.split()[:2] for line in inside] == [["lo", "DOWN"]]
    host.netd("down")
    assert "box" not in host.namespaces()


def test_the_name_for_a_container_that_has_ended_goes_with_its_table(host: Host) -> None:
    container(host)
    host.write("lab.toml", BY_PATH)
    host.apply()
    assert host.file("/run/netns/box").is_symlink()
    host.processes[0].kill()
    host.processes[0].wait()
    host.sh("umount -l /run/docker/netns/0123456789ab; rm /run/docker/netns/0123456789ab")
    host.netd("down")
    assert not host.file("/run/netns/box").is_symlink()


ELSEWHERE = """
[namespace.box]
attach = "/run/{place}"

[namespace.box.sysctl]
net.ipv4.ip_default_ttl = 70

[namespace.box.veth.eth0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true
peer = {{ name = "to-box", addresses = ["10.1.0.2/24", "fd01::2/64"], nodad = true }}

[namespace.box.veth.in0]
peer = {{ name = "in1", namespace = "box" }}

[[namespace.box.nat.masquerade]]
out = "eth0"

[veth.up0]
addresses = ["10.3.0.2/24"]
peer = {{ name = "down0", namespace = "box", addresses = ["10.3.0.1/24"] }}
"""
OWN = ELSEWHERE.replace('attach = "/run/{place}"\n', "")


def others(host: Host, *places: str) -> None:
    """Namespaces of somebody's, each at a path of its own."""
    for place in places:
        host.sh(f"touch /run/{place}; unshare --net=/run/{place} true")


def inside(host: Host, place: str) -> str:
    """All that netd could have changed in one of them."""
    looks = """
    ip -o link | cut -d: -f1,2
    ip -o addr show scope global
    ip rule
    nft list ruleset
    sysctl net.ipv4.ip_default_ttl
    """
    return host.run("nsenter", f"--net=/run/{place}", "sh", "-c", looks)


def start(host: Host, serving: bool) -> Daemon | None:
    """Makes it so by a daemon that stays, or once."""
    if serving:
        return host.daemon()
    host.apply()
    return None


def pings(host: Host, place: str, address: str = "10.1.0.2") -> None:
    host.until(
        lambda: host.run("nsenter", f"--net=/run/{place}", "ping", "-c1", "-W1", address),
        f"{address} answers to {place}",
    )


@pytest.mark.parametrize("serving", [False, True], ids=["apply", "daemon"])
@pytest.mark.parametrize("wanted", [ELSEWHERE.format(place="second"), OWN.format()], ids=["another path", "its own"])
def test_what_netd_made_goes_where_the_path_changes(host: Host, wanted: str, serving: bool) -> None:
    others(host, "first", "second")
    before = inside(host, "first"), inside(host, "second")
    host.write("lab.toml", ELSEWHERE.format(place="first"))
    daemon = start(host, serving)
    pings(host, "first")
    host.write("lab.toml", wanted)
    host.netd("reload" if daemon else "apply")
    host.ping("10.1.0.1", "fd01::1", "10.3.0.1")
    host.until(lambda: inside(host, "first") == before[0], "nothing is left in the former one")
    assert host.names("box") == {"eth0", "in0", "in1", "down0"}
    host.netd("diff", check=0)
    if daemon:
        daemon.stop()
    host.netd("down")
    assert (inside(host, "first"), inside(host, "second")) == before
    assert host.names() == set()
    assert "box" not in host.namespaces()


def test_two_names_that_exchange_their_namespaces(host: Host) -> None:
    others(host, "first", "second")
    before = inside(host, "first"), inside(host, "second")
    lab = """
    [namespace.{0}]
    attach = "/run/first"
    [namespace.{1}]
    attach = "/run/second"
    [namespace.one.veth.eth0]
    addresses = ["10.1.0.1/24"]
    peer = {{ name = "eth0", namespace = "two", addresses = ["10.1.0.2/24"] }}
    [namespace.one.sysctl]
    net.ipv4.ip_default_ttl = 71
    """
    host.write("lab.toml", lab.format("one", "two"))
    host.apply()
    pings(host, "first")
    host.write("lab.toml", lab.format("two", "one"))
    host.apply()
    pings(host, "second")
    assert "net.ipv4.ip_default_ttl = 71" in inside(host, "second")
    assert "net.ipv4.ip_default_ttl = 64" in inside(host, "first")
    host.apply()
    host.netd("down")
    assert (inside(host, "first"), inside(host, "second")) == before


@pytest.mark.parametrize("serving", [False, True], ids=["apply", "daemon"])
def test_another_name_for_the_same_namespace(host: Host, serving: bool) -> None:
    others(host, "first")
    before = inside(host, "first")
    host.write("lab.toml", ELSEWHERE.format(place="first"))
    daemon = start(host, serving)
    pings(host, "first")
    host.write("lab.toml", ELSEWHERE.format(place="first").replace("box", "crate").replace("to-crate", "to-box"))
    host.netd("reload" if daemon else "apply")
    host.until(lambda: "10.1.0.1" in host.run("ip", "-n", "crate", "addr"), "it is built under the new name")
    pings(host, "first")
    assert host.names("crate") == {"eth0", "in0", "in1", "down0"}
    assert "box" not in host.namespaces()
    if daemon:
        daemon.stop()
    host.netd("down")
    assert inside(host, "first") == before


def test_a_namespace_of_netds_own_becomes_somebody_elses(host: Host) -> None:
    others(host, "first")
    before = inside(host, "first")
    host.write("lab.toml", OWN.format())
    host.apply()
    host.ping("10.1.0.1")
    host.write("lab.toml", ELSEWHERE.format(place="first"))
    host.apply()
    pings(host, "first")
    host.netd("down")
    assert inside(host, "first") == before
    assert "box" not in host.namespaces()


def test_the_same_namespace_by_another_path_is_left_as_it_is(host: Host) -> None:
    others(host, "first")
    before = inside(host, "first")
    host.sh("ln -s /run /run/alias")
    host.write("lab.toml", ELSEWHERE.format(place="first"))
    host.apply()
    there = inside(host, "first")
    host.write("lab.toml", ELSEWHERE.format(place="alias/first"))
    host.apply()
    host.netd("diff")
    assert inside(host, "first") == there, "with the same indexes"
    host.netd("down")
    assert inside(host, "first") == before
    assert "box" not in host.namespaces()


@pytest.mark.parametrize("first", [OWN.format(), ELSEWHERE.format(place="netns/box")], ids=["adopted", "attached"])
def test_a_namespace_that_has_the_name_itself_outlives_that_netd_means_another(host: Host, first: str) -> None:
    host.run("ip", "netns", "add", "box")
    others(host, "first")
    before = inside(host, "netns/box"), inside(host, "first")
    host.write("lab.toml", first)
    host.apply()
    pings(host, "netns/box")
    host.write("lab.toml", ELSEWHERE.format(place="first"))
    host.netd("apply", check=1)
    host.netd("diff", check=2)
    assert inside(host, "first") == before[1], "a name that cannot be had costs its owner nothing"
    assert "down0" in host.run("ip", "-n", "box", "link"), "a pair stands until there is a place for the next"
    assert inside(host, "netns/box").replace("2: down0@if2\n", "") == before[0]
    host.write("lab.toml", OWN.format())
    host.apply()
    pings(host, "netns/box")
    host.netd("down")
    assert (inside(host, "netns/box"), inside(host, "first")) == before
    assert "box" in host.namespaces()


TWICE = """
[namespace.{0}]
attach = "{1}"
[namespace.{0}.bridge.{0}]
[[namespace.{0}.nat.masquerade]]
source = "10.1.0.0/24"
"""


def test_a_namespace_has_one_name(host: Host) -> None:
    others(host, "first")
    host.write("one.toml", TWICE.format("one", "/run/first"))
    host.write("two.toml", TWICE.format("two", "/run/first"))
    assert "already has a name, 'one'" in host.netd("check", check=1).stderr
    host.netd("apply", check=1)
    assert host.names("one") == {"one"} and "two" not in host.namespaces()
    host.netd("down", "--orphans", "/etc/netd/two.toml")
    assert host.names("one") == {"one"}


@pytest.mark.parametrize("where", ["/run/alias/first", "/run/netns/own", "pid:1"])
def test_another_way_to_a_namespace_that_has_a_name_is_a_conflict(host: Host, where: str) -> None:
    """Built into under both, each would undo what the other has there."""
    others(host, "first")
    host.sh("ln -s /run /run/alias")
    host.write("one.toml", TWICE.format("one", "/run/first") + "[bridge.top]\n[namespace.own.bridge.mine]\n")
    host.write("two.toml", TWICE.format("two", where))
    host.netd("apply", check=1)
    host.daemon()
    found = {each["object"]: each["state"] for each in host.status()["objects"]}
    wrong = {name: state for name, state in found.items() if state != "ok"}
    assert wrong.pop("namespace/two") == "conflict" and set(wrong.values()) == {"pending"}
    assert set(wrong) == {"two:bridge/two", "two:nat/masquerade/ip/10.1.0.0/24,*"}
    assert host.names() == {"top"} and host.names("own") == {"mine"} and host.names("one") == {"one"}
