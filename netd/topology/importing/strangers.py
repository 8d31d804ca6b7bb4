"""Links that other tools manage: they are left out, because their owner creates them again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netd.model.key import LinkName
from netd.model.marks import GROUP
from netd.model.state import Link
from netd.topology.topology import Topology

#: Bridges and links by the names that their tools give them.
OWNERS = (
    ("Docker", re.compile(r"docker\d+|docker_gwbridge|br-[0-9a-f]{12}")),
    ("Podman", re.compile(r"podman\d+|cni-podman\d+")),
    ("libvirt", re.compile(r"virbr\d+(-nic)?|vnet\d+|macvtap\d+")),
    ("LXD or Incus", re.compile(r"(lxd|incus|lxc)br\d+")),
    (
        "Kubernetes",
        re.compile(r"cni\d+|flannel\.\d+|cali[0-9a-f]{11}|cilium_\w+|lxc[0-9a-f]{12}|kube-ipvs0|nodelocaldns"),
    ),
    ("Tailscale", re.compile(r"tailscale\d+")),
    ("the kernel", re.compile(r"(gre|gretap|erspan|tunl|sit|ip6tnl|ip6gre|ip_vti|ip6_vti|teql)0")),
)


def strangers(topology: Topology) -> dict[LinkName, str]:
    """{link: its owner}: by its name, or because its bridge is one of these. Never a link that netd created."""
    found: dict[LinkName, str] = {}
    for at in topology.all_links():
        link = topology.link(at)
        owner = owner_of(at, link) if link is not None else ""
        if owner:
            found[at] = owner
    for at, owner in list(found.items()):
        found |= {port: owner for port in _with_peers(topology, at) if port not in found}
    return found


def owner_of(at: LinkName, link: Link) -> str:
    """The tool that gives such names; "" for none."""
    if link.group == GROUP:
        return ""
    return next((owner for owner, names in OWNERS if names.fullmatch(at.name)), "")


def _with_peers(topology: Topology, bridge: LinkName) -> Iterator[LinkName]:
    for port in topology.ports(bridge):
        link = topology.link(port)
        if link is not None and link.group != GROUP:
            yield port
            peer = topology.peer(port)
            if peer is not None:
                yield peer
