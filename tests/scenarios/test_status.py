"""``netd status`` says what is so: on a terminal, in a pipe, as JSON; and what is not in force is never "converged"."""

from __future__ import annotations

import time
from typing import Any

from tests.support.host import Host
from tests.support.terminal import Terminal, plain

LAB = """\
[bridge.br0]
addresses = ["10.1.0.1/24"]

[namespace.a.veth.eth0]
addresses = ["10.1.0.2/24"]
peer = { name = "va", master = "br0" }

[namespace.b.veth.eth0]
peer = { name = "vb", master = "br0" }
"""


def files(host: Host) -> dict[str, dict[str, Any]]:
    return {each["path"].rpartition("/")[2]: each for each in host.status()["files"]}


def test_a_terminal_shows_what_a_pipe_shows(host: Host) -> None:
    host.run("ip", "link", "add", "br1", "type", "veth", "peer", "name", "other")
    host.write("lab.toml", LAB + '[bridge.br1]\n[vxlan.vx]\nvni = 7\nremote = "10.9.0.1"\ndev = "eth7"\n')
    host.daemon()
    host.run("ip", "link", "set", "br0", "mtu", "1280")
    host.write("lab.toml", LAB.replace("[bridge.br0]", "[bridge.br0]\nmtu = 1400") + "[bridge.br1]\n[vxlan.vx]\n"
               'vni = 7\nremote = "10.9.0.1"\ndev = "eth7"\n')  # fmt: skip
    host.netd("reload")
    host.run("ip", "link", "set", "br0", "mtu", "1280")
    host.until(lambda: "1 repair, " in host.netd("status", "br0", check=2).stdout, "the repair is counted")
    status, shown = Terminal(host, 160, 40).netd("status")
    piped = host.netd("status", check=2).stdout
    assert status == 2

    def rows(text: str) -> list[list[str]]:
        # Times pass between the two.
        return [[word for word in line.split() if not word.isdigit()] for line in text.splitlines()]

    assert rows(plain(shown)) == rows(piped)
    assert "\x1b[31mconflict" in shown and "\x1b[33mpending" in shown and "\x1b" not in piped
    assert "\x1b[1;31mdegraded" in shown
    lines = piped.splitlines()
    assert lines[0].startswith("degraded: ") and "1 conflict" in lines[0] and lines[0].split("; ")[-1].startswith("up ")
    assert lines[2].split() == ["STATE", "OBJECT", "REASON"]
    assert lines[3].startswith("conflict  bridge/br1") and "is already there" in lines[3]
    assert lines[4].startswith("pending   vxlan/vx") and lines[4].endswith("waits for eth7")
    assert any(line.split()[:4] == ["ok", "a", "3", "ok"] for line in lines)
    status, shown = Terminal(host, env={"NO_COLOR": "1"}).netd("status", "b")
    assert "\x1b" not in shown
    assert [line.split()[1] for line in shown.splitlines()[3:]] == ["namespace/b", "b:veth/eth0"]


def test_names_and_states_choose_what_is_shown(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    told = host.netd("status", "--json", "a:eth0").json
    assert told["version"] == 1 and told["started"] < time.time()
    assert [each["object"] for each in told["objects"]] == ["a:veth/eth0", "a:address/eth0/10.1.0.2/24"]
    assert host.netd("status", "--json", "--state", "failed").json["objects"] == []
    assert "netd has nothing called 'eth': did you mean " in host.netd("status", "eth", check=1).stderr
    wrong = host.netd("status", "--state", "broken", check=1)
    assert "invalid choice: 'broken'" in wrong.stderr


def test_a_file_that_is_not_in_force_makes_it_incomplete(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.write("more.toml", "[bridge.br7]\n")
    daemon = host.daemon()
    host.netd("wait", "--strict")
    host.write("more.toml", "[bridge.br7]\nmtuu = 3\n")
    host.netd("reload", check=1)
    status = host.netd("status", "--json", check=2).json
    assert status["state"] == "incomplete"
    assert time.time() - files(host)["more.toml"]["since"] < 100
    assert files(host)["more.toml"]["last_good"] is True
    assert "since" not in files(host)["lab.toml"]
    said = host.netd("status", check=2).stdout.splitlines()
    assert said[0].startswith("incomplete: 1 file is not in force as written, its last good version since ")
    assert any("unknown key 'mtuu': did you mean 'mtu'?" in line for line in said)
    host.netd("wait")
    strict = host.netd("wait", "--strict", "--timeout", "0.1", check=1).stderr
    assert strict.startswith("netd: /etc/netd/more.toml is invalid: /etc/netd/more.toml:2:1: ")
    host.netd("wait", "bridge/br7")
    host.write("new.toml", "x =")
    host.netd("reload", check=1)
    assert files(host)["new.toml"]["last_good"] is False, "nothing of it is in force"
    assert "in sync, 8 objects; 2 files are not in force as written" in host.netd("diff", check=1).stdout
    host.sh("rm /etc/netd/new.toml")
    host.netd("reload", check=1)
    assert daemon.stop() == 0
    host.daemon()
    assert host.status()["state"] == "incomplete", "a boot is not held up by a typing error, and is no lie"
    host.write("more.toml", "[bridge.br7]\n")
    host.netd("wait", "--strict")
    host.converged()


def test_files_that_clash_are_refused_or_are_away_make_it_incomplete(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.daemon()
    host.write("x.toml", "[bridge.br0]\nmtu = 1400\n[bridge.br1]\n")
    host.netd("reload", check=1)
    assert (host.status()["state"], files(host)["x.toml"]["state"]) == ("incomplete", "partial")
    host.write("x.toml", "[bridge.br1]\n")
    host.netd("reload")
    host.converged()
    host.sh("chmod 664 /etc/netd/x.toml")
    said = host.netd("reload", check=1).stderr
    assert said == (
        "/etc/netd/x.toml: is refused: it is writable by users other than root: chmod go-w /etc/netd/x.toml\n"
    )
    assert host.status()["state"] == "incomplete"
    host.sh("chmod go-w /etc/netd/x.toml")
    host.netd("reload")
    host.converged()
    host.sh("mv /etc/netd /etc/away")
    host.until(lambda: host.status()["state"] == "incomplete", "the directory is away")
    assert host.link("br0") and host.link("br1")
    host.sh("mv /etc/away /etc/netd")
    host.converged()


def test_degraded_outranks_incomplete(host: Host) -> None:
    host.run("ip", "link", "add", "br0", "type", "veth", "peer", "name", "other")
    host.write("lab.toml", LAB)
    host.write("x.toml", "[bridge.")
    host.daemon()
    assert host.status()["state"] == "degraded"
    host.run("ip", "link", "del", "br0")
    host.until(lambda: host.status()["state"] == "incomplete", "the bridge is there")


def test_strict_waits_for_what_is_pending(host: Host) -> None:
    host.write("lab.toml", LAB + '[vxlan.vx]\nvni = 7\nremote = "10.9.0.1"\ndev = "eth7"\n')
    host.daemon()
    host.netd("wait")
    said = host.netd("wait", "--strict", "--timeout", "0.1", check=1).stderr
    assert "vxlan/vx is pending: waits for eth7" in said
    host.run("ip", "link", "add", "eth7", "up", "type", "bridge")
    host.netd("wait", "--strict")


def test_warnings_of_check_are_warnings_everywhere(host: Host) -> None:
    daemon = host.daemon()
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\ngateway = "10.1.0.1"\n')
    warning = "/etc/netd/lab.toml:3:1: warning: "
    said = host.netd("reload").stderr
    assert said.startswith(warning) and said.strip() in host.netd("check").stderr
    assert [each.startswith(warning) for each in files(host)["lab.toml"]["warnings"]] == [True]
    assert warning in host.netd("status", check=None).stdout
    for line in ("", "# another line\n"):
        host.write("lab.toml", f'{line}[bridge.br0]\naddresses = ["10.1.0.1/24"]\ngateway = "10.1.0.1"\n')
        host.netd("reload")
    assert host.status()["files"][0]["warnings"][0].startswith("/etc/netd/lab.toml:4:1: warning: ")
    assert daemon.text().count(": warning: ") == 1, "once, as long as there is reason for it"
    host.write("lab.toml", '[bridge.br0]\naddresses = ["10.1.0.1/24"]\n')
    host.netd("reload")
    assert files(host)["lab.toml"]["warnings"] == []
    assert "warning" not in host.netd("status").stdout


def test_warnings_of_a_file_that_is_dropped_in_need_no_command(host: Host) -> None:
    daemon = host.daemon()
    host.write("lab.toml", '[[nat.masquerade]]\nsource = "10.0.0.0/8"\n')
    host.until(lambda: "is not declared here: without it nothing is routed" in daemon.text(), "the log has it")
    assert files(host)["lab.toml"]["warnings"] and host.status()["state"] == "converged"


def test_files_that_are_not_read_are_named(host: Host) -> None:
    host.write("lab.toml", LAB)
    host.write("lab.conf", "")
    host.sh("mkdir /etc/netd/more.d")
    host.daemon()
    assert [each["path"] for each in host.status()["ignored"]] == ["/etc/netd/lab.conf", "/etc/netd/more.d"]
    assert host.status()["state"] == "converged"
    assert "lab.conf" in host.netd("status").stdout and "does not end in .toml" in host.netd("status").stdout


def test_a_process_that_was_left_in_a_recreated_namespace_is_named_until_it_ends(host: Host) -> None:
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    assert host.status()["stranded"] == []
    server = host.start("sleep", "1000", ns="a")
    other = host.start("sleep", "2000", ns="b")
    pid, _ = host.until(lambda: [host.run("pgrep", "-xf", f"sleep {n}").strip() for n in (1000, 2000)], "both run")
    host.run("ip", "netns", "del", "a")
    host.until(lambda: host.state("a:address/eth0/10.1.0.2/24") == "ok", "the namespace is repaired")
    (left,) = host.until(lambda: host.status()["stranded"], "the process is named")
    assert (left["namespace"], str(left["pid"]), left["command"]) == ("a", pid, "sleep")
    assert host.status()["state"] == "converged"
    assert "sleep" in host.netd("status").stdout and "STRANDED" in host.netd("status").stdout
    told = f"process {pid} (sleep)"
    host.until(lambda: told in daemon.text(), "the log names it")
    assert daemon.stop() == 0
    daemon = host.daemon()
    assert [each["pid"] for each in host.status()["stranded"]] == [left["pid"]], "also after a restart"
    server.kill()
    host.until(lambda: host.status()["stranded"] == [], "it is gone")
    host.until(lambda: "no process is left in the old namespace a" in daemon.text(), "the log says so")
    assert daemon.text().count(told) == 1
    other.kill()
