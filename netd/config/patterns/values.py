"""The values of expressions, their limits, and the functions on addresses: `net`, `addr`, `subnet`, `mac`."""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

from netd.kinds.base.values import canonical_mac

Value = int | str | bool
#: The values of all variables at one place.
Environment = Mapping[str, Value]
#: A compiled expression.
Evaluate = Callable[[Environment], Value]

#: More than any address is. Without a limit, repeated multiplication would take any time and memory.
LARGEST = 1 << 128


class PatternError(ValueError):
    """What is wrong with a pattern, in words. ``path``: the keys from the table that is expanded to the string."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.path: tuple[str | int, ...] = ()


def shown(value: Value) -> str:
    """A value as it is written into a string: booleans as TOML has them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(value: Value, what: str) -> int:
    """A number; a comparison counts as 1 or 0."""
    if isinstance(value, str):
        raise PatternError(f"{what} must be a number, not '{value}'")
    return value


def limited(value: int) -> int:
    """The same number, PatternError if it is too large for any address."""
    if not -LARGEST <= value <= LARGEST:
        raise PatternError("the number is too large: at most 2^128")
    return value


class Network(NamedTuple):
    """A network in numbers: the width of its addresses in bits, its first address, and the length of its prefix."""

    width: int
    first: int
    length: int

    def address(self, number: int) -> str:
        """An address of this family, as text."""
        if self.width == 32:
            return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return socket.inet_ntop(socket.AF_INET6, number.to_bytes(16, "big"))


@functools.lru_cache(maxsize=4096)
def network_of(text: str) -> Network:
    """A network as it is written; PatternError where it is none."""
    try:
        if "%" in text:
            raise ValueError
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise PatternError(f"'{text}' is not a network, such as 10.0.0.0/24") from None
    if found.ip != found.network.network_address:
        raise PatternError(f"'{text}' has host bits set: did you mean '{found.network}'?")
    return Network(found.max_prefixlen, int(found.ip), found.network.prefixlen)


def _network(call: str, value: Value) -> Network:
    if not isinstance(value, str):
        raise PatternError(f"{call}: the first value must be a network in quotes, such as '10.0.0.0/24'")
    return network_of(value)


def _nth(name: str, value: Value, index: Value) -> tuple[Network, str]:
    """The network, and its address of that number."""
    found, at = _network(name, value), number(index, f"{name}: the second value")
    if not 0 <= at < 1 << (found.width - found.length):
        last = (1 << (found.width - found.length)) - 1
        raise PatternError(f"{name}('{value}', {at}): this network has the addresses 0 to {last}")
    return found, found.address(found.first + at)


def net(value: Value, index: Value) -> str:
    """The address of that number in a network, with the network's length."""
    found, address = _nth("net", value, index)
    return f"{address}/{found.length}"


def addr(value: Value, index: Value) -> str:
    """The address of that number in a network."""
    return _nth("addr", value, index)[1]


def subnet(value: Value, length: Value, index: Value) -> str:
    """The subnet of that number and length."""
    found, bits = _network("subnet", value), number(length, "subnet: the second value")
    at = number(index, "subnet: the third value")
    if not found.length <= bits <= found.width:
        raise PatternError(
            f"subnet('{value}', {bits}, {at}): the length of a subnet of it is {found.length} to {found.width}"
        )
    if not 0 <= at < 1 << (bits - found.length):
        last = (1 << (bits - found.length)) - 1
        raise PatternError(f"subnet('{value}', {bits}, {at}): it has the subnets 0 to {last} of this length")
    return f"{found.address(found.first + (at << (found.width - bits)))}/{bits}"


def mac(value: Value, index: Value) -> str:
    """A MAC address, that many after the one that is written."""
    try:
        first = int(canonical_mac(value if isinstance(value, str) else shown(value)).replace(":", ""), 16)
    except ValueError as error:
        raise PatternError(f"mac: {error}") from None
    found = first + number(index, "mac: the second value")
    if not 0 <= found < 1 << 48:
        raise PatternError(f"mac('{value}', {shown(index)}): there are no addresses beyond ff:ff:ff:ff:ff:ff")
    return ":".join(f"{byte:02x}" for byte in found.to_bytes(6, "big"))


class Function(NamedTuple):
    """A function of expressions: what it is called with, and the function itself."""

    arguments: tuple[str, ...]
    call: Callable[..., Value]


FUNCTIONS: Mapping[str, Function] = {
    "net": Function(("CIDR", "i"), net),
    "addr": Function(("CIDR", "i"), addr),
    "subnet": Function(("CIDR", "length", "i"), subnet),
    "mac": Function(("MAC", "i"), mac),
}
