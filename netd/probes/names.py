"""Questions to DNS servers, and the addresses of names as a namespace knows them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from netd.config.checks.table import CheckTable
from netd.config.checks.values import HOST_PORT, split

from .sockets import Failed, Sockets, family_of, why
from .transport import connected

if TYPE_CHECKING:
    from dns.message import Message

PORT = 53


def own_file(netns: str, name: str) -> str:
    """The file in /etc that processes in a namespace see, ip-netns(8)."""
    with contextlib.suppress(OSError), open(f"/etc/netns/{netns}/{name}", encoding="utf-8", errors="replace") as file:
        if netns:
            return file.read()
    with contextlib.suppress(OSError), open(f"/etc/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""


def lines(text: str) -> Iterator[list[str]]:
    """The words of each line, without comments."""
    for line in text.splitlines():
        found = line.partition("#")[0].split()
        if found:
            yield found


def servers(netns: str) -> list[str]:
    """The name servers of a namespace, resolv.conf(5)."""
    return [words[1] for words in lines(own_file(netns, "resolv.conf")) if words[0] == "nameserver" and len(words) > 1]


class Names:
    """Addresses of names: of namespaces in the files, then of hosts(5), then of the name servers."""

    def __init__(self, sockets: Sockets, declared: Mapping[str, Sequence[str]]) -> None:
        self._sockets = sockets
        self._declared = declared

    async def address(self, netns: str, name: str, limit: float) -> str:
        """An address of a name, or the address itself. Failed."""
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(name))
        if self._declared.get(name):
            return self._declared[name][0]
        for address, *known in lines(own_file(netns, "hosts")):
            if name in known:
                return address
        for kind in ("A", "AAAA"):
            with contextlib.suppress(Failed):
                found = await self.ask(netns, name, kind, "", limit)
                return next(each for each in found if is_address(each))
        raise Failed(f"the name '{name}' has no address: it is no namespace, and neither hosts nor DNS knows it")

    async def check(self, netns: str, table: CheckTable, limit: float) -> str:
        """One attempt of a ``dns`` check."""
        name, wanted = str(table.dns), table.answer
        kinds = ("AAAA",) if wanted and ":" in wanted else ("A",) if wanted else ("A", "AAAA")
        problems: list[str] = []
        for kind in kinds:
            try:
                found = await self.ask(netns, name, kind, table.server or "", limit)
            except Failed as error:
                problems.append(str(error))
                continue
            if wanted is None or canonical(wanted) in map(canonical, found):
                return ", ".join(found)
            problems.append(f"the answer is {', '.join(found)}, without {wanted}")
        raise Failed(problems[0])

    async def ask(self, netns: str, name: str, kind: str, server: str, limit: float) -> list[str]:
        """The answers to one question. Failed, also where there are none."""
        import dns.message
        import dns.rcode

        found = [server] if server else servers(netns)
        if not found:
            raise Failed("no server is given, and resolv.conf has none")
        address, port = split(found[0]) if HOST_PORT.fullmatch(found[0]) else (found[0], PORT)
        answer = await self._exchange(netns, address, port, dns.message.make_query(name, kind), limit)
        if answer.rcode() != dns.rcode.NOERROR:
            raise Failed(f"{address} answers {dns.rcode.to_text(answer.rcode())} for {name}")
        texts = [each.to_text() for group in answer.answer for each in group]
        if not texts:
            raise Failed(f"{address} has no {kind} record of {name}")
        return texts

    async def _exchange(self, netns: str, address: str, port: int, question: Message, limit: float) -> Message:
        import dns.exception
        import dns.flags
        import dns.query

        try:
            with contextlib.closing(self._sockets.open(netns, address, socket.SOCK_DGRAM)) as opened:
                opened.connect((address, port))
                answer = await asyncio.to_thread(_over_udp, question, address, port, limit, opened)
            if answer.flags & dns.flags.TC:
                with contextlib.closing(await connected(self._sockets, netns, address, port, limit)) as opened:
                    answer = await asyncio.to_thread(dns.query.tcp, question, address, limit, sock=opened)
        except dns.exception.Timeout:
            raise Failed(f"{address} does not answer within {limit:.3g} s") from None
        except dns.exception.DNSException as error:
            raise Failed(f"{address} answers wrongly: {error}") from None
        except OSError as error:
            raise Failed(f"{address}: {why(error)}") from None
        return answer


def _over_udp(question: Message, address: str, port: int, limit: float, opened: socket.socket) -> Message:
    import dns.query

    return dns.query.udp(question, address, limit, port, sock=opened, ignore_unexpected=True)


def is_address(text: str) -> bool:
    """Whether a record is an address, not a name."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text)) or family_of(text) is not None
    return False


def canonical(text: str) -> str:
    """An address, or a name, in one form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.rstrip(".").lower()
