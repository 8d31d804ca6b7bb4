"""MAC addresses of links that netd makes: chosen once, and the same ones after a reboot."""

from __future__ import annotations

import hashlib
import os

from netd.model.key import LinkName


def _local(raw: bytes) -> str:
    """A locally administered unicast address (IEEE 802-2014, 8.4.2) of six bytes."""
    return bytes([raw[0] & 0xFC | 0x02, *raw[1:6]]).hex(":")


def random_mac() -> str:
    """A random one."""
    return _local(os.urandom(6))


def derived_mac(link: LinkName, key: bytes) -> str:
    """The MAC of this link on this machine, derived from the machine's secret ``key``."""
    return _local(hashlib.blake2b(f"{link.netns}\0{link.name}".encode(), key=key, digest_size=6).digest())


def remembered_mac(written: str | None, remembered: str | None, link: LinkName, key: bytes) -> str:
    """The MAC of the create call: as written, else as before, else that of its name, or (no ``key``) a random one.

    A MAC in the create call stays: neither udev nor a port that leaves the bridge changes it.
    """
    return written or remembered or (derived_mac(link, key) if key else random_mac())
