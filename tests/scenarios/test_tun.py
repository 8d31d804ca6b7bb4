"""TUN and TAP devices: created, healed, changed, and kept for the processes that use them."""

from __future__ import annotations

import sys

import pytest

from tests.support.host import Host

#: Attaches to a TAP device, and says so.
USER = """
import fcntl, os, struct, sys, time
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("=16sH22x", sys.argv[1].encode(), 0x1002))
print("ready", flush=True)
while os.path.exists("/run/hold"):
    time.sleep(0.05)
"""


def data(host: Host, name: str, ns: str = "") -> dict[str, object]:
    """What rtnetlink says of it."""
    found: dict[str, object] = host.link(name, ns)["linkinfo"]["info_data"]
    return found


@pytest.mark.needs_kernel("tun")
def test_a_tap_is_created_with_its_owner_and_healed(host: Host) -> None:
    host.write(
        "lab.toml",
        """
        [bridge.br0]

        [tun.tap0]
        owner = "nobody"
        group = 42
        multi_queue = true
        master = "br0"

        [namespace.a.tun.tun0]
        mode = "tun"
        addresses = ["10.5.0.1/24"]
    """,
    )
    host.daemon()
    found = data(host, "tap0")
    assert (found["type"], found["user"], found["group"], found["persist"], found["multi_queue"]) == (
        "tap", "nobody", "shadow", True, True,
    )  # fmt: skip
    assert data(host, "tun0", "a")["type"] == "tun"
    assert host.addresses("tun0", "a") == {"10.5.0.1/24"}
    host.netd("diff")
    index = host.link("tap0")["ifindex"]
    for damage in ("ip link set tap0 nomaster", "ip link set tap0 down", "ip link set tap0 down name other0"):
        host.sh(damage)
        host.until(
            lambda: (host.link("tap0") or {}).get("master") == "br0" and "UP" in host.link("tap0")["flags"], damage
        )
        host.converged()
    assert host.link("tap0")["ifindex"] == index
    mac = host.link("tap0")["address"]
    for damage in ("ip tuntap del dev tap0 mode tap multi_queue", "ip link del br0", "ip netns del a || true"):
        host.sh(damage)
        host.until(
            lambda: {"tap0", "br0"} <= host.names() and "tun0" in (host.names("a") if host.namespaces() else ()), damage
        )
        host.converged()
    assert host.link("tap0")["address"] == mac
    host.write("lab.toml", host.file("lab.toml").read_text().replace("group = 42", "group = 43"))
    index = host.link("tap0")["ifindex"]
    host.netd("reload")
    assert (data(host, "tap0")["group"], host.link("tap0")["ifindex"]) == ("utmp", index), "changed in place"
    host.remove("lab.toml")
    host.until(lambda: not {"tap0", "br0"} & host.names() and not host.namespaces(), "all of it is removed")


@pytest.mark.needs_kernel("tun")
def test_a_process_keeps_its_device_through_all_of_it(host: Host) -> None:
    host.write("lab.toml", '[tun.tap0]\nowner = 0\naddresses = ["10.6.0.1/24"]\n')
    host.daemon()
    host.sh("touch /run/hold")
    user = host.start(sys.executable, "-c", USER, "tap0")
    host.until(lambda: "ready" in user.text(), "a process is attached")
    index = host.link("tap0")["ifindex"]
    host.write("lab.toml", '[tun.tap0]\nowner = 7\naddresses = ["10.6.0.1/24"]\n')
    host.netd("reload", check=None)
    row = next(each for each in host.status()["objects"] if each["object"] == "tun/tap0")
    assert (row["state"], "a process uses it" in row["reason"]) == ("failed", True), row
    assert host.link("tap0")["ifindex"] == index
    host.sh("rm /run/hold")
    host.until(lambda: host.state("tun/tap0") == "ok", "the owner is changed once the process has ended")


@pytest.mark.needs_kernel("tun")
def test_a_tap_of_another_program_is_adopted_and_left(host: Host) -> None:
    host.sh("ip tuntap add dev tap0 mode tap user nobody; ip tuntap add dev tun0 mode tun")
    index = host.link("tap0")["ifindex"]
    host.write("lab.toml", "[tun.tap0]\nowner = 7\n[tun.tun0]\n")
    host.daemon()
    assert host.state("tun/tap0") == "ok"
    assert host.state("tun/tun0") == "conflict"
    host.remove("lab.toml")
    host.until(lambda: data(host, "tap0")["user"] == "nobody", "it is as it was found")
    assert host.link("tap0")["ifindex"] == index
