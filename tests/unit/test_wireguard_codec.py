"""WireGuard's messages against another library's, and what becomes of keys."""

from __future__ import annotations

import base64
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink.generic.wireguard import wgmsg

from netd.config.parse.parser import parse
from netd.errors import KernelError
from netd.kernel.wireguard import codec, key_files
from netd.model.wireguard import KeyFile, PeerSettings, Secret, clamped, digest, key_bytes

KEY, OTHER, SHARED = (base64.b64encode(bytes([number] * 32)).decode() for number in (0x48, 0x49, 0x4A))
PEER = PeerSettings(
    OTHER, False, "/k", "[2001:db8::1]:51820", 25, ("10.0.0.0/24", "2001:db8:1::/64", "192.0.2.1/32")
)  # fmt: skip


def message(body: bytes, command: int = codec.SET_DEVICE) -> Any:
    """A message as the other library reads it."""
    found = wgmsg(struct.pack("=IHHIIBBH", 20 + len(body), 30, 5, 1, 0, command, 1, 0) + body)
    found.decode()
    return found


def test_what_is_written_is_what_another_library_reads() -> None:
    (body,) = codec.device_messages(7, key_bytes(KEY), 51820, 5, [(PEER, key_bytes(SHARED))])
    found = message(body)
    assert found.get_attr("WGDEVICE_A_IFINDEX") == 7
    assert found.get_attr("WGDEVICE_A_LISTEN_PORT") == 51820
    assert found.get_attr("WGDEVICE_A_FWMARK") == 5
    assert found.get_attr("WGDEVICE_A_PRIVATE_KEY") in (KEY, KEY.encode(), key_bytes(KEY))
    (peer,) = found.get_attr("WGDEVICE_A_PEERS")
    assert peer.get_attr("WGPEER_A_PUBLIC_KEY") in (OTHER, OTHER.encode())
    assert peer.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") == 25
    assert peer.get_attr("WGPEER_A_ENDPOINT")["addr"] == "2001:db8::1"
    assert peer.get_attr("WGPEER_A_ENDPOINT")["port"] == 51820
    ips = [(each.get_attr("WGALLOWEDIP_A_FAMILY"), each.get_attr("WGALLOWEDIP_A_CIDR_MASK"))
           for each in peer.get_attr("WGPEER_A_ALLOWEDIPS")]  # fmt: skip
    assert ips == [(2, 24), (10, 64), (2, 32)]


def test_what_is_read_has_digests_instead_of_keys() -> None:
    (body,) = codec.device_messages(7, key_bytes(KEY), 51820, 5, [(PEER, key_bytes(SHARED))])
    device = codec.decode([body])
    assert device.private == digest(clamped(key_bytes(KEY))) and device.listen_port == 51820
    (peer,) = device.peers
    assert peer.preshared == digest(key_bytes(SHARED))
    assert (peer.public_key, peer.endpoint, peer.keepalive) == (OTHER, PEER.endpoint, 25)
    assert set(peer.allowed_ips) == set(PEER.allowed_ips)
    for secret in (KEY, SHARED, key_bytes(KEY).hex(), key_bytes(SHARED).hex()):
        assert secret not in repr(device)


def test_a_peer_with_many_networks_is_written_in_parts_and_read_as_one() -> None:
    many = tuple(f"10.{number // 256}.{number % 256}.0/24" for number in range(3000))
    peers = [(PEER._replace(allowed_ips=many), b""), (PeerSettings(KEY, remove=True), b"")]
    bodies = list(codec.device_messages(7, b"", None, None, peers))
    assert len(bodies) > 1 and all(len(body) < 65000 for body in bodies)
    found = [peer for body in bodies for peer in message(body).get_attr("WGDEVICE_A_PEERS")]
    flags = [peer.get_attr("WGPEER_A_FLAGS") for peer in found]
    assert flags == [codec.REPLACE_ALLOWED_IPS, *[None] * (len(found) - 2), codec.REMOVE_ME]
    assert next(peer for peer in codec.decode(bodies).peers if peer.public_key == OTHER).allowed_ips == many


def test_a_missing_key_file_is_created_for_root_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "wg0.key"
    assert key_files.look(str(path)) is None
    key = key_files.read_or_create(str(path), b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(path.parent) == ["wg0.key"]
    assert key_bytes(path.read_text().strip()) == key == key_files.read_or_create(str(path), b"")
    assert key_files.look(str(path)) == KeyFile(digest(key), digest(key))
    path.unlink()
    assert key_files.read_or_create(str(path), clamped(b"\1" * 32)) == clamped(b"\1" * 32), "the one of the link"


@pytest.mark.parametrize("text", ["", "short", KEY[:-1], KEY + KEY, "\x00" * 44])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wg0.key"
    path.write_text(text)
    with pytest.raises(KernelError) as error:
        key_files.read_or_create(str(path), b"")
    assert "wg genkey" in str(error.value) and (not text or text not in str(error.value))
    assert path.read_text() == text


def test_a_secret_shows_its_digest_only() -> None:
    secret = Secret(key_bytes(KEY))
    assert KEY not in f"{secret} {secret!r}" and secret == Secret(secret.raw)


@pytest.mark.parametrize(
    "line",
    [f'private_key = "{KEY}x"', f'private_key = "{KEY[:20]}', f'privatekey = "{KEY}"',
     f'private_key = "{KEY}"\nmut = 3', f'private_key = "{KEY}"\nprivate_key_file = "/k"', f"private_key = {KEY}"],
)  # fmt: skip
def test_no_error_shows_a_key(line: str) -> None:
    parsed = parse("x.toml", f"[wireguard.wg0]\n{line}\n".encode())
    assert parsed.problems
    for problem in parsed.problems:
        assert KEY[:20] not in str(problem) and KEY[:20] not in repr(problem), problem
