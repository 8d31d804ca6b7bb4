"""The log: one event per change, and what goes on said once."""

from __future__ import annotations

import json
import socket
import sys

from tests.scenarios.watch import A
from tests.support.host import ROOT, Host


def test_a_change_is_one_line_with_its_object_its_fields_and_its_file(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\n")
    daemon = host.daemon()
    host.write("a.toml", "[bridge.br0]\nmtu = 1400\n")
    host.until(lambda: "bridge/br0 changed: mtu 1500 → 1400" in daemon.text(), "the change is told")
    host.run("ip", "link", "set", "br0", "mtu", "1300")
    host.until(lambda: "bridge/br0 repaired: mtu 1300 → 1400" in daemon.text(), "the repair is told")
    lines = [line for line in daemon.text().splitlines() if "bridge/br0" in line]
    assert len(lines) == 3 and all("file=/etc/netd/a.toml pass=" in line and "ms=" in line for line in lines)


def test_what_the_kernel_refuses_again_and_again_is_said_once(host: Host) -> None:
    host.run("ip", "link", "add", "foreign", "type", "vxlan", "id", "7", "dstport", "4789", "remote", "10.0.0.9")
    host.write("a.toml", '[vxlan.vx0]\nvni = 7\nremote = "10.0.0.9"\n')
    daemon = host.daemon()
    host.until(lambda: host.state("vxlan/vx0") == "failed", "the kernel refuses")
    host.write("zz.toml", A)
    host.ping("10.1.0.1")
    for number in range(3):
        # An event that concerns it makes netd try at once.
        host.sh(f"ip link add x{number} type bridge; ip link set foreign mtu {1400 + number}")
        host.netd("reload", check=None)
    lines = [line for line in daemon.text().splitlines() if " vxlan/vx0" in line]
    assert len([line for line in lines if "refused to create it" in line]) == 1, lines
    assert len(lines) <= 3, lines
    host.run("ip", "link", "del", "foreign")
    host.until(lambda: host.state("vxlan/vx0") == "ok", "it is created once there is room")


def test_what_waits_is_said_once_and_what_for(host: Host) -> None:
    host.write("a.toml", '[vxlan.vx0]\nvni = 7\ndev = "later"\nremote = "10.0.0.9"\n')
    daemon = host.daemon()
    for number in range(3):
        host.run("ip", "link", "add", f"x{number}", "type", "bridge")
        host.netd("reload")
    lines = [line for line in daemon.text().splitlines() if "vxlan/vx0 is pending" in line]
    assert len(lines) == 1 and "waits for later" in lines[0]
    host.run("ip", "link", "add", "later", "type", "bridge")
    host.until(lambda: "vxlan/vx0 created" in daemon.text(), "it is created")


def test_a_name_with_control_characters_is_shown_without_them(host: Host) -> None:
    host.file("a\nb\x1b.toml").write_text('[bridge."x\\u001bb"]\n')
    result = host.netd("check", check=1)
    assert "\x1b" not in result.text and "/etc/netd/a\\nb\\x1b.toml:1:" in result.stderr


def test_hundreds_of_files_at_once_are_few_looks_at_the_directory(host: Host) -> None:
    host.write("a.toml", A)
    daemon = host.daemon()
    host.sh('cd /etc/netd; for n in $(seq 300); do echo "[bridge.b$n]" > b$n.toml; done')
    host.until(lambda: len(host.names()) == 301, "all are built")
    host.sh("rm /etc/netd/b*.toml")
    host.until(lambda: host.names() == {"to-a"}, "all are gone")
    assert "Traceback" not in daemon.text()


def test_the_journal_gets_fields_that_can_be_searched(host: Host) -> None:
    folder = host.file("/run/systemd/journal")
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(folder / "socket"))
        journal.settimeout(20)
        host.write("a.toml", "[bridge.br0]\n")
        # The stream that systemd would have given: stderr is that very file.
        script = 'exec 2>/run/log; export JOURNAL_STREAM="$(stat -L -c %d:%i /run/log)"; exec "$@"'
        host.start("sh", "-c", script, "sh", sys.executable, "-m", "netd", "run", env={"PYTHONPATH": str(ROOT)})
        while b"NETD_OBJECT=bridge/br0" not in (message := journal.recv(65536)):
            pass
    fields = dict(line.split("=", 1) for line in message.decode().splitlines())
    assert fields["NETD_ACTION"] == "create" and fields["NETD_FILE"] == "/etc/netd/a.toml"
    assert fields["MESSAGE"].startswith("bridge/br0 created") and fields["PRIORITY"] == "6"
    assert json.loads(fields["NETD_DIFF"])["up"]["want"] is True
