"""TUN and TAP devices, tuntap(8): rtnetlink shows them, but only ioctls on /dev/net/tun create and change them."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Mapping

from netd.errors import kernel_error
from netd.model.state import attributes

#: What rtnetlink calls them.
KIND = "tun"
DEVICE = "/dev/net/tun"
#: include/uapi/linux/if_tun.h.
TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP = 0x400454CA, 0x400454CB, 0x400454CC, 0x400454CE
IFF_TUN, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR, IFF_TUN_EXCL = 0x1, 0x100, 0x1000, 0x4000, 0x8000
#: IFLA_TUN_*, include/uapi/linux/if_link.h.
OWNER, GROUP, TYPE, PI, VNET_HDR, PERSIST, MULTI_QUEUE = range(1, 8)
#: struct ifreq: the name, and flags; 40 bytes.
IFREQ = struct.Struct("=16sH22x")


def flags_of(info: Mapping[int, bytes]) -> int:
    """IFF_* of a device with these attributes; without packet information, as ip-tuntap(8) creates it."""

    def is_set(number: int) -> bool:
        return any(info.get(number, b""))

    flags = info[TYPE][0] if info.get(TYPE) else IFF_TUN
    flags |= 0 if is_set(PI) else IFF_NO_PI
    return flags | (IFF_VNET_HDR if is_set(VNET_HDR) else 0) | (IFF_MULTI_QUEUE if is_set(MULTI_QUEUE) else 0)


def opened(name: str, flags: int) -> int:
    """A descriptor that is attached to the device of that name, in the namespace of the thread; KernelError."""
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise kernel_error(errno.EOPNOTSUPP, "Unknown device type") from None
        raise kernel_error(error.errno or errno.EIO, f"opening {DEVICE}") from None
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, IFREQ.pack(name.encode(), flags))
    except OSError as error:
        os.close(descriptor)
        if flags & IFF_TUN_EXCL and error.errno == errno.EBUSY:
            raise kernel_error(errno.EEXIST, "") from None
        text = "a process uses it" if error.errno == errno.EBUSY else f"attaching to {name}"
        raise kernel_error(error.errno or errno.EIO, text) from None
    return descriptor


def set_options(descriptor: int, info: Mapping[int, bytes]) -> None:
    """Sets owner, group, and last whether the device stays once nothing is attached; KernelError."""
    for number, request in ((OWNER, TUNSETOWNER), (GROUP, TUNSETGROUP), (PERSIST, TUNSETPERSIST)):
        if number in info:
            try:
                fcntl.ioctl(descriptor, request, int.from_bytes(info[number], sys.byteorder))
            except OSError as error:
                raise kernel_error(error.errno or errno.EIO, f"setting option {number} of a tun device") from None


def create(name: str, info: Mapping[int, bytes]) -> int:
    """A descriptor of a new device, which ends with it unless ``set_options`` makes it persistent; KernelError."""
    return opened(name, flags_of(info) | IFF_TUN_EXCL)


def change(name: str, present: bytes, info: Mapping[int, bytes]) -> None:
    """Changes a device, of which ``present`` is IFLA_INFO_DATA; KernelError EBUSY while a process uses it."""
    descriptor = opened(name, flags_of(attributes(present)))
    try:
        set_options(descriptor, info)
    finally:
        os.close(descriptor)
