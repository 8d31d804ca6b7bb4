"""``[host.NAME]``: one folder for several machines, each takes its part; ``host:NAME`` is that machine's address."""

from __future__ import annotations

import socket
import textwrap
from pathlib import Path

import pytest

from netd.config import Config, ConfigDirectory
from netd.config.parse import this_host as machine_module
from netd.config.parse.parser import parse
from netd.config.parse.this_host import ThisHost, this_host
from netd.config.read import directory as folder
from netd.model.segment import Tunnel

LAB = """
[vxlan.vx]
vni = 7
remote = ["host:red", "host:Green", "host:blue", "192.0.2.9"]

[host.red]
address = "192.0.2.1"
[host.red.bridge.br0]

[host.green]
address = "192.0.2.2"
[host.green.namespace.web.veth.eth0]
peer = { name = "web" }

[host.blue]
address = "192.0.2.3"
"""
FLOOD = "fdb/vx/00:00:00:00:00:00/"


class Machines:
    """Reads one folder as several machines would."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path, self.patch = path, patch
        self.name = ""
        patch.setattr(folder, "this_host", lambda: ThisHost(frozenset({self.name})))
        self.folder = ConfigDirectory(str(path), None, trusted=False)

    def write(self, text: str, name: str = "lab") -> None:
        (self.path / f"{name}.toml").write_text(textwrap.dedent(text))

    def read(self, name: str) -> Config:
        self.name = name
        return self.folder.read(warn=True)

    def keys(self, name: str) -> set[str]:
        config = self.read(name)
        assert not config.errors, [str(each) for each in config.errors]
        return {str(key) for key in config.desired}

    def shown(self, config: Config) -> list[str]:
        """The first line of each error."""
        return [str(each).splitlines()[0].replace(f"{self.path}/", "") for each in config.errors]

    def said(self, name: str) -> list[str]:
        return self.shown(self.read(name))


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    return Machines(tmp_path, monkeypatch)


def test_each_machine_takes_what_is_for_all_and_its_own_part(machines: Machines) -> None:
    machines.write(LAB)
    one, two, three, far = (f"{FLOOD}192.0.2.{n}" for n in (1, 2, 3, 9))
    assert machines.keys("red") == {"vxlan/vx", two, three, far, "bridge/br0"}
    assert machines.keys("green") == {"vxlan/vx", one, three, far, "namespace/web", "web:veth/eth0"}
    assert machines.keys("blue") == {"vxlan/vx", one, two, far}
    assert machines.keys("somewhere-else") == {"vxlan/vx", one, two, three, far}


def test_the_own_address_is_the_source_of_the_tunnel(machines: Machines) -> None:
    machines.write(LAB)
    for name, local in (("red", "192.0.2.1"), ("blue", "192.0.2.3"), ("elsewhere", None)):
        (tunnel,) = (one for key, one in machines.read(name).desired.items() if key.kind == "vxlan")
        assert tunnel.fields.get("local") == local
        assert not tunnel.hosts and tunnel.ends[0].tunnel == Tunnel("", local or "", 50, "")
    machines.write(LAB.replace("vni = 7", 'vni = 7\nlocal = "192.0.2.77"'))
    assert next(one for key, one in machines.read("red").desired.items() if key.kind == "vxlan").fields["local"] == (
        "192.0.2.77"
    )


@pytest.mark.parametrize("family", ["192.0.2.", "2001:db8::"])
def test_the_addresses_of_the_hosts_tell_the_family(machines: Machines, family: str) -> None:
    machines.write(LAB.replace("192.0.2.", family))
    (tunnel,) = (one for key, one in machines.read("red").desired.items() if key.kind == "vxlan")
    assert tunnel.ends[0].tunnel == Tunnel("", family + "1", 70 if ":" in family else 50, "")


def test_a_single_name_is_a_list_of_one(machines: Machines) -> None:
    machines.write(LAB.replace('["host:red", "host:Green", "host:blue", "192.0.2.9"]', '"host:blue"'))
    assert machines.keys("red") == {"vxlan/vx", f"{FLOOD}192.0.2.3", "bridge/br0"}
    assert machines.keys("blue") == {"vxlan/vx"}


@pytest.mark.parametrize("name", ["Red", '"red.example.org"', "0123456789abcdef0123456789abcdef"])
def test_a_machine_goes_by_its_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr(machine_module, "MACHINE_ID", tmp_path / "machine-id")
    monkeypatch.setattr(socket, "gethostname", lambda: "RED.Example.org")
    here = this_host()
    assert parse("lab.toml", f"[host.{name}.bridge.br0]\n".encode(), here).objects
    assert not parse("lab.toml", b"[host.redd.bridge.br0]\n", here).objects


def test_addresses_may_stand_in_another_file(machines: Machines) -> None:
    common, _, own = LAB.partition("[host.red]")
    machines.write(common, "a")
    machines.write("[host.red]" + own, "z")
    assert f"{FLOOD}192.0.2.2" in machines.keys("red")
    machines.write(("[host.red]" + own).replace("192.0.2.2", "192.0.2.22"), "z")
    assert f"{FLOOD}192.0.2.22" in machines.keys("red"), "and a change of that file counts for all"


def test_a_broken_file_of_hosts_counts_as_it_was(machines: Machines, tmp_path: Path) -> None:
    common, _, own = LAB.partition("[host.red]")
    machines.folder = ConfigDirectory(str(tmp_path), str(tmp_path / "cache"), trusted=False)
    machines.write(common, "a")
    machines.write("[host.red]" + own, "z")
    before = machines.keys("red")
    machines.write(("[host.red]" + own).replace("192.0.2.2", "192.0.2.22") + "nonsense = 1\n", "z")
    config = machines.read("red")
    assert {str(key) for key in config.desired} == before
    assert [state.state for state in config.files] == ["ok", "invalid"]


@pytest.mark.parametrize("name", ["red", "green", "elsewhere"])
def test_errors_are_reported_on_every_machine(machines: Machines, name: str) -> None:
    machines.write(
        """\
        [bridge.br0]
        [vxlan.vx]
        vni = 7
        remote = ["host:red", "host:gren"]
        [host.red]
        adress = "192.0.2.1"
        [host.red.bridge.br0]
        [host.red.vxlan.vx]
        vni = 8
        [host.green]
        address = "large"
        [host.green.veth.v]
        [host.green.tunnel.t]
        [host.green.namespace.a.bridge.b]
        mtuu = 1
        [host.green.host.blue]
        [host."a b"]
        """
    )
    assert machines.said(name) == [
        "lab.toml:6:1: host.red: unknown key 'adress': did you mean 'address'?",
        "lab.toml:7:1: host.red.bridge.br0: declared at line 1 already: a link is declared once",
        "lab.toml:8:1: host.red.vxlan.vx: declared at line 2 already: a link is declared once",
        "lab.toml:11:1: host.green: address: 'large' is not an IPv4 or IPv6 address",
        "lab.toml:12:1: host.green.veth.v: missing key 'peer'",
        "lab.toml:13:13: host.green: unknown key 'tunnel': did you mean 'tun'?",
        "lab.toml:15:1: host.green.namespace.a.bridge.b: unknown key 'mtuu': did you mean 'mtu'?",
        "lab.toml:16:13: host.green: a host is only allowed at the top level",
        "lab.toml:17:7: host.\"a b\": 'a b' cannot be the name of a host: it is letters, digits, '-', '_' and '.'",
    ]


@pytest.mark.parametrize("name", ["red", "green", "elsewhere"])
def test_a_name_that_is_no_host_costs_that_entry_alone(machines: Machines, name: str) -> None:
    machines.write(LAB.replace('"host:Green"', '"host:gren"').replace('address = "192.0.2.3"', ""))
    config = machines.read(name)
    assert machines.shown(config) == [
        "lab.toml:4:23: vxlan.vx: remote: the host 'gren' is not declared: did you mean 'green'?",
        "lab.toml:4:36: vxlan.vx: remote: [host.blue] has no address",
    ]
    assert "vxlan/vx" in {str(key) for key in config.desired}
    assert f"{FLOOD}192.0.2.9" in {str(key) for key in config.desired}
    assert [state.state for state in config.files] == ["partial"]


def test_two_addresses_of_one_host_are_told_apart(machines: Machines) -> None:
    machines.write(LAB, "a")
    machines.write('[host.RED]\naddress = "192.0.2.100"\n', "b")
    (said,) = machines.said("green")
    assert said == "b.toml:2:1: host.RED: address: is 192.0.2.1 already, at a.toml:7"
    assert f"{FLOOD}192.0.2.1" in {str(key) for key in machines.read("green").desired}


def test_hosts_of_two_families_do_not_fit_one_tunnel(machines: Machines) -> None:
    machines.write(LAB.replace('"192.0.2.3"', '"fd00::3"'))
    assert machines.said("red") == [
        "lab.toml:2:1: vxlan.vx: remote: the address of host blue is IPv6, the tunnel is IPv4",
    ]


def test_a_namespace_may_stand_in_the_common_part_and_in_the_hosts(machines: Machines) -> None:
    machines.write(
        "[namespace.web.bridge.a]\n[host.red.namespace.web.bridge.b]\n[host.green.namespace.web]\nipv6 = false\n"
    )
    assert machines.keys("red") == {"namespace/web", "web:bridge/a", "web:bridge/b"}
    assert machines.keys("green") == {"namespace/web", "web:bridge/a"}
    machines.write("[namespace.web]\nipv6 = true\n[host.red.namespace.web]\nipv6 = false\n")
    for name in ("red", "green"):
        assert machines.said(name) == [
            "lab.toml:3:1: host.red.namespace.web: namespace/web is declared differently at line 1"
        ]


def test_a_machine_that_is_renamed_takes_another_part(machines: Machines) -> None:
    machines.write(LAB)
    assert "bridge/br0" in machines.keys("red")
    assert "bridge/br0" not in machines.keys("green")
    assert "bridge/br0" in machines.keys("red")


@pytest.mark.parametrize("family", ["192.0.2.", "2001:db8::"])
def test_a_firewall_lets_in_the_hosts_by_their_addresses(machines: Machines, family: str) -> None:
    lab = LAB.replace("192.0.2.", family)
    machines.write(lab)
    (tunnel,) = (one for key, one in machines.read("red").desired.items() if key.kind == "vxlan")
    assert [each.source.partition("/")[0] for each in tunnel.required_ingress] == [f"{family}{n}" for n in (2, 3, 9)]
    machines.write(lab.replace("vni = 7", "vni = 7\nopen_firewall = true"))
    kind = "ip6" if ":" in family else "ip"
    let_in = {f"open/{kind}/udp/4789,{family}{n},*" for n in (1, 3, 9)}
    assert {key for key in machines.keys("green") if key.startswith("open/")} == let_in
    machines.write(lab.replace("vni = 7", "vni = 7\nopen_firewall = true").replace("host:blue", "host:nobody"))
    assert len(machines.said("red")) == 1, "one mistake is told once"
