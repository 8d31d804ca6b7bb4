"""What netd made is kept as it made it, in every attribute that changes where packets go."""

from __future__ import annotations

import pytest

from tests.support.field import LAB
from tests.support.host import Host

V6 = "fd07::11/64 dev eth0 nodad"
HARMS = {
    "a port that somebody stopped": ("bridge link set dev p-one state 0", ""),
    "the MAC of a bridge": ("ip link set br0 address 02:00:00:00:00:99", ""),
    "the MAC of a namespace's end": ("ip link set eth0 address 02:00:00:00:00:98", "one"),
    "the source of a default route": ("ip route replace default via 10.7.0.1 dev eth0 src 10.7.0.99", "one"),
    "the MTU of a default route": ("ip route replace default via 10.7.0.1 dev eth0 mtu 600", "one"),
    "the source of an IPv6 default route": ("ip -6 route change default via fd07::1 src fd07::99 metric 1024", "one"),
    "an address without its route": (f"ip -6 addr change {V6} noprefixroute", "one"),
    "an address whose route has another metric": ("ip addr change 10.7.0.11/24 dev eth0 metric 999", "one"),
    "an IPv6 address whose route has another metric": (f"ip -6 addr change {V6} metric 999", "one"),
    "an address that is no source any more": (f"ip -6 addr change {V6} preferred_lft 0", "one"),
    "an IPv4 address without its route": (
        "ip addr del 10.7.0.11/24 dev eth0; ip addr add 10.7.0.11/24 dev eth0 noprefixroute; "
        "ip route add default via 10.7.0.1 dev eth0 onlink 2>/dev/null || :",
        "one",
    ),
}  # fmt: skip


def picture(host: Host) -> list[str]:
    """All that decides about packets of the lab, without what counts or passes."""
    shown = []
    for ns in ("", "one"):
        shown += host.run("ip", "-br", "link", ns=ns).splitlines()
        shown += [line for line in host.run("ip", "-o", "addr", ns=ns).splitlines() if "scope link" not in line]
        for family in ("-4", "-6"):
            shown += sorted(host.run("ip", family, "route", "show", "table", "main", ns=ns).splitlines())
    shown.append(host.json("ip", "-j", "-d", "link", "show", "p-one")[0]["linkinfo"]["info_slave_data"]["state"])
    return shown


@pytest.mark.parametrize("harm", HARMS)
def test_it_is_put_right(host: Host, harm: str) -> None:
    command, ns = HARMS[harm]
    host.write("lab.toml", LAB)
    daemon = host.daemon()
    host.sh("ip addr add 10.7.0.99/32 dev lo; ip addr add fd07::99/128 dev lo nodad", ns="one")
    host.ping("10.7.0.11", "fd07::11")
    before = picture(host)
    with daemon.asleep():
        host.sh(command, ns=ns)
        host.until(lambda: picture(host) != before, "something is wrong")

    def back() -> bool:
        now = picture(host)
        if now != before:
            raise LookupError("\n".join(sorted(set(now) ^ set(before))))
        return True

    host.until(back, "everything is as it was")
    host.ping("10.7.0.1", "fd07::1", ns="one")
