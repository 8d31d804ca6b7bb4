"""What takes longer than a second says on a terminal what it waits for, and leaves nothing there when it ends."""

from __future__ import annotations

import os
import re

import pytest

from tests.support.host import Host
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
