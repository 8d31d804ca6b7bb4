"""The types of values in tables: checked, and brought into one canonical form."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from netd.model.names import host_name, link_name, namespace_name

#: The prefix of a machine's name that is used instead of its address.
PREFIX = "host:"
MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
#: Names that iproute2 knows without a file (/etc/iproute2/rt_tables).
TABLES = {"default": 253, "main": 254, "local": 255}
TABLE_NAMES = {number: name for name, number in TABLES.items()}


class Range(NamedTuple):
    """The least and the most that a number can be."""

    least: int
    most: int

    def __call__(self, value: int) -> int:
        if value < self.least:
            raise ValueError(f"must be at least {self.least}, not {value}")
        if value > self.most:
            raise ValueError(f"must be at most {self.most}, not {value}")
        return value


@dataclass(frozen=True, eq=False)
class Form:
    """``check`` brings a value into its canonical form; ValueError where it has none.

    ``words`` say what it is and ``pattern`` how it looks (a regular expression as of JSON schema, for editors).
    """

    check: Callable[[Any], Any]
    words: str = ""
    pattern: str = ""

    def __call__(self, value: Any) -> Any:
        return self.check(value)


def not_empty(value: list[Any]) -> list[Any]:
    """An array of one or more."""
    if not value:
        raise ValueError("must not be empty")
    return value


class Family(enum.IntEnum):
    """The version of IP."""

    IPV4 = 4
    IPV6 = 6


def family_of(text: str) -> Family:
    """That of an address or network."""
    return Family.IPV6 if ":" in text else Family.IPV4


def canonical_address(text: str) -> str:
    """An IPv4 or IPv6 address, without prefix or zone."""
    if "%" in text:
        raise ValueError(f"'{text}' has a zone: write the address alone and the link in its own key")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"'{text}' is not an IPv4 or IPv6 address") from None


def canonical_interface(text: str) -> str:
    """An address with its prefix length ("192.168.1.1/24")."""
    if "/" not in text:
        canonical_address(text)
        width = 32 if family_of(text) == 4 else 128
        raise ValueError(f"'{text}' has no prefix length: write '{text}/24' (or '/{width}' for a single address)")
    try:
        if "%" in text:
            raise ValueError
        address = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"'{text}' is not an address with a prefix length, such as 192.168.1.1/24") from None
    if address.ip.is_multicast or (address.ip.is_unspecified):
        raise ValueError(f"'{text}' cannot be the address of a link")
    return str(address)


def canonical_network(text: str) -> str:
    """A network ("10.0.0.0/24"); an address alone is itself with a full prefix."""
    try:
        if "%" in text:
            raise ValueError
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a network, such as 10.0.0.0/24") from None
    if interface.ip != interface.network.network_address:
        raise ValueError(f"'{text}' has host bits set: did you mean '{interface.network}'?")
    return str(interface.network)


def canonical_destination(text: str) -> str:
    """A network, or "default"."""
    return text if text == "default" else canonical_network(text)


def canonical_mac(text: str) -> str:
    """A MAC address, lower case with colons."""
    if not MAC.fullmatch(text):
        raise ValueError(f"'{text}' is not a MAC address, such as 02:00:00:00:00:01")
    return text.lower().replace("-", ":")


def canonical_link_mac(text: str) -> str:
    """A MAC that a link can have: unicast, not zero."""
    mac = canonical_mac(text)
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError(f"'{text}' cannot be the MAC of a link: it must be unicast (an even first byte) and not zero")
    return mac


def unicast_address(text: str) -> str:
    """An address that is not a multicast group."""
    address = canonical_address(text)
    if ipaddress.ip_address(address).is_multicast:
        raise ValueError(f"'{text}' is a multicast group, a unicast address is needed here")
    return address


def specified_address(text: str) -> str:
    """A unicast address that is not 0.0.0.0 or ::, which mean none to the kernel."""
    address = unicast_address(text)
    if ipaddress.ip_address(address).is_unspecified:
        raise ValueError(f"'{text}' means any address: leave it out, or write one address")
    return address


def gateway_address(text: str) -> str:
    """An address that another machine can have."""
    address = specified_address(text)
    if address in ("::1", "255.255.255.255"):
        raise ValueError(f"'{text}' cannot be a gateway: no other machine has it")
    return address


def is_loopback(text: str) -> bool:
    """127.0.0.0/8, which the kernel routes to ``lo`` unless another link has such an address, too."""
    return text.startswith("127.")


def namespace_or_host(text: str) -> str:
    """The name of a namespace, or "" for the host."""
    return text and namespace_name(text)


def is_link_local(text: str) -> bool:
    """An IPv6 address, or group, that is only valid together with a link."""
    if ":" not in text:
        return False
    known = ipaddress.ip_address(text)
    return known.is_link_local or (known.is_multicast and known.packed[1] & 0xF == 2)


def multicast_address(text: str) -> str:
    """A multicast group."""
    address = canonical_address(text)
    if not ipaddress.ip_address(address).is_multicast:
        raise ValueError(f"'{text}' is not a multicast group (224.0.0.0/4 or ff00::/8)")
    return address


def table_number(value: int | str) -> int:
    """A routing table by number or by a name that iproute2 always knows."""
    if isinstance(value, int):
        return value
    if value in TABLES:
        return TABLES[value]
    if value.isdigit() and 0 < int(value) < 2**32:
        return int(value)
    raise ValueError(f"'{value}' is not a routing table: write a number, or one of {', '.join(TABLES)}")


def remote_address(text: str) -> str:
    """A unicast address, or "host:NAME" for that of another machine."""
    return PREFIX + host_name(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else specified_address(text)


def hosts_in(remotes: Iterable[str]) -> tuple[str, ...]:
    """The machines that are named instead of their addresses."""
    return tuple(remote.removeprefix(PREFIX) for remote in remotes if remote.startswith(PREFIX))


#: Patterns for editors; the functions above check the values.
ADDRESS = r"^[0-9A-Fa-f:.]+$"
NETWORK = r"^[0-9A-Fa-f:.]+(/[0-9]+)?$"
LINK_NAME = r"^[^/:%*'\"\s]{1,15}$"

RemoteAddress = Annotated[str, Form(remote_address, 'address or `"host:NAME"`')]
UnicastAddress = Annotated[str, Form(unicast_address, "address", ADDRESS)]
SpecifiedAddress = Annotated[str, Form(specified_address, "address", ADDRESS)]
GatewayAddress = Annotated[str, Form(gateway_address, "address", ADDRESS)]
MulticastAddress = Annotated[str, Form(multicast_address, "multicast address", ADDRESS)]
Cidr = Annotated[str, Form(canonical_interface, "CIDR", r"^[0-9A-Fa-f:.]+/[0-9]+$")]
Network = Annotated[str, Form(canonical_network, "CIDR", NETWORK)]
Destination = Annotated[str, Form(canonical_destination, 'CIDR or `"default"`')]
Mac = Annotated[str, Form(canonical_mac, "MAC address", f"^{MAC.pattern}$")]
LinkMac = Annotated[str, Form(canonical_link_mac, "MAC address", f"^{MAC.pattern}$")]
Name = Annotated[str, Form(link_name, "link name", LINK_NAME)]
HostName = Annotated[str, Form(host_name, "host name")]
NamespaceName = Annotated[str, Form(namespace_name, "namespace name")]
NamespaceOrHost = Annotated[str, Form(namespace_or_host, 'namespace name, or `""`: the host')]
Mtu = Annotated[int, Range(68, 65535)]
#: AUTO follows the segment.
LinkMtu = Mtu | Literal["auto"]
Port = Annotated[int, Range(1, 65535)]
Metric = Annotated[int, Range(0, 2**32 - 1)]
RoutingTable = Annotated[
    Annotated[int, Range(1, 2**32 - 1)] | str, Form(table_number, 'integer, or `"main"`, `"default"`, `"local"`')
]
