"""Deleting links without waiting for the answer, which comes 15 ms after the link is gone (an RCU grace period).

The request is sent by a thread of its own, with a socket of its own. The caller continues as soon as none of the links
is there any more: names, addresses and VNIs are free then (net/core/dev.c, netdev_run_todo: the wait is outside of
rtnl).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from netd.errors import KernelError

from .netlink_socket import Rtnl
from .wire import Request

#: Seconds between checks; each check waits for rtnl, and so for the deletion.
PAUSE = 0.0001
Replies = list[tuple[KernelError | None, list[bytes]]]


def delete_and_wait(rtnl: Rtnl, requests: Sequence[Request], gone: Callable[[], bool]) -> Replies | None:
    """Sends ``requests`` at once; returns None as soon as all is ``gone``, or the answers if they come first.

    The thread closes ``rtnl``.
    """
    answers: list[Replies] = []
    done = threading.Event()

    def send() -> None:
        try:
            answers.append(rtnl.atomic(requests))
        finally:
            rtnl.close()
            done.set()

    threading.Thread(target=send, name="netd-dispose").start()
    while not done.wait(PAUSE):
        if gone():
            return None
    return answers[0]
