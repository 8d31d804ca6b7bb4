"""WireGuard devices: what is written to one, and files with keys."""

from __future__ import annotations

import errno

from netd.errors import kernel_error
from netd.model import operations as do
from netd.model.wireguard import KeyFile, PeerSettings, WireguardDevice, WireguardPeer, clamped, digest

from .machine import FakeMachine
from .space import FakeNamespace


def key_file(machine: FakeMachine, path: str) -> KeyFile | None:
    """The digests of the key in a file."""
    key = machine.key_files.get(path)
    return None if key is None else KeyFile(digest(clamped(key)), digest(key))


def write(machine: FakeMachine, space: FakeNamespace, index: int, op: do.SetWireguard) -> None:
    """WG_CMD_SET_DEVICE."""
    if space.at(index).kind != "wireguard":
        raise kernel_error(errno.EOPNOTSUPP, "")
    device = space.wireguard.get(index, WireguardDevice())
    if op.private_key is not None:
        device = device._replace(private=digest(op.private_key.raw))
    if op.private_key_file:
        key = machine.key_files.setdefault(op.private_key_file, len(machine.key_files).to_bytes(32, "big")[::-1])
        device = device._replace(private=digest(clamped(key)))
    if op.listen_port is not None:
        device = device._replace(listen_port=op.listen_port)
    if op.fwmark is not None:
        device = device._replace(fwmark=op.fwmark)
    peers = {peer.public_key: peer for peer in device.peers}
    for each in op.peers:
        if each.remove:
            peers.pop(each.public_key, None)
        else:
            peers[each.public_key] = _written(machine, peers.get(each.public_key), each)
    space.wireguard[index] = device._replace(peers=tuple(peers.values()))


def _written(machine: FakeMachine, old: WireguardPeer | None, new: PeerSettings) -> WireguardPeer:
    peer = (old or WireguardPeer(new.public_key))._replace(allowed_ips=new.allowed_ips)
    if new.preshared_key_file:
        if new.preshared_key_file not in machine.key_files:
            raise kernel_error(errno.EACCES, f"{new.preshared_key_file}: there is no such file")
        peer = peer._replace(preshared=digest(machine.key_files[new.preshared_key_file]))
    if new.endpoint:
        peer = peer._replace(endpoint=new.endpoint)
    return peer if new.keepalive is None else peer._replace(keepalive=new.keepalive)
