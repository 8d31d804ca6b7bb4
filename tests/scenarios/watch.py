"""Two labs that do not touch each other, and whether anything happens to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.host import Host

A = """
[namespace.a.veth.eth0]
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true
peer = { name = "to-a", addresses = ["10.1.0.254/24", "fd01::254/64"], nodad = true }
"""
B = A.replace("namespace.a", "namespace.b").replace("to-a", "to-b").replace("10.1.", "10.2.").replace("fd01", "fd02")


def indexes(host: Host, *names: str) -> list[int]:
    """The indexes of the host's links: another one would be another link."""
    return [host.link(name)["ifindex"] for name in names]


@contextlib.contextmanager
def nothing_happens(host: Host) -> Iterator[None]:
    """Fails when the kernel announces any change of links, addresses or routes on the host meanwhile."""
    monitor = host.start("ip", "monitor", "link", "address", "route", "rule")

    def mark(number: int) -> int:
        """Makes the monitor show a route to 198.18.0.NUMBER, and says where in its text."""
        address = f"198.18.0.{number}"

        def seen() -> bool:
            host.sh(f"ip route add blackhole {address}; ip route del blackhole {address}")
            return address in monitor.text()

        host.until(seen, "the monitor sees a mark")
        return monitor.text().find(address)

    begin = mark(1)
    yield
    end = mark(2)
    # The kernel finishes its own link-local addresses whenever it likes.
    own = ("198.18.0.", "fe80::", "valid_lft")
    changes = [line for line in monitor.text()[begin:end].splitlines()[1:-1] if not any(word in line for word in own)]
    assert not changes, f"something was changed: {changes}"
