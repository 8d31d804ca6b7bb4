"""WireGuard: a device as it is read, and keys, of which nothing readable is kept: only digests, to compare them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, NamedTuple

#: A key in bytes, and in the characters of wg(8).
KEY_BYTES, KEY_CHARACTERS = 32, 44
#: Bytes of a digest. A key is random, so that nothing can be concluded from it.
DIGEST_BYTES = 6
#: Shown for a key that is not the declared one, and for none.
ANOTHER, NONE = "another key", "no key"


def key_bytes(text: str) -> bytes:
    """A key as wg(8) writes it; ValueError, which does not have it, if it is none."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ValueError(f"it is not a key of WireGuard: {KEY_CHARACTERS} characters, as wg genkey prints them")
    return raw


def clamped(key: bytes) -> bytes:
    """A private key as the kernel keeps it (curve25519_clamp_secret)."""
    return bytes([key[0] & 0xF8, *key[1:31], key[31] & 0x7F | 0x40])


def digest(key: bytes) -> str:
    """What a key is compared by; "" for none."""
    return hashlib.blake2b(key, digest_size=DIGEST_BYTES, person=b"netd wireguard").hexdigest() if any(key) else ""


class Secret(str):
    """A private key: as a text it is its digest, and only ``raw`` has the key."""

    raw: bytes

    def __new__(cls, raw: bytes) -> Secret:
        """Of the 32 bytes of a key."""
        made = super().__new__(cls, shown(digest(clamped(raw))))
        made.raw = clamped(raw)
        return made

    def __getnewargs__(self) -> Any:
        raise TypeError("a secret is not copied")


def shown(found: str) -> str:
    """A digest in words."""
    return f"the key {found}" if found else NONE


class KeyFile(NamedTuple):
    """Digests of the key in a file: as a private key, and as a preshared one. ``trouble``: why it has none."""

    private: str = ""
    preshared: str = ""
    trouble: str = ""


class WireguardPeer(NamedTuple):
    """``endpoint`` is "ADDRESS:PORT", "" for none; ``preshared`` a digest; ``age`` seconds since the last handshake."""

    public_key: str
    preshared: str = ""
    endpoint: str = ""
    keepalive: int = 0
    allowed_ips: tuple[str, ...] = ()
    age: float | None = None


class WireguardDevice(NamedTuple):
    """``private`` is a digest, "" for no key."""

    private: str = ""
    listen_port: int = 0
    fwmark: int = 0
    peers: tuple[WireguardPeer, ...] = ()


class PeerSettings(NamedTuple):
    """A peer to write, whole; None and "": unchanged. ``remove``: it goes."""

    public_key: str
    remove: bool = False
    preshared_key_file: str = ""
    endpoint: str = ""
    keepalive: int | None = None
    allowed_ips: tuple[str, ...] = ()
