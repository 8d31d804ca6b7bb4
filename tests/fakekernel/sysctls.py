"""Kernel parameters: those that matter to netd, and how one of them changes others."""

from __future__ import annotations

import errno

from netd.errors import kernel_error
from netd.model.invalidation import Invalidation

from . import addresses
from .machine import FakeMachine
from .space import LOOPBACK, FakeNamespace

CONF: dict[str, dict[str, str]] = {
    "net/ipv4/conf": {"forwarding": "0", "rp_filter": "0", "proxy_arp": "0", "accept_redirects": "1"},
    "net/ipv6/conf": {"disable_ipv6": "0", "accept_ra": "1", "forwarding": "0"},
}
PLAIN = {"net/ipv4/ip_forward": "0", "net/ipv4/ip_default_ttl": "64", "net/core/somaxconn": "4096"}


def equip(space: FakeNamespace) -> None:
    """The defaults of a new namespace."""
    space.sysctls.update(PLAIN)
    for name in ("all", "default", "lo"):
        for folder, keys in CONF.items():
            space.sysctls.update({f"{folder}/{name}/{key}": value for key, value in keys.items()})


def add_link(space: FakeNamespace, name: str) -> None:
    """A new link has the values of "default"."""
    for folder, keys in CONF.items():
        for key in keys:
            space.sysctls[f"{folder}/{name}/{key}"] = space.sysctls[f"{folder}/default/{key}"]


def drop_link(space: FakeNamespace, name: str) -> None:
    """Removes its directory."""
    for folder, keys in CONF.items():
        for key in keys:
            space.sysctls.pop(f"{folder}/{name}/{key}", None)


def rename_link(space: FakeNamespace, old: str, new: str) -> None:
    """Renames its directory, and keeps the values."""
    for folder, keys in CONF.items():
        for key in keys:
            space.sysctls[f"{folder}/{new}/{key}"] = space.sysctls.pop(f"{folder}/{old}/{key}")


def write(machine: FakeMachine, space: FakeNamespace, path: str, value: str) -> None:
    """One write(2); KernelError ENOENT, EINVAL."""
    if path not in space.sysctls:
        raise kernel_error(errno.ENOENT, f"sysctl {path} = {value}")
    if not value.lstrip("-").isdigit():
        raise kernel_error(errno.EINVAL, f"sysctl {path} = {value}")
    before = space.sysctls[path]
    space.sysctls[path] = value
    machine.announce(space, Invalidation("sysctl", path=path))
    if before == value:
        return
    if path in ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"):
        # inet_forward_change() in net/ipv4/devinet.c.
        for other in space.sysctls:
            if other == "net/ipv4/ip_forward" or (other.startswith("net/ipv4/conf/") and other.endswith("/forwarding")):
                space.sysctls[other] = value
        space.sysctls["net/ipv4/conf/all/accept_redirects"] = "1" if value == "0" else "0"
        machine.announce(space, Invalidation("sysctl"))
    elif path == "net/ipv6/conf/all/forwarding":
        # addrconf_fixup_forwarding() in net/ipv6/addrconf.c.
        for other in [
            other for other in space.sysctls if other.startswith("net/ipv6/") and other.endswith("forwarding")
        ]:
            space.sysctls[other] = value
        machine.announce(space, Invalidation("sysctl"))
    elif path == "net/ipv6/conf/all/disable_ipv6":
        for other in [other for other in space.sysctls if other.endswith("/disable_ipv6")]:
            space.sysctls[other] = value
        if value != "0":
            _no_ipv6(machine, space)
        elif space.links[LOOPBACK].up:
            addresses.equip_loopback(space)


def _no_ipv6(machine: FakeMachine, space: FakeNamespace) -> None:
    """addrconf_ifdown() of every link."""
    for index, found in space.addresses.items():
        for address in [address for address in found if ":" in address]:
            addresses.drop(machine, space, index, address)
    space.routes = [route for route in space.routes if ":" not in route.to or not route.nexthops]
    machine.announce(space, Invalidation("routes"))
