"""How drift is tested: something is broken behind netd's back, and must come back.

Each case is broken twice: while the daemon is stopped, so that the test sees that it is broken, and while it runs.
Nothing else may change meanwhile: see ``tests.support.stage``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tests.support.host import Host
from tests.support.journal import Entry, Journal, repair
from tests.support.picture import Picture, differences, picture
from tests.support.stage import Stage

Probe = Callable[[Host], Any]

#: What a lab is for: a comment in its file says who reaches whom.
TRAFFIC = re.compile(r"^# (\S+) pings (.+?)(?: from (\S+))?$", re.MULTILINE)

#: A namespace on a bridge of the host; every field of the pair and of the port is managed.
PAIR = """
# a pings 10.1.0.254 fd01::254
# host pings 10.1.0.1 fd01::1

[bridge.br0]
addresses = ["10.1.0.254/24", "fd01::254/64"]
nodad = true

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
bridge_port.flood = true
bridge_port.mcast_flood = true
bridge_port.neigh_suppress = true
bridge_port.cost = 50
bridge_port.priority = 10
"""

#: Every option of a bridge is managed.
BRIDGE = """
# host pings 10.1.0.2 fd01::2

[namespace.far]

[veth.to-far]
master = "br0"

[veth.to-far.peer]
name = "eth0"
namespace = "far"
addresses = ["10.1.0.2/24", "fd01::2/64"]
nodad = true

[bridge.br0]
stp = false
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
    """A lab, how it is broken (a shell script), what is looked at (left out: all of it), and how it is told of.

    ``told`` is "OBJECT ACTION FIELD,FIELD": what the log has to say when it was broken while netd slept. ``before``
    is there before netd comes. ``again``: links that stand but must be made again. ``spoilt``: what the harm does to
    things of others (a pattern of ``tests.support.picture``).
    """

    name: str
    toml: str
    harm: str
    probe: Probe | None = None
    told: str = ""
    before: str = ""
    again: str = ""
    spoilt: str = ""


def comes_back(stage: Stage, case: Drift) -> None:
    """Builds the lab, breaks it while the daemon sleeps and while it is awake, and waits for it each time.

    Each time everything that stood is as it was, traffic flows, bystanders are the same ones, and the log says it in
    fields.
    """
    host, journal = stage.host, stage.journal

    def look() -> Any:
        try:
            return case.probe(host) if case.probe else not missing(before, picture(host))
        except AssertionError:
            return None

    def back() -> bool:
        seen = look()
        if seen != healthy:
            raise LookupError(f"{seen} instead of {healthy}: {missing(before, picture(host))}")
        return True

    with stage.lab(case.toml):
        before = picture(host)
        healthy = host.until(look, "the lab stands")
        flows(host, case.toml)
        before = picture(host)
        seen = len(journal.entries)
        with stage.daemon.asleep():
            host.sh(case.harm)
            host.until(lambda: look() != healthy, "the test has broken what it looks at")
            loose = gone(before, picture(host)) | set(case.again.split()) | dying(case)
        host.until(back, "what was broken while netd slept is back")
        stage.as_before(before, loose, case.spoilt)
        flows(host, case.toml)
        told_of(host, journal, seen, case.told, culprit="nft " in case.harm or "tables-nft" in case.harm)
        seen = len(journal.entries)
        host.sh(case.harm, check=None)
        host.until(back, "what was broken while netd was awake is back")
        stage.as_before(before, loose, case.spoilt)
        told_of(host, journal, seen)
        flows(host, case.toml)
        stage.converged()
        stage.bystanders_undisturbed()


def flows(host: Host, toml: str) -> None:
    """Waits until everyone reaches whom the lab says."""
    for place, to, source in TRAFFIC.findall(toml):
        ns = "" if place == "host" else place
        script = "".join(
            f'ping -nqc1 -W1 {f"-I {source}" if source else ""} {each} & pids="$pids $!"\n' for each in to.split()
        )
        script += "for pid in $pids; do wait $pid; done"
        host.until(partial(answers, host, script, ns), f"{place} reaches {to}")


def answers(host: Host, script: str, ns: str) -> bool:
    host.sh(script, ns=ns)
    return True


def missing(before: Picture, now: Picture) -> list[str]:
    """What does not stand any more as it stood, whichever it is now."""
    return differences(before, now, set(before))


def gone(before: Picture, broken: Picture) -> set[str]:
    """What the harm took away, so that it cannot be the same one afterwards."""
    return {key for key, thing in before.items() if key not in broken or broken[key].identity != thing.identity}


def dying(case: Drift) -> set[str]:
    """The other ends of pairs into a namespace that is deleted: the kernel takes them away when it comes to it."""
    names = re.findall(r'name = "([^"]+)"', case.toml) if "netns del" in case.harm else []
    return {f":link/{name}" for name in names}


def told_of(host: Host, journal: Journal, since: int, told: str = "", culprit: bool = False) -> None:
    """What was done is in the log, each with its fields: the repair that ``told`` names, and nothing of a bystander.

    ``culprit``: by whom it was broken, too.
    """
    wanted, action, names = [*told.split(), "", "", ""][:3]

    def meant(entry: Entry) -> bool:
        found, done, fields = repair(entry)
        if not wanted:
            return True
        known = entry["NETD_DRIFT"] == "true" and (not culprit or entry.get("NETD_CULPRIT", "") != "")
        return known and (found, done) == (wanted, action) and set(names.split(",")) - {""} <= fields

    def said() -> bool:
        if not any(map(meant, journal.changes(since))):
            raise LookupError(f"{journal.changes(since)} in:\n{journal.text(since)}")
        return True

    host.until(said, f"the log tells of {told or 'a repair'}")
    for entry in journal.changes(since):
        assert entry["NETD_FILE"] == "/etc/netd/lab.toml", f"something unrelated was changed: {entry}"


def inside(case: Drift) -> Drift:
    """The same in a namespace: what the file has for the host is in ``n``, the other ends of pairs stay."""
    toml = re.sub(r"^(\[\[?)(?!namespace\.)", r"\1namespace.n.", case.toml, flags=re.MULTILINE)
    return replace(
        case,
        name=f"{case.name}-inside",
        toml=toml.replace("# host pings", "# n pings"),
        harm=f"ip netns exec n sh -ec {shlex.quote(case.harm)}",
        probe=None,
        told=f"n:{case.told}",
        again=re.sub(r"(^|(?<= )):", "n:", case.again),
    )
