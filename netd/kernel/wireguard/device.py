"""Reading and writing a WireGuard device, by a socket of generic netlink in the namespace of the calling thread.

Of generic netlink this is all that netd needs; a library takes 0.3 s and 20 MB to import, forks for each namespace, and
has keys in its messages.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

from netd.errors import KernelError, kernel_error
from netd.kernel.rtnl import wire
from netd.kernel.rtnl.netlink_socket import HEADER, messages, refusal
from netd.model.operations import SetWireguard
from netd.model.state import attributes
from netd.model.wireguard import WireguardDevice

from . import codec, key_files

NETLINK_GENERIC = 16
#: include/uapi/linux/genetlink.h.
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
FAMILY, VERSION = "wireguard", 1
LARGEST = 1 << 18


class Generic:
    """A socket of generic netlink."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC)
        self._sequence = 0

    def __enter__(self) -> Generic:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, kind: int, command: int, flags: int, body: bytes) -> list[bytes]:
        """The bodies of the answer; KernelError."""
        self._sequence += 1
        head = struct.pack("=BBxx", command, VERSION)
        flags |= wire.NLM_F_REQUEST
        request = HEADER.pack(20 + len(body), kind, flags, self._sequence, 0) + head + body
        try:
            self._socket.send(request)
            return self._answer()
        except OSError as error:
            raise kernel_error(error.errno or errno.EIO, "generic netlink") from None

    def _answer(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            for message in messages(self._socket.recv(LARGEST)):
                if message.sequence != self._sequence:
                    continue
                if message.kind in (wire.NLMSG_ERROR, wire.NLMSG_DONE):
                    refused = refusal(message)
                    if refused is not None:
                        raise refused
                    return found
                found.append(message.body[4:])

    def family(self) -> int:
        """The number of WireGuard's messages; KernelError ENOENT where the kernel has none."""
        body = wire.text(CTRL_ATTR_FAMILY_NAME, FAMILY)
        (answer,) = self.ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, wire.NLM_F_ACK, body)
        number: int = struct.unpack("=H", attributes(answer)[CTRL_ATTR_FAMILY_ID])[0]
        return number


def _dump(generic: Generic, family: int, index: int) -> list[bytes]:
    return generic.ask(family, codec.GET_DEVICE, wire.NLM_F_DUMP | wire.NLM_F_ACK, wire.u32(codec.IFINDEX, index))


def read(index: int) -> WireguardDevice | None:
    """A device, None if there is no such one; KernelError."""
    with Generic() as generic:
        try:
            return codec.decode(_dump(generic, generic.family(), index))
        except KernelError as error:
            if error.code in (errno.ENODEV, errno.EOPNOTSUPP, errno.ENOENT):
                return None
            raise


def write(index: int, settings: SetWireguard, inside: Callable[[Callable[[], Generic]], Generic]) -> None:
    """Writes settings; a private key file that is missing is created. KernelError."""
    with inside(Generic) as generic:
        family = generic.family()
        private = settings.private_key.raw if settings.private_key is not None else b""
        if settings.private_key_file:
            present = codec.private_key(_dump(generic, family, index))
            private = key_files.read_or_create(settings.private_key_file, present)
        peers = [
            (peer, key_files.needed(peer.preshared_key_file) if peer.preshared_key_file else b"")
            for peer in settings.peers
        ]
        for body in codec.device_messages(index, private, settings.listen_port, settings.fwmark, peers):
            generic.ask(family, codec.SET_DEVICE, wire.NLM_F_ACK, body)
