"""``netd import``: what stands in the kernel as TOML, for the configuration directory. Exit: 0."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator

from netd.engine.mac_key import load_mac_key
from netd.errors import UsageError
from netd.kinds.link.mac import derived_mac
from netd.model.key import HOST, LinkName
from netd.topology.importing.facts import Facts
from netd.topology.importing.importer import imported
from netd.topology.importing.kernel_facts import KernelFacts
from netd.topology.importing.strangers import strangers

from .look import Look, look
from .main import did_you_mean, need_root
from .view.selection import HOST_WORD

#: Said after Ctrl-C.
INTERRUPTED = "interrupted before everything was read; nothing was changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd import``."""
    parser.add_argument(
        "namespaces",
        metavar="NAMESPACE",
        nargs="*",
        help="only these namespaces ('host' is the host; default: it and all that 'ip netns' lists)",
    )
    parser.add_argument(
        "--all", action="store_true", help="also what Docker and other tools manage, and routes of routing daemons"
    )


def run(options: argparse.Namespace) -> int:
    """Prints a file."""
    need_root("import")
    with look(options) as found:
        names = chosen(options.namespaces, found)
        for line in lines(options, found, names):
            print(line)
    return 0


def lines(options: argparse.Namespace, found: Look, names: list[str]) -> Iterator[str]:
    """The file, with a head that says where it comes from."""
    ledger = found.reconciler.ledger
    key = load_mac_key(options.cache_dir, write=False).key

    def mac(at: LinkName) -> str:
        return derived_mac(at, key)

    facts = Facts(
        found.topology,
        KernelFacts(found.mirror),
        records=dict(ledger.items()),
        derived_mac=mac if key else None,
        everything=options.all,
        skipped={} if options.all else strangers(found.topology),
    )
    yield f"# The network of {platform.node()}, as 'netd import' found it. 'netd check' and 'netd diff' compare it."
    yield ""
    yield from imported(facts, names)


def chosen(names: list[str], found: Look) -> list[str]:
    """The namespaces that are asked for; UsageError for one that is not there."""
    known = list(found.topology.namespaces)
    for name in names:
        if name not in known and name != HOST_WORD:
            raise UsageError(f"there is no namespace '{name}'{did_you_mean(name, known)}")
    wanted = [HOST if name == HOST_WORD and HOST_WORD not in known else name for name in names]
    return list(dict.fromkeys(wanted)) or known
