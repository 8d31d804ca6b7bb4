"""What is wrong in one file: said in plain English, at its line and column."""

from __future__ import annotations

import textwrap

import pytest

from netd.config.parse.parser import NO_NAME, Parsed, parse


def parsed(text: str) -> Parsed:
    return parse("lab.toml", textwrap.dedent(text).encode())


def said(text: str) -> list[str]:
    """The first line of each mistake, without the file."""
    return [str(mistake).splitlines()[0].removeprefix("lab.toml:") for mistake in parsed(text).problems]


def test_an_error_looks_like_a_compilers() -> None:
    (mistake,) = parsed("[vxlan.vxlan0]\nvid = 24\nvni = 24\n").problems
    assert str(mistake).splitlines() == [
        "lab.toml:2:1: vxlan.vxlan0: unknown key 'vid': did you mean 'vni'?",
        "    2 | vid = 24",
        "      | ^^^",
    ]


def test_all_errors_of_a_file_are_named_at_once_in_the_order_of_its_lines() -> None:
    text = """\
        [bridge.br0]
        adresses = ["10.0.0.1/24"]
        mtu = "large"

        [vxlan.x]
        remote = "10.0.0.1"

        [namespace.ns204.veth.veth0]
        mtu = 1
        peer = { name = "much-too-long-a-name" }

        [[route]]
        to = "10.0.0.0/8"
        type = "blackhole"

        [[route]]
        to = "10.0.0.0/8"
        type = "prohibit"

        [tunel.x]
        """
    assert said(text) == [
        "2:1: bridge.br0: unknown key 'adresses': did you mean 'addresses'?",
        "3:1: bridge.br0: mtu: must be an integer or 'auto', not 'large'",
        "5:1: vxlan.x: missing key 'vni'",
        "9:1: namespace.ns204.veth.veth0: mtu: must be at least 68, not 1",
        "10:10: namespace.ns204.veth.veth0: peer.name: 'much-too-long-a-name' is too long for the name of a link: "
        "20 bytes, at most 15 fit",
        "16:1: route: route/main/10.0.0.0/8/0 is declared at line 12 already",
        "20:2: unknown table 'tunel': did you mean 'tun'?",
    ]


PLACES = {
    "a key in a dotted header": ("[namespace.a.bridge.b]\nx = 1", "2:1"),
    "a key in an inline table": ('[veth.v]\npeer = { name = "w", mtuu = 2 }', "2:22"),
    "a key in a table of its own": ('[veth.v]\n[veth.v.peer]\nname = "w"\nmtu = 1', "4:1"),
    "a dotted key": ("bridge.b.mtu = 1", "1:1"),
    "a quoted key": ('[bridge.b]\n  "m\\u0074u" = 1', "2:3"),
    "a quoted header": ('[ bridge . "a b" ]', "1:12"),
    "the element of an array": ('[bridge.b]\naddresses = [\n  "10.0.0.1/24",\n  "10.0.0.2",\n]', "4:3"),
    "the second of an array of tables": (
        '[[neighbor]]\naddress = "10.0.0.1"\nmac = "02:00:00:00:00:01"\ndev = "e"\n[[neighbor]]',
        "5:1",
    ),
    "a key of the second of them": ("[[rule]]\npriority = 1\n[[rule]]\npriority = 0", "4:1"),
    "a table in an array in a namespace": (
        '[[namespace.a.route]]\nto = "default"\n[[namespace.a.route.nexthops]]\nvia = "x"',
        "4:1",
    ),
    "a key behind letters of several bytes": ('[veth.v]\npeer = { name = "ä", öl = 2 }', "2:22"),
    "a value of several lines": ('[bridge.b]\nmac = """\nx"""', "2:1"),
    "a sysctl that is written dotted": ("[sysctl]\nnet.ipv4.ip_forward = 1\nkernel.panic = 1", "3:1"),
    "a sysctl of an interface with a dot": ("[sysctl]\nnet.ipv4.conf.eth0.5.forwarding = []", "2:1"),
    "Windows' ends of lines": ("[bridge.b]\r\nmtu = 1\r\n", "2:1"),
}


@pytest.mark.parametrize(("text", "place"), PLACES.values(), ids=PLACES.keys())
def test_every_kind_of_key_is_found(text: str, place: str) -> None:
    first, *_ = parse("lab.toml", text.encode()).problems
    assert f"{first.line}:{first.column}" == place, str(first)


def test_the_caret_is_below_the_key_behind_tabs_and_in_long_lines() -> None:
    (tabbed,) = parsed("[bridge.b]\n\tmtu = 1\n").problems
    assert str(tabbed).splitlines()[1:] == ["    2 | \tmtu = 1", "      | \t^^^"]
    (long,) = parsed(f'[veth.v]\npeer = {{ {"":>300}name = "w", mtu = 1, {"":>300} }}\n').problems
    _, source, carets = str(long).splitlines()
    assert len(source) < 200 and source[carets.index("^") :].startswith("mtu")


def test_control_characters_never_reach_the_terminal() -> None:
    (mistake,) = parse("lab.toml", b"a = 1\x1b[2J\n").problems
    assert "\x1b" not in str(mistake)


SYNTAX = {
    "no value": (b"[bridge.br0]\nmtu = = 3\n", "2:7: invalid value"),
    "a table twice": (b"[bridge.b]\n[bridge.b]\n", "2:1: this table is written twice"),
    "a key twice": (b"[bridge.b]\nmtu = 1500\nmtu = 1400\n", "3:1: this key is written twice"),
    "not UTF-8": (b"[bridge.b]\n# gr\xfc\xdfe\n", "2:5: byte 0xfc is not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf[bridge.b]\n", "1:1: starts with a byte order mark: save the file without it"),
    "deep nesting": (b"a = " + b"[" * 100_000, " is nested too deeply"),
    "deep dots": (b"[" + b"a." * 100_000 + b"a]", " is nested too deeply"),
    "a number without end": (b"a = " + b"9" * 5000, " is not TOML"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), SYNTAX.values(), ids=SYNTAX.keys())
def test_a_file_that_is_no_toml_is_an_error_not_a_crash(content: bytes, message: str) -> None:
    (mistake,) = parse("lab.toml", content).problems
    assert str(mistake).startswith(f"lab.toml:{message}")


TYPES = {
    "mtu = true": "1: veth.v: mtu: must be an integer or 'auto', not a boolean",
    "mtu = 1.5": "1: veth.v: mtu: must be an integer or 'auto', not a float",
    "mtu = 1979-05-27": "1: veth.v: mtu: must be an integer or 'auto', not a date or time",
    "mac = 1": "1: veth.v: mac: must be a string, not an integer",
    "up = 1": "1: veth.v: up: must be a boolean, not an integer",
    'addresses = "10.0.0.1/24"': '1: veth.v: addresses: must be an array, not a string: write ["10.0.0.1/24"]',
    "addresses = [1]": "14: veth.v: addresses: must be a string or a table, not an integer",
    "gateway = 1": "1: veth.v: gateway: must be a string or an array, not an integer",
    "gateway = ['x']": "12: veth.v: gateway: 'x' is not an IPv4 or IPv6 address",
    "bridge_port = 1": "1: veth.v: bridge_port: must be a table, not an integer",
    "mtu = 70000": "1: veth.v: mtu: must be at most 65535, not 70000",
}


@pytest.mark.parametrize(("line", "message"), TYPES.items(), ids=TYPES.keys())
def test_a_wrong_value_is_reported_with_what_belongs_there(line: str, message: str) -> None:
    assert said(f'[veth.v]\npeer = {{ name = "w" }}\n{line}\n') == [f"3:{message}"]


def test_an_error_of_two_keys_is_shown_at_one_of_them() -> None:
    text = '[vxlan.x]\nvni = 1\ndev = "e"\nremote = "10.0.0.1"\ngroup = "239.1.1.1"\n'
    assert said(text) == [
        "5:1: vxlan.x: group: remote and group exclude each other: a tunnel floods to addresses or to a group"
    ]
    text = '[vxlan.x]\nvni = 1\nfdb_owner = "external"\nremote = ["10.0.0.1"]\n'
    assert said(text) == [
        "4:1: vxlan.x: remote: the external fdb_owner decides where to flood: leave out one of the two"
    ]


def test_each_wrong_sysctl_is_reported() -> None:
    heads = said("[sysctl]\nkernel.panic = 1\nnet.ipv4.ip_forward = 1\nvm.swappiness = 1\nnet.core.somaxconn = []\n")
    assert [head.split(":")[0] for head in heads] == ["2", "4", "5"]


def test_forms_that_do_not_fit_are_reported() -> None:
    assert said("route = 3\nbridge = 1\n[veth]\nx = 1\n[namespace]\na = 1\n") == [
        "1:1: route: must be an array of tables, [[route]], not an integer",
        "2:1: bridge: must be a table, not an integer",
        "4:1: veth.x: must be a table, [veth.NAME], not an integer",
        "6:1: namespace.a: must be a table, [namespace.NAME], not an integer",
    ]
    assert said("[namespace.a.namespace.b]\n") == ["1:14: namespace.a: a namespace is only allowed at the top level"]
    assert said("[namespace.a]\nipv7 = true\n") == ["2:1: namespace.a: unknown key 'ipv7': did you mean 'ipv6'?"]


NAMES = [
    "a/b",
    "a:b",
    "a%d",
    "a*",
    "a b",
    "a'b",
    'a\\"b',
    "a\\tb",
    "a\\u0000",
    "",
    ".",
    "..",
    "sixteen-bytes-16",
    "ääääääää",
    "all",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_no_link_can_have_is_reported_at_the_name(name: str) -> None:
    (head,) = said(f'[bridge."{name}"]\n')
    assert head.startswith("1:9: bridge.")
    assert len(said(f'[veth.v]\npeer = {{ name = "{name}" }}\n')) == 1


def test_a_wrong_name_hides_nothing_of_what_its_table_says() -> None:
    text = """\
        [bridge."a/b"]
        mtu = 1
        addresses = ["fd00::1/64", "fd00::1/48"]

        [bridge."a:b"]
        addresses = ["fd00::1/64", "fd00::1/48"]

        [namespace."c/d"]
        ipv7 = true
        [namespace."c/d".veth.x]
        peer = { name = "y", mtu = 2 }
        [namespace."c/d".interface."e/f"]
        mtu = 3
        from_host = true
        [namespace."c/d".vxlan.y]
        vni = 4

        [host."g h"]
        bridge.br0.mtu = 5

        [[neighbor]]
        address = "10.0.0.1"
        dev = "i/j"
        """
    heads = said(text)
    assert [int(head.split(":")[0]) for head in heads] == [1, 2, 5, 6, 8, 9, 11, 12, 13, 18, 19, 23], heads
    assert not any(f"'{NO_NAME}'" in head for head in heads)


def test_names_at_the_limit_are_fine() -> None:
    assert not said(f'[bridge.fifteen-bytes-1]\n[bridge."br0.100"]\n[namespace.{"n" * 255}]\n[namespace."a@b"]\n')
    assert len(said(f"[namespace.{'n' * 256}]\n")) == 1


IN_ONE_FILE = {
    "a link twice": ("[bridge.x]\n[vxlan.x]\nvni = 1", "2:1: vxlan.x: the name 'x' is taken by bridge/x at line 1"),
    "a peer's name": (
        '[bridge.x]\n[veth.y]\npeer = { name = "x" }',
        "3:10: veth.y: the name 'x' is taken by bridge/x at line 1",
    ),
    "a pair at both ends": (
        '[veth.x]\npeer = { name = "y", namespace = "a" }\n[namespace.a.veth.y]\npeer = { name = "x" }',
        "3:1: namespace.a.veth.y: both ends of this pair are declared, the other as veth/x at line 1: declare it once",
    ),
    "a pair with itself": ('[veth.x]\npeer = { name = "x" }', "1:1: veth.x: both ends are called 'x' in one namespace"),
    "an address": (
        '[bridge.x]\naddresses = ["fd00::1/64", "fd00:0::1/64"]',
        "2:28: bridge.x: addresses: address/x/fd00::1/64 is declared at line 2 already",
    ),
    "a gateway and a route": (
        '[bridge.x]\ngateway = "10.0.0.2"\n[[route]]\nto = "default"\nvia = "10.0.0.3"',
        "3:1: route: route/main/0.0.0.0/0/0 is declared at line 2 already",
    ),
    "two names of one sysctl": (
        "[sysctl]\nnet.ipv4.ip_forward = 1\nnet.ipv4.conf.all.forwarding = 1",
        "3:1: sysctl: net.ipv4.conf.all.forwarding: sysctl/net.ipv4.ip_forward is declared at line 2 already",
    ),
    "two names of one namespace": (
        '[namespace.a]\nattach = "/run/x"\n[namespace.b]\nattach = "/run/x"',
        "4:1: namespace.b: attach: '/run/x' already has a name, 'a' (the other is at line 1)",
    ),
    "a port of netd's own from the host": (
        '[veth.x]\npeer = { name = "y" }\n[namespace.a.interface.y]\nfrom_host = true',
        "4:1: namespace.a.interface.y: from_host: 'y' is veth/x at line 1: it can be created here",
    ),
    "a tunnel through its own bridge": (
        '[bridge.b]\n[vxlan.x]\nvni = 1\ndev = "b"\nmaster = "b"\nremote = "10.0.0.1"',
        "2:1: vxlan.x: cycle of links: vxlan/x → bridge/b → vxlan/x (the other is at line 1)",
    ),
    "a tunnel through itself": ('[vxlan.x]\nvni = 1\ndev = "x"', "1:1: vxlan.x: this link depends on itself (a cycle)"),
}


@pytest.mark.parametrize(("text", "head"), IN_ONE_FILE.values(), ids=IN_ONE_FILE.keys())
def test_a_contradiction_within_a_file_is_an_error_of_the_file(text: str, head: str) -> None:
    assert said(text) == [head]


def test_two_cycles_are_both_told() -> None:
    one = '[vxlan.{0}]\nvni = {2}\ndev = "{1}"\n[vxlan.{1}]\nvni = 9{2}\ndev = "{0}"\n'
    heads = said(one.format("a", "b", 1) + one.format("c", "d", 2))
    assert [head.split(":")[0] for head in heads] == ["4", "10"] and all("cycle" in head for head in heads)


def test_contradictions_are_reported_beside_other_errors() -> None:
    assert len(said("[bridge.x]\n[vxlan.x]\nvni = 1\n[bridge.y]\nmtu = 1\n")) == 2
