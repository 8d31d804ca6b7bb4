"""netd wait: until the network stands, or what was named of it."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from tests.support.host import ROOT, Host

#: The command in the background, which prints when it has ended well.
WAIT, ENV = (sys.executable, "-m", "netd", "wait"), {"PYTHONPATH": str(ROOT)}

WAITS = '[bridge.br0]\n[vxlan.vxlan0]\nvni = 24\nremote = "10.0.0.2"\ndev = "eth1"\n'


def test_wait_ends_once_all_stands_that_waits_for_nothing_foreign(host: Host) -> None:
    host.write("lab.toml", WAITS)
    host.daemon()
    host.netd("wait")
    host.netd("wait", "bridge/br0")


def test_what_is_named_is_waited_for_until_it_is_ok(host: Host) -> None:
    host.write("lab.toml", WAITS)
    host.daemon()
    said = host.netd("wait", "--timeout", "0.1", "vxlan/vxlan0", "bridge/br0", "bridge/br1", check=1).stderr
    assert said.splitlines() == [
        "netd: bridge/br1: no file declares it",
        "netd: vxlan/vxlan0 is pending: waits for eth1",
    ]
    waiting = host.start("sh", "-c", '"$@" && echo stands', "sh", *WAIT, "vxlan/vxlan0", env=ENV)
    host.run("ip", "link", "add", "eth1", "up", "type", "bridge")
    host.until(lambda: "stands" in waiting.text(), "wait ends")
    assert host.link("vxlan0")


def test_a_failed_object_is_waited_for_and_named(host: Host) -> None:
    host.run("ip", "link", "add", "br0", "type", "veth", "peer", "name", "other")
    host.write("lab.toml", "[bridge.br0]\n")
    host.daemon()
    said = host.netd("wait", "--timeout", "0.1", check=1).stderr
    assert said.startswith("netd: bridge/br0 is in conflict: ")


def test_without_a_daemon_wait_waits_for_one(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\n")
    assert "netd is not running" in host.netd("wait", "--timeout", "0.1", check=1).stderr
    waiting = host.start("sh", "-c", '"$@" && echo stands', "sh", *WAIT, env=ENV)
    host.daemon()
    host.until(lambda: "stands" in waiting.text(), "wait ends")


def test_a_name_that_is_none_is_refused_at_once(host: Host) -> None:
    host.daemon()
    assert "not the name of an object: 'br0'" in host.netd("wait", "br0", check=1).stderr


def test_a_link_is_answered_with_the_name_of_its_object(host: Host) -> None:
    host.write("lab.toml", '[bridge.brx]\n[namespace.a.veth.eth0]\npeer = { name = "va" }\n')
    host.daemon()
    asked = {"brx": "bridge/brx", "a:eth0": "a:veth/eth0", "brxx": "bridge/brx", "a": "namespace/a"}
    for name, meant in asked.items():
        said = host.netd("wait", name, check=1).stderr
        assert said.startswith(f"netd: not the name of an object: '{name}': did you mean ") and meant in said
        assert len(said.splitlines()) == 1
    assert "'netd status --all' lists the names" in host.netd("wait", "quite-different", check=1).stderr


def test_who_hangs_up_leaves_nothing_behind_and_a_reload_is_finished(host: Host) -> None:
    """The daemon goes on, whatever becomes of those who ask."""
    host.write("lab.toml", WAITS)
    daemon = host.daemon()
    ask = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/netd/netd.sock'); s.sendall({!r})"
    for request in ({"verb": "wait", "objects": ["vxlan/vxlan0"]}, {"verb": "reload"}, {"verb": "none"}, {}):
        host.run("python3", "-c", ask.format(json.dumps(request).encode() + b"\n"))
    host.until(lambda: daemon.told("RELOADING=1") and daemon.notified[-1] != "RELOADING=1", "the reload is over")
    host.netd("wait")
    assert "Traceback" not in daemon.text() and "exception" not in daemon.text()


#: Sends a request, which takes no more than a line, and prints the answer; "" where there is none.
ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect("/run/netd/netd.sock")
try:
    s.sendall(sys.stdin.buffer.read() + b"\\n")
    print(s.makefile().readline(), end="")
except (BrokenPipeError, ConnectionResetError):
    pass
"""
LARGE = "9" * 400
MALFORMED = {
    "no JSON": "what?",
    "nothing": "",
    "no object": "[]",
    "a name alone": '"wait"',
    "no number of objects": '{"verb": "wait", "objects": 5}',
    "no list of objects": '{"verb": "wait", "objects": {"bridge/br0": 1}}',
    "null objects": '{"verb": "wait", "objects": null}',
    "objects that are no names": '{"verb": "wait", "objects": [["bridge/br0"]]}',
    "no object's name": '{"verb": "wait", "objects": ["\\ud800"]}',
    "no timeout": '{"verb": "wait", "timeout": "x"}',
    "a list as timeout": '{"verb": "wait", "timeout": []}',
    "NaN": '{"verb": "wait", "timeout": NaN}',
    "for ever, as a number": '{"verb": "wait", "timeout": Infinity}',
    "the past": '{"verb": "wait", "timeout": -1}',
    "a large number": f'{{"verb": "wait", "timeout": {LARGE}}}',
    "a larger number": f'{{"verb": "wait", "timeout": {LARGE * 20}}}',
    "a verb that is none": '{"verb": ["status"]}',
    "a verb that is an object": '{"verb": {"status": 1}}',
    "deep": "[" * 60000,
    "deep objects": '{"objects": ' + "[" * 900 + "]" * 900 + ', "verb": "wait"}',
    "long": " " * 10_000_000,
    "no text": "\0x",
}


def test_who_asks_what_cannot_be_understood_is_told_so_and_harms_nobody(host: Host) -> None:
    host.write("lab.toml", WAITS)
    daemon = host.daemon()
    for what, request in MALFORMED.items():
        said = host.run("python3", "-c", ASK, stdin=request)
        assert what == "long" or set(json.loads(said)) == {"error"}, (what, said)
    host.netd("wait")
    assert "Traceback" not in daemon.text() and "exception" not in daemon.text()


@pytest.mark.thorough
def test_a_daemon_that_hangs_is_told_from_one_that_is_not_there(host: Host) -> None:
    host.write("lab.toml", WAITS)
    daemon = host.daemon()
    daemon.signal(signal.SIGSTOP)
    said = host.netd("wait", "--timeout", "2", check=1).stderr
    assert "the daemon does not answer" in said and "systemctl restart netd" in said and len(said.splitlines()) == 1
    assert "the daemon does not answer" in host.netd("status", check=1).stderr
    reload = host.start("sh", "-c", '"$@" && echo taken', "sh", *WAIT[:-1], "reload", env=ENV)
    host.until(lambda: "still waiting for the daemon" in reload.text(), "reload says that it waits")
    daemon.signal(signal.SIGCONT)
    host.until(lambda: "taken" in reload.text(), "and it waits")


def test_a_route_waits_for_the_link_by_which_its_gateway_is_reached(host: Host) -> None:
    host.write(
        "lab.toml",
        """\
        [interface.late]
        addresses = ["10.1.0.1/24", "fd01::1/64"]
        up = true

        [bridge.there]
        addresses = ["10.2.0.1/24"]

        [[route]]
        to = "10.9.1.0/24"
        via = "10.1.0.9"

        [[route]]
        to = "fd09::/64"
        via = "fd01::9"

        [[route]]
        to = "10.9.2.0/24"
        nexthops = [{ via = "10.2.0.9" }, { via = "10.1.0.8" }]

        [[route]]
        to = "10.9.3.0/24"
        via = "10.2.0.9"

        [[route]]
        to = "10.9.4.0/24"
        via = "10.4.0.9"
        """,
    )
    waiting = ("route/main/10.9.1.0/24/0", "route/main/fd09::/64/1024", "route/main/10.9.2.0/24/0")
    pending = {each["object"]: each["reason"] for each in host.netd("diff", "--json", check=2).json["pending"]}
    assert {pending.get(each) for each in waiting} == {"waits for late"}
    host.daemon()
    assert {host.state(each) for each in waiting} == {"pending"}
    assert host.state("route/main/10.9.3.0/24/0") == "ok"
    assert host.state("route/main/10.9.4.0/24/0") == "failed"
    host.sh("ip link add other type veth peer name far; ip link set far up")
    host.sh("ip addr add 10.1.0.2/16 dev other; ip link set other up")
    host.until(lambda: host.state("route/main/10.9.1.0/24/0") == "ok", "another link leads there")
    assert host.state("route/main/fd09::/64/1024") == "pending"
    host.sh("ip link add late type veth peer name lates; ip link set lates up")
    host.until(lambda: {host.state(each) for each in waiting} == {"ok"}, "all routes stand")
