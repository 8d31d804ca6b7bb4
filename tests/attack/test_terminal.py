"""Nothing from outside reaches a terminal as it is: names of links and processes, words of others, paths."""

from __future__ import annotations

import io

import pytest

from netd.report.terminal import Escaping, escaped
from tests.support.host import Host

#: Resets a terminal, moves, hides, turns text around, ends a line.
HOSTILE = [
    "\x1bc", "\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\x07", "\x08", "\r", "\u202e", "\x7f", "\x1b[8m", "\udc9b",
]  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_terminal_would_obey_is_written_out(text: str) -> None:
    for stream in (io.StringIO(), Terminal()):
        Escaping(stream).write(f"a{text}b\n")
        shown = stream.getvalue()
        assert text not in shown and shown.startswith("a\\") and shown.endswith("b\n"), shown
    assert escaped("plain → text\twith\nlines") == "plain → text\twith\nlines"


def test_colors_of_netds_own_reach_a_terminal_and_no_file() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        Escaping(stream).write("\x1b[31mred\x1b[0m \r\x1b[K")
    assert terminal.getvalue() == "\x1b[31mred\x1b[0m \r\x1b[K"
    assert "\x1b" not in file.getvalue()


def test_the_name_of_a_link_or_of_a_process_is_no_order_to_a_terminal(host: Host) -> None:
    """A link stands in the way of a declared one's port; a process that is called so changes netd's rules."""
    name = "v\x1bc\x1b[2J"
    host.run("ip", "link", "add", name, "type", "bridge")
    host.write(
        "lab.toml",
        """
        [bridge.br0]
        addresses = ["10.2.0.1/24"]
        [[nat.masquerade]]
        source = "10.2.0.0/24"
        out = "eth0"
    """,
    )
    wrong = name.replace("\x1b", "\\u001b")
    host.write("bad.toml", f'[veth."{wrong}"]\npeer = {{ name = "other", master = "br0" }}\n')
    host.write("\x1bc.toml", "[bridge.br1]\n")
    daemon = host.daemon(wait=False)
    host.until(lambda: host.state("bridge/br0") == "ok", "what is right is built")
    host.sh("cp $(command -v nft) /run/\"$(printf '\\033c\\nx')\" && /run/*c*x flush ruleset")
    host.until(lambda: "masquerade" in host.run("nft", "list", "ruleset"), "the rules are back")
    for command in (("status", "--all"), ("diff",), ("check",), ("status", "--json"), ("reload",)):
        text = host.netd(*command, check=None).text
        assert not set(text) & {"\x1b", "\x9b", "\x07"}, text
    assert "\x1b" not in daemon.text()
