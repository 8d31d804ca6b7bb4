"""``netd watch``: how it is, then every change as it happens."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from tests.support.host import ROOT, Host
from tests.support.terminal import Terminal, plain, read_all

LAB = """\
[bridge.br0]
mtu = 1400
addresses = ["10.1.0.1/24"]

[namespace.a.veth.eth0]
peer = { name = "va", master = "br0" }
"""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MEMBERS = {"type", "time", "object", "action", "fields", "state", "reason", "file", "by", "ms", "drift"}


class Watcher:
    """``netd watch --json`` in the background; ``lines`` are those until now."""

    def __init__(self, host: Host, *args: str) -> None:
        self.host = host
        self.process = host.start(sys.executable, "-m", "netd", "watch", "--json", *args, env={"PYTHONPATH": str(ROOT)})

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.process.text().splitlines() if line.endswith("}")]

    def until(self, **members: Any) -> dict[str, Any]:
        """The first line with these members, once it has come."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self.lines() if members.items() <= each.items()]

        return self.host.until(found, f"a line with {members}")[0]


def test_first_the_state_then_each_repair_each_object_and_each_file(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.converged()
    watcher, quiet = Watcher(host), Watcher(host, "--no-state", "br0")
    watcher.until(type="state", object="a:veth/eth0", state="ok", file="/etc/netd/lab.toml")
    assert watcher.lines()[0] | {"type": "state", "object": None, "state": "converged"} == watcher.lines()[0]
    # The other one is connected when it sees this.
    host.until(lambda: host.run("ip", "link", "set", "br0", "mtu", "1300") or quiet.lines(), "a line without the state")
    repair = quiet.until(type="change", object="bridge/br0", action="update", drift=True)
    assert repair["fields"] == {"mtu": {"want": 1400, "have": 1300}} and repair["ms"] > 0
    host.write("lab.toml", LAB + '\n[vxlan.vx0]\nvni = 7\ndev = "eth9"\nremote = "10.0.0.2"\n')
    pending = watcher.until(type="object", object="vxlan/vx0", state="pending")
    assert pending["reason"] == "waits for eth9"
    host.write("bad.toml", "[bridge.br1]\nmtuu = 3\n")
    watcher.until(type="file", file="/etc/netd/bad.toml", state="invalid")
    watcher.until(type="state", object=None, state="incomplete")
    host.file("bad.toml").unlink()
    watcher.until(type="file", file="/etc/netd/bad.toml", state="gone")
    assert {each["object"] for each in quiet.lines()} == {"bridge/br0"}
    for each in watcher.lines():
        assert each.keys() == MEMBERS and TIME.fullmatch(each["time"])


def test_ctrl_c_ends_it_with_0_and_a_terminal_has_sentences(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.converged()
    popen, ours = Terminal(host, 160, 40).start("watch", "br0", "--no-state")
    shown = b""
    while b"repaired" not in shown:
        host.run("ip", "link", "set", "br0", "mtu", "1300")
        host.until(lambda: "mtu 1400" in host.run("ip", "link", "show", "br0"), "it is repaired")
        os.set_blocking(ours, False)
        try:
            shown += os.read(ours, 65536)
        except BlockingIOError:
            continue
    os.set_blocking(ours, True)
    os.write(ours, b"\x03")
    shown += read_all(ours).encode()
    assert popen.wait() == 0
    os.close(ours)
    line = next(each for each in plain(shown.decode()).splitlines() if "repaired" in each)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6}  repaired   bridge/br0: mtu 1300 → 1400, [0-9.]+ ms", line.strip()), (
        line
    )


def test_a_member_of_the_group_watches_too(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.converged()
    member = ("setpriv", "--reuid=65534", "--regid=0", "--clear-groups", "timeout", "2")
    ask = ("socat", "-,ignoreeof", "UNIX-CONNECT:/run/netd/netd.sock")
    seen = host.result(*member, *ask, stdin='{"verb": "watch"}\n').stdout
    assert "bridge/br0" in seen


def test_without_a_daemon_it_says_so(host: Host) -> None:
    wrong = host.netd("watch", check=1)
    assert wrong.stderr.startswith("netd: netd is not running")
