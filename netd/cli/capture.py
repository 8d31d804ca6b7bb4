"""``netd capture``: packets of many links in many namespaces. Exit: 0, 1 error."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator, Sequence

from netd.capture.bpf import compile_filter
from netd.capture.recording import Recording, Source
from netd.capture.sinks import Interface, JsonSink, PcapngSink, Sink, TextSink, reason_of_end
from netd.errors import KernelError, NetdError, UsageError
from netd.kernel.kernel import Kernel
from netd.kernel.packets.ring import Packet
from netd.model.key import HOST, LinkName
from netd.model.state import Link

from .arguments import duration, link_name, positive
from .main import did_you_mean, need_root

#: Said after Ctrl-C before anything was captured.
INTERRUPTED = "interrupted before the capture began"
#: The end of an error about a link that is not there.
LIST_ADVICE = ": 'netd capture --list' lists the links"
#: What a name of several links is written with.
WILDCARDS = frozenset("*?[")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``netd capture``."""
    parser.add_argument(
        "links",
        metavar="LINK",
        nargs="*",
        help="[NAMESPACE:]NAME; * and ? stand for any characters, as in 'a:*'",
    )
    parser.add_argument(
        "--path", metavar=("FROM", "TO"), nargs=2, help="the links on the way of a packet and its answer: 'netd trace'"
    )
    parser.add_argument("--list", action="store_true", help="list the links of all namespaces")
    parser.add_argument("-w", metavar="FILE", dest="file", help="write pcapng into FILE; - is standard output")
    parser.add_argument("-f", metavar="FILTER", dest="filter", default="", help="only these packets: pcap-filter(7)")
    parser.add_argument("-c", metavar="COUNT", dest="count", type=positive, help="end after so many packets")
    parser.add_argument(
        "--for", metavar="DURATION", dest="duration", type=duration, help="end after this: 500ms, 10s, 5m"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON document for each packet, or the list as JSON"
    )


def run(options: argparse.Namespace) -> int:
    """Captures until Ctrl-C, COUNT or DURATION."""
    need_root("capture")
    kernel = Kernel()
    if options.list:
        return print_list(kernel, as_json=options.json)
    names = chosen(kernel, options)
    if options.file == "-" and os.isatty(1):
        raise UsageError("-w - writes binary data: not to a terminal, but '| wireshark -k -i -' or '> FILE'")
    with open_recording(kernel, names, options.filter) as recording, open_sink(options, recording, names) as sink:
        return capture(recording, sink, options)


# which links --------------------------------------------------------------------------------------------------------


def all_links(kernel: Kernel) -> dict[LinkName, Link]:
    """Every link of the host and of all named namespaces."""
    found: dict[LinkName, Link] = {}
    for netns in (HOST, *kernel.names()):
        with contextlib.suppress(KernelError), kernel.open(netns) as session:
            found |= {LinkName(netns, link.name): link for link in session.links()}
    return found


def print_list(kernel: Kernel, *, as_json: bool) -> int:
    """What can be captured."""
    links = all_links(kernel)
    if as_json:
        rows = [
            {"link": str(name), "namespace": name.netns, "name": name.name, "kind": link.kind, "up": link.up}
            for name, link in links.items()
        ]
        print(json.dumps({"version": 1, "links": rows}, indent=2))
        return 0
    width = max((len(str(name)) for name in links), default=0)
    for name, link in links.items():
        print(f"{name!s:{width}}  {link.kind or '-':10}  {'up' if link.up else 'down'}")
    return 0


def chosen(kernel: Kernel, options: argparse.Namespace) -> list[LinkName]:
    """The links to capture, each once. UsageError for a name of none."""
    if options.path:
        return on_path(options)
    if not options.links:
        raise UsageError("which links? 'netd capture LINK...' names them, and 'netd capture --list' lists them")
    there = all_links(kernel)
    found: dict[LinkName, None] = {}
    for text in options.links:
        meant = matching(text, there)
        if not meant:
            raise UsageError(f"there is no link '{text}'{did_you_mean(text, map(str, there)) or LIST_ADVICE}")
        found.update(dict.fromkeys(meant))
    return list(found)


def on_path(options: argparse.Namespace) -> list[LinkName]:
    """The links between FROM and TO, as ``netd trace`` finds them now."""
    from netd.trace.live import links_of

    from .trace import followed

    _, answer = followed(options, *options.path)
    ways = [way for way in answer if way is not None]
    found = links_of(step for way in ways for step in way.steps)
    if not found:
        raise UsageError(f"from {options.path[0]} to {options.path[1]} there is no link: {answer.forth.reason}")
    return [*dict.fromkeys([*found, *(LinkName(*link_name(text)) for text in options.links)])]


def matching(text: str, there: Collection[LinkName]) -> list[LinkName]:
    """The links that a LINK argument means."""
    name = link_name(text)
    if name in there:
        return [name]
    if name.netns == "host" and LinkName(HOST, name.name) in there:
        return [LinkName(HOST, name.name)]
    if WILDCARDS.isdisjoint(text):
        return []
    return [
        one for one in there if fnmatch.fnmatchcase(one.netns, name.netns) and fnmatch.fnmatchcase(one.name, name.name)
    ]


@contextlib.contextmanager
def open_recording(kernel: Kernel, names: Sequence[LinkName], expression: str) -> Iterator[Recording]:
    """Taps all links. The filter is compiled before anything is opened; UsageError for a link that is away."""
    with_header = compile_filter(expression, ethernet=True)
    recording = Recording(kernel, [Source(name, with_header) for name in names])
    try:
        for tap, name in zip(recording.taps, names, strict=True):
            try:
                tap.open()
            except (KernelError, OSError) as error:
                raise UsageError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
            if expression and tap.ring is not None and not tap.ring.ethernet:
                tap.use(compile_filter(expression, ethernet=False))
        yield recording
    finally:
        recording.close()


# where to -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_sink(options: argparse.Namespace, recording: Recording, names: Sequence[LinkName]) -> Iterator[Sink]:
    """The file, or the lines on standard output. UsageError for a file that cannot be written."""
    interfaces = [
        Interface(str(name), tap.ring is None or tap.ring.ethernet, options.filter)
        for name, tap in zip(names, recording.taps, strict=True)
    ]
    if options.file is None:
        yield (JsonSink if options.json else TextSink)(interfaces, lambda line: print(line, flush=True))
        return
    if options.file == "-":
        yield PcapngSink(1, interfaces)
        return
    try:
        descriptor = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{options.file}: {error.strerror}") from None
    try:
        yield PcapngSink(descriptor, interfaces)
    finally:
        os.close(descriptor)


# capturing ----------------------------------------------------------------------------------------------------------


def capture(recording: Recording, sink: Sink, options: argparse.Namespace) -> int:
    """To the end; says on stderr what came of it."""
    left = options.count
    taken = 0
    failed = ""
    ended = False

    def stop(*_: object) -> None:
        nonlocal ended
        ended = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    deadline = None if options.duration is None else time.monotonic() + options.duration
    announce(recording)

    def take(packets: list[Packet]) -> None:
        nonlocal taken
        packets = packets if left is None else packets[: left - taken]
        if packets:
            sink.take(packets)
            taken += len(packets)

    try:
        for packets in recording.packets(deadline):
            take(packets)
            if ended or (left is not None and taken >= left):
                break
        if left is None or taken < left:
            take(recording.rest())
        sink.finish(recording.began, [(tap.received, tap.dropped) for tap in recording.taps])
    except OSError as error:
        failed = reason_of_end(error)
        if error.errno is None:
            raise
    dropped = sum(tap.dropped for tap in recording.taps)
    if not failed:
        told = f"{taken} packets captured" + (
            f", {dropped} lost: the disk, or the reader, was too slow" if dropped else ""
        )
        print(f"netd: {told}", file=sys.stderr)
        return 0
    raise NetdError(f"{options.file or 'standard output'}: {failed}")


def announce(recording: Recording) -> None:
    """A person waits for the moment from which on packets are seen."""
    number = len(recording.taps)
    print(
        f"netd: capturing on {number} {'link' if number == 1 else 'links'}; Ctrl-C ends it", file=sys.stderr, flush=True
    )
