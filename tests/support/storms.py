"""What else a daemon lives with: storms of changes, many askers, hostile names, and a journal that is stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from tests.support.journal import fields

#: Shell: each takes back what it made, whatever of it the kernel takes. (dash's printf knows octal numbers only.)
STORMS = {
    "routes": """
        for n in $(seq 500); do echo "route add 10.78.$((n / 250)).$((n % 250))/32 via 10.230.4.5"; done |
            ip -force -batch - 2>/dev/null
        for n in $(seq 500); do echo "route del 10.78.$((n / 250)).$((n % 250))/32"; done |
            ip -force -batch - 2>/dev/null
        """,
    "nftables": """
        nft add table inet bystorm
        nft add chain inet bystorm forward '{ type filter hook forward priority 5; policy accept; }'
        { for n in $(seq 200); do echo "add rule inet bystorm forward ip saddr 10.79.0.$n drop"; done; } | nft -f -
        for n in 1 2 3 4 5; do nft flush chain inet bystorm forward; done
        nft delete table inet bystorm
        """,
    "hostile names": """
        name=$(printf 'by\\033[31mx'); ip link add "$name" type bridge; ip link set "$name" up
        ip link property add dev "$name" altname "$(printf 'by\\033]0;y\\007')"
        nft add table inet byhostile
        nft add chain inet byhostile forward '{ type filter hook forward priority 6; policy accept; }'
        nft add rule inet byhostile forward counter accept comment "$(printf '"x\\ny\\033[2J"')"
        ip route add 10.78.9.0/24 dev "$name"
        ip link del "$name"; nft delete table inet byhostile
        """,
}
#: Connections at once, and what each sends.
ASKERS = 64
REQUESTS = (
    b'{"verb": "status"}\n',
    b"[[[[[[[\n",
    b"",
    b'{"verb": "wait", "objects": ["bridge/none"]}\n',
    b"\0\xff\n" * 1000,
)


def ask_all_at_once(path: Path) -> None:
    """Many connections to the status socket: some ask, some send what nobody understands, none reads."""
    connections = []
    for number in range(ASKERS):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(1)
        connections.append(connection)
        with contextlib.suppress(OSError):
            connection.connect(str(path))
            connection.sendall(REQUESTS[number % len(REQUESTS)])
    for connection in connections:
        connection.close()


class StoppableJournal:
    """systemd-journald, as far as a daemon sees it; while ``stopped``, nobody reads its socket."""

    def __init__(self, root: Path) -> None:
        directory = root / "run/systemd/journal"
        directory.mkdir(parents=True)
        self._reading = threading.Event()
        self._reading.set()
        self._messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "socket"))
        self._socket.settimeout(0.2)
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended:
            self._reading.wait()
            with contextlib.suppress(TimeoutError, ValueError):
                entry = fields(self._socket.recv(1 << 18))
                self._messages += [entry.get("MESSAGE", ""), entry.get("NETD_TRACEBACK", "")]
                del self._messages[:-4000]

    @property
    def stopped(self) -> bool:
        """Whether it does not read."""
        return not self._reading.is_set()

    def stop(self) -> None:
        """SIGSTOP."""
        self._reading.clear()

    def go_on(self) -> None:
        """SIGCONT."""
        self._reading.set()

    def text(self) -> str:
        """The last messages."""
        return "\n".join(self._messages)

    def end(self) -> None:
        """Nobody listens any more."""
        self._ended = True
        self.go_on()
        self._thread.join()
        self._socket.close()
