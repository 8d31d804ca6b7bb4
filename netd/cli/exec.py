"""``netd exec``: runs a command in a namespace; its exit status is the command's."""

from __future__ import annotations

import argparse
import os

from netd.engine.ledger import Ledger
from netd.errors import KernelError, UsageError
from netd.kernel.kernel import Kernel
from netd.kernel.netns.enter import enter_for_good
from netd.model.key import HOST, namespace_key

from .main import need_root
from .setup import LEDGER

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before the command was started"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd exec``."""
    parser.usage = f"{parser.prog} [-h] NAMESPACE COMMAND..."
    parser.add_argument("namespace", metavar="NAMESPACE", help="a namespace that 'ip netns' lists")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="the command and its arguments")


def run(options: argparse.Namespace) -> int:
    """Goes into the namespace, with its /sys and the files of /etc/netns, and becomes the command.

    Only if the name still leads to the namespace that netd manages: a link to a process leads to any process that
    has this number now.
    """
    need_root("exec")
    if not options.command:
        raise UsageError("netd exec NAMESPACE COMMAND...: the command is missing")
    name, kernel = options.namespace, Kernel()
    try:
        descriptor = kernel.descriptor(name)
    except KernelError:
        raise UsageError(f"there is no namespace '{name}': 'ip netns' lists them") from None
    cookie = kernel.cookie_of_namespace(descriptor)
    record = Ledger(os.path.join(options.state_dir, LEDGER), write=False).get(namespace_key(name))
    known = record.identity.get("cookie") if record is not None else None
    if cookie == kernel.cookie(HOST):
        raise UsageError(f"'{name}' is the host's own network: the command was not run ('netd status' shows more)")
    if known is not None and cookie != known:
        raise UsageError(
            f"'{name}' is not the namespace that netd manages under this name: the command was not run "
            "('netd status' shows more)"
        )
    try:
        enter_for_good(descriptor, name)
        os.execvp(options.command[0], options.command)
    except FileNotFoundError:
        raise UsageError(f"there is no command '{options.command[0]}'") from None
    except OSError as error:
        raise UsageError(f"{options.command[0]}: {error.strerror}") from None
