"""WireGuard: ``[wireguard.NAME]``, wg(8). Keys are compared by digests, and are in no field, log or ledger."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any

from netd.model.change import Phase, Step
from netd.model.desired import Desired, Observed, View
from netd.model.invalidation import WatchKey
from netd.model.key import Key, LinkName
from netd.model.operations import SetWireguard
from netd.model.segment import Tunnel
from netd.model.state import Link
from netd.model.wireguard import ANOTHER, NONE, PeerSettings, Secret, WireguardPeer, key_bytes, shown

from .base.kind import TableContext, TomlForm
from .base.options import Table, option
from .base.values import Form, NamespaceOrHost, Network, Range, canonical_address
from .link.attributes import LowerNamespace
from .link.ends import LinkTable
from .link.link_kind import DEV_NAMESPACE, MADE_BY_NETD
from .link.untold import UntoldKind

#: Headers over IPv6, which drivers/net/wireguard/device.c takes of 1500, whatever carries the packets.
OVERHEAD = 80
#: REJECT_AFTER_TIME, drivers/net/wireguard/messages.h, in seconds: so long a handshake counts.
ALIVE = 180.0
#: What is written by SetWireguard.
SETTINGS = ("private_key", "private_key_file", "listen_port", "fwmark", "peers")


def secret(text: str) -> Secret:
    """A private key; the error does not have it."""
    try:
        return Secret(key_bytes(text))
    except ValueError:
        raise ValueError(
            "this is not a key: write 44 characters, as wg genkey prints them, or private_key_file"
        ) from None


def public(text: str) -> str:
    """A public key."""
    try:
        return base64.b64encode(key_bytes(text)).decode()
    except ValueError:
        raise ValueError("this is not a key: write 44 characters, as wg pubkey prints them") from None


def absolute_path(text: str) -> str:
    """The path of a file."""
    if not text.startswith("/") or text.endswith("/") or "\0" in text:
        raise ValueError(f"'{text}' is not the absolute path of a file, such as /etc/wireguard/wg0.key")
    return text


def endpoint(text: str) -> str:
    """An address and a port."""
    host, colon, port = text.rpartition(":")
    plain = host.strip("[]")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536 or ((":" in plain) is not host.startswith("[")):
        raise ValueError(f"'{text}' is not an endpoint, such as 192.0.2.1:51820 or [2001:db8::1]:51820")
    try:
        address = canonical_address(plain)
    except ValueError:
        raise ValueError(f"'{text}': write the address of the peer: names are not resolved") from None
    return f"[{address}]:{int(port)}" if ":" in address else f"{address}:{int(port)}"


KeyPath = Annotated[str, Form(absolute_path, "absolute path")]


class WireguardPeerTable(Table):
    """A peer."""

    public_key: Annotated[str, Form(public, "public key")] = option("its public key")
    preshared_key_file: KeyPath | None = option("file with the key that both share", default=None)
    endpoint: Annotated[str, Form(endpoint, "address and port")] | None = option(
        "where it is reached; one at which it answered within three minutes stays", default=None
    )
    allowed_ips: list[Network] = option("networks behind it", default_factory=list)
    persistent_keepalive: Annotated[int, Range(0, 65535)] | None = option(
        "seconds between packets that keep a NAT open; 0: none", default=None
    )


class WireguardTable(LinkTable):
    """A WireGuard tunnel."""

    private_key_file: KeyPath | None = option(
        "file with the private key; created with a new key, mode 0600, where it does not exist", default=None
    )
    private_key: Annotated[str, Form(secret, "private key")] | None = option(
        "the private key itself, if it is in no file", default=None
    )
    listen_port: Annotated[int, Range(0, 65535)] | None = option(
        "UDP port; 0: one that is free", default=None, also=("port",)
    )
    fwmark: Annotated[int, Range(0, 2**32 - 1)] | None = option(
        "mark of the outer packets, for policy rules; 0: none", default=None
    )
    peers: list[WireguardPeerTable] | None = option(
        "the peers: the link has exactly these", default=None, also=("peer",)
    )
    dev_namespace: NamespaceOrHost | None = option(
        "namespace in which the outer packets are sent",
        default=None,
        absent="the link's namespace",
        wire=LowerNamespace(),
        live=False,
    )

    def check(self) -> None:
        super().check()
        if (self.private_key is None) is (self.private_key_file is None):
            raise ValueError("missing key 'private_key_file': write the path of a file with the private key")
        behind: dict[str, str] = {}
        for peer in self.peers or []:
            if peer.public_key in behind.values():
                raise ValueError("peers: two peers have the same public_key")
            for network in peer.allowed_ips or [""]:
                other = behind.setdefault(network or peer.public_key, peer.public_key)
                if other != peer.public_key:
                    raise ValueError(f"peers: '{network}' is behind two peers: the kernel gives it to one only")


def declared_peer(peer: WireguardPeerTable) -> dict[str, Any]:
    """The keys of a peer that are written, as they are compared."""
    found: dict[str, Any] = {"public_key": peer.public_key, "allowed_ips": in_order(peer.allowed_ips)}
    for key in ("preshared_key_file", "endpoint", "persistent_keepalive"):
        if getattr(peer, key) is not None:
            found[key] = getattr(peer, key)
    return found


def in_order(networks: Iterable[str]) -> list[str]:
    """Each network once."""
    return sorted(set(networks), key=lambda each: (":" in each, ipaddress.ip_network(each)))


def observed_peer(peer: WireguardPeer, declared: Mapping[str, Any], view: View) -> dict[str, Any]:
    """The same keys of a peer as the kernel has it."""
    found: dict[str, Any] = {"public_key": peer.public_key, "allowed_ips": in_order(peer.allowed_ips)}
    if "preshared_key_file" in declared:
        file = view.key_file(declared["preshared_key_file"])
        same = file is not None and bool(file.preshared) and file.preshared == peer.preshared
        found["preshared_key_file"] = declared["preshared_key_file"] if same else ANOTHER if peer.preshared else NONE
    if "endpoint" in declared:
        # It moves with the peer: where that answers now is right.
        alive = peer.age is not None and peer.age < ALIVE
        found["endpoint"] = declared["endpoint"] if alive and declared["endpoint"] else peer.endpoint
    if "persistent_keepalive" in declared:
        found["persistent_keepalive"] = peer.keepalive
    return found


def written_peers(want: Sequence[Mapping[str, Any]], have: Sequence[Mapping[str, Any]]) -> Iterable[PeerSettings]:
    """What makes these peers of those: the sessions with all others go on."""
    wanted = {each["public_key"] for each in want}
    yield from (PeerSettings(each["public_key"], remove=True) for each in have if each["public_key"] not in wanted)
    for each in want:
        if each not in have:
            yield PeerSettings(
                each["public_key"], False, each.get("preshared_key_file", ""), each.get("endpoint", ""),
                each.get("persistent_keepalive"), tuple(each["allowed_ips"]),
            )  # fmt: skip


class WireguardKind(UntoldKind):
    """wireguard/N."""

    name = "wireguard"
    toml = TomlForm(WireguardTable)
    traits = MADE_BY_NETD._replace(guard_fields=frozenset({DEV_NAMESPACE}), unannounced=True)

    def is_ethernet(self, fields: Mapping[str, Any]) -> bool:
        return False

    def carrier(self, fields: Mapping[str, Any], netns: str) -> Tunnel:
        return Tunnel("", "", OVERHEAD, fields.get(DEV_NAMESPACE, netns), by_route=True)

    def chosen(self, table: WireguardTable) -> dict[str, Any]:
        keys = ("private_key", "private_key_file", "listen_port", "fwmark")
        found = {key: getattr(table, key) for key in keys if getattr(table, key) is not None}
        if table.peers is not None:
            found["peers"] = sorted(map(declared_peer, table.peers), key=lambda each: str(each["public_key"]))
        return super().chosen(table) | found

    def declare(self, table: WireguardTable, context: TableContext) -> Iterable[Desired]:
        one, *others = super().declare(table, context)
        # How it is read: which keys of which peers are compared, and with which files.
        locator = {key: one.fields[key] for key in ("private_key_file", "peers") if key in one.fields}
        yield replace(one, locator={**one.locator, **locator})
        yield from others

    def watch_keys(self, key: Key, locator: Mapping[str, Any]) -> Iterable[WatchKey]:
        return (*super().watch_keys(key, locator), WatchKey("wireguard", key.netns, key.name))

    def observe(
        self, key: Key, locator: Mapping[str, Any], view: View, identity: Mapping[str, Any] = MappingProxyType({})
    ) -> Observed | None:
        found = super().observe(key, locator, view, identity)
        device = view.wireguard(key.netns, int(found.handle)) if found is not None and not found.conflict else None
        if found is None or device is None:
            return found
        declared = {each["public_key"]: each for each in locator.get("peers", ())}
        fields: dict[str, Any] = {
            "private_key": shown(device.private), "listen_port": device.listen_port, "fwmark": device.fwmark,
            "peers": [observed_peer(each, declared.get(each.public_key, {}), view) for each in device.peers],
        }  # fmt: skip
        fields["peers"].sort(key=lambda each: each["public_key"])
        if "private_key_file" in locator:
            file = view.key_file(locator["private_key_file"])
            same = file is not None and bool(file.private) and file.private == device.private
            fields["private_key_file"] = locator["private_key_file"] if same else ANOTHER if device.private else NONE
        return replace(found, fields={**found.fields, **fields})

    def written(self, at: LinkName, link: Link, view: View) -> dict[str, Any]:
        # Where there is no such file, netd creates it with the key of the link.
        found = super().written(at, link, view) | {"private_key_file": f"/etc/wireguard/{at.name}.key"}
        device = view.wireguard(at.netns, link.index)
        if device is None:
            return found
        found |= {key: value for key in ("listen_port", "fwmark") if (value := getattr(device, key))}
        peers = [
            observed_peer(each, dict.fromkeys(("endpoint", "persistent_keepalive"), ""), view) for each in device.peers
        ]
        return found | {"peers": [{key: value for key, value in each.items() if value} for each in peers]}

    def reverted(self, key: Key, locator: Mapping[str, Any], field: str, found: Any, view: View) -> Any:
        if field in SETTINGS:
            # A key stays: which one it was before is not kept. On a link of netd's, the port stays, too.
            if found is None or field in ("private_key", "private_key_file"):
                return None if found is not None else {"fwmark": 0, "peers": []}.get(field)
            unshared = "preshared_key_file"
            return [{k: v for k, v in each.items() if k != unshared} for each in found] if field == "peers" else found
        return super().reverted(key, locator, field, found, view)

    def create(self, desired: Desired, view: View, memory: Mapping[str, Any]) -> Sequence[Step]:
        made, *late = super().create(desired, view, memory)
        return [made, *self._settings(desired.key, desired.fields, ()), *late]

    def change(
        self, key: Key, locator: Mapping[str, Any], observed: Observed, fields: Mapping[str, Any], view: View
    ) -> Sequence[Step]:
        ends = super().change(key, locator, observed, fields, view)
        return [*ends, *self._settings(key, fields, observed.fields.get("peers", ()))]

    def _settings(self, key: Key, fields: Mapping[str, Any], peers: Sequence[Mapping[str, Any]]) -> Sequence[Step]:
        if not fields.keys() & set(SETTINGS):
            return ()
        private = fields.get("private_key")
        settings = SetWireguard(
            key.netns, key.name,
            private if isinstance(private, Secret) else None, fields.get("private_key_file", ""),
            fields.get("listen_port"), fields.get("fwmark"),
            tuple(written_peers(fields["peers"], peers)) if "peers" in fields else (),
        )  # fmt: skip
        return [Step(Phase.SETTINGS, settings)]
