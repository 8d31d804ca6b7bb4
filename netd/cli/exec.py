"""``netd exec``: runs a command in a namespace; its exit status is the command's."""

from __future__ import annotations

import argparse
import os
import shutil

from netd.errors import UsageError
from netd.kernel.kernel import Kernel

from .main import need_root

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before the command was started"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd exec``."""
    parser.add_argument("namespace", metavar="NAMESPACE", help="a namespace that 'ip netns' knows")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments")


def run(options: argparse.Namespace) -> int:
    """Hands over to ``ip netns exec``, which also brings /etc/netns and /sys of the namespace."""
    need_root("exec")
    if not options.command:
        raise UsageError("netd exec NAMESPACE COMMAND...: which command?")
    if Kernel().cookie(options.namespace) is None:
        raise UsageError(f"there is no namespace '{options.namespace}': 'ip netns' lists them")
    program = shutil.which("ip")
    if program is None:
        raise UsageError("'ip' is not installed: install iproute2")
    os.execv(program, ["ip", "netns", "exec", options.namespace, *options.command])
