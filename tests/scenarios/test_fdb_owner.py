"""A vxlan whose table belongs to a control plane: netd keeps the tunnel, and of the table its own entries only."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from tests.support.host import Host

LAB = """
[veth.under]
addresses = ["10.9.0.1/24"]
peer = {{ name = "under-peer" }}

[bridge.br0]

[vxlan.vx0]
vni = 24
local = "10.9.0.1"
{more}
master = "br0"
bridge_port = {{ learning = false, neigh_suppress = true }}

[sysctl]
net.ipv4.ip_default_ttl = 77
"""
#: Beside the controller's entries, two of netd's own: a MAC address, and one more tunnel that everything is flooded to.
OWN = """
fdb_owner = "external"
fdb = [
    { mac = "02:00:00:00:00:21", dst = "10.9.0.2" },
    { mac = "00:00:00:00:00:00", dst = "10.9.0.3", port = 4444 },
]
"""
#: As FRR's zebra writes them: where to flood without a mark, MAC addresses with one.
CONTROLLER = """
bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.2
bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.3
bridge fdb replace 02:00:00:00:00:31 dev vx0 dst 10.9.0.3 self extern_learn
bridge fdb replace 02:00:00:00:00:31 dev vx0 master extern_learn
"""
#: What the full pass alone finds: inotify hears nothing of a write through another procfs.
ELSEWHERE = "mkdir -p /run/proc; mount -t proc proc /run/proc; echo 66 >/run/proc/sys/net/ipv4/ip_default_ttl"


def table(host: Host) -> set[tuple[str, str, int, bool]]:
    """The tunnel's own table: MAC address, remote, port (0: the tunnel's), and whether a controller learned it."""
    entries = host.json("bridge", "-j", "fdb", "show", "dev", "vx0")
    return {
        (each["mac"], each["dst"], each.get("port", 0), "extern_learn" in each["flags"])
        for each in entries
        if "dst" in each
    }


MINE = {("02:00:00:00:00:21", "10.9.0.2", 0, False), ("00:00:00:00:00:00", "10.9.0.3", 4444, False)}
THEIRS = {
    ("00:00:00:00:00:00", "10.9.0.2", 0, False),
    ("00:00:00:00:00:00", "10.9.0.3", 0, False),
    ("02:00:00:00:00:31", "10.9.0.3", 0, True),
}


@contextlib.contextmanager
def no_entry_changes(host: Host) -> Iterator[None]:
    """Fails when the kernel announces a change of any forwarding table meanwhile."""
    host.sh("ip link add marks type vxlan id 99 dstport 4790")
    monitor = host.start("stdbuf", "-oL", "bridge", "monitor", "fdb")

    def mark(number: int) -> int:
        address = f"02:00:00:00:99:{number:02}"

        def seen() -> bool:
            host.sh(f"bridge fdb replace {address} dev marks dst 10.9.0.9; bridge fdb del {address} dev marks")
            return address in monitor.text()

        host.until(seen, "the monitor sees a mark")
        return monitor.text().find(address)

    begin = mark(1)
    yield
    changes = [line for line in monitor.text()[begin : mark(2)].splitlines()[1:] if "dev marks" not in line]
    assert not changes, f"something was changed: {changes}"


def test_entries_of_others_outlive_a_resync_a_reload_and_the_death_of_the_daemon(host: Host) -> None:
    host.write("lab.toml", LAB.format(more=OWN))
    daemon = host.daemon(module="tests.support.frequent_pass")
    host.sh(CONTROLLER)
    host.until(lambda: table(host) == MINE | THEIRS, "all entries are there")
    with no_entry_changes(host):
        host.sh(ELSEWHERE)
        host.until(lambda: host.sysctl("net.ipv4.ip_default_ttl") == "77", "a full pass has been")
        host.netd("reload")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        host.daemon()
        host.netd("diff")
        host.converged()
    assert host.link("vx0")["linkinfo"]["info_data"]["learning"] is False
    port = host.link("vx0")["linkinfo"]["info_slave_data"]
    assert (port["learning"], port["neigh_suppress"]) == (False, True)


def test_an_own_entry_comes_back_and_leaves_those_beside_it_alone(host: Host) -> None:
    host.write("lab.toml", LAB.format(more=OWN))
    daemon = host.daemon()
    host.sh(CONTROLLER)
    for mac, dst in (("02:00:00:00:00:21", "10.9.0.2"), ("00:00:00:00:00:00", "10.9.0.3 port 4444")):
        host.sh(f"bridge fdb del {mac} dev vx0 dst {dst}")
        host.until(lambda: table(host) == MINE | THEIRS, f"{mac} is back")
    host.write("lab.toml", LAB.format(more='fdb_owner = "external"'))
    host.until(lambda: table(host) == THEIRS, "netd's alone are gone")
    assert "contended" not in daemon.text()


def test_an_entry_that_a_controller_made_in_the_place_of_netds_is_not_netds_to_delete(host: Host) -> None:
    host.write("lab.toml", LAB.format(more=OWN))
    # The kernel lets no controller mark an entry that another made, so it is deleted first; and nobody is there to see.
    host.daemon().stop()
    host.sh("""
        bridge fdb del 02:00:00:00:00:21 dev vx0 dst 10.9.0.2
        bridge fdb replace 02:00:00:00:00:21 dev vx0 dst 10.9.0.2 self extern_learn
    """)
    host.daemon()
    host.write("lab.toml", LAB.format(more='fdb_owner = "external"'))
    host.netd("reload")
    assert table(host) == {("02:00:00:00:00:21", "10.9.0.2", 0, True)}


def test_a_list_of_remotes_gives_way_to_a_controller_without_a_new_tunnel(host: Host) -> None:
    host.write("lab.toml", LAB.format(more='remote = ["10.9.0.2", "10.9.0.4"]'))
    host.daemon()
    index = host.link("vx0")["ifindex"]
    host.sh("bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.3")
    host.write("lab.toml", LAB.format(more='fdb_owner = "external"'))
    host.netd("reload")
    assert table(host) == {("00:00:00:00:00:00", "10.9.0.3", 0, False)}
    after = host.link("vx0")
    assert (after["ifindex"], after["linkinfo"]["info_data"]["learning"]) == (index, False)
    host.netd("diff")
    host.write("lab.toml", LAB.format(more=""))
    host.netd("reload")
    assert host.link("vx0")["linkinfo"]["info_data"]["learning"] is True
