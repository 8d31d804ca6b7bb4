"""Errors that nearly everybody makes: the message says what to write instead."""

from __future__ import annotations

import pytest

from netd.config.parse.parser import parse


def said(text: str) -> list[str]:
    return [str(each).splitlines()[0].removeprefix("x.toml:") for each in parse("x.toml", text.encode()).problems]


QUOTES = {
    "addresses = [10.0.0.1/24]": '2:14: quotes are missing: write "10.0.0.1/24"',
    'addresses = ["10.0.0.2/24", fd00::1/64]': '2:29: quotes are missing: write "fd00::1/64"',
    "gateway = 10.0.0.1": '2:11: quotes are missing: write "10.0.0.1"',
    "gateway = fd00::1": '2:11: quotes are missing: write "fd00::1"',
    "mac = 02:00:00:00:00:01": '2:7: quotes are missing: write "02:00:00:00:00:01"',
    "master = br0": '2:10: quotes are missing: write "br0"',
    "addresses = [\n  10.0.0.1/24,\n]": '3:3: quotes are missing: write "10.0.0.1/24"',
    "up = yes": "2:6: write true",
    "up = off": "2:6: write false",
}


@pytest.mark.parametrize("line", QUOTES)
def test_missing_quotes(line: str) -> None:
    assert said(f"[bridge.br0]\n{line}\n") == [QUOTES[line]]


@pytest.mark.parametrize(
    "line",
    [
        "[bridge.",
        "[bridge.br1",
        "[[route]",
        "mtu = 140,",
        "mtu =",
        "up = true up = 3",
        'addresses = ["10.0.0.1/24"',
        "up = 1_",
    ],
)
def test_other_syntax_errors_are_not_taken_for_missing_quotes(line: str) -> None:
    (found,) = said(f"[bridge.br0]\n{line}\n")
    assert "quotes" not in found and "write" not in found


INSTEAD = {
    '[bridge.br0]\naddresses = "10.0.0.1/24"': (
        '2:1: bridge.br0: addresses: must be an array, not a string: write ["10.0.0.1/24"]'
    ),
    '[nat.masquerade]\nout = "eth0"': "1:1: nat: masquerade: must be an array, not a table: write [[nat.masquerade]]",
    '[namespace.w.nat.masquerade]\nout = "eth0"': (
        "1:1: namespace.w.nat: masquerade: must be an array, not a table: write [[namespace.w.nat.masquerade]]"
    ),
    '[route]\nto = "default"': "1:1: route: must be an array, not a table: write [[route]]",
    "[vxlan.x]\nvni = 7\nid = 7": "3:1: vxlan.x: unknown key 'id': did you mean 'vni'?",
    "[vxlan.x]\nvni = 7\ndstport = 4789": "3:1: vxlan.x: unknown key 'dstport': did you mean 'port'?",
    '[vxlan.x]\nvni = 7\naddress = "02:00:00:00:00:01"': "3:1: vxlan.x: unknown key 'address': did you mean 'mac'?",
    '[bridge.br0]\naddress = "10.0.0.1/24"': (
        "2:1: bridge.br0: unknown key 'address': write addresses = [\"10.0.0.1/24\"]"
    ),
    "[interface.eth0.100]\nmtu = 1400": (
        "1:17: interface.eth0: unknown key '100': a name with a dot needs quotes, [interface.\"eth0.100\"]"
    ),
    "[namespace.w.interface.eth0.5]\nmtu = 1400": (
        "1:29: namespace.w.interface.eth0: unknown key '5': a name with a dot needs quotes, "
        '[namespace.w.interface."eth0.5"]'
    ),
}


@pytest.mark.parametrize("text", INSTEAD)
def test_what_to_write_instead(text: str) -> None:
    assert INSTEAD[text] in said(text)
