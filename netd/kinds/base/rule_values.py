"""What a policy rule says: the values of its keys, ip-rule(8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from .values import Form


def canonical_fwmark(value: int | str) -> tuple[int, int]:
    """(mark, mask) of 0x10, 16 or "0x10/0xff"."""
    text = str(value)
    mark, slash, mask = text.partition("/")
    try:
        numbers = int(mark, 0), (int(mask, 0) if slash else 0xFFFFFFFF)
    except ValueError:
        raise ValueError(f"'{text}' is not a mark, such as 0x10 or \"0x10/0xff\"") from None
    if not all(0 <= number < 2**32 for number in numbers):
        raise ValueError(f"'{text}' does not fit into 32 bits")
    return numbers


def unless_all(network: str | None) -> str:
    """A network as the kernel keeps it: that of all addresses is none."""
    return "" if network is None or network.endswith("/0") else network


#: FR_ACT_* of include/uapi/linux/fib_rules.h, as ip-rule(8) names them.
ACTIONS = {1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
TYPES = {name: number for number, name in ACTIONS.items()}
#: IPPROTO_* by the names that ip-rule(8) takes.
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "ipv6-icmp": 58, "sctp": 132}
#: What a rule says where a file says nothing, and what a record of netd 0.1 lacks.
NOTHING: Mapping[str, Any] = {
    "from": "", "to": "", "iif": "", "oif": "", "fwmark": 0, "fwmask": 0, "ipproto": 0, "sport": "", "dport": "",
    "not": False, "table": 0, "type": "unicast", "suppress_prefixlength": -1,
}  # fmt: skip
#: Of these, what is done with the packets that it is for.
LEADS = {name: NOTHING[name] for name in ("table", "type", "suppress_prefixlength")}


def protocol_number(value: int | str) -> int:
    """A protocol of IP by its number, or by its name."""
    if isinstance(value, str) and value not in PROTOCOLS:
        raise ValueError(f"'{value}' is not a protocol: write its number, or one of {', '.join(PROTOCOLS)}")
    number = PROTOCOLS[value] if isinstance(value, str) else value
    if not 0 < number < 256:
        raise ValueError(f"{number} is not the number of a protocol (1 to 255)")
    return number


def port_range(value: int | str) -> str:
    """A port, or "FIRST-LAST"."""
    first, dash, last = str(value).partition("-")
    ports = [first, last] if dash else [first]
    if not all(port.isascii() and port.isdigit() and 0 < int(port) < 65536 for port in ports):
        raise ValueError(f"'{value}' is not a port (1 to 65535), nor a range such as \"8000-8010\"")
    if int(ports[0]) > int(ports[-1]):
        raise ValueError(f"'{value}' ends before it begins")
    return str(int(ports[0])) if int(ports[0]) == int(ports[-1]) else f"{int(ports[0])}-{int(ports[-1])}"


def content(locator: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule says, complete."""
    return {name: locator.get(name, nothing) for name, nothing in NOTHING.items()}


def words(says: Mapping[str, Any]) -> str:
    """The same in short: what tells it from others of its priority."""
    shown = {name: value for name, value in says.items() if value != NOTHING[name] and name != "fwmask"}
    if "fwmark" in shown or says["fwmask"]:
        shown["fwmark"] = f"{says['fwmark']:#x}/{says['fwmask']:#x}"
    return ",".join(
        name if value is True else f"{name}={str(value).replace('/', '-')}" for name, value in shown.items()
    )


def checked_fwmark(value: int | str) -> int | str:
    """A mark as it is written."""
    canonical_fwmark(value)
    return value


FirewallMark = Annotated[int | str, Form(checked_fwmark, 'integer, or `"MARK/MASK"`')]
ProtocolWord = Annotated[
    int | str, Form(protocol_number, "number, or " + ", ".join(f'`"{name}"`' for name in PROTOCOLS))
]
Ports = Annotated[int | str, Form(port_range, 'number, or `"FIRST-LAST"`')]
FamilyWord = Annotated[Literal["ip", "ip6", "ipv4", "ipv6", "inet", "inet6"], Form(str, '`"ipv4"` or `"ipv6"`')]
