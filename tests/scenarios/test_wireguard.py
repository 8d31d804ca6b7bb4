"""WireGuard between two hosts: traffic, drift of each field, keys in files, the namespace of the outer packets."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from netd.model.wireguard import clamped
from tests.support.host import Host
from tests.support.x25519 import public_key

pytestmark = pytest.mark.needs_kernel("wireguard")

KEYS = {number: clamped(bytes([number]) * 32) for number in (1, 2, 3)}
SHARED = base64.b64encode(b"\7" * 32).decode()


def text(number: int) -> str:
    """A private key, as wg(8) writes it."""
    return base64.b64encode(KEYS[number]).decode()


def public(number: int) -> str:
    """Its public key."""
    return base64.b64encode(public_key(KEYS[number])).decode()


def table(
    me: int, head: str = "wireguard.wg0", more: str = "", private: str = 'private_key_file = "/etc/wg0.key"'
) -> str:
    """One side of the tunnel."""
    other = 3 - me
    return f"""
[{head}]
{private}
listen_port = 51820
fwmark = 5
addresses = ["172.16.0.{me}/24", "fd16::{me}/64"]
nodad = true
peers = [
    {{ public_key = "{public(other)}", preshared_key_file = "/etc/shared.key", endpoint = "10.230.4.{other}:51820",
       allowed_ips = ["172.16.0.{other}/32", "fd16::{other}/128"], persistent_keepalive = 20 }},
]
{more}
"""


def with_keys(pair: tuple[Host, Host]) -> None:
    for number, each in enumerate(pair, 1):
        each.file("/etc/wg0.key").write_text(text(number) + "\n")
        each.file("/etc/shared.key").write_text(SHARED + "\n")


def device(host: Host, ns: str = "") -> list[str]:
    """What wg(8) shows, handshakes and counters aside."""
    lines = host.run("wg", "show", "wg0", "dump", ns=ns).splitlines()
    return [lines[0], *("\t".join([*each.split("\t")[:4], each.split("\t")[7]]) for each in lines[1:])]


def test_traffic_passes_and_every_field_is_healed_in_place(pair: tuple[Host, Host]) -> None:
    with_keys(pair)
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", table(number))
        each.daemon()
    here, there = pair
    here.ping("172.16.0.2", "fd16::2", size=1200)
    here.netd("diff")
    assert here.link("wg0")["mtu"] == 1420
    right, index = device(here), here.link("wg0")["ifindex"]
    # Only where no peer answers, an endpoint is wrong.
    there.sh("ip link set eth0 down")
    other = public(2)
    for damage in (
        "wg set wg0 listen-port 9", "wg set wg0 fwmark 9", f"wg set wg0 peer {other} persistent-keepalive 9",
        f"wg set wg0 peer {other} allowed-ips 10.0.0.0/8", f"wg set wg0 peer {other} remove",
        f"wg set wg0 peer {public(3)} allowed-ips 10.0.0.0/8", f"wg set wg0 peer {other} preshared-key /dev/null",
        "wg genkey >/tmp/k; wg set wg0 private-key /tmp/k",
    ):  # fmt: skip
        here.sh(damage)
        # The kernel reports none of it: netd looks once a minute, or now.
        here.netd("reload")
        here.until(lambda: device(here) == right, damage)
    assert here.link("wg0")["ifindex"] == index
    there.sh("ip link set eth0 up")
    here.ping("172.16.0.2")
    for gone in ("ip link del wg0", "ip link set wg0 down"):
        here.sh(gone)
        here.ping("172.16.0.2")
    logs = here.story() + json.dumps(here.status()) + here.netd("diff", "--json", check=None).stdout
    for host in pair:
        for folder in ("/run/netd", "/var/lib/netd"):
            logs += host.sh(f"cat {folder}/* 2>/dev/null || true")
    for secret in (text(1), text(2), SHARED):
        assert secret not in logs and base64.b64decode(secret).hex() not in logs
    here.remove("lab.toml")
    here.until(lambda: "wg0" not in here.names(), "the link is removed with its file")
    assert here.file("/etc/wg0.key").exists(), "the key stays"


def test_a_missing_key_is_created_and_a_changed_one_is_taken(host: Host) -> None:
    host.write("lab.toml", '[wireguard.wg0]\nprivate_key_file = "/etc/wireguard/wg0.key"\nlisten_port = 7\n')
    assert host.netd("diff", check=2).stdout
    key = host.file("/etc/wireguard/wg0.key")
    assert not key.exists(), "diff creates nothing"
    host.apply()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert host.run("wg", "show", "wg0", "private-key").strip() == key.read_text().strip()
    index = host.link("wg0")["ifindex"]
    key.write_text(text(3) + "\n")
    host.netd("diff", check=2)
    host.apply()
    assert host.run("wg", "show", "wg0", "private-key").strip() == text(3)
    key.unlink()
    host.apply()
    assert key.read_text().strip() == text(3), "the key of the link is written back"
    host.write("lab.toml", f'[wireguard.wg0]\nprivate_key = "{text(2)}"\nlisten_port = 7\n')
    report = host.netd("apply", "--json").stdout
    assert text(2) not in report and text(3) not in report
    assert host.run("wg", "show", "wg0", "private-key").strip() == text(2)
    assert host.link("wg0")["ifindex"] == index
    host.netd("diff")


@pytest.mark.thorough
def test_a_tunnel_in_a_namespace_sends_from_the_host_and_follows_another_namespace(pair: tuple[Host, Host]) -> None:
    with_keys(pair)
    for number, each in enumerate(pair, 1):
        each.write("lab.toml", table(number, "namespace.lab.wireguard.wg0", 'dev_namespace = ""'))
        each.daemon()
    here, _ = pair
    here.ping("172.16.0.2", ns="lab")
    assert "wg0" not in here.names()
    for damage in ("ip -n lab link del wg0", "ip netns del lab || true"):
        here.sh(damage)
        here.ping("172.16.0.2", ns="lab")
    here.netd("diff")


@pytest.mark.thorough
def test_the_namespace_of_the_outer_packets_can_be_deleted(host: Host) -> None:
    host.file("/etc/wg0.key").write_text(text(1) + "\n")
    host.file("/etc/shared.key").write_text(SHARED + "\n")
    host.file("/etc/wg1.key").write_text(text(2) + "\n")
    near = table(1, more='dev_namespace = "under"')
    far = table(2, "namespace.far.wireguard.wg0", private='private_key_file = "/etc/wg1.key"')
    host.write(
        "lab.toml",
        f"""
        [namespace.under.veth.eth0]
        addresses = ["10.230.4.1/24"]
        peer = {{ name = "far0", namespace = "far", addresses = ["10.230.4.2/24"] }}
        {near}
        {far}
    """,
    )
    host.daemon()
    host.ping("172.16.0.2")
    host.sh("ip netns del under || true")
    host.ping("172.16.0.2")
    host.converged()
