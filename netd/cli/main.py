"""``netd``: finds the verb and calls its module, which is imported only then."""

from __future__ import annotations

import argparse
import importlib
import io
import keyword
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from netd import __version__
from netd.errors import NetdError
from netd.report.terminal import escaping

from . import interrupt

#: Verb: what it does. Its module is ``module_of`` it.
VERBS = {
    "run": "run the daemon: keep the network as declared until it is stopped",
    "check": "validate the files; changes nothing, needs no root",
    "diff": "show what differs between the files and the kernel; changes nothing",
    "apply": "apply the files once, verify the result, and exit",
    "reload": "let the daemon read its files now, and wait for the result",
    "down": "remove what netd created",
    "status": "show the state of the daemon and of each object",
    "import": "print what stands in the kernel as TOML, for /etc/netd",
    "show": "show all about one thing, declared beside actual",
    "top": "show states, repairs and rates live",
    "watch": "show the state, then every change as it happens",
    "graph": "show how namespaces and links are connected, as they are now",
    "wait": "wait until the network is up, or some of its objects",
    "capture": "capture packets of many links, in many namespaces, into one pcapng file",
    "try": "put files into force for a minute, and keep them only if you confirm",
    "edit": "edit a file: check it, show what it changes, and try it",
    "fault": "keep a fault on a link on purpose: down, flapping, or impaired",
    "trace": "follow a packet, and its answer, step by step: what decides, and where it is lost",
    "test": "try the checks of the files: what must be reachable, and what must not",
    "web": "serve the live page of the network, for a browser",
    "exec": "run a command in a namespace",
    "schema": "print the JSON schema of the files, for editors",
}
DIRECTORIES = (
    ("--config-dir", "NETD_CONFIG_DIR", "/etc/netd", "the *.toml files"),
    ("--state-dir", "NETD_STATE_DIR", "/run/netd", "ledger, socket and lock; must not survive a reboot"),
    ("--cache-dir", "NETD_CACHE_DIR", "/var/lib/netd", "last good copies of the files"),
)
#: The messages of argparse for an unknown verb, and for another word that it does not know.
UNKNOWN_VERB = re.compile(r"^argument VERB: invalid choice: '(.*?)' \(choose from ")
UNKNOWN_WORD = re.compile(r"^argument \S+: invalid choice: '(.*?)' \(choose from (.*)\)$")


def module_of(verb: str) -> str:
    """netd.cli.VERB; with an underscore where Python has the word for itself."""
    return f"netd.cli.{verb}_" if keyword.iskeyword(verb) else f"netd.cli.{verb}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ": did you mean 'status'?", or nothing."""
    import difflib

    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f": did you mean '{close[0]}'?" if close else ""


def directory_path(text: str) -> str:
    """The path of a directory; "" is an error, because it would mean the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("the path of a directory cannot be empty")
    return text


def add_directory_options(parser: argparse.ArgumentParser, *, suppress: bool = False) -> None:
    """The options that hold for all verbs, before or behind the verb."""
    group = parser.add_argument_group("directories")
    for option, variable, default, what in DIRECTORIES:
        value = argparse.SUPPRESS if suppress else os.environ.get(variable) or default
        words = f"{what} (${variable}, else {default})"
        group.add_argument(option, metavar="DIR", type=directory_path, default=value, help=words)


class Parser(argparse.ArgumentParser):
    """An invalid command line exits with 1, because 2 has another meaning (``diff``, ``status``)."""

    def error(self, message: str) -> NoReturn:
        """Prints the usage and the error, and exits."""
        unknown, word = UNKNOWN_VERB.search(message), UNKNOWN_WORD.search(message)
        if word and not unknown:
            message += did_you_mean(word[1], re.findall(r"[\w-]+", word[2]))
        if unknown:
            message = f"there is no command '{unknown[1]}'{did_you_mean(unknown[1], VERBS)}"
            advice = f"'{self.prog} --help' lists the commands"
        else:
            advice = f"'{self.prog} --help' explains it"
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message} ({advice})\n")


def build_parser(*verbs_in_full: str | None) -> argparse.ArgumentParser:
    """The whole parser; only the modules of ``verbs_in_full`` are imported, and so only their arguments known."""
    parser = Parser(
        prog="netd",
        description="Builds the virtual network that the files in /etc/netd describe, and keeps it so.",
        epilog="'netd VERB --help' explains a verb. The files are described in netd.toml(5).",
    )
    parser.add_argument("--version", action="version", version=f"netd {__version__}")
    add_directory_options(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, what in VERBS.items():
        sub = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        add_directory_options(sub, suppress=True)
        if name in verbs_in_full:
            importlib.import_module(module_of(name)).add_arguments(sub)
    return parser


def verb_of(arguments: Sequence[str]) -> str | None:
    """The first word that is neither an option nor the directory behind one."""
    taken = {option for option, *_ in DIRECTORIES}
    words = zip(["", *arguments], arguments, strict=False)
    found = next((word for before, word in words if before not in taken and not word.startswith("-")), None)
    return found if found in VERBS else None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Names of files and objects may contain bytes that are not UTF-8.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Names, comments and messages of other tools may contain control characters.
    sys.stdout, sys.stderr = escaping(sys.stdout), escaping(sys.stderr)
    verb = verb_of(arguments)
    options = build_parser(verb).parse_args(arguments)
    command = importlib.import_module(module_of(options.verb))
    try:
        interrupt.guard_work()
        status: int = command.run(options)
        return status
    except NetdError as error:
        print(f"netd: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        said = getattr(command, "INTERRUPTED", "interrupted: nothing was changed")
        interrupt.guard_end(said)
        return interrupt.tell(said)
    finally:
        interrupt.guard_end()


def need_root(verb: str) -> None:
    """Exits with one line if netd needs root."""
    if os.geteuid() != 0:
        raise NetdError(f"'netd {verb}' needs root: try 'sudo netd {verb}'")
