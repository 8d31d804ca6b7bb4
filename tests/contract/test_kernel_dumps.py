"""A dump that is interrupted by a change is taken again (NLM_F_DUMP_INTR, netlink(7))."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.kernel_sandbox import lonely_kernel, sh

#: So many links that a dump of them takes several reads.
LINKS = 200


class Disturbed:
    """A socket of which the first read is followed by ``between``; counts what was asked."""

    def __init__(self, real: socket.socket, between: Callable[[], object]) -> None:
        self._real = real
        self._between: Callable[[], object] | None = between
        self.asked = 0

    def send(self, data: bytes) -> int:
        self.asked += 1
        return self._real.send(data)

    def recv(self, size: int) -> bytes:
        data = self._real.recv(size)
        if self._between is not None:
            between, self._between = self._between, None
            between()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize(("change", "name"), [("ip link add late type bridge", "late"), ("ip link del br7", "")])
def test_a_dump_that_a_change_interrupts_is_repeated(change: str, name: str) -> None:
    with lonely_kernel() as kernel:
        sh(f"seq {LINKS} | sed 's/.*/link add br& type bridge/' | ip -batch -")
        with kernel.open("") as session:
            disturbed = Disturbed(session.rtnl.socket, lambda: sh(change))
            session.rtnl.socket = disturbed  # type: ignore[assignment]
            names = [link.name for link in session.links()]
            assert disturbed.asked == 2
            expected = {"lo", *(f"br{n}" for n in range(1, LINKS + 1))} | {name} - {""}
            assert sorted(names) == sorted(expected - (set() if name else {"br7"}))
