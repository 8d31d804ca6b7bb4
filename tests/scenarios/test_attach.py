"""Namespaces that someone else made, by path or process."""

from __future__ import annotations

from tests.host import Host

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
