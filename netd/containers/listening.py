"""The process that holds a listening Unix socket: read by sock_diag(7), because any user can choose misleading names.

/proc/net/unix has one line for each socket and its name at the end, as it was given: a newline in the name of an
abstract socket makes a line of the user's own. The kernel's answer by netlink has the inode of the socket's file
instead. The text is read only if the kernel has no unix_diag, and invalid lines of it are skipped.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from netd.model.state import attributes

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
#: Of struct unix_diag_req: states (TCP_LISTEN alone), and what to show (UDIAG_SHOW_VFS).
LISTEN, SHOW_VFS = 1 << 10, 0x2
#: struct unix_diag_msg: family, type, state, inode, cookie. UNIX_DIAG_VFS: inode and device of the file.
MESSAGE = struct.Struct("=BBBxI8x")
UNIX_DIAG_VFS = 1
VFS = struct.Struct("=II")
#: unix(7) sockets of the namespace that the calling thread is in.
TEXT = "/proc/thread-self/net/unix"
#: __SO_ACCEPTCON, include/uapi/linux/net.h.
LISTENING = "00010000"


def listeners(path: str) -> set[str]:
    """The sockets that listen at a path, as links of descriptors name them: "socket:[1234]"."""
    try:
        # By the inode alone: some file systems have another device for stat(2) than for the kernel.
        wanted = os.stat(path).st_ino & 0xFFFFFFFF
    except OSError:
        return set()
    try:
        return {f"socket:[{number}]" for number, inode in _asked() if inode == wanted}
    except OSError:
        return {f"socket:[{number}]" for number in _read(path)}


def _asked() -> Iterator[tuple[int, int]]:
    """(number, inode of its file) of each listening socket that has one. OSError: the kernel cannot tell."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as asking:
        body = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, LISTEN, 0, SHOW_VFS, 0xFFFFFFFF, 0xFFFFFFFF)
        asking.send(struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body)
        while True:
            data = asking.recv(1 << 16)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                message = data[at + 16 : at + length]
                if kind == NLMSG_DONE or length < 16:
                    return
                if kind == NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", message)[0], "sock_diag")
                if kind == SOCK_DIAG_BY_FAMILY and len(message) >= MESSAGE.size:
                    file = attributes(message[MESSAGE.size :]).get(UNIX_DIAG_VFS, b"")
                    if len(file) >= VFS.size:
                        yield MESSAGE.unpack_from(message)[3], VFS.unpack_from(file)[0]
                at += (length + 3) & ~3


def _read(path: str) -> Iterator[int]:
    """The same from the text, as far as it can be trusted."""
    real = os.path.realpath(path)
    with suppress(OSError), open(TEXT, encoding="utf-8", errors="replace") as sockets:
        for line in sockets:
            words = line.split(None, 7)
            if len(words) == 8 and words[3] == LISTENING and words[6].isascii() and words[6].isdigit():
                name = words[7].rstrip("\n")
                # Connections carry the name of the socket, too.
                if os.path.basename(name) == os.path.basename(path) and "\0" not in name:
                    yield from [int(words[6])] if os.path.realpath(name) == real else []
