"""What no event tells is found by the slow look at everything."""

from __future__ import annotations

from tests.support.host import Host

#: A procfs of one's own, as a container has it: inotify hears nothing of what is written there.
ELSEWHERE = "mkdir -p /run/proc; mountpoint -q /run/proc || mount -t proc proc /run/proc; cd /run/proc/sys/net/ipv4"


def test_a_sysctl_written_through_another_procfs_is_found_and_said_to_be(host: Host) -> None:
    host.write("lab.toml", "[sysctl]\nnet.ipv4.ip_default_ttl = 77\n")
    daemon = host.daemon(module="tests.support.frequent_pass")
    host.sh(f"{ELSEWHERE}; echo 66 >ip_default_ttl")
    host.until(lambda: host.sh("cat /proc/sys/net/ipv4/ip_default_ttl").split() == ["77"], "the value is back")
    told = "sysctl/net.ipv4.ip_default_ttl repaired, found by the resync: value 66 → 77"
    host.until(lambda: told in daemon.text(), "the log says how it was found")
    host.sh("echo 65 >/proc/sys/net/ipv4/ip_default_ttl")
    host.until(lambda: "repaired: value 65 → 77" in daemon.text(), "what an event told is not said to be")
