"""nftables: one transaction through libnftables, and the present rules through netlink.

Writing wants nft's compiler, so it uses libnftables, by ctypes: ``pip-nftables`` is the same ctypes wrapper, but it
frees its context when the garbage collector likes, and shares the module name of Debian's ``python3-nftables``.
A context is a socket in the namespace of the calling thread. Closing one waits for the kernel to dispose of what was
deleted (12 ms), so a second descriptor keeps the socket open until a thread of its own closes it.

Reading sends four dumps and no transaction, see ``nfnetlink``.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import socket
from collections.abc import Sequence

from netd.errors import KernelError, Refused, as_kernel_error, kernel_error
from netd.kernel.descriptors import LOW
from netd.model.firewall import BaseChain, Firewall

from . import base_chains, nfnetlink
from . import iptables_legacy as legacy
from . import own_table as ruleset

LIBRARY = "libnftables.so.1"
#: Why nftables refuses a process with CAP_NET_ADMIN: a table with "flags owner".
OWNED = "the table belongs to a process that lets no other process change it (firewalld: set NftablesTableOwner=no)"
#: socket(7); Python's socket module does not have it.
SO_PROTOCOL = 38
#: What the kernel answers where nf_tables is not in it (net/netfilter/nfnetlink.c).
ABSENT = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT})


def read() -> Firewall:
    """The calling thread's namespace. Where the kernel has no nftables: without them.

    Whatever comes of reading the chains of other tools stays with those who need to know them: netd's own table is
    read apart.
    """
    tables: list[nfnetlink.NftTable] = []
    chains: list[nfnetlink.NftChain] = []
    own: list[nfnetlink.NftRule] = []
    found: tuple[BaseChain, ...] = ()
    unreadable = ""
    try:
        with nfnetlink.Reader() as reader:
            chains = reader.chains()
            tables = reader.tables()
            if any(ruleset.is_own(table.family, table.name) for table in tables):
                own = reader.rules(*ruleset.OWN)
            found, unreadable = _foreign(tables, chains, reader)
    except KernelError as error:
        if error.code not in ABSENT:
            raise
    legacy_chains, legacy_unreadable = _legacy()
    return ruleset.firewall(tables, chains, own, (*found, *legacy_chains), unreadable or legacy_unreadable)


def _foreign(
    tables: Sequence[nfnetlink.NftTable], chains: Sequence[nfnetlink.NftChain], reader: nfnetlink.Reader
) -> tuple[tuple[BaseChain, ...], str]:
    """The base chains of other tools, or why they cannot be read."""
    try:
        rules = [rule for chain in base_chains.packet_chains(chains) for rule in reader.rules(*chain)]
        return tuple(base_chains.base_chains(tables, chains, rules, reader.elements)), ""
    except Exception as error:
        return (), f"the rules of nftables cannot be read: {error or type(error).__name__}"


def _legacy() -> tuple[tuple[BaseChain, ...], str]:
    """The same of legacy iptables."""
    try:
        return tuple(legacy.read()), ""
    except Exception as error:
        return (), f"the rules of legacy iptables cannot be read: {error or type(error).__name__}"


def run(text: str) -> None:
    """One transaction of nft(8) text, all of it or nothing; KernelError with nft's own words.

    What goes into netd's own table is read back and sealed, see ``ruleset``.
    """
    with nfnetlink.deferred_closes():
        _transact(text)
        if ruleset.fills_own(text):
            with nfnetlink.Reader() as reader:
                rules = reader.rules(*ruleset.OWN)
            _transact(ruleset.seal(rules))


def _transact(text: str) -> None:
    library = _library()
    # The lowest free descriptor is the one that libnftables' socket will get.
    with as_kernel_error("nft: a descriptor for its socket"):
        lowest = os.open("/", os.O_PATH)
    os.close(lowest)
    if lowest >= LOW:
        raise kernel_error(errno.EMFILE, f"nft: its socket needs a descriptor below {LOW}, and all are in use")
    context = library.nft_ctx_new(0)
    copy = _second(lowest)
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        if library.nft_run_cmd_from_buffer(context, text.encode(errors="surrogateescape")) != 0:
            raise _error(library.nft_ctx_get_error_buffer(context).decode(errors="replace"))
    finally:
        library.nft_ctx_free(context)
        if copy is not None:
            nfnetlink.close_later(copy)


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise Refused(errno.EOPNOTSUPP, f"{LIBRARY} is not installed (Debian, Ubuntu: libnftables1)") from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_free.restype = None
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


#: The errno of each text of strerror: libnftables reports text only.
_CODES = {os.strerror(code): code for code in errno.errorcode}


def _error(words: str) -> KernelError:
    """The first complaint: "internal:0:0-0: Error: Could not process rule: No such file or directory".

    nft 1.1 adds to some of them what may have been meant: "No such file or directory; did you mean table ...".
    """
    found = re.search(r"Error: (.*)", words)
    line = (found.group(1) if found else words).strip()
    reason = line.partition("; did you mean ")[0].rpartition(": ")[2]
    if reason in _CODES:
        code, line = _CODES[reason], line.partition(reason)[0].rstrip(": ")
    else:
        code = errno.EINVAL
    if code == errno.EPERM:
        line = f"{line}: {OWNED}"
    return kernel_error(code, f"nft: {line}")


def _second(number: int) -> socket.socket | None:
    """A second descriptor, if this one is libnftables' socket."""
    try:
        copy = socket.socket(fileno=os.dup(number))
    except OSError:
        return None
    if copy.getsockopt(socket.SOL_SOCKET, SO_PROTOCOL) == nfnetlink.NETLINK_NETFILTER:
        return copy
    copy.close()
    return None
