"""Ctrl-C at any moment: one line, exit status 130, and nothing that the next command cannot complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.support.host import ROOT, Host
from tests.support.process import child_of, until

#: Namespaces of a lab that takes long enough to be interrupted in the middle.
MANY = 60
LAB = "[bridge.br0]\n" + "".join(
    f'[namespace.n{number}.veth.eth0]\naddresses = ["10.{number}.0.1/24"]\n'
    f'peer = {{ name = "v{number}", master = "br0" }}\n'
    for number in range(MANY)
)
COUNTS = re.compile(r"netd: interrupted: (\d+) of (\d+) objects were changed; ")


def hold_back() -> None:
    """SIGINT waits until the process lets it in: as if Ctrl-C came when the first line of netd runs, or later."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def interrupted(host: Host, after: float, *args: str) -> tuple[int, str]:
    """The exit status and stderr of a command that gets SIGINT so many seconds after it began."""
    command = host.inside([sys.executable, "-m", "netd", *args])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=hold_back,
    ) as popen:  # fmt: skip
        pid = until(lambda: child_of(popen.pid), "the process has started")
        time.sleep(after)
        if popen.poll() is None:
            os.kill(pid, signal.SIGINT)
        _, said = popen.communicate()
    return popen.returncode, said


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.08, 0.12, 0.2, 0.4])
@pytest.mark.parametrize("verb", ["wait", "status", "check"])
def test_one_line_says_so_from_the_first_moment_on(host: Host, verb: str, after: float) -> None:
    with host.daemon().asleep() if verb == "status" else os.scandir("/"):
        status, said = interrupted(host, after, verb)
    if verb == "check" and status == 0:
        return  # it was quicker
    assert status == 130, said
    assert len(said.splitlines()) == 1 and said.startswith("netd: interrupted"), said


@pytest.mark.parametrize("verb", ["apply", "down"])
def test_what_was_done_and_what_was_not_is_counted(host: Host, verb: str) -> None:
    host.write("lab.toml", LAB)
    counted = False
    after = 0.1
    while not counted and after < 10:
        if verb == "down":
            host.apply()
        status, said = interrupted(host, after, verb)
        after += 0.05
        if status == 0:
            break  # it was quicker than this
        assert status == 130 and len(said.splitlines()) == 1, said
        found = COUNTS.match(said)
        if found and verb == "apply":
            left = int(found[2]) - int(found[1])
            told = host.netd("diff", "--json", check=None).json["changes"]
            assert len({each["object"] for each in told}) == left, "these are missing"
            counted = 0 < left < int(found[2])
        elif found:
            counted = int(found[1]) > 0
        if not counted and verb == "apply":
            host.netd("down")
    assert counted, "it was never interrupted in the middle"
    host.netd(verb)
    if verb == "apply":
        host.netd("diff")
    else:
        assert host.namespaces() == set() and host.names() == set()


def test_ctrl_c_in_the_background_of_a_shell_is_not_for_netd(host: Host) -> None:
    """A shell without job control starts "netd wait &" with SIGINT ignored: so it stays."""
    waiting = host.start("sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-m", "netd", "wait",
                         env={"PYTHONPATH": str(ROOT)})  # fmt: skip
    time.sleep(1)
    waiting.signal(signal.SIGINT)
    host.daemon()
    assert waiting.wait() == 0
