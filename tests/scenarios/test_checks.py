"""``netd test``: checks of each type hold and fail rightly, in IPv4 and IPv6, and say why."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from tests.support.host import Host

NAMES = Path(__file__).parents[1] / "support" / "names.py"
LAB = """
[bridge.br0]

[namespace."h{1..2}".veth.eth0]
addresses = ["10.0.0.{n}/24", "fd00::{n}/64"]
nodad = true
peer = { name = "h{n}", master = "br0" }
"""
#: Check: whether it holds, and a part of what is said of it.
CHECKS = {
    'ping = "10.0.0.2"': (True, "ms"),
    'ping = "fd00::2"': (True, "ms"),
    'ping = "h2"\ncount = 5\nmax_loss = "0%"\nmax_rtt = "5s"': (True, "5 of 5 answered"),
    'ping = "10.0.0.2"\nsize = 1472\ndf = true': (True, "ms"),
    'ping = "10.0.0.2"\nsize = 1473\ndf = true': (False, "larger than the MTU of the way"),
    'ping = "fd00::2"\nsize = 1453\ndf = true': (False, "larger than the MTU of the way"),
    'ping = "10.0.0.9"': (False, "no answer"),
    'ping = "10.0.0.9"\nexpect = "fail"': (True, "as expected"),
    'ping = "192.0.2.1"': (False, "no route"),
    'ping = "10.0.0.2"\nexpect = "fail"': (False, "it succeeds"),
    'ping = "10.0.0.2"\nmax_rtt = "1us"': (False, "more than 1us"),
    'tcp = "10.0.0.2:7"': (True, "connected"),
    'tcp = "[fd00::2]:7"': (True, "connected"),
    'tcp = "h2:8"': (False, "refused: nothing listens there"),
    'tcp = "[fd00::2]:8"\nexpect = "fail"': (True, "as expected"),
    'udp = "10.0.0.2:7"': (True, "answered with"),
    'udp = "[fd00::2]:7"': (True, "answered with"),
    'udp = "10.0.0.2:8"': (False, "refused: nothing listens there"),
    'udp = "[fd00::2]:8"': (False, "refused: nothing listens there"),
    'http = "http://10.0.0.2/x"\nstatus = 200\nbody = "well"': (True, "status 200"),
    'http = "http://[fd00::2]/x"': (True, "status 200"),
    'http = "http://h2/missing"': (False, "status 404"),
    'http = "http://h2/missing"\nstatus = 404': (True, "status 404"),
    'http = "http://h2/x"\nbody = "other"': (False, "does not contain 'other'"),
    'http = "http://10.0.0.2:8/x"': (False, "refused"),
    'dns = "web.lab"\nserver = "10.0.0.2"\nanswer = "10.9.9.9"': (True, "10.9.9.9"),
    'dns = "six.lab"\nserver = "[fd00::2]:53"\nanswer = "fd09:0::9"': (True, "fd09::9"),
    'dns = "web.lab"\nserver = "10.0.0.2"\nanswer = "10.9.9.8"': (False, "without 10.9.9.8"),
    'dns = "none.lab"\nserver = "10.0.0.2"': (False, "NXDOMAIN"),
    'dns = "web.lab"\nserver = "10.0.0.1"': (False, "refused"),
    'command = ["ip", "link", "show", "eth0"]': (True, "status 0"),
    'command = ["sh", "-c", "echo too bad; exit 3"]': (False, "status 3: too bad"),
    'command = ["sleep", "60"]': (False, "did not end within"),
}


def with_servers(host: Host) -> None:
    """The lab, and servers in h2."""
    host.write("lab.toml", LAB)
    host.netd("apply")
    host.serve("h2", 7, ns="h2")
    host.file("/run/web").mkdir()
    host.file("/run/web/x").write_text("all is well\n")
    host.start("python3", "-m", "http.server", "--bind", "::", "--directory", "/run/web", "80", ns="h2")
    names = host.start(sys.executable, str(NAMES), "web.lab=10.9.9.9", "six.lab=fd09::9", ns="h2")
    host.until(lambda: "ready" in names.text(), "the DNS server is ready")
    host.until(
        lambda: host.result("sh", "-c", "ss -lnt | grep -q ':80 '", ns="h2").returncode == 0, "the web server is ready"
    )


def test_checks_of_every_type_hold_and_fail_rightly_and_say_why(host: Host) -> None:
    with_servers(host)
    within = 'within = "1s"\n'
    host.write(
        "checks.toml",
        "".join(f'[[namespace.h1.check]]\nname = "check {n}"\n{within}{each}\n' for n, each in enumerate(CHECKS)),
    )
    done = host.netd("test", "--json", "--junit", "/run/checks.xml", check=None)
    assert done.returncode == 1, done.stderr
    found = {each["name"]: each for each in done.json["checks"]}
    wrong = []
    for number, (text, (holds, said)) in enumerate(CHECKS.items()):
        each = found[f"check {number}"]
        if each["state"] != ("ok" if holds else "failed") or said not in each["reason"] + each["result"] + (
            "as expected" if each["expect"] == "fail" else ""
        ):
            wrong.append((text, each))
    assert not wrong
    unrouted = [*CHECKS].index('ping = "192.0.2.1"')
    lost = found[f"check {unrouted}"]["trace"]
    assert lost["verdict"] == "lost" and "no route" in lost["reason"], lost
    cases = xml.fromstring(host.file("/run/checks.xml").read_bytes()).findall(".//testcase")
    assert {case.get("name"): case.find("failure") is None for case in cases} == {
        name: each["state"] == "ok" for name, each in found.items()
    }


def test_a_check_is_tried_again_until_it_holds_and_a_name_file_or_namespace_chooses(host: Host) -> None:
    host.write("lab.toml", LAB + '[[check]]\nping = "10.0.0.2"\nfrom = "h{n}"\n'.replace("{n}", "1"))
    host.write("other.toml", '[[check]]\nname = "late"\ncommand = ["test", "-e", "/run/late"]\nwithin = "20s"\n')
    host.netd("apply")
    late = host.start("sh", "-c", "sleep 1; touch /run/late")
    done = host.netd("test", "late", check=None)
    assert done.returncode == 0 and done.stdout == "ok    late: status 0\n1 check holds\n", done
    late.wait()
    assert "ping 10.0.0.2 from h1" in host.netd("test", "h1").stdout and "late" not in host.netd("test", "h1").stdout
    assert "late" in host.netd("test", "/etc/netd/other.toml", "host").stdout
    wrong = host.netd("test", "latte", check=None)
    assert wrong.returncode == 1 and "did you mean 'late'?" in wrong.stderr


def test_files_with_only_checks_are_valid_and_declare_nothing(host: Host) -> None:
    host.write("checks.toml", '[[check]]\nping = "127.0.0.1"\n[[check]]\nping = "::1"\nfrom = "nowhere"\n')
    said = host.netd("check", check=None)
    assert said.returncode == 0 and "the namespace 'nowhere' is not declared" in said.stderr
    assert "1 file, 0 objects" in said.stdout
    assert "0 changes" in host.netd("apply").stdout
    assert host.netd("test", check=None).returncode == 1


def test_watch_repeats_the_checks_on_each_change(host: Host) -> None:
    host.write("lab.toml", LAB + '[[namespace.h1.check]]\nping = "10.0.0.2"\nwithin = "0s"\n')
    host.netd("apply")
    watching = host.netd_start("test", "--watch")
    host.until(lambda: watching.text().count("1 check holds") == 1, "it was tried once")
    host.run("ip", "link", "set", "eth0", "down", ns="h2")
    host.until(lambda: "FAIL" in watching.text(), "it was tried again, and failed")
    host.until(lambda: "the packet is lost: " in watching.text(), "it says where the packet is lost")
    host.run("ip", "link", "set", "eth0", "up", ns="h2")
    host.until(lambda: watching.text().count("1 check holds") >= 2, "it holds again")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('ping = "x y"', "neither an address nor a name"),
        ('tcp = "10.0.0.1"', "not HOST:PORT, such as 10.0.0.1:80"),
        (
            'ping = "10.0.0.1"\ntcp = "10.0.0.1:1"',
            "a check has one of ping, tcp, udp, http, dns, command: not ping and tcp",
        ),
        ('expect = "ok"', "and none is here"),
        ('tcp = "10.0.0.1:1"\nsize = 9', "size: belongs to ping, not to tcp"),
        ('ping = "10.0.0.1"\nwithin = "5"', "is not a time: write a number and its unit"),
        ('ping = "10.0.0.1"\nmax_loss = "5"', "is not a percentage"),
        ('http = "ftp://x"', "is not a URL"),
        ("command = []", "a command and its arguments"),
        ('ping = "10.0.0.1"\nfrom = "b"', "from: this check is tried from 'a' by its table"),
    ],
)
def test_an_error_in_a_check_is_named(host: Host, text: str, said: str) -> None:
    host.write("checks.toml", f"[[namespace.a.check]]\n{text}\n")
    done = host.netd("check", check=None)
    assert done.returncode == 1 and said in done.stderr and "checks.toml:" in done.stderr
