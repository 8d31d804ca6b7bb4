"""HTTP requests over a connection that was opened in a namespace."""

from __future__ import annotations

import asyncio
import http.client
import socket
from urllib.parse import urlsplit

from netd.config.checks.table import CheckTable

from .sockets import Failed, Sockets, why
from .transport import connected

PORTS = {"http": 80, "https": 443}
#: Bytes of an answer that are searched for ``body``.
LARGEST = 1 << 20
#: Statuses that count as good where the check names none.
GOOD = range(200, 400)


async def request(sockets: Sockets, netns: str, address: str, table: CheckTable, limit: float) -> str:
    """One GET; redirections are not followed. Failed."""
    parts = urlsplit(str(table.http))
    port = parts.port or PORTS[parts.scheme]
    opened = await connected(sockets, netns, address, port, limit)
    opened.setblocking(True)
    opened.settimeout(limit)
    try:
        return await asyncio.to_thread(exchange, opened, table)
    except TimeoutError:
        raise Failed(f"connected, and no answer within {limit:.3g} s") from None
    except (OSError, http.client.HTTPException) as error:
        said = why(error) if isinstance(error, OSError) else str(error) or type(error).__name__
        raise Failed(f"connected, and the answer fails: {said}") from None
    finally:
        opened.close()


def exchange(opened: socket.socket, table: CheckTable) -> str:
    """The request and its answer, in a thread: the library blocks."""
    parts = urlsplit(str(table.http))
    if parts.scheme == "https":
        import ssl

        opened = ssl.create_default_context().wrap_socket(opened, server_hostname=parts.hostname)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.sock = opened
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", path, headers={"Host": parts.netloc.rpartition("@")[2], "User-Agent": "netd-test"})
    answer = connection.getresponse()
    body = answer.read(LARGEST)
    if table.status is not None and answer.status != table.status:
        raise Failed(f"status {answer.status} {answer.reason}, not {table.status}")
    if table.status is None and answer.status not in GOOD:
        raise Failed(f"status {answer.status} {answer.reason}")
    if table.body is not None and table.body.encode() not in body:
        raise Failed(f"status {answer.status}, and the answer of {len(body)} bytes does not contain '{table.body}'")
    return f"status {answer.status}"
