"""Completion in bash and zsh: commands, options, and the names that the daemon knows."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support.host import ROOT, Host
from tests.support.terminal import Terminal, plain, read_until

COMPLETE = """
. /run/netd.bash
COMP_WORDS=({words}) COMP_CWORD={last} COMPREPLY=()
_netd
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
LAB = '[bridge.br0]\n[namespace.web.veth.eth0]\naddresses = ["10.0.0.1/24"]\npeer = { name = "w" }\n'


PATH = "/run/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Ctrl-X shows the command line as it is now, and empties it.
ZSH = """\
fpath=(/run/zsh $fpath); autoload -U compinit; compinit -u -d /run/zcompdump; unsetopt list_beep
show() { zle -I; print -r -- "line <$BUFFER>"; BUFFER= }; zle -N show; bindkey '^X' show; echo rea''dy
"""


def script(shell: str) -> str:
    command = [sys.executable, "package/completion.py", shell]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def lab(host: Host) -> Host:
    host.write("/run/netd.bash", script("bash"))
    host.write("/run/zsh/_netd", script("zsh"))
    host.write("/run/bin/netd", f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m netd "$@"\n')
    host.sh("chmod 755 /run/bin/netd")
    host.write("lab.toml", LAB)
    host.daemon()
    return host


def completed(host: Host, *words: str) -> set[str]:
    """What is offered behind these words, as bash splits them."""
    text = COMPLETE.format(words=shlex.join(["netd", *words]), last=len(words))
    return set(host.run("bash", "-c", text, env={"PATH": PATH}).split("\n")) - {""}


@pytest.fixture
def zsh(lab: Host) -> Iterator[Callable[[str], str]]:
    """An interactive zsh: what the Tab key makes of a command line."""
    popen, ours = Terminal(lab, env={"PATH": PATH}).program("zsh", "-f", "-i")

    def tab(typed: str) -> str:
        os.write(ours, f"{typed}\t\x18".encode())
        return plain(read_until(ours, ">\r\n")).rpartition("line <")[2].partition(">")[0]

    os.write(ours, ZSH.encode())
    read_until(ours, "ready\r\n")
    yield tab
    os.close(ours)
    popen.wait()


def test_commands_and_options(lab: Host) -> None:
    assert {"status", "wait", "run", "diff"} <= completed(lab, "")
    assert completed(lab, "wait", "--ti") == {"--timeout"}
    assert completed(lab, "status", "--state", "fa") == {"failed"}


def test_names_of_the_daemon(lab: Host) -> None:
    names = completed(lab, "status", "")
    assert {"bridge/br0", "br0", "web", "web:veth/eth0", "web:eth0", "/etc/netd/lab.toml", "namespace/web"} <= names
    assert completed(lab, "wait", "brid") == {"bridge/br0"}
    # bash breaks words at colons: what is before one stays as it is typed.
    assert completed(lab, "wait", "web", ":", "ve") == {"veth/eth0"}
    assert completed(lab, "wait", "web", ":") == {"veth/eth0", "address/eth0/10.0.0.1/24"}
    assert completed(lab, "wait", "bridge/br0", "web", ":", "veth/") == {"veth/eth0"}


def test_a_namespace_and_then_a_command_of_its_own(lab: Host) -> None:
    assert completed(lab, "exec", "w") == {"web"}
    assert "nsenter" in completed(lab, "exec", "web", "nsent")
    assert "nsenter" in completed(lab, "--state-dir", "/run/netd", "exec", "web", "nsent")
    assert completed(lab, "exec", "web", "cat", "/etc/netd/") == {"/etc/netd/lab.toml"}


def test_links_and_both_ends_of_a_pair(lab: Host) -> None:
    def listed(kind: str) -> set[str]:
        return set(lab.netd("status", "--list", kind).stdout.split())

    assert listed("links") == {"br0", "web:eth0", "w"}
    assert listed("links") | listed("objects") | {"web", "/etc/netd/lab.toml"} == listed("names")
    for name in listed("names"):
        assert lab.netd("status", "--json", name).json["objects"], name
    text = ". /run/netd.bash; _netd_links ''"
    assert set(lab.run("bash", "-c", text, env={"PATH": PATH}).split()) == listed("links")


def test_zsh_completes_commands_options_names_and_files(zsh: Callable[[str], str]) -> None:
    assert zsh("netd sta") == "netd status "
    assert zsh("netd wait --ti") == "netd wait --timeout "
    assert zsh("netd status --state fa") == "netd status --state failed "
    assert zsh("netd wait brid") == "netd wait bridge/br0 "
    assert zsh("netd wait web:ve") == "netd wait web:veth/eth0 "
    assert zsh("netd status web:e") == "netd status web:eth0 "
    assert zsh("netd diff /etc/netd/l") == "netd diff /etc/netd/lab.toml "
    assert zsh("netd exec w") == "netd exec web "
    assert zsh("netd exec web nsent") == "netd exec web nsenter "
    assert zsh("netd exec web cat /etc/netd/l") == "netd exec web cat /etc/netd/lab.toml "
