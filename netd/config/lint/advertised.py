"""A warning where forwarding would cost this machine the IPv6 default route that a router advertises to it.

A machine that forwards ignores router advertisements, and drops what it had from them, unless ``accept_ra`` of the link
is 2 (net/ipv6/addrconf.c).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from netd.config.diagnostics.problem import Problem, Source
from netd.config.diagnostics.schema import titled
from netd.config.facts import setting_key, setting_kind
from netd.model.desired import Desired
from netd.model.key import HOST, Key

ROUTES, ADDRESSES = "/proc/net/ipv6_route", "/proc/net/if_inet6"
CONF = "/proc/sys/net/ipv6/conf"
RTF_ADDRCONF, IFA_F_PERMANENT, GLOBAL = 0x40000, 0x80, "00"
BOTH = "2"


def advertised_warnings(desired: Mapping[Key, Desired], sources: Mapping[str, Source]) -> Iterator[Problem]:
    """One for each declaration that turns forwarding on where a link that has its route from a router is left out."""
    links: list[str] | None = None
    for key, each in desired.items():
        kind = setting_kind(key) if key.netns == HOST else None
        parts = kind.path_of(key).split("/") if kind is not None else []
        if parts[:3] != ["net", "ipv6", "conf"] or parts[-1:] != ["forwarding"] or each.fields["value"] == "0":
            continue
        links = sorted(_advertised()) if links is None else links
        for link in links:
            accept = setting_key(HOST, f"net/ipv6/conf/{link}/accept_ra")
            if parts[3] not in ("all", link) or each.file not in sources:
                continue
            written = desired.get(accept)
            if (written.fields["value"] if written is not None else _value(link)) != BOTH:
                text = (
                    f"{link} has its IPv6 default route or address from a router's advertisements, "
                    f"which a machine that forwards ignores: write {accept.name} = 2 as well"
                )
                yield sources[each.file].problem(each.origins[0].path, titled(each.origins[0].path, text), warning=True)


def _advertised() -> set[str]:
    """Links with a default route, or a global address, that a router advertised."""
    found: set[str] = set()
    with contextlib.suppress(OSError, ValueError), open(ROUTES, encoding="ascii") as table:
        for words in map(str.split, table):
            if words[1] == "00" and int(words[8], 16) & RTF_ADDRCONF:
                found.add(words[9])
    with contextlib.suppress(OSError, ValueError), open(ADDRESSES, encoding="ascii") as table:
        for words in map(str.split, table):
            if words[3] == GLOBAL and not int(words[4], 16) & IFA_F_PERMANENT:
                found.add(words[5])
    return found - {"lo"}


def _value(link: str) -> str:
    with contextlib.suppress(OSError), open(f"{CONF}/{link}/accept_ra", encoding="ascii") as file:
        return file.read().strip()
    return ""
