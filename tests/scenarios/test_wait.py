"""netd wait: until the network stands, or what was named of it."""

from __future__ import annotations

import json
import sys

from tests.host import ROOT, Host

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
    assert said.startswith("netd: bridge/br0 is conflict: ")


def test_without_a_daemon_wait_waits_for_one(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\n")
    assert "no daemon answers" in host.netd("wait", "--timeout", "0.1", check=1).stderr
    waiting = host.start("sh", "-c", '"$@" && echo stands', "sh", *WAIT, env=ENV)
    host.daemon()
    host.until(lambda: "stands" in waiting.text(), "wait ends")


def test_a_name_that_is_none_is_refused_at_once(host: Host) -> None:
    host.daemon()
    assert "not the name of an object: 'br0'" in host.netd("wait", "br0", check=1).stderr


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
