"""Every command that the README and the manual print, as printed, on a machine that never saw netd."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.rig.machine import Machine
from tests.rig.test_install import make
from tests.support.host import ROOT

DOCUMENTS = ("README.md", "docs/reference/config.md", "docs/reference/service.md")
#: What a command begins with; a word alone is spoken of, not typed.
TYPED = re.compile(
    r"(netd|systemctl|systemd-\w+|journalctl|man|ip|nft|sysctl|make|apt-get|cp|usermod|firewall-cmd|ping|bridge) \S"
)
#: Not typed either: what others do to a network, beginnings of commands, and an editor that waits for someone to write.
SPOKEN_OF = {
    "ip -batch", "ip -j", "ip addr add", "ip link add type vxlan", "ip netns", "ip netns del", "ip route",
    "netd run", "netd run --host-mounts", "netd wait --strict",
    "nft flush ruleset", "nft -f /etc/nftables.conf", "firewall-cmd --reload",
    "systemctl edit netd", "systemctl restart docker", "systemctl restart nftables",
    "systemctl restart systemd-networkd",
}  # fmt: skip
#: From a copy of the repository, with what it is built with: CI, the other tests here, and whoever works on netd.
FROM_THE_SOURCES = re.compile(r"(apt-get update && apt-get install -y make && )?make [\w-]+")
PACKAGE = re.compile(r"apt-get .*netd|cp /usr/share/doc/netd/")
#: What stands for something of the reader's.
MEANT = {
    "NAMESPACE COMMAND...": "left true",
    "NAMESPACE COMMAND": "left true",
    "OBJECT...": "namespace/left left:veth/eth0",
    "NAME...": "left",
    "--state STATE": "--state ok",
    "--against PATH": "--against /etc/netd/lab.toml",
    "PATH...": "/etc/netd/01-pair.toml",
    "SECONDS": "30",
    "SOMEONE": "nobody",
}
#: Those of netd that refuse beside the daemon.
ALONE = re.compile(r"netd (apply|down)")


def commands(document: str) -> list[str]:
    """The commands of a document, each once, in their order."""
    text = re.sub(r"^```.*?^```", "", (ROOT / document).read_text(), flags=re.M | re.S)
    found = re.findall(r"^    (\S.*)$|`([^`]+)`", text, flags=re.M)
    said = (" ".join((block or span).split()) for block, span in found)
    return [one for one in dict.fromkeys(said) if TYPED.match(one) and one not in SPOKEN_OF]


def forms(command: str) -> list[str]:
    """What a reader types: without what is in brackets, and with it."""
    found = [re.sub(r" \[[^]]*\]", "", command), re.sub(r"[][]", "", command)]
    for words, meant in MEANT.items():
        found = [form.replace(words, meant) for form in found]
    return list(dict.fromkeys(found))


def typed(machine: Machine, form: str) -> None:
    """One command in a shell, among the files; what would go on for ever is ended as by Ctrl-C."""
    if ALONE.match(form):
        machine.run("systemctl", "stop", "netd")
    shell = ("timeout", "--signal=INT", "--preserve-status", "3") if "ping" in form else ()
    machine.run("env", "--chdir=/etc/netd", *shell, "bash", "-ec", form)
    if "netd" in form:
        # Whatever it did, the next one finds the lab.
        machine.run("systemctl", "start", "netd")
        machine.netd("wait")


def test_each_command_of_the_documents_works_as_printed(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine("reader")
    make("install", machine.disk)
    machine.start()
    first = re.search(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.M | re.S)
    assert first
    machine.write("/etc/netd/lab.toml", first[1])
    # The uplink is declared, so that also 'check --strict' is content.
    machine.write("/etc/netd/uplink.toml", "[interface.eth0]\n")
    said = [one for document in DOCUMENTS for one in commands(document)]
    said = [one for one in dict.fromkeys(said) if not FROM_THE_SOURCES.fullmatch(one) and not PACKAGE.match(one)]
    assert len(said) > 30, said
    for command in said:
        for form in forms(command):
            typed(machine, form)


def test_the_commands_for_the_package_work_as_printed(fresh: Machine) -> None:
    said = [one for one in dict.fromkeys(commands("README.md") + commands(DOCUMENTS[2])) if PACKAGE.match(one)]
    assert len(said) == 4, said
    for command in sorted(said, key=lambda command: "remove" in command):
        # The one without -y asks.
        fresh.sh(f"mkdir -p /src && ln -sfn /package /src/dist && cd /src && {command}", stdin="y\n")
        state = fresh.run("systemctl", "is-active", "netd", check=None).stdout.strip()
        assert (state == "active") is ("remove" not in command), (command, state)
