"""All files describe one machine: what is the same is one object, what contradicts costs the later file."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from netd.config import Config, ConfigDirectory, load
from netd.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "etc"
    made.mkdir()
    return made


def read(folder: Path, **files: str) -> Config:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(textwrap.dedent(text))
    return ConfigDirectory(str(folder), None, trusted=False).read(warn=True)


def names(config: Config) -> set[str]:
    return {str(key) for key in config.desired}


def states(config: Config) -> list[str]:
    return [state.state for state in config.files]


def heads(config: Config, folder: Path) -> list[str]:
    return [str(mistake).splitlines()[0].replace(f"{folder}/", "") for mistake in config.problems]


ALIKE = """\
[sysctl]
net.ipv4.ip_forward = 1
[[route]]
to = "10.0.0.0/8"
type = "blackhole"
[[nat.masquerade]]
source = "10.0.0.0/8"
[[rule]]
priority = 7
table = 7
[namespace.a]
"""


def test_what_several_files_declare_alike_is_one_object_of_them_all(folder: Path) -> None:
    config = read(folder, b=ALIKE, a=ALIKE, c="[sysctl]\nnet.ipv4.conf.all.forwarding = true\n")
    assert not config.problems and states(config) == ["ok", "ok", "ok"]
    assert names(config) == {
        "sysctl/net.ipv4.ip_forward",
        "route/main/10.0.0.0/8/0",
        "nat/masquerade/ip/10.0.0.0/8,*",
        "rule/ip/7",
        "namespace/a",
    }
    files = {str(key): [origin.file[-6:] for origin in each.origins] for key, each in config.desired.items()}
    assert files["route/main/10.0.0.0/8/0"] == ["a.toml", "b.toml"]
    assert files["sysctl/net.ipv4.ip_forward"] == ["a.toml", "b.toml", "c.toml"]


def test_namespace_tables_of_several_files_merge(folder: Path) -> None:
    config = read(
        folder,
        a='[namespace.x.veth.v]\npeer = { name = "w" }\n',
        b="[namespace.x]\nipv6 = false\n[namespace.x.sysctl]\nnet.ipv4.ip_forward = 1\n",
        c='[namespace.x]\nattach = "pid:5"\n',
    )
    assert not config.errors
    (namespace,) = (each for key, each in config.desired.items() if key.kind == "namespace")
    assert namespace.fields["ipv6"] is False and namespace.source == "pid:5"
    assert namespace.locator["attach"] == "pid:5" and len(namespace.origins) == 3


@pytest.mark.parametrize("first", ["attach", "mention"])
def test_a_file_that_only_mentions_anothers_namespace_asks_nothing_of_its_loopback(folder: Path, first: str) -> None:
    texts = {
        "attach": '[namespace.x]\nattach = "pid:5"\n',
        "mention": "[namespace.x]\nipv6 = false\n[namespace.x.bridge.br0]\n",
    }
    config = read(folder, a=texts.pop(first), b=texts.popitem()[1])
    (namespace,) = (one for one in config.desired.values() if one.key.kind == "namespace")
    assert namespace.fields == {"attached": True, "ipv6": False} and not config.problems


@pytest.mark.parametrize(
    ("one", "other"),
    [("ipv6 = false", "ipv6 = true"), ('attach = "pid:5"', 'attach = "pid:6"')],
    ids=["ipv6", "attach"],
)
def test_a_clash_of_namespaces_names_the_file_that_says_otherwise(folder: Path, one: str, other: str) -> None:
    config = read(
        folder,
        a="[namespace.x.bridge.br0]\n",
        b="[bridge.br1]\n[namespace.x.bridge.br2]\n",
        c=f"\n[namespace.x]\n{one}\n",
        d=f"[namespace.x]\n{other}\n",
    )
    text = "namespace.x: namespace/x is declared differently at c.toml:2; c.toml keeps it"
    assert heads(config, folder) == [f"d.toml:1:1: {text}"]


def test_a_clash_names_both_places_and_costs_the_later_file_that_object_alone(folder: Path) -> None:
    config = read(
        folder,
        a='[bridge.br0]\nmtu = 1400\naddresses = ["10.0.0.1/24"]\n',
        b='[bridge.br1]\n\n[bridge.br0]\nmtu = 1400\naddresses = ["10.0.0.2/24"]\ngateway = "10.0.0.9"\n',
    )
    assert heads(config, folder) == [
        "b.toml:3:1: bridge.br0: declared at a.toml:1 already: a link is declared once; a.toml keeps it"
    ]
    assert names(config) == {"bridge/br0", "address/br0/10.0.0.1/24", "bridge/br1"}
    assert states(config) == ["ok", "partial"] and config.files[1].errors == (str(config.errors[0]),)
    assert config.errors[0].other == str(folder / "a.toml")


CLASHES = {
    "a route another way": (
        "[[route]]\nto = '10.0.0.0/8'\ntype = 'blackhole'",
        "[[route]]\nto = '10.0.0.0/8'\ntype = 'prohibit'",
        "b.toml:1:1: route: route/main/10.0.0.0/8/0 is declared differently at a.toml:1; a.toml keeps it",
    ),
    "a sysctl": (
        "[sysctl]\nnet.core.somaxconn = 1",
        "[sysctl]\nnet.core.somaxconn = 2",
        "b.toml:2:1: sysctl: net.core.somaxconn: sysctl/net.core.somaxconn is declared differently at "
        "a.toml:2; a.toml keeps it",
    ),
    "a peer's name": (
        "[bridge.x]",
        "[veth.y]\npeer = { name = 'x' }",
        "b.toml:2:10: veth.y: the name 'x' is taken by bridge/x at a.toml:1; a.toml keeps it",
    ),
    "a pair at both ends": (
        "[veth.x]\npeer = { name = 'y' }",
        "[veth.y]\npeer = { name = 'x' }",
        "b.toml:1:1: veth.y: both ends of this pair are declared, the other as veth/x at a.toml:1: declare "
        "it once; a.toml keeps it",
    ),
    "overlapping ports": (
        "[[nat.dnat]]\nport = '1-9'\nto = '10.0.0.1'",
        "[[nat.dnat]]\nport = 5\nto = '10.0.0.2'",
        "b.toml:1:1: nat.dnat: port 5 overlaps 1-9, which already goes to 10.0.0.1 (the other is at "
        "a.toml:1); a.toml keeps it",
    ),
    "a cycle": (
        "[vxlan.x]\nvni = 1\ndev = 'y'",
        "[vxlan.y]\nvni = 2\ndev = 'x'",
        "b.toml:1:1: vxlan.y: cycle of links: vxlan/y → vxlan/x → vxlan/y (the other is at a.toml:1); a.toml keeps it",
    ),
    "two sources of a namespace": (
        "[namespace.n]\nattach = 'pid:1'",
        "[namespace.n]\nattach = 'pid:2'",
        "b.toml:1:1: namespace.n: namespace/n is declared differently at a.toml:1; a.toml keeps it",
    ),
}


@pytest.mark.parametrize(("first", "second", "head"), CLASHES.values(), ids=CLASHES.keys())
def test_a_contradiction_between_files_costs_the_later_one(folder: Path, first: str, second: str, head: str) -> None:
    config = read(folder, a=first, b=second + "\n[bridge.other]\n")
    assert [each for each in heads(config, folder) if "warning" not in each] == [head]
    assert states(config) == ["ok", "partial"]
    assert "bridge/other" in names(config) and names(read(folder, b="")) == names(config) - {"bridge/other"}


def test_without_the_first_file_the_other_ones_turn_has_come(folder: Path) -> None:
    read(folder, a="[bridge.br0]\nmtu = 1400\n", b="[bridge.br0]\nmtu = 1300\n")
    (folder / "a.toml").unlink()
    config = read(folder)
    assert [each.fields["mtu"] for each in config.desired.values()] == [1300] and not config.problems


def test_an_invalid_file_costs_only_itself(folder: Path) -> None:
    config = read(folder, a="[bridge.a]\nmtu = 1\n[bridge.c]\n", b="[bridge.b]\n")
    assert names(config) == {"bridge/b"} and states(config) == ["invalid", "ok"]


def test_objects_are_in_the_order_of_files_and_declarations(folder: Path) -> None:
    entry = '[[nat.dnat]]\nport = {0}\nto = "10.0.0.1"\n'
    config = read(folder, b=entry.format(1) + entry.format(2), a=entry.format(9) + entry.format(3))
    ports = [key.name.split("/")[3].split(",")[0] for key in config.desired]
    assert ports == ["9", "3", "1", "2"]
    orders = [each.order for each in config.desired.values()]
    assert orders == sorted(set(orders))


def test_files_refer_to_each_other(folder: Path) -> None:
    config = read(
        folder,
        a='[veth.v]\nmaster = "br0"\npeer = { name = "w", namespace = "n", master = "inner" }\n',
        b="[bridge.br0]\n",
        c="[namespace.n.bridge.inner]\n",
    )
    assert not config.problems


UNKNOWN = {
    "a master": (
        "[bridge.bridge0]\n[veth.x]\nmaster = 'brigde0'\npeer = { name = 'y' }",
        "3:1: warning: veth.x: master: 'brigde0' is not declared: did you mean 'bridge0'?",
    ),
    "a peer's master": (
        "[bridge.bridge0]\n[veth.x]\npeer = { name = 'y', master = 'bridge1' }",
        "3:22: warning: veth.x: peer.master: 'bridge1' is not declared: did you mean 'bridge0'?",
    ),
    "a namespace": (
        "[namespace.lab]\n[veth.x]\npeer = { name = 'y', namespace = 'lob' }",
        "3:22: warning: veth.x: peer.namespace: the namespace 'lob' is not declared: did you mean 'lab'?",
    ),
    "what NAT names": (
        "[bridge.br-lab]\n[[nat.masquerade]]\nout = 'br-lob'\n[sysctl]\nnet.ipv4.ip_forward = 1",
        "3:1: warning: nat.masquerade: out: 'br-lob' is not declared: did you mean 'br-lab'?",
    ),
    "a route's link": (
        "[[route]]\nto = '10.0.0.0/8'\ndev = 'nowhere'",
        "3:1: warning: route: dev: 'nowhere' is not declared",
    ),
    "a link in a namespace": (
        "[namespace.n.vxlan.v]\nvni = 1\ndev = 'nowhere'",
        "3:1: warning: namespace.n.vxlan.v: dev: 'nowhere' is not declared in n",
    ),
    "a sysctl's link": (
        "[sysctl]\nnet.ipv4.conf.nowhere.forwarding = 1",
        "2:1: warning: sysctl: net.ipv4.conf.nowhere.forwarding: 'nowhere' is not declared",
    ),
    "no forwarding": (
        "[[nat.masquerade]]\nsource = '10.0.0.0/8'",
        "1:1: warning: nat.masquerade: net.ipv4.ip_forward is not declared here: without it nothing is routed",
    ),
    "no IPv6 forwarding": (
        "[[nat.dnat]]\nport = 1\nto = 'fd00::1'",
        "1:1: warning: nat.dnat: net.ipv6.conf.all.forwarding is not declared here: without it nothing is routed",
    ),
    "forward without forwarding": (
        "[namespace.n.bridge.b]\nforward = true\n[sysctl]\nnet.ipv4.ip_forward = 1",
        "2:1: warning: namespace.n.bridge.b: forward: net.ipv4.ip_forward or "
        "net.ipv6.conf.all.forwarding is not declared here: without it nothing is routed",
    ),
}


@pytest.mark.parametrize(("text", "head"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_is_probably_meant_otherwise_is_a_warning(folder: Path, text: str, head: str) -> None:
    config = read(folder, a=text)
    assert heads(config, folder) == [f"a.toml:{head}"] and not config.errors and states(config) == ["ok"]


def test_names_of_wrong_tables_and_of_links_that_are_there_are_known(folder: Path) -> None:
    text = '[veth.v]\nmtu = 1\npeer = { name = "w" }\n[vxlan.x]\nvni = 1\ndev = "w"\n[vxlan.y]\nvni = 2\ndev = "v"\n'
    config = read(
        folder, a=text, b='[[route]]\nto = "10.0.0.0/8"\ndev = "lo"\n[[route]]\nto = "11.0.0.0/8"\ndev = "w"\n'
    )
    assert len(config.problems) == 1


def test_where_a_file_cannot_be_read_nobody_knows_what_is_declared(folder: Path) -> None:
    config = read(folder, a="[bridge.", b='[[route]]\nto = "10.0.0.0/8"\ndev = "nowhere"\n')
    assert not config.warnings


# PATH arguments


def loaded(folder: Path, *paths: Path) -> tuple[set[str], frozenset[str] | None]:
    config, narrowed = load(str(folder), None, list(map(str, paths)), trusted=False, wait=0.0, write=False)
    return names(config), narrowed


def test_a_path_in_the_directory_narrows_and_the_whole_directory_is_still_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(folder, a="[bridge.a]\n", b="[bridge.b]\n")
    path = str(folder / "a.toml")
    assert loaded(folder) == ({"bridge/a", "bridge/b"}, None)
    assert loaded(folder, folder / "a.toml") == ({"bridge/a", "bridge/b"}, frozenset({path}))
    monkeypatch.chdir(folder)
    assert loaded(folder, Path("a.toml"))[1] == frozenset({path})
    (folder.parent / "link").symlink_to(folder)
    assert loaded(folder, folder.parent / "link" / "a.toml")[1] == frozenset({path})
    assert loaded(folder, folder / "gone.toml")[1] == frozenset({str(folder / "gone.toml")})
    assert loaded(folder, folder) == ({"bridge/a", "bridge/b"}, frozenset({str(folder)}))


def test_a_path_outside_is_read_instead_of_the_directory(folder: Path, tmp_path: Path) -> None:
    read(folder, a="[bridge.a]\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.toml").write_text("[bridge.x]\n")
    (other / "y").write_text("[bridge.y]\n")
    assert loaded(folder, other) == ({"bridge/x"}, frozenset({str(other)}))
    assert loaded(folder, other / "y") == ({"bridge/y"}, frozenset({str(other / "y")}))
    assert loaded(folder, other / "gone.toml") == (set(), frozenset({str(other / "gone.toml")}))
    with pytest.raises(UsageError, match="do not mix them"):
        loaded(folder, other, folder / "a.toml")
    with pytest.raises(UsageError, match="no configuration file"):
        loaded(folder, folder / "a.txt")
