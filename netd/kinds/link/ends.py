"""What every link has: the keys of one end, how they read in the kernel, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Annotated, Any, ClassVar

from netd.kinds import registry
from netd.kinds.address import address_object
from netd.kinds.base.address_values import AddressTable, cidr_of
from netd.kinds.base.kind import LOOPBACK, TableContext
from netd.kinds.base.options import Table, option
from netd.kinds.base.roles import GovernsMembers
from netd.kinds.base.values import (
    Cidr,
    Form,
    GatewayAddress,
    LinkMac,
    LinkMtu,
    Metric,
    Name,
    family_of,
    is_loopback,
)
from netd.kinds.forward import forward_object
from netd.kinds.qdisc import NetemTable, netem_object
from netd.kinds.route import gateway_object
from netd.kinds.vlans import VlansTable, vlans_object
from netd.model.change import Phase, Step
from netd.model.desired import HIDDEN, Desired, View
from netd.model.key import LinkName
from netd.model.operations import LinkSettings, SetLink
from netd.model.segment import ETHERNET, End
from netd.model.state import Link

from .bridge_port import PORT_DEFAULTS, PREFIX, BridgePort, port_fields, port_payload, read_port
from .port_state import FORWARDING, STATE, STATES, shown_state

#: IPV6_MIN_MTU, include/uapi/linux/ipv6.h: a link of less has no IPv6, ``lo`` aside.
LEAST_IPV6 = 1280


def one_per_family(value: str | list[str]) -> list[str]:
    """A gateway, or one of each family."""
    gateways = [value] if isinstance(value, str) else value
    families = [family_of(gateway) for gateway in gateways]
    if len(set(families)) != len(families):
        raise ValueError("at most one gateway of each family: write further ones as [[route]] with a metric")
    return gateways


class LinkTable(Table):
    """The keys of every link, and of every end of a veth pair."""

    #: Whether netd makes the link: a foreign one can be a port without being declared as one.
    made: ClassVar[bool] = True
    #: Whether it is a bridge, whose VLANs are those of its own traffic.
    is_bridge: ClassVar[bool] = False

    addresses: list[Cidr | AddressTable] = option(
        "IPv4 and IPv6 addresses with their prefix lengths, or tables with more",
        default_factory=list,
        also=("ip", "address", "ips"),
    )
    gateway: (
        Annotated[GatewayAddress | list[GatewayAddress], Form(one_per_family, "address, or a list of addresses")] | None
    ) = option("default route through this link; at most one of each family", default=None)
    gateway_metric: Metric | None = option("metric of that default route", default=None)
    mtu: LinkMtu | None = option('MTU in bytes; `"auto"`: the smallest MTU of the layer-2 segment', default=None)
    mac: LinkMac | None = option("a unicast MAC address", default=None, also=("hwaddr", "lladdr"))
    up: bool | None = option(
        "whether the link is up; for an `interface` the default is empty", default=None, absent="`true`"
    )
    master: Name | None = option("the bridge, bond or VRF that this link is in", default=None, also=("bridge",))
    nodad: bool = option("IPv6 addresses are usable at once, without duplicate address detection", default=False)
    forward: bool = option("traffic across this link passes the FORWARD chains of other tools", default=False)
    bridge_port: BridgePort | None = option("settings of this link as a port of its bridge", default=None)
    vlans: VlansTable | None = option("VLANs that this link is in as a port of its bridge: exactly these", default=None)
    netem: NetemTable | None = option("impairments of what this end sends", default=None)

    def check(self) -> None:
        if self.forward and self.master is not None:
            raise ValueError("forward: FORWARD sees the bridge, never its port: set it on the bridge")
        if self.gateway_metric is not None and self.gateway is None:
            raise ValueError("gateway_metric: there is no gateway")
        if self.bridge_port is not None and self.master is None and self.made:
            raise ValueError("bridge_port: this link has no master, so it is not a bridge port")
        if self.vlans is not None and self.master is None and self.made and not self.is_bridge:
            raise ValueError("vlans: this link has no master, so it is not in VLANs: write master, the bridge")

    def tunnels(self) -> Mapping[int, int]:
        """{VLAN: VNI}: which tunnel the frames of a VLAN take through this port."""
        return {}


def end_fields(table: LinkTable, made: bool, prefix: str = "") -> dict[str, Any]:
    """The compared fields of one end. ``made``: netd creates the link, so it is up by default."""
    fields: dict[str, Any] = {}
    for name in ("mtu", "mac", "master"):
        value = getattr(table, name)
        if value is not None:
            fields[prefix + name] = value
    if made or table.up is not None:
        fields[prefix + "up"] = table.up is not False
    if table.tunnels():
        # The kernel takes the tunnel of a VLAN only on such a port.
        fields[f"{prefix}{PREFIX}vlan_tunnel"] = True
    if table.bridge_port is not None:
        fields |= port_fields(table.bridge_port, prefix)
    return fields


def check_end(table: LinkTable, link: LinkName, *path: str) -> None:
    """Checks what the kernel refuses for one end in any case: ValueError, which names the key."""
    if table.made and link.name == LOOPBACK:
        raise ValueError(f"'{LOOPBACK}' exists in every namespace: configure it as [interface.{LOOPBACK}]")
    if not table.addresses and not table.gateway:
        return
    where = "".join(f"{part}." for part in path)
    addresses = [cidr_of(each) for each in table.addresses]
    own = {address.partition("/")[0] for address in addresses}
    gateways = [str(gateway) for gateway in table.gateway or []]
    if link.name != LOOPBACK:
        if "::1" in own:
            raise ValueError(f"{where}addresses: '::1' can only be on {LOOPBACK}")
        six = next((address for address in (*addresses, *gateways) if ":" in address), None)
        if six and isinstance(table.mtu, int) and table.mtu < LEAST_IPV6:
            raise ValueError(f"{where}mtu: IPv6 needs at least {LEAST_IPV6}, and '{six}' is IPv6")
        astray = next(filter(is_loopback, gateways), None)
        if astray and table.made and not any(map(is_loopback, own)):
            raise ValueError(f"{where}gateway: '{astray}' is this machine, not another")
    for gateway in gateways:
        if gateway in own and ":" in gateway:
            raise ValueError(f"{where}gateway: '{gateway}' is an address of this link itself")


def end_objects(table: LinkTable, context: TableContext, link: LinkName, *path: str) -> Iterable[Desired]:
    """The objects of one end: its addresses, its default routes, its rules in FORWARD."""
    check_end(table, link, *path)
    before: list[str] = []
    for number, entry in enumerate(table.addresses):
        origin = context.at(*path, "addresses", number)
        yield address_object(link, entry, table.nodad, origin, before)
        before.append(cidr_of(entry))
    gateways = table.gateway or []
    for gateway in gateways:
        yield gateway_object(link, str(gateway), table.gateway_metric, context.at(*path, "gateway"))
    if table.forward:
        yield forward_object(link, context.at(*path, "forward"))
    tunnels = table.tunnels()
    if table.vlans is not None or tunnels:
        yield vlans_object(link, table.vlans, context.at(*path, "vlans"), table.master, tunnels)
    if table.netem is not None:
        yield netem_object(link, table.netem, context.at(*path, "netem"))


def end_wants(table: LinkTable, netns: str) -> tuple[LinkName, ...]:
    """What one end waits for, if it can: its master."""
    return () if table.master is None else (LinkName(netns, table.master),)


def declared_up(one: Desired, link: LinkName) -> bool | None:
    """Whether a declared object has that link of its up or down; None: it is not managed."""
    field = next((end.field for end in one.ends if end.link == link), "mtu")
    return one.fields.get(field.removesuffix("mtu") + "up")


def end_of(table: LinkTable, link: LinkName, prefix: str = "", **more: Any) -> End:
    """The facts of one end that matter to its segment."""
    master = None if table.master is None else LinkName(link.netns, table.master)
    return End(link, prefix + "mtu", table.mtu, master, **more)


def link_claims(*links: LinkName) -> tuple[str, ...]:
    """The names that a link takes (Desired.claims)."""
    return tuple(f"link:{link}" for link in links)


def reachable_fields(fields: Mapping[str, Any], missing: Set[LinkName], netns: str, prefix: str = "") -> dict[str, Any]:
    """The fields without those of a master that is not there."""
    master = fields.get(prefix + "master")
    if master is None or LinkName(netns, master) not in missing:
        return dict(fields)
    port = prefix + PREFIX
    return {name: value for name, value in fields.items() if name != prefix + "master" and not name.startswith(port)}


def read_end(link: Link, netns: str, view: View, prefix: str = "") -> dict[str, Any]:
    """All fields of one end as the kernel has them."""
    master = view.link_at(netns, link.master) if link.master else None
    fields: dict[str, Any] = {
        prefix + "name": link.name,
        prefix + "link_group": link.group,
        prefix + "mtu": link.mtu,
        prefix + "mac": link.mac,
        prefix + "up": link.up,
        prefix + "master": master.name if master else (f"index {link.master}" if link.master else ""),
    }
    fields |= {prefix + name: HIDDEN for name in _hidden(master)}
    fields[prefix + "port_state"] = shown_state(link, netns, view)
    return fields | read_port(link.port, prefix) if link.port else fields


def _hidden(master: Link | None) -> Set[str]:
    """The fields of a member that its master sets."""
    kind: object = registry().get(master.kind) if master is not None else None
    return kind.hidden_of_members(master) if master is not None and isinstance(kind, GovernsMembers) else frozenset()


def end_changes(
    netns: str, name: str, fields: Mapping[str, Any], prefix: str = "", current: str | None = None
) -> Iterable[Step]:
    """The steps that set these fields of one end in place. ``current`` is the name that it has now."""
    if prefix + "name" in fields and current:
        # First, so that all other steps find it by its declared name.
        yield Step(Phase.LINK, SetLink(netns, current, LinkSettings(name=name)))
    chosen = {plain: fields[prefix + plain] for plain in ("mtu", "mac", "master") if prefix + plain in fields}
    if prefix + "link_group" in fields:
        chosen["group"] = fields[prefix + "link_group"]
    if chosen:
        yield Step(Phase.SETTINGS, SetLink(netns, name, LinkSettings(**chosen)))
    port = port_payload(fields, prefix)
    if prefix + "port_state" in fields:
        port[STATE] = bytes([STATES.index(fields[prefix + "port_state"])])
    # A link that leaves its bridge has no port settings any more.
    if port and fields.get(prefix + "master") != "":
        yield Step(Phase.SETTINGS, SetLink(netns, name, LinkSettings(port=port)))
    if prefix + "up" in fields:
        yield Step(Phase.UP, SetLink(netns, name, LinkSettings(up=fields[prefix + "up"])))


def end_owned(name: str, group: int, memory: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Undeclared fields of a created link's end that are kept, because they decide where packets go."""
    owned = {prefix + "link_group": group, prefix + "name": name, prefix + "port_state": STATES[FORWARDING]}
    mac = memory.get(prefix + "mac")
    return owned | ({prefix + "mac": mac} if mac else {})


def end_put_back(netns: str, field: str, found: Any, view: View) -> Any:
    """The former fields of one end: without a bridge that no longer exists."""
    return "" if field == "master" and found and view.link(netns, found) is None else found


def end_lapsed(netns: str, field: str, wrote: Any, have: Any, view: View) -> bool:
    """Whether it left its bridge because that was deleted."""
    return field == "master" and bool(wrote) and have == "" and view.link(netns, wrote) is None


def end_default(field: str, prefix: str = "") -> Any:
    """The kernel's default of one end's field on a link that netd made; None: it stays."""
    plain = field.removeprefix(prefix)
    if plain.startswith(PREFIX):
        return PORT_DEFAULTS.get(plain.removeprefix(PREFIX))
    return {"master": "", "up": True, "mtu": ETHERNET}.get(plain)
