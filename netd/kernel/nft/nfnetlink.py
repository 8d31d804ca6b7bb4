"""nf_tables as the kernel reports it: tables, chains and rules (include/uapi/linux/netfilter/nf_tables.h).

Only dumps are sent: reading is no transaction and causes no event. What a rule does is kept as far as netd needs it:
its comment (also the xt match that iptables-restore makes of one), the link it matches, where it ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from netd.errors import kernel_error
from netd.kernel.netns.setns import OWN, enter

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
GETTABLE, GETCHAIN, GETRULE, GETSETELEM = 1, 4, 7, 13
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
NLMSG_ERROR, NLMSG_DONE = 2, 3
#: NFPROTO_*, as nft(8) names them.
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
NUMBERS = {name: number for number, name in FAMILIES.items()}
#: A dump that changes meanwhile is given up after so many tries; the event of the next change has it read again.
TRIES = 10


@dataclass(frozen=True, slots=True)
class NftTable:
    """``dormant``: the table is there, its chains are off. ``owner``: only the process that made it may change it."""

    family: str
    name: str
    dormant: bool = False
    owner: bool = False


@dataclass(frozen=True, slots=True)
class NftChain:
    """``hook`` is NF_INET_* (None: not a base chain), ``policy`` the verdict at its end (0 drop, 1 accept)."""

    family: str
    table: str
    name: str
    type: str = ""
    hook: int | None = None
    priority: int = 0
    policy: int = 1


@dataclass(frozen=True, slots=True)
class Element:
    """Of a set: one key, or the first of an interval that reaches to the next that ``ends`` one (and is not in it)."""

    key: bytes
    ends: bool


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression of a rule: its name and its attributes, {NFTA_*: payload}."""

    name: str
    attributes: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class NftRule:
    """``comment`` is nft's own, "" none. ``raw`` is NFTA_RULE_EXPRESSIONS: few rules are looked into."""

    family: str
    table: str
    chain: str
    handle: int
    comment: str
    raw: bytes

    @property
    def expressions(self) -> list[Expression]:
        """What the rule does, in its order."""
        found = []
        for _, element in _attributes(self.raw):
            parts = dict(_attributes(element))
            found.append(Expression(_text(parts.get(1, b"")), dict(_attributes(parts.get(2, b"")))))
        return found


class Reader:
    """A socket in the calling thread's namespace; KernelError where the kernel refuses."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        close_later(self._socket)

    def tables(self) -> list[NftTable]:
        """All tables."""
        found = []
        for family, attributes in self._dump(GETTABLE, 0, b""):
            flags = _number(attributes.get(2, b""))
            found.append(NftTable(family, _text(attributes.get(1, b"")), bool(flags & 1), bool(flags & 2)))
        return found

    def chains(self) -> list[NftChain]:
        """All chains of all tables."""
        return [_chain(family, attributes) for family, attributes in self._dump(GETCHAIN, 0, b"")]

    def rules(self, family: str, table: str) -> list[NftRule]:
        """The rules of one table, chain after chain, each in its order."""
        wanted = _name(1, table)
        return [_rule(of, attributes) for of, attributes in self._dump(GETRULE, NUMBERS[family], wanted)]

    def elements(self, family: str, table: str, name: str) -> list[Element]:
        """What is in a set, in the kernel's order."""
        wanted = _name(1, table) + _name(2, name)
        found = []
        for _, attributes in self._dump(GETSETELEM, NUMBERS[family], wanted):
            for _, one in _attributes(attributes.get(3, b"")):
                parts = dict(_attributes(one))
                ends = bool(_number(parts.get(3, b"")) & 1)
                found.append(Element(nested(parts.get(1, b"")).get(1, b""), ends))
        return found

    def _dump(self, message: int, family: int, payload: bytes) -> list[tuple[str, dict[int, bytes]]]:
        for _ in range(TRIES):
            parts = self._ask(message, family, payload)
            if parts is not None:
                return [(FAMILIES.get(part[0], str(part[0])), dict(_attributes(part[4:]))) for part in parts if part]
        raise kernel_error(errno.EBUSY, "nftables keeps changing while it is read")

    def _ask(self, message: int, family: int, payload: bytes) -> list[bytes] | None:
        """The messages' payloads, all received before any is decoded; None: changed meanwhile."""
        kind = NFNL_SUBSYS_NFTABLES << 8 | message
        head = struct.pack("=IHHII", 20 + len(payload), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        self._socket.send(head + struct.pack("=BBH", family, 0, 0) + payload)
        parts: list[bytes] = []
        torn = False
        while True:
            data = self._socket.recv(1 << 18)
            offset = 0
            while offset + 16 <= len(data):
                length, kind, flags = struct.unpack_from("=IHH", data, offset)
                body = data[offset + 16 : offset + length]
                torn = torn or bool(flags & NLM_F_DUMP_INTR)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                    if code and code != errno.EINTR:
                        raise kernel_error(code, "nftables cannot be read")
                    return None if torn or code else parts
                parts.append(body)
                offset += max(16, length + 3 & ~3)


def _chain(family: str, attributes: dict[int, bytes]) -> NftChain:
    hook = dict(_attributes(attributes.get(4, b"")))
    return NftChain(
        family,
        _text(attributes.get(1, b"")),
        _text(attributes.get(3, b"")),
        _text(attributes.get(7, b"")),
        _number(hook[1]) if 1 in hook else None,
        _number(hook.get(2, b""), signed=True),
        _number(attributes[5]) if 5 in attributes else 1,
    )


def _rule(family: str, attributes: dict[int, bytes]) -> NftRule:
    return NftRule(
        family,
        _text(attributes.get(1, b"")),
        _text(attributes.get(2, b"")),
        _number(attributes.get(3, b"")),
        _comment(attributes.get(7, b"")),
        attributes.get(4, b""),
    )


def _comment(userdata: bytes) -> str:
    """The comment among libnftnl's type, length, value triples (NFTNL_UDATA_RULE_COMMENT is 0)."""
    offset = 0
    while offset + 2 <= len(userdata):
        kind, length = userdata[offset], userdata[offset + 1]
        if kind == 0:
            return _text(userdata[offset + 2 : offset + 2 + length])
        offset += 2 + length
    return ""


def nested(payload: bytes) -> dict[int, bytes]:
    """The attributes within an attribute."""
    return dict(_attributes(payload))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += length + 3 & ~3


def _name(kind: int, text: str) -> bytes:
    """Decodes text without loss: the kernel accepts any bytes."""
    return _attribute(kind, text.encode(errors="surrogateescape") + b"\0")


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def _number(payload: bytes, signed: bool = False) -> int:
    return int.from_bytes(payload, "big", signed=signed)


def _text(payload: bytes) -> str:
    return payload.partition(b"\0")[0].decode(errors="surrogateescape")


#: Imported outside: this is the namespace that the process belongs to.
_home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
_closing: deque[socket.socket] = deque()
_lock = threading.Lock()
_closer: threading.Thread | None = None
_holds = 0
#: Sockets that wait at most: each is a descriptor and keeps a namespace alive.
HELD = 32


@contextlib.contextmanager
def deferred_closes() -> Iterator[None]:
    """For several transactions in a row: a close that waits holds nf_tables' commit_mutex, and so the next of them.

    Of many, the first are closed all the same.
    """
    global _holds
    with _lock:
        _holds += 1
    try:
        yield
    finally:
        with _lock:
            _holds -= 1
            _start_closer()


def close_later(sock: socket.socket) -> None:
    """Closes a netfilter socket in a thread: the kernel disposes of deleted rules before it returns (12 ms).

    The thread ends with its work.
    """
    with _lock:
        _closing.append(sock)
        _start_closer()


def _start_closer() -> None:
    global _closer
    if _closer is None and not _at_rest():
        _closer = threading.Thread(target=_close_all, name="netd-nft-close")
        _closer.start()


def _at_rest() -> bool:
    """Whether nothing is to be closed now."""
    return not _closing or bool(_holds and len(_closing) <= HELD)


def _close_all() -> None:
    global _closer
    # A thread that starts while its parent is inside a namespace would keep that one alive.
    with contextlib.suppress(OSError):
        enter(_home)
    while True:
        with _lock:
            if _at_rest():
                _closer = None
                return
            sock = _closing.popleft()
        sock.close()
