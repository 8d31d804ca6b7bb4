"""What goes wrong outside netd's hands and mends itself: duplicates on the wire, namespaces that others end."""

from __future__ import annotations

from tests.support.host import Host

ATTACHED = """
[namespace.c]
attach = "/run/box/abc"

[namespace.c.veth.e0]
addresses = ["10.1.0.2/24"]
peer = { name = "pc", addresses = ["10.1.0.1/24"] }
"""

#: Another tool's namespace, with no process in it.
NEW_BOX = """
mkdir -p /run/box
ip netns add tmp
touch /run/box/abc
mount --bind /run/netns/tmp /run/box/abc
ip netns del tmp
"""


def test_a_duplicate_address_is_used_once_the_other_is_gone(host: Host) -> None:
    host.sh("""
        ip netns add z
        ip link add x0 up type veth peer name x1 netns z
        ip -n z link set x1 up
        ip -n z addr add fd01::1/64 dev x1 nodad
    """)
    host.write("a.toml", '[interface.x0]\naddresses = ["fd01::1/64"]\n')
    host.daemon()
    host.until(lambda: "repaired" in host.story(), "the duplicate was noticed")
    host.sh("ip -n z addr del fd01::1/64 dev x1; ip -n z addr add fd01::2/64 dev x1 nodad")
    host.ping("fd01::2")
    host.converged()


def test_an_attached_namespace_that_another_replaced_is_attached_anew_by_another_run(host: Host) -> None:
    host.sh(NEW_BOX)
    host.write("a.toml", ATTACHED)
    host.apply()
    host.ping("10.1.0.2")
    host.sh("umount /run/box/abc" + NEW_BOX)
    host.until(lambda: host.netd("apply", check=None).returncode == 0, "netd apply converges")
    host.ping("10.1.0.2")


def test_netds_own_entry_does_not_keep_an_attached_namespace_alive(host: Host) -> None:
    host.sh(NEW_BOX)
    host.write("a.toml", ATTACHED)
    daemon = host.daemon()
    host.ping("10.1.0.2")
    daemon.kill()
    host.daemon()
    host.sh("umount /run/box/abc; rm /run/box/abc")
    host.until(lambda: host.state("namespace/c") == "pending", "it waits for its owner")
    host.until(lambda: "c" not in host.namespaces() and "pc" not in host.names(), "the namespace is gone")
