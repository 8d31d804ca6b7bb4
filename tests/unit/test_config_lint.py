"""Warnings of ``netd check`` about what is valid and can hardly be meant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from netd.cli.main import main
from netd.config import load
from netd.config.lint import lint, machine

FORWARD = "[sysctl]\nnet.ipv4.ip_forward = 1\n"


def warned(folder: Path, text: str) -> list[str]:
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "x.toml").write_text(text)
    config, _ = load(str(folder), None, [], trusted=False, wait=0, write=False, warn=True)
    assert not config.errors, config.errors
    return [str(each).splitlines()[0].removeprefix(f"{folder}/x.toml:") for each in config.warnings]


def link(addresses: str, gateway: str = "", more: str = "") -> str:
    return f"[bridge.br0]\naddresses = [{addresses}]\n" + (f'gateway = "{gateway}"\n' if gateway else "") + more


GATEWAYS = {
    link('"10.0.0.2/24"', "10.0.1.1"): "3:1: warning: bridge.br0: gateway: '10.0.1.1' is not in a network of br0",
    link('"10.0.0.2/32", "10.0.9.2/24"', "10.0.1.1"): "is not in a network of br0 (10.0.0.2/32, 10.0.9.2/24)",
    link('"fd00::2/64"', "fd01::1"): "'fd01::1' is not in a network of br0 (fd00::2/64)",
    link('"10.0.0.2/24"') + '[[route]]\nto = "10.9.0.0/16"\nvia = "10.3.0.1"\ndev = "br0"\n': "5:1: warning: route",
}
FINE = {
    "in the network": link('"10.0.0.2/24"', "10.0.0.1"),
    "in the second one": link('"10.0.0.2/24", "10.1.0.2/16"', "10.1.9.9"),
    "no address of that family": link('"fd00::2/64"', "10.0.1.1"),
    "link-local": link('"fd00::2/64"', "fe80::1"),
    "a route leads there": link('"10.0.0.2/32"', "10.0.1.1") + '[[route]]\nto = "10.0.1.1/32"\ndev = "br0"\n',
    "on the link nevertheless": link('"10.0.0.2/32"')
    + '[[route]]\nto = "default"\nvia = "10.0.1.1"\ndev = "br0"\nonlink = true\n',
    "another tool's link": '[interface.lo]\naddresses = ["10.0.0.2/24"]\ngateway = "10.0.1.1"\n',
}


@pytest.mark.parametrize("text", GATEWAYS)
def test_a_gateway_outside_of_all_networks_of_its_link(tmp_path: Path, text: str) -> None:
    (found,) = warned(tmp_path / "etc", text)
    assert GATEWAYS[text] in found


@pytest.mark.parametrize("text", FINE.values(), ids=FINE.keys())
def test_a_gateway_that_can_be_reached(tmp_path: Path, text: str) -> None:
    assert not warned(tmp_path / "etc", text)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("10.0.0.0/24", "'10.0.0.0/24' is the network's own address: write the address of a host, such as 10.0.0.1/24"),
        ("10.0.0.255/24", "'10.0.0.255/24' is the broadcast address of its network"),
        ("fd00::/64", "'fd00::/64' is the address of all routers of its network: write the address of a host"),
        ("10.0.0.0/31", ""),
        ("10.0.0.255/32", ""),
        ("10.0.0.255/16", ""),
        ("fd00::/127", ""),
    ],
)
def test_an_address_that_no_machine_can_have(tmp_path: Path, address: str, told: str) -> None:
    found = warned(tmp_path / "etc", link(f'"{address}"'))
    assert bool(found) == bool(told) and told in "".join(found)


PAIRS = """
[bridge.br0]
[namespace.a.veth.eth0]
addresses = ["10.0.0.2/24"]
peer = { name = "va", master = "br0" }
[namespace.b.veth.eth0]
addresses = ["10.0.0.2/24"]
peer = { name = "vb"BRIDGE }
"""


def test_an_address_twice_on_a_segment(tmp_path: Path) -> None:
    (found,) = warned(tmp_path / "etc", PAIRS.replace("BRIDGE", ', master = "br0"'))
    assert found == (
        "7:14: warning: namespace.b.veth.eth0: addresses: '10.0.0.2' is also an address of a:eth0, on the same segment"
    )
    assert not warned(tmp_path / "etc", PAIRS.replace("BRIDGE", "")), "these two never meet"


def test_a_port_where_this_machine_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dnat = FORWARD + '[[nat.dnat]]\nprotocol = "{}"\nport = "{}"\nto = "10.0.0.2"\n'
    for protocol, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_INET, kind) as taken, socket.socket(socket.AF_INET6, kind) as six:
            taken.bind(("0.0.0.0", 0))
            six.bind(("::1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
                six.listen()
            port, inside = taken.getsockname()[1], six.getsockname()[1]
            (found,) = warned(tmp_path / "etc", dnat.format(protocol, port))
            assert f"this machine listens on {protocol} port {port} itself" in found and "10.0.0.2" in found
            assert not warned(tmp_path / "etc", dnat.format(protocol, inside)), "loopback gets nothing from outside"
        assert not warned(tmp_path / "etc", dnat.format(protocol, port)), "nobody listens any more"


def test_addresses_of_proc_are_read_as_the_machine_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "little")
    assert str(machine.read_address("0100007F")) == "127.0.0.1"
    assert str(machine.read_address("0000000000000000FFFF00000100007F")) == "127.0.0.1"
    assert str(machine.read_address("00000000000000000000000001000000")) == "::1"
    monkeypatch.setattr("sys.byteorder", "big")
    assert str(machine.read_address("7F000001")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("net.ipv4.ip_forwrd", "net.ipv4.ip_forward"),
        ("net.ipv4.conf.eth7.forwardin", "net.ipv4.conf.eth7.forwarding"),
        ("net.ipv4.ip_forward", ""),
        ("net.ipv4.conf.eth7.forwarding", ""),
        ("net.nosuchmodule.ip_forwrd", ""),
        ("net.ipv4.quite_another_thing", ""),
    ],
)
def test_a_sysctl_that_the_kernel_does_not_have_and_one_that_it_resembles(tmp_path: Path, key: str, meant: str) -> None:
    found = warned(tmp_path / "etc", f"[bridge.eth7]\n[sysctl]\n{key} = 1\n")
    assert [each.split("warning: ")[1] for each in found] == (
        [f"sysctl: {key}: this kernel has no {key}: did you mean '{meant}'?"] if meant else []
    )


def test_a_link_that_this_machine_has_is_never_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[bridge.lab1]\n[[nat.masquerade]]\nout = "lab0"\n' + FORWARD
    (found,) = warned(tmp_path / "etc", text)
    assert "'lab0' is not declared: did you mean 'lab1'?" in found
    monkeypatch.setattr(lint, "_on_this_machine", lambda name: name == "lab0")
    assert not warned(tmp_path / "etc", text)


def test_a_master_on_the_host_of_an_end_in_a_namespace(tmp_path: Path) -> None:
    text = '[bridge.br0]\n[namespace.w.veth.eth0]\nmaster = "br0"\npeer = { name = "w" }\n'
    (found,) = warned(tmp_path / "etc", text)
    assert found.endswith(
        '\'br0\' is not declared in w: br0 is on the host, as w is: write peer = { name = "w", master = "br0" }'
    )


def test_files_that_are_not_read_are_named_and_are_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "etc"
    (folder / "conf.d").mkdir(parents=True)
    for name in ("a.toml", "b.conf", ".hidden", "c.toml~", ".a.toml.swp", "#a.toml#", "README"):
        (folder / name).write_text("")
    assert main(["check", "--strict", f"--config-dir={folder}"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{folder}/README is ignored: it does not end in .toml",
        f"{folder}/b.conf is ignored: it does not end in .toml",
        f"{folder}/conf.d is ignored: it is a directory: only the files in its parent directory are read",
    ]
