"""Every command that the README, the documents and the manual print, as printed, on machines that never saw netd."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest

from tests.rig.documents import commands, follow, read, section
from tests.rig.machine import Machine
from tests.rig.test_install import make
from tests.support.host import ROOT

TUTORIAL = "docs/tutorial.md"
#: Those of which tests/scenarios/test_howto.py types every row, and of which a reader types nothing.
OTHERS = ("docs/howto/iproute2.md", TUTORIAL)
DOCUMENTS = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if "adr" not in path.parts),
]
#: Not typed: what others do to a network, beginnings of commands, and an editor that waits for someone to write.
SPOKEN_OF = {
    "netd is not running", "rm -r /etc/netd",
    "ip -batch", "ip -j", "ip link", "ip addr add", "ip link add type vxlan", "ip netns", "ip netns del",
    "ip netns exec", "ip vrf exec", "ip rule", "netd fault", "netd trace", "netd top", "ip route",
    "netd run", "netd run --host-mounts", "netd wait --strict",
    "nft flush ruleset", "nft -f /etc/nftables.conf", "firewall-cmd --reload",
    "systemctl edit netd", "systemctl restart docker", "systemctl restart nftables",
    "systemctl restart systemd-networkd", "netd exec h1 ping h2", "ip netns exec N",
}  # fmt: skip
#: From a copy of the repository, with what it is built with: CI, the other tests here, and whoever works on netd.
FROM_THE_SOURCES = re.compile(r"(apt-get update && apt-get install -y make.*|make [\w-]+.*)")
PACKAGE = re.compile(r"apt-get .*netd|cp /usr/share/doc/netd/")
#: What stands for something of the reader's.
MEANT = {
    "NAMESPACE COMMAND...": "left true",
    "NAMESPACE COMMAND": "left true",
    "NAMESPACE...": "left",
    "NAMESPACE": "left",
    "ADDRESS": "10.1.0.2",
    "OBJECT...": "namespace/left left:veth/eth0",
    "NAME...": "left",
    "show NAME": "show left",
    "--state STATE": "--state ok",
    "--against PATH": "--against /etc/netd/lab.toml",
    "PATH...": "/etc/netd/01-pair.toml",
    "SECONDS": "30",
    "DURATION": "1s",
    "NUMBER": "100",
    "COUNT": "1",
    "FILTER": "icmp",
    "FILE": "/root/written",
    "LINK...": "left:eth0",
    "LINK": "left:eth0",
    "FROM TO": "left 10.1.0.2",
    ":PORT": ":80",
    "SOMEONE": "nobody",
    "USER": "nobody",
}
#: "a|b|c", as a table has it: the second is typed.
ALTERNATIVES = re.compile(r"\w+\\\|(\w+)(?:\\\|\w+)*")
#: Those of netd that refuse beside the daemon.
ALONE = re.compile(r"netd (apply|down)")
#: Those that go on until Ctrl-C. A time limit, or a number, ends some of them before.
ENDLESS = re.compile(r".*ping|netd (watch|top|capture)|netd test --watch")
#: Needs a module that the machine's kernel may lack; tests/scenarios has it, on a kernel that has it.
NETEM = re.compile(r"netd fault netem")
#: They ask somebody at a terminal: tests/scenarios/test_try.py.
ASKS = re.compile(r"netd (try|edit)")
#: The page has tests of its own, in a browser: tests/web.
WEB = re.compile(r"netd web|.*netd-web")
FIRST = "The first lab"
UPLINK = """
[interface.eth0]
[sysctl]
net.ipv4.ip_forward = 1
[[nat.masquerade]]
out = "eth0"
[[namespace.left.check]]
ping = "10.1.0.2"
"""


def forms(command: str) -> list[str]:
    """What a reader types: without what is in brackets, and with it."""
    command = ALTERNATIVES.sub(r"\1", command)
    found = [re.sub(r" ?\[[^]]*\]", "", command), re.sub(r"[][]", "", command)]
    for words, meant in MEANT.items():
        found = [form.replace(words, meant) for form in found]
    return list(dict.fromkeys(found))


def typed(machine: Machine, form: str) -> None:
    """One command in a shell, among the files; what would go on for ever is ended as by Ctrl-C."""
    if ALONE.match(form):
        machine.run("systemctl", "stop", "netd")
    if form.startswith("netd fault clear"):
        machine.netd("fault", "down", "left:eth0")
    endless = ENDLESS.match(form)
    shell = ("timeout", "--signal=INT", "--preserve-status", "5") if endless else ()
    done = machine.run("env", "--chdir=/etc/netd", *shell, "bash", "-ec", form, check=None if endless else 0)
    assert done.returncode in (0, 130), (form, done.returncode, done.text)
    if "netd" in form:
        # Whatever it did, the next one finds the lab.
        machine.run("systemctl", "start", "netd")
        machine.netd("wait")


def made(make_machine: Callable[..., Machine], name: str) -> Machine:
    """A machine on which ``make install`` has just ended; netd does not run yet."""
    machine = make_machine(name)
    make("install", machine.disk)
    machine.start()
    return machine


def test_each_command_of_the_documents_works_as_printed(make_machine: Callable[..., Machine]) -> None:
    machine = made(make_machine, "reader")
    first = re.search(r"^```toml\n(.*?)^```", read("README.md"), flags=re.M | re.S)
    assert first
    machine.write("/etc/netd/lab.toml", first[1])
    shutil.copy(ROOT / "etc/netd/examples/01-pair.toml", machine.root / "etc/netd")
    # There is something of each kind that a command lists, and the uplink is declared for 'check --strict'.
    machine.write("/etc/netd/uplink.toml", UPLINK)
    machine.sh("systemctl enable --now netd")
    said = [one for document in DOCUMENTS if document not in OTHERS for one in commands(document)]
    in_order = " ".join(section(read("README.md"), FIRST).split())
    said = [one for one in dict.fromkeys(said) if one not in SPOKEN_OF and one not in in_order]
    said = [one for one in said if not FROM_THE_SOURCES.fullmatch(one) and not PACKAGE.match(one)]
    said = [one for one in said if not any(each.match(one) for each in (NETEM, WEB, ASKS))]
    assert len(said) > 50, said
    for command in said:
        for form in forms(command):
            if form not in SPOKEN_OF:
                typed(machine, form)


@pytest.mark.parametrize("how", ["package", "make install"])
def test_the_first_lab_of_the_readme_works_as_printed(make_machine: Callable[..., Machine], how: str) -> None:
    if how == "package":
        machine = make_machine("packaged")
        machine.start()
        machine.sh("mkdir -p /src && ln -sfn /package /src/dist && cd /src && apt-get install -y ./dist/netd_*.deb")
        # The one that the package has: there is no copy of the repository.
        readme = (machine.root / "usr/share/doc/netd/README.md").read_text()
    else:
        machine, readme = made(make_machine, "made"), read("README.md")
        shutil.copytree(ROOT / "etc", machine.root / "root/etc", dirs_exist_ok=True)
    text = section(readme, FIRST).replace("make install && ", "")
    text = re.sub(r"^    apt-get .*\n", "", text, flags=re.MULTILINE).replace("    ", "    cd /root; ")
    assert follow(machine, text) == 6
    assert "repair" in machine.netd("status").stdout
    machine.sh("rm /etc/netd/01-pair.toml && netd reload")
    assert machine.run("ip", "netns", "list").stdout == ""


def test_the_tutorial_works_and_shows_what_it_prints(make_machine: Callable[..., Machine]) -> None:
    machine = made(make_machine, "pupil")
    machine.sh("systemctl enable --now netd")
    assert follow(machine, read(TUTORIAL)) > 20


def test_the_commands_for_the_package_work_as_printed(fresh: Machine) -> None:
    said = [one for document in DOCUMENTS for one in commands(document) if PACKAGE.match(one)]
    said = list(dict.fromkeys(said))
    assert len(said) == 3, said
    for command in sorted(said, key=lambda command: "remove" in command):
        # The one without -y asks.
        fresh.sh(f"mkdir -p /src && ln -sfn /package /src/dist && cd /src && {command}", stdin="y\n")
        state = fresh.run("systemctl", "is-active", "netd", check=None).stdout.strip()
        assert (state == "active") is ("remove" not in command), (command, state)
