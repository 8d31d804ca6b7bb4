"""``netd check``: every mistake at its line and column, in the words of a compiler."""

from __future__ import annotations

import textwrap

import pytest

from tests.support.host import Host

#: Each wrong line ends with the column that is named (of the key, or of a name in a header), and a word of the message.
TEN = """\
[bridge.br0]
adresses = ["10.0.0.1/24"]        #! 1 addresses
mtu = "large"                     #! 1 mtu

[bridge.br1]
addresses = ["10.0.0.300/24"]     #! 1 10.0.0.300

[bridge.much-too-long-a-name]     #! 9 15

[vxlan.vxlan0]
vni = 16777216                    #! 1 16777215
remote = "10.0.0.2"

[vxlan.vxlan1]
vni = 7
dev = "br0"
group = "10.0.0.3"                #! 1 multicast

[veth.veth0]                      #! 1 peer
mtu = 1400

[[nat.dnat]]
port = "80-70"                    #! 1 80-70
to = "192.168.1.1:80"

[[route]]
to = "fd00::/64"
via = "10.0.0.1"                  #! 1 IPv4

[tunnel.t0]                       #! 2 tunnel
"""


def expected() -> list[tuple[int, int, str]]:
    found = []
    for number, line in enumerate(TEN.splitlines(), 1):
        if "#!" in line:
            column, word = line.partition("#!")[2].split()
            found.append((number, int(column), word))
    return found


def test_ten_errors_are_all_named_at_their_places(host: Host) -> None:
    host.write("lab.toml", TEN)
    said = host.netd("check", check=1)
    lines = said.text.splitlines()
    heads = [line for line in lines if line.startswith("/etc/netd/lab.toml:")]
    assert len(heads) == len(expected()) == 10, "\n".join(lines)
    for number, column, word in expected():
        (head,) = (line for line in heads if line.startswith(f"/etc/netd/lab.toml:{number}:"))
        assert int(head.split(":")[2]) == column, head
        assert word in head, head
        at = lines.index(head)
        assert lines[at + 1].split(" | ", 1)[1].rstrip() == TEN.splitlines()[number - 1].rstrip()
        caret = lines[at + 2].split("| ", 1)[1]
        assert caret.strip("^ ") == "" and caret.index("^") + 1 == column


def test_an_unknown_key_is_answered_with_the_one_that_was_meant(host: Host) -> None:
    host.write("lab.toml", '[vxlan.vxlan0]\nvid = 24\nvni = 24\nremote = "10.0.0.1"\n')
    said = host.netd("check", check=1)
    assert said.text.splitlines()[:3] == [
        "/etc/netd/lab.toml:2:1: vxlan.vxlan0: unknown key 'vid': did you mean 'vni'?",
        "    2 | vid = 24",
        "      | ^^^",
    ]


def test_a_syntax_error_is_shown_at_its_place(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\nmtu = = 3\n")
    said = host.netd("check", check=1)
    assert said.text.startswith("/etc/netd/lab.toml:2:7: ")


def test_all_errors_of_all_files_are_named_at_once(host: Host) -> None:
    host.write("a.toml", "[bridge.br0]\nmtu = -1\n")
    host.write("b.toml", "[bridge.br1]\nmtu = true\n")
    said = host.netd("check", check=1)
    assert "/etc/netd/a.toml:2:" in said.text
    assert "/etc/netd/b.toml:2:" in said.text


WRONG = {
    "a bridge with a master": '[bridge.br0]\nmaster = "br1"',
    "forward on a port": '[bridge.br0]\n[veth.v0]\nmaster = "br0"\nforward = true\npeer = { name = "v1" }',
    "remote with group": '[vxlan.x]\nvni = 1\ndev = "e"\nremote = "10.0.0.1"\ngroup = "239.1.1.1"',
    "a group without dev": '[vxlan.x]\nvni = 1\ngroup = "239.1.1.1"',
    "a remote that is a group": '[vxlan.x]\nvni = 1\nlocal = "10.0.0.1"\nremote = "fd00::1"',
    "a vxlan without vni": '[vxlan.x]\nremote = "10.0.0.1"',
    "vni 0": '[vxlan.x]\nvni = 0\nremote = "10.0.0.1"',
    "a link of two kinds": '[bridge.x]\n[veth.x]\npeer = { name = "y" }',
    "a peer of a taken name": '[bridge.x]\n[veth.y]\npeer = { name = "x" }',
    "a pair written at both ends": '[veth.x]\npeer = { name = "y" }\n[veth.y]\npeer = { name = "x" }',
    "a name with a slash": '[bridge."a/b"]',
    "a name with a colon": '[bridge."a:b"]',
    "a name with a percent": '[bridge."a%d"]',
    "a name with a space": '[bridge."a b"]',
    "the name dot": '[bridge."."]',
    "the name two dots": '[namespace.".."]',
    "an empty name": '[bridge.""]',
    "a namespace in a namespace": "[namespace.a.namespace.b]",
    "the same route twice": '[[route]]\nto = "10.0.0.0/8"\ntype = "blackhole"\n' * 2,
    "a gateway and the default route": '[bridge.x]\ngateway = "10.0.0.2"\n[[route]]\nto = "default"\nvia = "10.0.0.3"',
    "a rule without priority": '[[rule]]\nfrom = "10.0.0.0/8"\ntable = 100',
    "a rule of two families": '[[rule]]\npriority = 1\nfrom = "10.0.0.0/8"\nto = "fd00::/8"',
    "the same rule twice": '[[rule]]\npriority = 1\ntable = 100\n[[rule]]\npriority = 1\ntable = 100',
    "two gateways of one family": '[bridge.x]\ngateway = ["10.0.0.1", "10.0.0.2"]',
    "a masquerade of nothing": "[[nat.masquerade]]",
    "snat to another family": '[[nat.snat]]\nsource = "10.0.0.0/8"\nto = "fd00::1"',
    "a range that is longer than its target": '[[nat.dnat]]\nport = "80-90"\nto = "10.0.0.1:80-85"',
    "overlapping ranges": '[[nat.dnat]]\nport = "80-90"\nto = "10.0.0.1"\n[[nat.dnat]]\nport = 85\nto = "10.0.0.2"',
    "port 0": '[[nat.dnat]]\nport = 0\nto = "10.0.0.1"',
    "port 65536": '[[nat.dnat]]\nport = 65536\nto = "10.0.0.1"',
    "an unknown protocol": '[[nat.dnat]]\nprotocol = "sctp"\nport = 80\nto = "10.0.0.1"',
    "dnat of two families": '[[nat.dnat]]\nport = 80\nto = "10.0.0.1"\ndestination = "fd00::1"',
    "a bad mac": '[bridge.x]\nmac = "02:00:00:00:00"',
    "a neighbour without mac": '[[neighbor]]\naddress = "10.0.0.1"\ndev = "x"',
    "a sysctl outside net": '[sysctl]\n"vm/swappiness" = 1',
    "a sysctl that climbs": '[sysctl]\n"net/../kernel/panic" = 1',
    "a number where a table belongs": "bridge = 3",
    "the same address twice": '[bridge.x]\naddresses = ["10.0.0.1/24", "10.0.0.1/24"]',
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_an_error_with_its_place(host: Host, text: str) -> None:
    host.write("lab.toml", text + "\n")
    said = host.netd("check", check=1)
    assert said.text.startswith("/etc/netd/lab.toml:"), said
    assert "Traceback" not in said.stderr


RULE = "[[rule]]\npriority = 1\ntable = 9\n"
BRIDGE = '[bridge.x]\ngateway = "10.0.0.1"\n'
DNS = '[[nat.dnat]]\nport = 53\nto = "10.0.0.1"\n'
RIGHT = {
    "nothing": "",
    "a name with a dot": '[bridge."br0.100"]',
    "a peer on the host of that name in a namespace": '[namespace.a.veth.x]\npeer = { name = "x" }',
    "a sysctl with a dotted interface": '[bridge."br0.5"]\n[sysctl]\nnet.ipv4.conf.br0.5.forwarding = 1',
    "a sysctl as in sysctl.d": '[sysctl]\n"net/ipv4/conf/eth0.5/forwarding" = true',
    "touching ranges": '[[nat.dnat]]\nport = "80-89"\nto = "10.0.0.1"\n[[nat.dnat]]\nport = 90\nto = "10.0.0.2"',
    "one port by two protocols": DNS + DNS.replace("port", 'protocol = "udp"\nport'),
    "one port of two families": DNS + DNS.replace("10.0.0.1", "fd00::1"),
    "a default route of each family": '[bridge.x]\ngateway = ["10.0.0.1", "fd00::1"]',
    "one priority in both families": RULE + RULE + 'from = "fd00::/8"\n',
    "gateways of different metric": BRIDGE + BRIDGE.replace("x", "y") + "gateway_metric = 9\n",
}  # fmt: skip


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_what_can_be_meant_is_valid(host: Host, text: str) -> None:
    host.write("lab.toml", text + "\n")
    host.netd("check")


#: Each of them is next to something that the kernel refuses, and `check` with it.
NEAR = """
[bridge.b]
addresses = ["10.1.0.1/24", "10.1.0.1/25", "fd01::1/64", "127.5.5.1/24"]
gateway = ["127.5.5.2", "fe80::9"]
group_fwd_mask = 0xfff8
nodad = true
[bridge.c]
addresses = ["fd01::1/64"]
nodad = true
[bridge.small]
mtu = 1279
addresses = ["10.2.0.1/24"]
[vxlan.four]
vni = 5
remote = "10.1.0.9"
ageing = 1
[vxlan.six]
vni = 5
remote = ["fd01::8", "fd01::9"]
[vxlan.on-b]
vni = 6
dev = "b"
local = "fe80::1"
group = "ff02::1"
[vxlan.on-c]
vni = 6
dev = "c"
local = "fe80::1"
remote = "fe80::2"
[[route]]
to = "10.9.0.0/16"
nexthops = [{ via = "10.1.0.2" }, { via = "10.1.0.2" }, { dev = "b" }]
[[route]]
to = "fd09::/64"
nexthops = [{ via = "fe80::1", dev = "b" }, { via = "fe80::1", dev = "c" }]
[[route]]
to = "fd0a::/64"
nexthops = [{ dev = "b" }]
[[neighbor]]
address = "fd01::9"
mac = "02:00:00:00:00:01"
dev = "lo"
[namespace.n]
ipv6 = false
[namespace.n.interface.lo]
mtu = 1000
[namespace.n.bridge.b]
addresses = ["fd01::1/64"]
[namespace.n.sysctl]
net.ipv6.conf.b.disable_ipv6 = 0
"""


def test_what_is_valid_although_it_looks_wrong_is_made(host: Host) -> None:
    host.write("lab.toml", NEAR)
    host.netd("check", "--strict")
    host.apply()
    assert {each["dst"] for each in host.json("bridge", "-j", "fdb", "show", "dev", "six")} == {"fd01::8", "fd01::9"}


def test_a_name_that_nothing_declares_is_a_warning_that_fails_only_strict(host: Host) -> None:
    host.write("lab.toml", '[bridge.bridge0]\n[veth.x]\nmaster = "brigde0"\npeer = { name = "y" }\n')
    said = host.netd("check")
    head = next(line for line in said.text.splitlines() if "brigde0" in line)
    assert head.startswith("/etc/netd/lab.toml:3:") and "warning" in head and "did you mean 'bridge0'" in head
    host.netd("check", "--strict", check=1)


def test_nat_without_ip_forward_is_a_warning(host: Host) -> None:
    host.write("lab.toml", '[[nat.masquerade]]\nout = "eth0"\n')
    said = host.netd("check")
    assert "warning" in said.text and "ip_forward" in said.text


def test_a_cycle_of_links_is_named(host: Host) -> None:
    host.write(
        "lab.toml",
        textwrap.dedent(
            """
            [vxlan.x]
            vni = 1
            dev = "y"
            remote = "10.0.0.1"

            [vxlan.y]
            vni = 2
            dev = "x"
            remote = "10.0.0.1"
            """
        ),
    )
    said = host.netd("check", check=1)
    assert "cycle" in said.text.lower()


def test_check_needs_no_root_and_touches_nothing(host: Host) -> None:
    host.write("lab.toml", "[bridge.br0]\n")
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    before = host.kept()
    done = host.netd_as([*user, *read], "check")
    assert done.returncode == 0, done.stderr
    assert host.kept() == before


def test_check_of_a_path_outside_the_directory(host: Host) -> None:
    host.write("/run/lab/x.toml", "[bridge.br0]\nmtu = 'large'\n")
    said = host.netd("check", "/run/lab/x.toml", check=1)
    assert said.text.startswith("/run/lab/x.toml:2:")
    host.netd("check", "/run/lab", check=1)
    host.netd("check")
