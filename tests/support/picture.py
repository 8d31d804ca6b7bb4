"""All that the kernel has in a pretend host and its namespaces, object by object, so that two moments can be compared.

What only counts or runs (timers, counters, states of the spanning tree, learnt neighbours, link-local addresses) is
left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.support.host import Host

#: Prints JSON, one value after another: a namespace's name, then everything in it.
LOOK = """
printf 'link\\naddr\\nroute show table all\\nrule\\nneigh show nud permanent\\n' > /run/picture
printf 'route show table all\\nrule\\n' > /run/picture6
for path in self /run/netns/*; do
    name=${path##*/}; test "$path" != self || name=
    test -z "$name" || nsenter --net="$path" true 2>/dev/null || continue
    printf '"%s" %s\\n' "$name" "$(stat -L -c %i "${name:+$path}" 2>/dev/null || echo 0)"
    at() { if test -n "$name"; then nsenter --net="$path" "$@"; else "$@"; fi; }
    at ip -j -d -batch /run/picture; echo '"six"'
    at ip -6 -j -batch /run/picture6
    at bridge -j fdb; at nft -j list ruleset
    at grep -s . /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv6/conf/*/disable_ipv6 |
        awk -F: 'BEGIN {printf "{"} {printf "%s\\"%s\\":%s", (NR > 1 ? "," : ""), $1, $2} END {print "}"}'
done
"""
#: Fields that move by themselves.
RESTLESS = re.compile(
    r".*(_timer|designated|root_|topology_|bridge_id).*|operstate|stats.*|qdisc|state|no|config_pending|"
    r"(max|min)_mtu|(t|g)so_.*|gro_.*|flags|ifindex|link_index|link_netnsid|txqlen|group_addr|num_[rt]x_queues|"
    r"valid_life_time|preferred_life_time|handle|packets|bytes|pref|nhid|parentdev|parentbus|linkmode|allmulti"
)


class Thing(NamedTuple):
    """One object: which one it is (ifindex, inode, handle; None where it has none), and what is said of it."""

    identity: Any
    value: str


Picture = dict[str, Thing]


def picture(host: Host) -> Picture:
    """As it is now."""
    return dict(things(values(host.run("sh", "-c", LOOK))))


def values(text: str) -> Iterator[Any]:
    """JSON values, one after another."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        yield value


def things(stream: Iterator[Any]) -> Iterator[tuple[str, Thing]]:
    """The objects of every namespace in turn."""
    for name in stream:
        inode = next(stream)
        yield f"namespace/{name}", Thing(inode if name else 0, "")
        links, addresses, routes4, rules4, neighbors, _six, routes6, rules6, entries, nft, sysctls = (
            next(stream) for _ in range(11)
        )
        where = f"{name}:"
        for one in links:
            one.get("linkinfo", {}).get("info_slave_data", {}).pop("id", None)
            yield f"{where}link/{one['ifname']}", Thing(one["ifindex"], plain(one | {"up": "UP" in one["flags"]}))
        for one in addresses:
            for info in one.get("addr_info", ()):
                if info["scope"] != "link" and not info.get("tentative"):
                    cidr = f"{info['local']}/{info['prefixlen']}"
                    yield f"{where}address/{one['ifname']}/{cidr}", Thing(None, plain(info))
        for one in (*routes4, *routes6):
            if one.get("table") != "local" and not one["dst"].startswith(("fe80:", "ff00:", "multicast")):
                yield f"{where}route/{plain(one)}", Thing(None, "")
        for one in (*rules4, *rules6):
            yield f"{where}rule/{plain(one)}", Thing(None, "")
        for one in neighbors:
            yield f"{where}neighbor/{one['dev']}/{one['dst']}", Thing(None, plain(one))
        for one in entries:
            if "dst" in one and "permanent" in one["state"]:
                yield f"{where}fdb/{one['ifname']}/{one['mac']}/{one['dst']}", Thing(None, plain(one))
        yield from rulesets(where, nft["nftables"])
        for path, value in sysctls.items():
            yield f"{where}sysctl/{path.removeprefix('/proc/sys/net/')}", Thing(None, str(value))


def rulesets(where: str, objects: list[Any]) -> Iterator[tuple[str, Thing]]:
    """The tables; the identity of one is its handle: netd must not write anew what stands."""
    for number, one in enumerate(objects):
        if "table" in one:
            table = one["table"]
            yield f"{where}nft/{table['family']}/{table['name']}", Thing(table["handle"], plain(table))
        elif "metainfo" not in one:
            kind, body = next(iter(one.items()))
            owner = f"{body['family']}/{body['table']}"
            place = sum(owner == f"{of['family']}/{of['table']}" for of in bodies(objects[:number]))
            yield f"{where}nft/{owner}/{place}", Thing(None, f"{kind} {plain(body)}")


def bodies(objects: list[Any]) -> Iterator[Any]:
    for one in objects:
        body = next(iter(one.values()))
        if "table" in body:
            yield body


def plain(value: Any) -> str:
    """Without what is restless, as text."""

    def still(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: still(below) for key, below in part.items() if not RESTLESS.fullmatch(key)}
        return [still(below) for below in part] if isinstance(part, list) else part

    return json.dumps(still(value), sort_keys=True)


def differences(before: Picture, after: Picture, loose: set[str]) -> list[str]:
    """What was there and is not as it was. ``loose``: these may be other ones, with the same to be said of them."""
    found = []
    for key, thing in before.items():
        now = after.get(key)
        if now is None:
            found.append(f"{key} is gone")
        elif now.value != thing.value:
            found.append(f"{key} was {thing.value} and is {now.value}")
        elif now.identity != thing.identity and key not in loose:
            found.append(f"{key} is another one: {now.identity} instead of {thing.identity}")
    return found
