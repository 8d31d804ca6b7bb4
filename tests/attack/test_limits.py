"""Limits that others can use up cost what they limit, and nothing else."""

from __future__ import annotations

from tests.support.host import Host

LAB = """
[bridge.br0]
addresses = ["10.3.0.1/24"]

[namespace.one.veth.eth0]
addresses = ["10.3.0.2/24"]
peer = { name = "to-one", master = "br0" }

[namespace.one.sysctl]
net.ipv4.ip_forward = 1
"""


def test_a_daemon_without_any_inotify_goes_on_and_says_so(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon(module="tests.support.no_inotify")
    assert "max_user_instances" in daemon.text()
    host.ping("10.3.0.2")
    host.run("ip", "addr", "del", "10.3.0.1/24", "dev", "br0")
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=0", ns="one")
    host.ping("10.3.0.2")
    host.until(lambda: host.sysctl("net.ipv4.ip_forward", ns="one") == "1", "a slow look finds what nobody announced")
    host.write("more.toml", "[bridge.br9]\n")
    host.until(lambda: "br9" in host.names(), "and what is new in the files")


def test_the_file_that_is_rewritten_all_the_time_keeps_nothing_of_another_one(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.write("noise.toml", "[bridge.n0]\n")
    host.daemon()
    host.converged()
    noise = host.start(
        "sh", "-c", "n=0; while :; do n=$((n + 1)); printf '[bridge.n%s]\\n' $((n % 2)) > /etc/netd/.d;"
        " mv /etc/netd/.d /etc/netd/noise.toml; sleep 0.1; done"
    )  # fmt: skip
    host.remove("lab.toml")
    host.until(lambda: "br0" not in host.names(), "what a removed file declared goes all the same")
    noise.kill()
    host.converged()
