"""MAC addresses of links that netd makes: chosen once, kept for ever."""

from __future__ import annotations

import os


def random_mac() -> str:
    """A locally administered unicast address (IEEE 802-2014, 8.4.2)."""
    raw = bytearray(os.urandom(6))
    raw[0] = (raw[0] & 0xFC) | 0x02
    return raw.hex(":")


def remembered_mac(written: str | None, remembered: str | None) -> str:
    """The MAC of the create call: as written, else as before, else a new one.

    A MAC in the create call stays: neither udev nor a port that leaves the bridge changes it.
    """
    return written or remembered or random_mac()
