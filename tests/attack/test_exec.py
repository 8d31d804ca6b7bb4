"""``netd exec`` runs a command where it says, or nowhere: a name can come to lead elsewhere."""

from __future__ import annotations

import json

import pytest

from tests.attack.user import User, number
from tests.support.host import Host

LAB = """
[namespace.web]
attach = "pid:{0}"

[namespace.web.veth.eth0]
addresses = ["10.6.0.1/24"]
peer = {{ name = "to-web" }}
"""
SHOW = ("ip", "-j", "link")


def links(host: Host, *command: str) -> set[str]:
    return {each["ifname"] for each in json.loads(host.netd("exec", "web", *command).stdout)}


@pytest.mark.parametrize("elsewhere", ["the host", "another namespace"])
def test_a_number_of_a_process_that_is_used_again_is_no_way_into_another_network(host: Host, elsewhere: str) -> None:
    """The daemon is away, the container ends, and another process gets the number that netd's link has."""
    container = User(host).container()
    first = number(host, container)
    host.write("lab.toml", LAB.format(first))
    daemon = host.daemon()
    host.converged()
    assert "eth0" in links(host, *SHOW)
    daemon.stop()
    container.kill()
    other = 1 if elsewhere == "the host" else number(host, User(host).container())
    host.run("ln", "-sfn", f"/proc/{other}/ns/net", "/run/netns/web")
    refused = host.netd("exec", "web", "touch", "/run/was-here", check=1)
    assert "the command was not run" in refused.stderr and not host.file("/run/was-here").exists()
    host.daemon()
    host.until(lambda: not host.file("/run/netns/web").is_symlink(), "a name of netd's that leads astray is removed")
    assert "there is no namespace" in host.netd("exec", "web", "touch", "/run/was-here", check=1).stderr


def test_a_name_that_leads_to_the_host_is_no_namespace(host: Host) -> None:
    host.sh("mkdir -p /run/netns; touch /run/netns/web; mount --bind /proc/1/ns/net /run/netns/web")
    assert "the host's own" in host.netd("exec", "web", "true", check=1).stderr


def test_a_command_sees_the_sys_and_the_etc_of_its_namespace_and_no_mount_of_it_gets_out(host: Host) -> None:
    host.sh("ip netns add web; ip -n web link add br7 type bridge; mkdir -p /etc/netns/web")
    host.write("/etc/netns/web/resolv.conf", "nameserver 192.0.2.1\n", atomic=False)
    host.sh("rm -f /etc/resolv.conf; echo outside > /etc/resolv.conf")
    said = host.netd("exec", "web", "sh", "-c", "ls /sys/class/net; cat /etc/resolv.conf; mount -t tmpfs x /mnt").stdout
    assert "br7" in said and "192.0.2.1" in said
    assert host.run("cat", "/etc/resolv.conf") == "outside\n"
    assert "x /mnt" not in host.run("cat", "/proc/mounts")
    assert "nowhere" in host.netd("exec", "web", "nowhere", check=1).stderr
