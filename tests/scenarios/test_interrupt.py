"""Ctrl-C at any moment: one line, exit status 130, and nothing that the next command cannot complete."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.host import ROOT, Host
from tests.support.process import child_of, until

#: Namespaces of a lab that takes long enough to be interrupted in the middle.
MANY = 200
LAB = "[bridge.br0]\n" + "".join(
    f'[namespace.n{number}.veth.eth0]\naddresses = ["10.0.{number}.1/16"]\n'
    f'peer = {{ name = "v{number}", master = "br0" }}\n'
    for number in range(MANY)
)
COUNTS = re.compile(r"netd: interrupted: (\d+) of (\d+) objects were changed; ")


def hold_back() -> None:
    """SIGINT waits until the process lets it in: as if Ctrl-C came when the first line of netd runs, or later.

    Not ignored, as in tests that a shell runs in the background.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def interrupted(host: Host, moment: Callable[[], bool], *args: str) -> tuple[int, str]:
    """The exit status and stderr of a command that gets SIGINT once it is the moment."""
    command = host.inside([sys.executable, "-m", "netd", *args])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)}, preexec_fn=hold_back,
    ) as popen:  # fmt: skip
        pid = until(lambda: child_of(popen.pid), "the process has started")
        while popen.poll() is None and not moment():
            time.sleep(0.0005)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        _, said = popen.communicate()
    return popen.returncode, said


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.08, 0.12, 0.2, 0.4])
@pytest.mark.parametrize("verb", ["wait", "status", "check"])
def test_one_line_says_so_from_the_first_moment_on(host: Host, verb: str, after: float) -> None:
    with host.daemon().asleep() if verb == "status" else os.scandir("/"):
        start = time.monotonic()
        status, said = interrupted(host, lambda: time.monotonic() > start + after, verb)
    if verb == "check" and status == 0:
        return  # it was quicker
    assert status == 130, said
    assert len(said.splitlines()) == 1 and said.startswith("netd: interrupted"), said


@pytest.mark.parametrize("verb", ["apply", "down"])
def test_what_was_done_and_what_was_not_is_counted(host: Host, verb: str) -> None:
    host.write("lab.toml", LAB)
    names, found = host.file("/run/netns"), None
    for _ in range(10):
        host.netd("apply" if verb == "down" else "down")
        before = len(host.namespaces())

        def begun(before: int = before) -> bool:
            return (len(os.listdir(names)) if names.exists() else 0) != before

        status, said = interrupted(host, begun, verb)
        assert status in (0, 130), said
        found = COUNTS.match(said)
        if status == 130 and found and int(found[1]) < int(found[2]):
            break
    assert found is not None and len(said.splitlines()) == 1, "it was never interrupted in the middle"
    done, planned = int(found[1]), int(found[2])
    assert 0 < done < planned and f"run 'netd {verb}' again for the other {planned - done}" in said
    if verb == "apply":
        assert len(host.netd("diff", "--json", check=2).json["changes"]) == planned - done
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
