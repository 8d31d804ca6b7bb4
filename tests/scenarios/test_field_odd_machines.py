"""Machines as they are found: few descriptors, mounts over netd's directories, links with several names."""

from __future__ import annotations

from tests.support.field import LAB
from tests.support.host import Host

MANY = "[bridge.br0]\n" + "".join(
    f'[namespace.n{number}.veth.eth0]\naddresses = ["10.0.0.{number}/24"]\n'
    f'peer = {{ name = "p{number}", master = "br0" }}\n'
    for number in range(1, 201)
)


def test_a_command_with_few_descriptors_builds_many_namespaces(host: Host) -> None:
    host.write("lab.toml", MANY)
    done = host.netd_as(["prlimit", "--nofile=256:256"], "apply")
    assert done.returncode == 0, done.text
    assert len(host.namespaces()) == 200


def test_a_mount_over_the_names_is_said_and_healed_by_unmounting_it(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.sh("mount --bind /run/netns /run/netns")
    host.until(lambda: "covers /run/netns" in host.netd("status", check=None).text, "it is said")
    host.sh("umount /run/netns")
    host.converged()
    host.ping("10.7.0.11", "fd07::11")
    assert host.state("namespace/one") == "ok"


def test_a_mount_over_the_config_directory_is_seen(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\n")
    host.daemon()
    host.sh("mkdir /run/other; echo '[bridge.br1]' > /run/other/lab.toml; mount --bind /run/other /etc/netd")
    host.until(lambda: host.names() == {"br1"}, "the mounted files count")
    host.sh("echo '[bridge.br2]' > /run/other/more.toml")
    host.until(lambda: host.names() == {"br1", "br2"}, "and are watched")
    host.sh("umount /etc/netd")
    host.until(lambda: host.names() == {"br0"}, "those below count again")


def test_an_interface_by_another_of_its_names_is_told_apart_from_one_that_is_not_there(host: Host) -> None:
    host.sh("ip link add eth9 type veth peer name x9; ip link property add dev eth9 altname enp3s0")
    host.write("lab.toml", "[interface.enp3s0]\nmtu = 1400\n")
    host.daemon()
    assert "an alternative name of eth9" in host.netd("status", check=None).text
