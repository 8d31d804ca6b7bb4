"""Faults on purpose: ``netd fault``. The daemon keeps them, and repairs everything else."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.host import Host

LAB = """
[bridge.br0]
addresses = ["10.0.0.254/24", "fd00::254/64"]
nodad = true

[namespace.a.veth.eth0]
addresses = ["10.0.0.1/24", "fd00::1/64"]
gateway = ["10.0.0.254", "fd00::254"]
mtu = 1400
nodad = true
peer = { name = "port-a", master = "br0" }
"""


def is_up(host: Host, dev: str = "eth0", ns: str = "a") -> bool:
    found = host.link(dev, ns)
    return found is not None and "UP" in found["flags"]


def row(host: Host, name: str) -> Any:
    return next(each for each in host.status()["objects"] if each["object"] == name)


def faults(host: Host) -> list[Any]:
    found: list[Any] = host.netd("fault", "list", "--json").json["faults"]
    return found


def test_a_link_is_down_until_it_is_cleared_and_all_else_is_repaired(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.ping("10.0.0.254", "fd00::254", ns="a")
    assert host.netd("fault", "down", "a:eth0").text == "a:eth0: down, until it is cleared\n"
    assert not is_up(host)
    assert host.status()["state"] == "converged"
    found = row(host, "a:veth/eth0")
    assert (found["state"], found["fault"]) == ("ok", "a:eth0: down, until it is cleared")
    assert row(host, "a:route/main/0.0.0.0/0/0")["reason"] == "waits for a:eth0: it is down"
    assert "ok fault" in host.netd("status").text
    # Somebody who sets it up does not end the fault, and other fields of the same link are repaired.
    host.sh("ip -n a link set eth0 up mtu 1300; ip link set port-a nomaster")
    host.until(lambda: not is_up(host) and host.link("eth0", "a")["mtu"] == 1400, "the fault and the MTU are kept")
    host.until(lambda: host.link("port-a").get("master") == "br0", "the port is repaired")
    host.netd("fault", "clear", "a:eth0")
    host.ping("10.0.0.254", "fd00::254", ns="a")
    host.converged()
    assert "fault" not in row(host, "a:veth/eth0")
    assert faults(host) == []
    assert host.netd("diff", "--json").json["changes"] == []


def test_a_fault_ends_by_itself(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.netd("fault", "down", "port-a", "--for", "1500ms")
    (one,) = faults(host)
    assert (one["link"], one["fault"], one["object"], one["state"]) == ("port-a", "down", "a:veth/eth0", "ok")
    assert 0 <= one["left"] <= 1.5 and one["since"] < one["until"]
    assert not is_up(host, "port-a", "")
    host.until(lambda: is_up(host, "port-a", ""), "it is up again")
    host.until(lambda: not faults(host), "it is over")
    host.ping("10.0.0.254", "fd00::254", ns="a")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_fault_survives_the_daemon_and_a_recreation_of_its_link(host: Host, how: signal.Signals) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.netd("fault", "down", "a:eth0")
    daemon.signal(how)
    daemon.wait()
    assert not is_up(host)
    # Without the daemon the commands know of it, too: it is no difference, and it is shown.
    diff = host.netd("diff", "--json").json
    assert diff["changes"] == [] and [each["object"] for each in diff["faults"]] == ["a:veth/eth0"]
    assert "fault" in host.netd("diff").text
    host.daemon()
    assert not is_up(host) and len(faults(host)) == 1
    host.run("ip", "-n", "a", "link", "del", "eth0")
    host.until(lambda: host.link("eth0", "a") is not None, "it is recreated")
    host.converged()
    assert not is_up(host)
    host.run("ip", "netns", "del", "a")
    host.until(lambda: "a" in host.namespaces() and host.link("eth0", "a") is not None, "its namespace, too")
    host.converged()
    assert not is_up(host)
    host.netd("fault", "clear")
    host.ping("10.0.0.254", "fd00::254", ns="a")


def test_a_fault_that_ended_while_no_daemon_ran_is_over(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.netd("fault", "down", "a:eth0", "--for", "1s")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    host.until(lambda: host.netd("diff", "--json", check=None).json["changes"] != [], "the fault is over")
    assert not is_up(host)
    host.daemon()
    assert is_up(host) and faults(host) == []


def test_a_link_flaps_so_many_times_though_the_command_and_the_daemon_are_gone(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    watch = host.start("ip", "-n", "a", "monitor", "link", "dev", "eth0")
    host.netd("fault", "flap", "a:eth0", "--down", "400ms", "--up", "600ms", "--times", "4")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    host.daemon()
    host.until(lambda: not faults(host), "it is over")
    host.until(lambda: is_up(host), "it is up at the end")
    host.converged()
    host.ping("10.0.0.254", ns="a")
    assert watch.text().count("state DOWN") >= 2
    assert row(host, "a:veth/eth0")["repairs"] == 0


def test_an_uplink_that_netd_did_not_create_is_put_back_as_it_was(host: Host) -> None:
    host.sh("ip link add eth0 up type veth peer name cable; ip link set cable up")
    host.write("lab.toml", "[interface.eth0]\n")
    host.daemon()
    host.netd("fault", "down", "eth0")
    assert not is_up(host, "eth0", "")
    host.netd("fault", "clear", "eth0")
    assert is_up(host, "eth0", "")


WRONG = {
    ("down", "a:eth7"): "there is no link a:eth7: did you mean 'a:eth0'?",
    ("down", "lonely"): "no file declares lonely, so netd would not restore it: write [interface.lonely] in a file",
    ("down", "a:eth0", "--for", "10"): "'10' has no unit: write 10s",
    ("down", "a:eth0", "--for", "0s"): "'0s' is no time at all",
    ("netem", "a:eth0", "delay=5"): "delay: '5' has no unit: write 20ms",
    ("netem", "a:eth0", "loss=200%"): "loss: '200%' is more than 100%",
    ("netem", "a:eth0", "dely=5ms"): "netem has no key 'dely': did you mean 'delay'?",
    ("netem", "a:eth0", "delay"): "'delay' is not a setting: write KEY=VALUE",
    ("netem", "a:eth0", "jitter=5ms"): "jitter: without a delay it has no effect",
    ("flap", "a:eth0", "--down", "1s"): "the following arguments are required: --up",
    ("flap", "a:eth0", "--down", "1ms", "--up", "1s"): "100ms or more",
    ("flap", "a:eth0", "--down", "1s", "--up", "1s", "--times", "0"): "'0' is not a number of times",
    ("clear", "a:eth0"): "a:eth0 has no fault",
    ("melt", "a:eth0"): "invalid choice",
}


def test_what_cannot_be_done_is_said_and_nothing_is_kept(host: Host) -> None:
    host.sh("ip link add lonely type veth peer name lonely2")
    host.write("lab.toml", LAB)
    host.daemon()
    for arguments, text in WRONG.items():
        done = host.netd("fault", *arguments, check=1)
        assert text in done.stderr, arguments
        assert "Traceback" not in done.stderr
    assert faults(host) == []
    assert host.netd("fault", "clear").text == "there are no faults\n"


def test_without_a_daemon_it_says_so(host: Host) -> None:
    assert "netd is not running" in host.netd("fault", "list", check=1).stderr
    assert "netd is not running" in host.netd("fault", "down", "eth0", check=1).stderr


@pytest.mark.needs_kernel("netem")
def test_a_link_is_impaired_for_a_time_and_then_as_the_file_says(host: Host) -> None:
    impaired = LAB.replace("mtu = 1400\n", 'mtu = 1400\nnetem = { delay = "1ms" }\n')
    host.write("lab.toml", impaired)
    host.daemon()
    host.netd("fault", "netem", "a:eth0", "delay=50ms", "loss=10%", "--for", "5s")
    shown = host.run("tc", "-n", "a", "qdisc", "show", "dev", "eth0")
    assert "delay 50ms" in shown and "loss 10%" in shown
    assert row(host, "a:qdisc/eth0")["fault"].startswith("a:eth0: netem delay=50ms loss=10%")
    host.run("tc", "-n", "a", "qdisc", "del", "dev", "eth0", "root")
    host.until(lambda: "delay 50ms" in host.run("tc", "-n", "a", "qdisc", "show", "dev", "eth0"), "it is kept")
    host.until(lambda: "delay 1ms" in host.run("tc", "-n", "a", "qdisc", "show", "dev", "eth0"), "it ends")
    host.netd("fault", "netem", "port-a", "loss=100%")
    assert not host.pings("10.0.0.254", ns="a")
    host.netd("fault", "clear")
    assert "noqueue" in host.run("tc", "qdisc", "show", "dev", "port-a")
    host.ping("10.0.0.254", ns="a")
