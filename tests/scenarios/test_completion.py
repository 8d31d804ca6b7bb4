"""Completion in bash: commands, options, and the names that the daemon knows."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.host import ROOT, Host

COMPLETE = """
. /run/netd.bash
COMP_WORDS=({words}) COMP_CWORD={last} COMPREPLY=()
_netd
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
LAB = '[bridge.br0]\n[namespace.web.veth.eth0]\naddresses = ["10.0.0.1/24"]\npeer = { name = "w" }\n'


@pytest.fixture
def lab(host: Host) -> Host:
    made = subprocess.run([sys.executable, "package/completion.py", "bash"], cwd=ROOT, capture_output=True, text=True)
    host.write("/run/netd.bash", made.stdout)
    host.write("/run/bin/netd", f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m netd "$@"\n')
    host.sh("chmod 755 /run/bin/netd")
    host.write("lab.toml", LAB)
    host.daemon()
    return host


def completed(host: Host, *words: str) -> set[str]:
    """What is offered behind these words, as bash splits them."""
    text = COMPLETE.format(words=shlex.join(["netd", *words]), last=len(words))
    path = {"PATH": f"/run/bin:{Path('/usr/sbin')}:/usr/bin:/sbin:/bin"}
    return set(host.run("bash", "-c", text, env=path).split("\n")) - {""}


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
