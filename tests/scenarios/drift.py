"""How drift is tested: something is broken behind netd's back, and must come back.

Each case is broken twice: while the daemon is stopped, so that the test sees that it is broken, and while it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.host import Host

Probe = Callable[[Host], Any]

#: A namespace on a bridge of the host; every field of the pair and of the port is managed.
PAIR = """
[bridge.br0]
[bridge.br1]

[namespace.b]

[namespace.a.veth.eth0]
mtu = 1400
mac = "02:00:00:00:00:0a"
addresses = ["10.1.0.1/24", "fd01::1/64"]
gateway = ["10.1.0.254", "fd01::254"]
nodad = true

[namespace.a.veth.eth0.peer]
name = "port-a"
mtu = 1400
mac = "02:00:00:00:00:0b"
master = "br0"
bridge_port.isolated = true
bridge_port.hairpin = true
bridge_port.learning = false
bridge_port.flood = false
bridge_port.mcast_flood = false
bridge_port.neigh_suppress = true
bridge_port.cost = 50
bridge_port.priority = 10
"""

#: Every option of a bridge is managed.
BRIDGE = """
[bridge.br0]
stp = true
forward_delay = 4
hello_time = 1
max_age = 8
ageing_time = 60
priority = 4096
mcast_snooping = false
group_fwd_mask = 8
mtu = 1400
mac = "02:00:00:00:00:10"
addresses = ["10.1.0.1/24", "fd01::1/64"]
nodad = true
"""


def link(name: str, *paths: str, ns: str = "") -> Probe:
    """Fields of a link as ``ip -d -j`` names them, dotted; without paths, whether it is there and up."""

    def probe(host: Host) -> Any:
        found = host.link(name, ns)
        return found and [dig(found, path) for path in paths or ("up", "ifname")]

    return probe


def dig(value: Any, path: str) -> Any:
    if path == "up":
        return "UP" in value["flags"]
    for part in path.split("."):
        value = value.get(part)
        if value is None:
            return None
    return value


def option(name: str, field: str, ns: str = "") -> Probe:
    """One option of a bridge or vxlan, which must change in place."""
    return link(name, f"linkinfo.info_data.{field}", "ifindex", ns=ns)


def port(field: str) -> Probe:
    """One option of the bridge port port-a."""
    return link("port-a", f"linkinfo.info_slave_data.{field}", "ifindex")


def addresses(dev: str, ns: str = "") -> Probe:
    return lambda host: host.addresses(dev, ns)


def route(*which: str, ns: str = "") -> Probe:
    """Routes without what only counts."""
    return lambda host: [
        {key: value for key, value in each.items() if key not in ("flags", "pref", "nhid")}
        for each in host.routes(*which, ns=ns)
    ]


def prints(command: str, what: str, ns: str = "") -> Probe:
    """Whether a command prints a line that holds ``what``."""
    return lambda host: what in host.sh(command, ns=ns, check=None)


def sysctl(key: str, ns: str = "") -> Probe:
    return lambda host: host.sh(f"cat /proc/sys/{key}", ns=ns)


def fdb(dev: str) -> Probe:
    def probe(host: Host) -> Any:
        entries = host.json("bridge", "-j", "fdb", "show", "dev", dev)
        return sorted((each["mac"], each["dst"]) for each in entries if "dst" in each)

    return probe


def rules(ns: str = "") -> Probe:
    """netd's own table without handles and counters."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if key not in ("handle", "packets", "bytes")}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return lambda host: (
        [plain(each) for each in host.nft(ns) if next(iter(each.values())).get("table", "") == "netd"]
        + [plain(each) for each in host.nft(ns) if each.get("table", {}).get("name") == "netd"]
    )


def accepted(host: Host) -> Any:
    return [host.run(tool, "-S", "FORWARD").count("ACCEPT") for tool in ("iptables-nft", "ip6tables-nft")]


@dataclass(frozen=True)
class Drift:
    """A lab, how it is broken (a shell script), what is looked at, and what is there before netd comes."""

    name: str
    toml: str
    harm: str
    probe: Probe
    before: str = ""


def comes_back(host: Host, case: Drift) -> None:
    """Builds the lab, breaks it while the daemon sleeps and while it is awake, and waits for it each time."""
    host.sh(case.before)
    host.write("lab.toml", case.toml)
    daemon = host.daemon()

    def look() -> Any:
        try:
            return case.probe(host)
        except AssertionError:
            return None

    def back() -> bool:
        seen = look()
        if seen != healthy:
            raise LookupError(f"{seen} instead of {healthy}")
        return True

    healthy = host.until(look, "the lab stands")
    with daemon.asleep():
        host.sh(case.harm)
        host.until(lambda: look() != healthy, "the test has broken what it looks at")
    host.until(back, "what was broken while netd slept is back")
    host.sh(case.harm, check=None)
    host.until(back, "what was broken while netd was awake is back")
    host.converged()
