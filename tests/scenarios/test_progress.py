"""What takes longer than a second says on a terminal what it waits for, and leaves nothing there when it ends."""

from __future__ import annotations

import os
import re
import sys

import pytest

from tests.support.host import ROOT, Host
from tests.support.terminal import Terminal, plain, read_all

CLEAR = "\r\x1b[K"


@pytest.mark.parametrize(
    ("verb", "shown"),
    [
        (("wait", "--timeout", "3", "vxlan/vx"), r"waiting for vxlan/vx is pending: waits for eth7, \d+ s"),
        (("reload",), r"waiting for the daemon, \d+ s"),
    ],
)
def test_a_command_that_waits_shows_for_what(host: Host, verb: tuple[str, ...], shown: str) -> None:
    host.write("lab.toml", '[vxlan.vx]\nvni = 7\nremote = "10.9.0.1"\ndev = "eth7"\n')
    daemon = host.daemon()
    if verb == ("reload",):
        with daemon.asleep():
            popen, ours = Terminal(host).start(*verb)
            seen = b""
            while b"waiting for the daemon" not in seen:
                seen += os.read(ours, 65536)
        text = seen.decode() + read_all(ours)
        popen.wait()
        os.close(ours)
    else:
        _, text = Terminal(host).netd(*verb)
    assert re.search(shown, plain(text)), text
    assert "waiting" not in text.rpartition(CLEAR)[2], "the line is gone"


#: Every change of the namespace takes a twelfth of a second, as on a machine that is very busy.
SLOW = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=setns", "-e", "inject=setns:delay_exit=80000")
PAIRS = "".join(
    f'[namespace.n{n}.veth.eth0]\naddresses = ["10.0.{n}.1/24"]\npeer = {{ name = "v{n}" }}\n' for n in "123"
)


def test_apply_diff_and_down_show_how_far_they_are(host: Host) -> None:
    host.write("lab.toml", PAIRS)
    terminal = Terminal(host)

    def seen(verb: str) -> str:
        popen, ours = terminal.program(*SLOW, sys.executable, "-m", "netd", verb)
        text = read_all(ours)
        os.close(ours)
        popen.wait()
        assert CLEAR in text, text
        assert "operations done" not in text.rpartition(CLEAR)[2], "the line is gone"
        return plain(text)

    assert re.search(r"9 objects to change, \d+ operations done, \d+ s", seen("apply"))
    assert re.search(r"comparing the files with the network, \d+ s", seen("diff"))
    assert re.search(r"9 objects to change, \d+ operations done, \d+ s", seen("down"))
    assert host.namespaces() == set()


def test_nothing_is_shown_where_it_would_be_written_to_a_file(host: Host) -> None:
    host.write("lab.toml", PAIRS)
    done = host.result(*SLOW, sys.executable, "-m", "netd", "apply", env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and done.stderr == ""
