"""Runs a function in a process of its own, which may be killed on the way."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any


class Killed(Exception):
    """The process ended by SIGKILL."""


def in_a_process(action: Callable[[], Any]) -> Any:
    """What ``action`` returns (it is pickled); Killed where the process was, AssertionError where it failed."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.close(read)
            try:
                answer = (True, action())
            except BaseException:
                answer = (False, traceback.format_exc())
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(answer, pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        content = pipe.read()
    _, ended = os.waitpid(pid, 0)
    if os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL:
        raise Killed
    assert content, f"the process ended without a word, with status {ended:#x}"
    worked, value = pickle.loads(content)
    assert worked, value
    return value


def kill_yourself() -> None:
    """At once, without any last word."""
    os.kill(os.getpid(), signal.SIGKILL)
