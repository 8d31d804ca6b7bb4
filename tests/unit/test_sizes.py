"""``netd check`` on frames that would be lost: warned where the files show it, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netd.config import ConfigDirectory

VXLAN = '[interface.lower]\nmtu = 1500\n[vxlan.vx0]\nvni = 1\ndev = "lower"\nremote = "10.0.0.2"\nmaster = "br0"\n'
BRIDGE = "[bridge.br0]\n"
PEER = 'peer = { name = "p", master = "br0" }'
END = "[namespace.a.veth.e]\n"
AUTO = 'mtu = "auto"\n'
SILENT = {
    "both ends follow": BRIDGE + VXLAN + END + AUTO + PEER.replace(" }", ', mtu = "auto" }'),
    "the sender follows": BRIDGE + VXLAN + END + AUTO + PEER,
    "the sender sends less": BRIDGE + VXLAN + END + "mtu = 1450\n" + PEER,
    "the tunnel takes 1500": BRIDGE + VXLAN.replace("1500", "1550") + END + PEER,
    "a tunnel without dev": BRIDGE + VXLAN.replace('dev = "lower"\n', "") + END + PEER,
    "a bridge follows its ports": BRIDGE + 'addresses = ["10.1.0.1/24"]\n' + VXLAN,
    "a tunnel alone": BRIDGE + VXLAN.replace('master = "br0"\n', ""),
    "a tunnel over a tunnel": BRIDGE + VXLAN.replace('master = "br0"\n', "") + '[vxlan.vx1]\nvni = 2\ndev = "vx0"\n'
    'remote = "10.0.0.3"\nmaster = "br0"\n[namespace.a.veth.e]\nmtu = "auto"\npeer = { name = "p", master = "br0" }',
    "a port of another": BRIDGE + VXLAN + '[interface.eth7]\nmaster = "br0"\n',
    "another bridge": BRIDGE + VXLAN + '[bridge.br1]\n[namespace.a.veth.e]\npeer = { name = "p", master = "br1" }',
    "the same everywhere": '[bridge.br0]\nmtu = 9000\n[namespace.a.veth.e]\nmtu = 9000\n'
    'peer = { name = "p", master = "br0", mtu = 9000 }',
}  # fmt: skip


def warned(tmp_path: Path, *texts: str) -> list[str]:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.toml").write_text(text)
    config = ConfigDirectory(str(tmp_path), None, trusted=False).read(warn=True)
    assert not config.errors, config.errors
    return [str(each) for each in config.warnings if "lost" in str(each)]


@pytest.mark.parametrize("what", SILENT)
def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path, what: str) -> None:
    assert warned(tmp_path, SILENT[what]) == []


def test_the_first_link_that_sends_too_much_is_shown_and_the_others_counted(tmp_path: Path) -> None:
    text = BRIDGE + VXLAN + "".join(
        f'[namespace.a{n}.veth.e]\npeer = {{ name = "p{n}", master = "br0" }}\n' for n in range(3)
    )  # fmt: skip
    (said,) = warned(tmp_path, text)
    assert said.splitlines() == [
        f"{tmp_path}/0.toml:9:1: warning: namespace.a0.veth.e: packets of more than 1450 bytes are lost at vx0:"
        ' write mtu = "auto" here, and on 2 more',
        "    9 | [namespace.a0.veth.e]",
        "      | ^^^^^^^^^^^^^^^^^^^^^",
    ]


@pytest.mark.parametrize(
    ("text", "line", "caret", "size", "at"),
    [
        (BRIDGE + VXLAN.replace("10.0.0.2", "fd00::2") + END + PEER,
         9, "[namespace.a.veth.e]", 1430, "vx0"),
        (BRIDGE + VXLAN + END + "mtu = 1460\n" + PEER, 10, "mtu", 1450, "vx0"),
        ("[bridge.br0]\nmtu = 1500\n" + VXLAN, 2, "mtu", 1450, "vx0"),
        (BRIDGE + '[veth.e]\nmaster = "br0"\npeer = { name = "p", namespace = "a" }\n' + VXLAN + "[namespace.a]\n",
         4, "peer", 1450, "vx0"),
        ('[veth.e]\nmtu = 1400\npeer = { name = "p", mtu = 1500 }', 3, "mtu", 1400, "e"),
        (BRIDGE + END + "mtu = 9000\n" + PEER, 3, "mtu", 1500, "p"),
        (BRIDGE + VXLAN + '[namespace.b.bridge.br1]\n[namespace.b.veth.up]\nmaster = "br1"\n' + PEER
         + '\n[namespace.c.veth.e]\npeer = { name = "q", namespace = "b", master = "br1" }',
         13, "[namespace.c.veth.e]", 1450, "vx0"),
    ],
)  # fmt: skip
def test_a_larger_sender_is_shown_where_its_mtu_is_written(
    tmp_path: Path, text: str, line: int, caret: str, size: int, at: str
) -> None:
    (said,) = warned(tmp_path, text)
    head, source, carets = said.splitlines()
    found = re.match(
        r".*:(\d+):(\d+): warning: .*: packets of more than (\d+) bytes are lost at (\S+): write mtu", head
    )
    assert found is not None and found.groups()[2:] == (str(size), at)
    assert int(found[1]) == line
    start = carets.index("^")
    assert source[start : start + len(caret)] == caret and carets.count("^") == len(caret)


def test_two_files_of_one_segment_are_each_warned(tmp_path: Path) -> None:
    one = BRIDGE + VXLAN + END + PEER
    said = warned(tmp_path, one, '[namespace.b.veth.e]\npeer = { name = "q", master = "br0" }')
    assert [each.partition(":")[0].rpartition("/")[2] for each in said] == ["0.toml", "1.toml"]


def test_anything_but_bytes_and_auto_is_a_mistake(tmp_path: Path) -> None:
    for value, words in (('"large"', "'auto', not 'large'"), ("true", "not a boolean"), ("20", "at least 68, not 20")):
        (tmp_path / "0.toml").write_text(f"[bridge.b]\nmtu = {value}\n")
        (mistake,) = ConfigDirectory(str(tmp_path), None, trusted=False).read().errors
        assert ":2:1: bridge.b: mtu: " in str(mistake) and words in str(mistake)
