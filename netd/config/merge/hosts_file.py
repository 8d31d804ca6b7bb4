"""The content of hosts(5) in namespaces: all namespaces of all files with their addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from netd.kinds.address import AddressKind
from netd.kinds.etc import HOSTS, EtcKind
from netd.model.desired import Desired
from netd.model.file_content import FileContent
from netd.model.key import Key

LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
#: Addresses that only the namespace itself can use.
OWN = ("127.", "::1", "fe80:")
#: Begins a comment in hosts(5).
COMMENT = "#"


def with_hosts(desired: Mapping[Key, Desired]) -> Mapping[Key, Desired]:
    """The same objects; each hosts file has its lines. All of them share one text."""
    keys = [key for key in desired if key.kind == EtcKind.name and key.name.rpartition("/")[2] == HOSTS]
    if not keys:
        return desired
    head = desired[keys[0]].fields["content"].text
    fields = {"content": FileContent(head + LOCAL + "".join(lines(desired)))}
    return {**desired, **{key: replace(desired[key], fields=fields) for key in keys}}


def lines(desired: Mapping[Key, Desired]) -> Iterator[str]:
    """One for each address, in the order of the files."""
    for key in desired:
        if key.kind == AddressKind.name and key.netns and COMMENT not in key.netns:
            address = key.name.split("/")[1]
            if not address.startswith(OWN):
                yield f"{address} {key.netns}\n"
