"""What systemd, the journal, Prometheus and an operator are told, and who is told it."""

from __future__ import annotations

import json

import pytest

from netd.report.messages import MESSAGES
from tests.rig.labs import LAB
from tests.rig.machine import Machine
from tests.support.process import until

WAITS = '[vxlan.vxlan0]\nvni = 24\nremote = "10.0.0.2"\ndev = "eth1"\n'


@pytest.fixture
def lab(machine: Machine) -> Machine:
    """A machine on which a small lab stands."""
    machine.write("/etc/netd/lab.toml", LAB)
    machine.netd("reload")
    return machine


def test_the_sandbox_is_as_tight_as_documented(machine: Machine) -> None:
    assert machine.run("systemd-analyze", "verify", "/lib/systemd/system/netd.service").text == ""
    assert machine.sh("systemd-analyze verify /lib/systemd/system/netd-wait*.service").text == ""
    machine.run("systemd-analyze", "security", "--threshold=31", "netd.service")


def test_what_the_sandboxed_daemon_makes_is_seen_and_kept(lab: Machine) -> None:
    own, first = lab.run("readlink", f"/proc/{lab.show('netd', 'MainPID')}/ns/mnt", "/proc/1/ns/mnt").stdout.split()
    assert own != first, "the daemon is in a sandbox"
    lab.run("systemctl", "stop", "netd")
    lab.run("ping", "-c", "1", "-W", "5", "10.3.0.11", ns="web")
    lab.run("systemctl", "start", "netd")
    lab.run("ip", "netns", "del", "web")
    until(lambda: lab.run("ping", "-c", "1", "-W", "1", "10.3.0.11", ns="web"), "the namespace is back")
    mounted = lab.run("findmnt", "-n", "-o", "TARGET", "-t", "nsfs", "--raw").stdout.split()
    assert {"/run/netns/web", "/run/netns/db"} <= set(mounted)


def test_the_status_follows_the_state(lab: Machine) -> None:
    assert lab.show("netd", "StatusText") == "9 ok"
    lab.write("/etc/netd/tunnel.toml", WAITS)
    until(lambda: lab.show("netd", "StatusText") == "9 ok, 2 pending: vxlan/vxlan0 waits for eth1", "it waits")
    lab.sh("ip link add eth1 type veth peer name cable && ip link set eth1 up")
    until(lambda: lab.show("netd", "StatusText") == "11 ok", "all is ok")


def test_a_reload_takes_the_files_or_fails_with_the_reason(lab: Machine) -> None:
    lab.write("/etc/netd/tunnel.toml", WAITS)
    lab.run("systemctl", "reload", "netd")
    assert '"vxlan/vxlan0"' in lab.netd("status", "--json", check=None).stdout
    lab.write("/etc/netd/tunnel.toml", WAITS.replace("vni", "vid"))
    lab.run("systemctl", "reload", "netd", check=1)
    told = [entry["MESSAGE"] for entry in lab.journal("-u", "netd")]
    mistake = "/etc/netd/tunnel.toml:2:1: vxlan.vxlan0: unknown key 'vid': did you mean 'vni'?"
    assert any(mistake in text for text in told)
    assert lab.show("netd", "ActiveState") == "active"
    first = f"; 1 error: {mistake}"
    assert lab.show("netd", "StatusText") == f"9 ok, 2 pending: vxlan/vxlan0 waits for eth1{first}"
    assert '"vxlan/vxlan0"' in lab.netd("status", "--json", check=None).stdout, "the last good version is in force"


def test_wait_ends_when_what_is_named_is_up_and_says_what_is_not(lab: Machine) -> None:
    lab.netd("wait")
    lab.write("/etc/netd/tunnel.toml", WAITS)
    lab.netd("reload")
    lab.netd("wait")
    said = lab.netd("wait", "--timeout", "0.2", "vxlan/vxlan0", "veth/nothing", check=1).stderr
    assert "vxlan/vxlan0 is pending: waits for eth1" in said
    assert "veth/nothing: no file declares it" in said
    waiting = lab.background("netd", "wait", "vxlan/vxlan0")
    lab.sh("ip link add eth1 type veth peer name cable && ip link set eth1 up")
    assert (waiting.communicate(timeout=60)[0], waiting.returncode) == ("", 0)
    lab.run("systemctl", "stop", "netd")
    waiting = lab.background("netd", "wait", "vxlan/vxlan0")
    lab.run("systemctl", "start", "netd")
    assert (waiting.communicate(timeout=60)[0], waiting.returncode) == ("", 0), "it waits for the daemon, too"


def test_the_journal_tells_the_story_of_an_object(lab: Machine) -> None:
    lab.run("ip", "addr", "del", "10.3.0.10/24", "dev", "eth0", ns="web")
    name = "web:address/eth0/10.3.0.10/24"
    found = until(lambda: told(lab, "repaired", f"NETD_OBJECT={name}"), "the repair is in the journal")
    assert {key: found[0][key] for key in found[0] if key.startswith("NETD_")}.items() >= {
        "NETD_ACTION": "create", "NETD_NAMESPACE": "web", "NETD_FILE": "/etc/netd/lab.toml", "NETD_DRIFT": "true",
    }.items()  # fmt: skip
    assert (found[0]["PRIORITY"], found[0]["SYSLOG_IDENTIFIER"]) == ("5", "netd")
    assert int(found[0]["NETD_ROUND"]) > 0
    story = [entry["MESSAGE"] for entry in lab.journal(f"NETD_OBJECT={name}")]
    assert len(story) == 2 and "created" in story[0] and "repaired" in story[1]

    lab.run("ip", "link", "set", "eth0", "mtu", "1300", ns="db")
    lab.write("/etc/netd/lab.toml", LAB.replace('peer = { name = "lab-db"', 'mtu = 1400\npeer = { name = "lab-db"'))
    lab.netd("reload")
    (changed,) = told(lab, "changed", "NETD_OBJECT=db:veth/eth0")
    assert json.loads(changed["NETD_DIFF"])["mtu"] == {"want": 1400, "have": 1300}
    assert changed["PRIORITY"] == "6"

    lab.run("nft", "add", "table", "inet", "netd")
    lab.write("/etc/netd/nat.toml", '[[nat.masquerade]]\nsource = "10.3.0.0/24"\n')
    lab.netd("reload")
    lab.run("nft", "flush", "ruleset")
    (repaired,) = until(lambda: told(lab, "repaired", "NETD_OBJECT=nat/masquerade/ip/10.3.0.0/24,*"), "nat is repaired")
    assert repaired["NETD_CULPRIT"].startswith("nft")
    assert "Something outside of netd changed the object" in lab.run("journalctl", "-x", "-u", "netd").stdout


def told(machine: Machine, kind: str, *fields: str) -> list[dict[str, str]]:
    """The entries of one kind of event."""
    return machine.journal(f"MESSAGE_ID={MESSAGES[kind].id}", *fields)


def test_root_may_ask_anything_the_group_may_look_and_others_nothing(lab: Machine) -> None:
    lab.sh("useradd member && usermod -a -G netd member && useradd stranger")

    def ask(user: str, *args: str) -> tuple[int, str]:
        done = lab.run("setpriv", "--reuid", user, "--regid", user, "--init-groups", "netd", *args, check=None)
        return done.returncode, done.stderr

    assert ask("member", "status") == (0, "")
    assert ask("member", "wait") == (0, "")
    assert ask("member", "reload") == (1, "netd: only root may do that: try it with sudo\n")
    status, said = ask("stranger", "status")
    assert (status, "'sudo usermod -aG netd stranger', then log in again" in said) == (1, True)
    # Who finds the folder open is looked at all the same.
    lab.sh("chmod 755 /run/netd && chmod 666 /run/netd/netd.sock")
    said = "netd: only root and netd's group may ask the daemon\n"
    assert ask("stranger", "status") == (1, said)
    assert ask("member", "status") == (0, "")


def test_metrics_are_off_until_asked_for(lab: Machine) -> None:
    assert "prometheus" not in lab.sh("cat /proc/$(systemctl show --value -p MainPID netd)/maps").stdout
    lab.write("/etc/systemd/system/netd.service.d/metrics.conf", """[Service]
ExecStart=
ExecStart=/usr/bin/netd run --host-mounts --metrics-port 9586 --metrics-file /var/lib/metrics/netd.prom
ReadWritePaths=/var/lib/metrics
""")  # fmt: skip
    lab.sh("mkdir /var/lib/metrics; systemctl daemon-reload; systemctl restart netd")
    lab.run("ip", "addr", "del", "10.3.0.10/24", "dev", "eth0", ns="web")
    get = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9586/metrics', timeout=5).read().decode())"

    def scraped() -> dict[str, float]:
        lines = lab.run("python3", "-c", get).stdout.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and line[0] != "#"}

    repair = 'netd_repairs_total{action="create",kind="address"}'
    found = until(lambda: values if repair in (values := scraped()) else None, "the repair is counted")
    assert found is not None and found[repair] == 1
    assert found['netd_objects{state="ok"}'] == 9
    assert (found["netd_converged"], found["netd_repair_seconds_count"] >= 1) == (1, True)
    assert found["netd_round_seconds_count"] >= 2
    written = until(lambda: lab.run("cat", "/var/lib/metrics/netd.prom").stdout, "the file is written")
    assert 'netd_objects{state="ok"} 9.0' in written
    # node_exporter is not root.
    assert lab.run("stat", "-c", "%a", "/var/lib/metrics/netd.prom").stdout.strip() == "644"
    # Nobody else than this machine is answered.
    assert lab.sh("ss -Hltn 'sport = 9586'").stdout.split()[3] == "127.0.0.1:9586"


def test_the_manual_pages_and_the_completion_are_there(machine: Machine) -> None:
    page = machine.sh("man netd | cat; man netd.toml | cat").text
    words = ("netd wait [--strict]", "EXIT STATUS", "NO_COLOR", "NETD_OBJECT", "bridge_port")
    for text in (*words, "journalctl NETD_OBJECT=vxlan/vxlan0"):
        assert text in page
    machine.run("ip", "netns", "add", "somewhere")
    complete = """
        . /usr/share/bash-completion/bash_completion
        _completion_loader netd
        COMP_WORDS=({words}) COMP_CWORD={last}
        COMP_LINE="${{COMP_WORDS[*]}}" COMP_POINT=${{#COMP_LINE}}
        $(complete -p netd | sed 's/.*-F \\([^ ]*\\).*/\\1/') netd "${{COMP_WORDS[{last}]}}" ""
        echo "${{COMPREPLY[@]}}"
    """

    def completes(*words: str) -> set[str]:
        quoted = " ".join(f"'{word}'" for word in ("netd", *words))
        return set(machine.run("bash", "-c", complete.format(words=quoted, last=len(words))).stdout.split())

    assert {"status", "wait", "run"} <= completes("")
    assert "--timeout" in completes("wait", "--ti")
    assert completes("exec", "some") == {"somewhere"}
    assert "nsenter" in completes("exec", "somewhere", "nsent")
    assert machine.sh("ps -o comm= -p $(systemctl show --value -p MainPID netd)").stdout.strip() == "netd"


def test_the_sandbox_hears_the_sysctls_of_others_and_cannot_write_but_those_of_the_network(lab: Machine) -> None:
    keys = "[sysctl]\nnet.core.somaxconn = 77\n[namespace.web.sysctl]\nnet.core.somaxconn = 99\n"
    lab.write("/etc/netd/keys.toml", keys)
    lab.netd("reload")
    for ns in ("", "web"):
        lab.run("sysctl", "-w", "net.core.somaxconn=66", ns=ns)
    until(lambda: [somaxconn(lab), somaxconn(lab, "web")] == ["77", "99"], "both are back")
    pid = lab.show("netd", "MainPID")
    lab.run("nsenter", "-t", pid, "-m", "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    for path in ("/proc/sys/kernel/panic", "/etc/x", "/usr/bin/x", "/run/x", "/var/lib/x"):
        said = lab.run("nsenter", "-t", pid, "-m", "sh", "-c", f"echo 0 >{path}", check=2).stderr
        assert "Read-only file system" in said


def somaxconn(machine: Machine, ns: str = "") -> str:
    return machine.run("sysctl", "-n", "net.core.somaxconn", ns=ns).stdout.strip()


def test_the_sandboxed_daemon_makes_namespaces_whose_ipv6_works(lab: Machine) -> None:
    """Sockets of the kernel in a namespace belong to the control group of who made it, with that group's filters."""
    lab.write("/etc/netd/six.toml", """
[namespace.six.veth.eth0]
addresses = ["fd06::1/64"]
nodad = true
peer = { name = "six", addresses = ["fd06::2/64"], nodad = true }
""")  # fmt: skip
    lab.netd("wait", "six:address/eth0/fd06::1/64", "address/six/fd06::2/64")
    lab.run("ping", "-c", "1", "-W", "5", "fd06::1")


def test_a_directory_that_is_away_at_the_start_takes_nothing_away(lab: Machine) -> None:
    lab.sh("systemctl stop netd; mv /etc/netd /etc/netd.away; systemctl start netd")
    assert lab.run("ip", "-j", "-n", "web", "addr", "show", "dev", "eth0").json
    lab.sh("mv /etc/netd.away /etc/netd; netd reload; netd wait web:veth/eth0")


def test_a_directory_that_the_sandbox_may_not_read_takes_nothing_away_and_counts_once_it_may(lab: Machine) -> None:
    """The daemon has no CAP_DAC_OVERRIDE: what belongs to others is shut to it as to anyone."""
    lab.sh("chown 1000 /etc/netd; chmod 700 /etc/netd; systemctl restart netd")
    assert "/etc/netd cannot be read: Permission denied" in lab.netd("status", check=2).stdout
    assert "Permission denied" in lab.show("netd", "StatusText")
    lab.run("ping", "-c", "1", "-W", "5", "10.3.0.11", ns="web")
    lab.sh("chown 0 /etc/netd")
    until(lambda: "\nok     /etc/netd/lab.toml  " in lab.netd("status").stdout, "the folder counts again")
    lab.write("/etc/netd/more.toml", "[bridge.more]\n")
    lab.netd("wait", "--timeout", "30", "bridge/more")
